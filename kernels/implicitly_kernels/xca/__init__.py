r"""Cross-covariance attention of every head, in one call: attention between channels, linear in the tokens.

$$A = \mathrm{softmax}(\tau\, \hat Q^\top \hat K) \in \mathbb R^{d \times d}, \qquad \mathrm{out} = V A^\top,$$

with each channel (column) of $\hat Q$ and $\hat K$ of norm 1 over the tokens. The inner products are those of channels:
a unitary map of the tokens, as a band-limited cyclic shift is, leaves $A$ as it was and passes through to the result.

Source: El-Nouby et al., arXiv 2106.09681 (the layer); Michaeli, Soudry, arXiv 2510.22673; chapter alias-free-vit.
"""

import torch
from torch import Tensor

from implicitly_kernels import _checks as check
from implicitly_kernels._ops import dispatcher, fresh, operator

_DISPATCH = {name: dispatcher("xca", name, f"xca {name}") for name in ("run", "backward")}
FLOATS = (torch.float32, torch.float64)


def _backward_shapes(grad, q, k, v, temperature, backend):
    return tuple(t.new_empty(t.shape) for t in (q, k, v, temperature))


@operator("xca_backward", _backward_shapes, refuses="its gradient is not differentiable")
def _run_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, temperature: Tensor, backend: str
                  ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    given = tuple(t.contiguous() for t in (grad, q, k, v, temperature))
    return fresh(_DISPATCH["backward"](backend, q)(*given), *given)


def _keep(ctx, inputs, output):
    ctx.save_for_backward(*inputs[:4])
    ctx.backend = inputs[4]


def _backward(ctx, grad):
    return *_run_backward(grad, *ctx.saved_tensors, ctx.backend), None


@operator("xca", lambda q, k, v, temperature, backend: q.new_empty(q.shape), backward=_backward, setup=_keep)
def _run(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor, backend: str) -> Tensor:
    given = tuple(t.contiguous() for t in (q, k, v, temperature))
    return fresh((_DISPATCH["run"](backend, q)(*given),), *given)[0]


def cross_covariance_attention(q: Tensor, k: Tensor, v: Tensor, temperature: Tensor, *, backend: str = "auto"
                               ) -> Tensor:
    """out[n, i] = sum_j A[i, j] v[n, j] of each head, A = softmax over j of temperature * (cosine of q_i and k_j).

    q, k, v: (B, H, N, d) float32 or float64, d >= 1: B samples, H heads, N tokens, d channels a head.
    temperature: (H,), the same dtype and device.
    backend: "auto", "reference", "numba", "triton".

    Channels of q and k are divided by their l2 norms over the tokens; a norm below 1e-12 counts as 1e-12, so that a
    channel of zeros stays zero. Norms are taken in the dtype: squares must be in its range. Returns (B, H, N, d). A
    NaN makes NaN what it goes into, inside its own head: other heads do not notice. float32 is computed in float32,
    never in tf32. Differentiable in all four, once. Raises TypeError or ValueError for bad arguments, RuntimeError
    for a named backend that cannot run. Cost: 4 B H N d^2 operations, and no array of N^2 numbers.
    Source: arXiv 2106.09681 and 2510.22673, chapter alias-free-vit.

    >>> q, v = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]]), torch.tensor([[[[3.0, 4.0], [5.0, 6.0]]]])
    >>> cross_covariance_attention(q, q, v, torch.tensor([100.0]), backend="reference")  # each channel sees itself
    tensor([[[[3., 4.],
              [5., 6.]]]])
    """
    check.tensor("q", q, dtypes=FLOATS, ndim=4)
    if q.shape[-1] == 0:
        raise ValueError(f"q: expected at least one channel, got shape {tuple(q.shape)}")
    like = {"dtypes": (q.dtype,), "device": q.device}
    check.tensor("k", k, **like, shape=tuple(q.shape))
    check.tensor("v", v, **like, shape=tuple(q.shape))
    check.tensor("temperature", temperature, **like, shape=(q.shape[1],))
    check.backend(backend)
    return _run(q, k, v, temperature, backend)
