"""The flows' exact solutions for simplex denoisers, and where flows end.

Claim ids refer to the chapter ``score-flow`` (arXiv 2506.19031); derivations are on its page.
"""

import torch
from torch import Tensor

from .._validate import number, tensor, whole
from .flows import _FLOATS, Denoiser, _denoised, _starts

__all__ = [
    "KINDS",
    "classify",
    "counted_as_zero",
    "end_probabilities",
    "off_edge_share",
    "probability_flow_exact",
    "score_flow_exact",
    "shares",
    "two_edges_exact",
    "vertex_is_fixed",
]

#: What an end of a flow can be; the codes that `classify` gives, in order.
KINDS = ("training", "sum", "neither")


def _lengths(length, name: str, like: Tensor) -> Tensor:
    """`length` as a positive tensor, () or (m,), of the dtype and device of `like`, which is called `name`."""
    length = tensor("length", length, convert=like.dtype, above=0.0).to(like.device)
    if length.ndim and (length.shape != like.shape[-1:] or not len(length)):
        raise ValueError(
            f"length must be a number or have the shape (m,) of {name} (B, m) = {tuple(like.shape)}, "
            f"found {tuple(length.shape)}"
        )
    return length


def score_flow_exact(c: Tensor, length: Tensor | float, rho: float, time: float) -> Tensor:
    """Coordinates (B, m) of the score flow at `time` for orthogonal data, claim score-flow/C2.

    Solves ``dc/dt = ramp(c) - c`` piece by piece: exponential growth away from L/2 in the middle,
    exponential decay to 0 or L outside.

    Args:
        c: coordinates at the start, (B, m), float32 or float64.
        length: edge lengths, positive, a number or (m,).
        rho: radius of the balls, positive, below half the shortest length.
        time: how long to run, at least 0.
    """
    tensor("c", c, shape=("B", "m"), dtype=_FLOATS)
    length = _lengths(length, "c", c)
    rho = number("rho", rho, above=0.0, below=float(length.min()) / 2)
    time = min(number("time", time, at_least=0.0), torch.finfo(c.dtype).max)
    q = c - length / 2
    half = length / 2 - rho  # half the width of the middle band
    rate = rho / half
    inside = q.abs() < half
    # time spent in the middle; a start at L/2 never leaves, and its growth may be infinite
    leave = torch.where(inside, (half / q.abs()).log() / rate, torch.zeros_like(q))
    middle = torch.where(q == 0, q, q * torch.exp(rate * leave.clamp(max=time)))
    distance = torch.where(inside, torch.full_like(q, rho), length / 2 - q.abs())
    outside = q.sign() * (length / 2 - distance * torch.exp(-(time - leave)))
    return length / 2 + torch.where(leave >= time, torch.where(inside, middle, q), outside)


def probability_flow_exact(
    x: Tensor, denoise: Denoiser, sigma_T: float, sigma_0: float, *, alpha: float = 1.0
) -> Tensor:
    """``h(x) + (sigma_0 / sigma_T) (x - h(x))`` with h at `sigma_T`, (B, d), claims score-flow/C3 and C9.

    The exact end of the probability flow for orthogonal data and for points on a line; not for obtuse
    data. `sigma_0` may be 0; `sigma_T` is above it, `alpha` above 0. ValueError if h(x) is not finite.
    """
    _starts(x, denoise)
    sigma_0 = number("sigma_0", sigma_0, at_least=0.0)
    sigma_T = number("sigma_T", sigma_T, above=sigma_0)
    clean = _denoised(denoise, x, number("alpha", alpha, above=0.0) * sigma_T)
    tensor("denoise's result", clean)
    return clean + (sigma_0 / sigma_T) * (x - clean)


def _clock(gamma: float, length: float, rho_T: float, rho_0: float) -> float:
    """kappa of claim score-flow/C7: what is left of (f1 + f2) / (f1 - f2)."""
    gamma, length = number("gamma", gamma, above=0.0, below=1.0), number("length", length, above=0.0)
    rho_T = number("rho_T", rho_T, above=0.0, below=length / 2)
    rho_0 = number("rho_0", rho_0, above=0.0, below=rho_T)
    return (rho_0 / rho_T * ((length - 2 * rho_T) / (length - 2 * rho_0))) ** (2 * gamma)


def two_edges_exact(f: Tensor, gamma: float, length: float, rho_T: float, rho_0: float) -> Tensor:
    """Denoised coordinates (B, 2) at the end of the probability flow on two equal obtuse edges.

    Claim score-flow/C7. For starts with both coordinates in the middle band.

    Args:
        f: ``ramp(c)`` at the start, (B, 2), strictly between 0 and `length`; float32 or float64.
        gamma: minus the cosine of the angle between the edges, in (0, 1).
        length: the common length, a number.
        rho_T, rho_0: radius of the balls at start and end, ``0 < rho_0 < rho_T < length / 2``.
    """
    tensor("f", f, shape=("B", 2), dtype=_FLOATS)
    length = number("length", length, above=0.0)
    inside = (f > 0) & (f < length)
    if not inside.all():
        raise ValueError(
            f"f must lie strictly between 0 and length = {length:.6g} (both coordinates in the middle band), "
            f"found {f[~inside][0]:.6g}"
        )
    kappa = max(_clock(gamma, length, rho_T, rho_0), torch.finfo(f.dtype).tiny)  # at 0, 0 times infinity
    total = f.sum(1) * kappa**0.5
    gap = (f[:, 0] - f[:, 1]) * kappa**-0.5
    both = torch.stack([total + gap, total - gap], 1) / 2
    share = f / length
    winner = length * (share[:, 0] ** 2 - share[:, 1] ** 2).abs().sqrt()[:, None] * (f == f.amax(1, keepdim=True))
    return torch.where((gap.abs() < total)[:, None], both, winner)


def off_edge_share(gamma: float, length: float, rho_T: float, rho_0: float) -> float:
    """Share of uniform middle-band starts still off both edges at the end: ``2 k / (1 + k)``, claim score-flow/C7.

    Arguments as in :func:`two_edges_exact`.
    """
    kappa = _clock(gamma, length, rho_T, rho_0)
    return 2 * kappa / (1 + kappa)


def vertex_is_fixed(gram: Tensor, length: Tensor, rho: float, members: Tensor) -> Tensor:
    """Which vertices ``x1 + sum_{n in S} L_n u_n`` are rest points of the score flow, claim score-flow/C6.

    Args:
        gram: inner products of the edge directions, (m, m), m >= 1, float32 or float64.
        length: edge lengths, (m,), positive, of the same dtype.
        rho: radius of the balls, at least 0, below half the shortest length.
        members: the sets S, (V, m) bool.

    Returns:
        (V,) bool: whether ``-sum_{j in S, j != i} G_ij L_j <= rho`` for every i in S.

    Raises:
        ValueError: if two edges meet at an acute angle (some ``G_ij > 0``, up to rounding). The condition
            says nothing then, because edges outside S may be active at the vertex.
    """
    tensor("gram", gram, shape=("m", "m"), dtype=_FLOATS)
    m = len(gram)
    if not m or gram.shape[1] != m or (gram.diagonal() - 1).abs().max() > 1e-4 or (gram - gram.T).abs().max() > 1e-4:
        raise ValueError(f"gram must be symmetric, (m, m), with a diagonal of ones, found shape {tuple(gram.shape)}")
    tensor("length", length, shape=(m,), dtype=gram.dtype, above=0.0)
    rho = number("rho", rho, at_least=0.0, below=float(length.min()) / 2)
    tensor("members", members, shape=("V", m), dtype=torch.bool)
    off = gram - torch.diag(gram.diagonal())
    cosine = float(off.max())
    if cosine > 100 * torch.finfo(gram.dtype).eps:
        raise ValueError(f"gram must be that of right or obtuse angles, found a cosine of {cosine:.3g}")
    push = -(members.to(gram.dtype) * length) @ off  # (V, m)
    return ((push <= rho) | ~members).all(1)


def classify(f: Tensor, length: Tensor | float, *, tolerance: float) -> Tensor:
    """Codes (B,) of the ends with denoised coordinates `f` (B, m): 0 training, 1 sum, 2 neither (`KINDS`).

    A coordinate counts as 0 or L within ``tolerance * length``. For obtuse data hand in ``ramp(c)``,
    not `c`: off its edge a training point has negative coordinates.

    Args:
        f: float32 or float64, m >= 1.
        length: edge lengths, positive, a number or (m,).
        tolerance: in (0, 1/2).
    """
    tensor("f", f, shape=("B", "m"), dtype=_FLOATS)
    if not f.shape[1]:
        raise ValueError(f"f must have at least one coordinate, found shape {tuple(f.shape)}")
    length, tolerance = _lengths(length, "f", f), number("tolerance", tolerance, above=0.0, below=0.5)
    share = f / length
    full = (share - 1).abs() <= tolerance
    vertex = (full | (share.abs() <= tolerance)).all(1)
    return torch.where(vertex, (full.sum(1) >= 2).long(), torch.full((len(f),), 2, device=f.device))


def shares(kinds: Tensor) -> Tensor:
    """Shares (3,), float64, of training, sum and neither among codes (B,), B >= 1, from :func:`classify`."""
    tensor("kinds", kinds, shape=("B",), dtype=torch.int64, at_least=0, at_most=len(KINDS) - 1)
    if not len(kinds):
        raise ValueError("kinds must hold at least one code, found none")
    return torch.bincount(kinds, minlength=3).double() / len(kinds)


def end_probabilities(p_0: float, p_L: float, m: int) -> tuple[float, float, float]:
    """Probabilities of training, sum and neither for m independent coordinates, claim score-flow/C4.

    Args:
        p_0: probability that a coordinate ends at 0.
        p_L: probability that it ends at L; ``p_0 + p_L <= 1``.
        m: number of edges, from 1 to 2**53, one less than the number of training points.
    """
    p_0, p_L = number("p_0", p_0, at_least=0.0), number("p_L", p_L, at_least=0.0)
    m = whole("m", m, at_least=1, at_most=2**53)
    if p_0 + p_L > 1 + 1e-12:
        raise ValueError(f"p_0 + p_L must be at most 1, found {p_0 + p_L}")
    training = p_0**m + m * p_0 ** (m - 1) * p_L
    vertex = (p_0 + p_L) ** m
    return training, max(vertex - training, 0.0), max(1 - vertex, 0.0)  # rounding may go below 0


def counted_as_zero(length: float, rho_T: float, ratio: float, *, tolerance: float) -> tuple[float, float]:
    """Start coordinates whose end the probability flow leaves within ``tolerance * length`` of 0.

    Inverts claim score-flow/C3 for orthogonal data, so that shares counted with a tolerance and at
    ``ratio = sigma_0 / sigma_T > 0`` can be compared with exact probabilities. Those counted as L are
    the mirror image, ``(length - high, length - low)``.

    Args:
        length: edge length.
        rho_T: radius of the balls at the start, below ``length / 2``.
        ratio: sigma_0 / sigma_T, in (0, 1].
        tolerance: as in :func:`classify`, below 1/2.

    Returns:
        The interval ``(low, high)``.

    Raises:
        TypeError, ValueError: if an argument is no number or out of its range.
    """
    length = number("length", length, above=0.0)
    rho_T = number("rho_T", rho_T, at_least=0.0, below=length / 2)
    ratio = number("ratio", ratio, above=0.0, at_most=1.0)
    tolerance = number("tolerance", tolerance, above=0.0, below=0.5)
    near = tolerance * length
    if near <= rho_T * ratio:  # within the flat part at the end: c_0 = ratio * c_T
        return -near / ratio, near / ratio
    slope = (length - 2 * rho_T * ratio) / (length - 2 * rho_T)
    return -near / ratio, length / 2 - (length / 2 - near) / slope
