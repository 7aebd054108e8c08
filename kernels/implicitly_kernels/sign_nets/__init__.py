r"""Draw and test millions of random binary-weight threshold networks against a labelled sample.

A neuron computes $1\{\gamma\, w \cdot a + b \ge 0\}$ with $w \in \{-1, 1\}^d$ on signs, or
$w \in \{0, 1\}^d$ on bits; $b$ is a uniform integer in $[-B, B]$ and $\gamma$ is 1, or uniform in
$\{-1, 0, 1\}$. Every weight comes from Philox(seed, index), so an interpolator is stored as its
index. This is Guess and Check: the interpolators found are an exact uniform sample.

Source: Buzaglo et al., arXiv 2402.06323 (chapter typical-nets, claims C2, C3); Harel et al.,
arXiv 2410.19092 (chapter tempered-overfitting, claims C1 to C4).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, operator
from implicitly_kernels.sign_nets import reference
from implicitly_kernels.sign_nets.reference import Layout

_DISPATCH = dispatcher("sign_nets", "search")
WIDEST = 64


def _layout(widths, bias, scaled, alphabet):
    widths = tuple(check.integers("widths", widths, at_least=1, at_most=WIDEST))
    if len(widths) < 2 or widths[-1] != 1:
        raise ValueError(f"widths: expected (inputs, ..., 1) with one output, got {widths}")
    bias, scaled = check.integer("bias", bias, at_least=0, at_most=2**20), check.flag("scaled", scaled)
    check.one_of("alphabet", alphabet, ("signs", "bits"))
    return Layout(widths, bias, scaled, alphabet == "bits")


def _check_inputs(x, layout):
    check.tensor("x", x, dtypes=(torch.bool,), shape=(None, layout.widths[0]))


def _check_index(index):
    check.tensor("index", index, dtypes=(torch.int64,), ndim=1)
    if (index < 0).any():
        raise ValueError(f"index: expected numbers >= 0, got {index.min().item()}")


def _shapes(x, y, widths, n_nets, seed, start, keep, bias, scaled, alphabet, backend):
    return (x.new_empty((x.shape[0] + 1,), dtype=torch.int64),
            x.new_empty((keep,), dtype=torch.int64))


@operator("sign_nets", _shapes)
def _search(x: Tensor, y: Tensor, widths: list[int], n_nets: int, seed: int, start: int, keep: int,
            bias: int, scaled: bool, alphabet: str, backend: str) -> tuple[Tensor, Tensor]:
    layout = Layout(tuple(widths), bias, scaled, alphabet == "bits")
    return _DISPATCH(backend, x)(x, y, layout, n_nets, seed, start, keep)


def sign_nets(x: Tensor, y: Tensor, widths: Sequence[int], n_nets: int, *, seed: int = 0, start: int = 0,
              keep: int = 16, bias: int = 0, scaled: bool = False, alphabet: str = "signs",
              backend: str = "auto") -> tuple[Tensor, Tensor]:
    """Test networks start, start+1, ..., start+n_nets-1 on the samples, in their given order.

    x: (N, d0) bool, True for +1 (or 1), N <= 4095. y: (N,) bool labels, noisy or not.
    widths: (d0, d1, ..., 1), each at most 64. bias: largest bias B. scaled: ternary scales.
    alphabet: "signs" (weights and activations +-1) or "bits" (0/1).
    seed: int in [0, 2**63). keep: how many interpolators to list.
    backend: "auto", "reference", "numba", "triton" (at most four layers).

    Returns counts (N+1,) int64, counts[n] networks whose first miss is sample n, counts[N] those
    that fit all (so counts[n:].sum() fit the first n); and found (keep,) int64, the smallest
    indices that fit all, -1 where there are fewer. All backends return the same integers.
    Not differentiable. Cost: about two samples a network, whatever N: it stops at the first miss.
    Source: chapter typical-nets, claims C2, C3.
    """
    start = check.integer("start", start, at_least=0, at_most=2**62)
    n_nets = check.integer("n_nets", n_nets, at_least=0, at_most=2**62)
    keep, seed = check.integer("keep", keep, at_least=0, at_most=2**31), check.seed(seed)
    layout = _layout(widths, bias, scaled, alphabet)
    _check_inputs(x, layout)
    check.tensor("y", y, dtypes=(torch.bool,), shape=(x.shape[0],), device=x.device)
    if x.shape[0] > 4095:
        raise ValueError(f"x: expected at most 4095 samples, got {x.shape[0]}")
    check.backend(backend)
    return _search(x, y, list(layout.widths), n_nets, seed, start, keep, layout.bias, layout.scaled, alphabet,
                   backend)


def sign_nets_weights(index: Tensor, widths: Sequence[int], *, seed: int = 0, bias: int = 0, scaled: bool = False,
                      alphabet: str = "signs") -> list[tuple[Tensor, Tensor, Tensor]]:
    """The weights of networks `index` (n,) int64, drawn again from (seed, index).

    Returns per layer int64 weights (n, d_out, d_in), biases (n, d_out) and scales (n, d_out).
    """
    _check_index(index)
    return reference.weights(check.seed(seed), index, _layout(widths, bias, scaled, alphabet))


def sign_nets_predict(index: Tensor, x: Tensor, widths: Sequence[int], *, seed: int = 0, bias: int = 0,
                      scaled: bool = False, alphabet: str = "signs") -> Tensor:
    """Outputs (n, N) bool of networks `index` (n,) int64 at inputs x (N, d0) bool."""
    _check_index(index)
    seed = check.seed(seed)
    layout = _layout(widths, bias, scaled, alphabet)
    _check_inputs(x, layout)
    check.tensor("x", x, device=index.device)
    return reference.predict(seed, index, x, layout)
