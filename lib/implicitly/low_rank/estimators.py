"""Estimates of a gradient from r directions, behind one interface: cut, sampled, random. Chapter `low-rank-gradients`.

All project the shorter side of a matrix G (m, n): where m > n, G is meant to be its transpose below. Bad arguments
raise TypeError or ValueError.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import F64, choice, flag, instance, number, tensor, whole
from .._validate import generator as checked_generator
from .probabilities import FLOATS, KINDS, _inclusion, _wheel

__all__ = [
    "Projection",
    "draw_projection",
    "left_basis",
    "realign",
    "realignment",
]


@dataclass(frozen=True)
class Projection:
    """r directions and what the lift multiplies each of them by.

    Attributes:
        basis: P, (..., m, r), float32 or float64. For ``plumage``, ``galore``, ``uniform`` and ``haar`` its columns
            are orthonormal.
        weight: w, (..., r), in the dtype of P: 1/p for sampled directions.
        transposed: whether G is (n, m), the projected side being the second.
    """

    basis: Tensor
    weight: Tensor
    transposed: bool = False

    def __post_init__(self):
        tensor("basis", self.basis, dtype=FLOATS)
        if self.basis.ndim < 2 or 0 in self.basis.shape[-2:]:
            raise ValueError(f"basis must have shape (..., m, r), m and r at least 1, found {tuple(self.basis.shape)}")
        shape = (*self.basis.shape[:-2], self.basis.shape[-1])
        tensor("weight", self.weight, dtype=self.basis.dtype, shape=shape)
        object.__setattr__(self, "transposed", flag("transposed", self.transposed))

    @property
    def rank(self) -> int:
        return self.basis.shape[-1]

    def project(self, G: Tensor) -> Tensor:
        """``P^T G``, (..., r, n), of G (..., m, n) in the dtype of P."""
        self._check("G", G, self.basis.shape[-2], -1 if self.transposed else -2)
        return self.basis.mT @ (G.mT if self.transposed else G)

    def lift(self, Y: Tensor) -> Tensor:
        """``P diag(w) Y``, in the shape of G, of Y (..., r, n) in the dtype of P."""
        self._check("Y", Y, self.rank, -2)
        found = (self.basis * self.weight[..., None, :]) @ Y
        return found.mT if self.transposed else found

    def estimate(self, G: Tensor) -> Tensor:
        """``P diag(w) P^T G``: the estimate of G, in its shape and of rank at most r."""
        return self.lift(self.project(G))

    def _check(self, name, value, size, axis):
        tensor(name, value, dtype=self.basis.dtype)
        if value.ndim < 2 or value.shape[axis] != size or value.shape[:-2] != self.basis.shape[:-2]:
            side = ("n", size) if axis == -1 else (size, "n")
            wanted = (*self.basis.shape[:-2], *side)
            raise ValueError(f"{name} must have shape ({', '.join(map(str, wanted))}), found {tuple(value.shape)}")


def _matrices(name: str, G: Tensor, dtypes=FLOATS) -> Tensor:
    tensor(name, G, dtype=dtypes)
    if G.ndim < 2 or 0 in G.shape:
        raise ValueError(f"{name} must have shape (..., m, n), all at least 1, found {tuple(G.shape)}")
    return G


def left_basis(G: Tensor) -> tuple[Tensor, Tensor]:
    """Left singular directions and singular values, from the eigenvalues of ``G G^T``: cheap where m is small.

    Args:
        G: (..., m, n), m at most n, float32 or float64.

    Returns:
        U (..., m, m) and sigma (..., m), float64, descending. Singular values below what rounding can tell from 0 are
        0: ``sqrt(m) 1.5e-8`` of the first (the product squares them), and eps(dtype of G) max(m, n).
    """
    _matrices("G", G)
    m, n = G.shape[-2:]
    if m > n:
        raise ValueError(f"G must have at most as many rows as columns, found {tuple(G.shape)}")
    return _basis(G)


def _basis(G: Tensor) -> tuple[Tensor, Tensor]:
    m, n = G.shape[-2:]
    size = G.detach().abs().amax((-2, -1), keepdim=True).double()
    size = torch.where(size > 0, size, torch.ones_like(size))
    scaled = G.detach().double() / size
    square, U = torch.linalg.eigh(scaled @ scaled.mT)
    sigma = square.clamp(min=0.0).sqrt().flip(-1)
    least = max((m * torch.finfo(F64).eps) ** 0.5, torch.finfo(G.dtype).eps * n) * sigma[..., :1]
    sigma = torch.where(sigma > least, sigma, torch.zeros_like(sigma)) * size[..., 0]
    return U.flip(-1), sigma


def draw_projection(
    G: Tensor,
    rank: int,
    kind: str = "plumage",
    *,
    generator: torch.Generator,
    floor: float = 0.0,
    keep_head: bool = True,
) -> Projection:
    """Draw r directions for a gradient.

    Args:
        G: (..., m, n), float32 or float64: one gradient, or a batch with a draw for each.
        rank: r, from 1 to min(m, n).
        kind: one of `KINDS`; see `expected_error`. ``haar`` and ``gaussian`` do not look at G.
        generator: where random numbers come from, on the CPU; ``galore`` draws none.
        floor, keep_head: of ``plumage``, as in `inclusion_probabilities`.

    Returns:
        A `Projection` in the dtype of G and on its device.

    >>> G = torch.diag(torch.tensor([3.0, 1.0]))
    >>> draw_projection(G, 1, generator=torch.Generator().manual_seed(0)).estimate(G).abs().sum().item()
    4.0
    """
    _matrices("G", G)
    rank = whole("rank", rank, at_least=1, at_most=min(G.shape[-2:]))
    choice("kind", kind, KINDS)
    dice = checked_generator("generator", generator, device="cpu")
    floor = number("floor", floor, at_least=0.0, at_most=1.0)
    return _draw(G, rank, kind, dice, floor, flag("keep_head", keep_head))


def _draw(G: Tensor, rank: int, kind: str, dice: torch.Generator, floor: float, keep_head: bool) -> Projection:
    m, transposed = min(G.shape[-2:]), G.shape[-2] > G.shape[-1]
    batch, wide = G.shape[:-2], G.mT if transposed else G
    if kind in ("haar", "gaussian"):
        normal = torch.randn(*batch, m, rank, generator=dice, dtype=F64)
        basis = torch.linalg.qr(normal).Q if kind == "haar" else normal / rank**0.5
        weight = torch.full((*batch, rank), m / rank if kind == "haar" else 1.0, dtype=F64)
        basis, weight = basis.to(G.device), weight.to(G.device)
    else:
        U, sigma = _basis(wide)
        chosen, weight = _chosen(sigma, rank, kind, dice, floor, keep_head)
        basis = torch.take_along_dim(U, chosen[..., None, :], -1)
    found = object.__new__(Projection)  # as it is drawn there is nothing to check
    parts = (("basis", basis.to(G.dtype)), ("weight", weight.to(G.dtype)), ("transposed", transposed))
    for name, value in parts:
        object.__setattr__(found, name, value)
    return found


def _chosen(sigma, rank, kind, dice, floor, keep_head):
    """Indices (..., r) of singular directions, and their weights."""
    m = sigma.shape[-1]
    if kind == "galore":
        first = torch.arange(rank, device=sigma.device).expand(*sigma.shape[:-1], rank)
        return first, torch.ones_like(sigma[..., :rank])
    if kind == "replacement":
        total = sigma.sum(-1, keepdim=True)
        q = torch.where(total > 0, sigma / torch.where(total > 0, total, torch.ones_like(total)), 1 / m)
        spin = torch.rand(*sigma.shape[:-1], rank, generator=dice, dtype=F64).to(sigma.device)
        ends = q.cumsum(-1)
        inside = (spin * ends[..., -1:]).clamp(max=torch.nextafter(ends[..., -1:], torch.zeros_like(ends[..., -1:])))
        chosen = torch.searchsorted(ends.contiguous(), inside.contiguous(), right=True)
        return chosen, 1 / (rank * torch.take_along_dim(q, chosen, -1))
    p = torch.full_like(sigma, rank / m) if kind == "uniform" else _inclusion(sigma, rank, floor, keep_head).p
    chosen = _wheel(p, rank, torch.rand(p.shape[:-1], generator=dice, dtype=F64).to(p.device))
    return chosen, 1 / torch.take_along_dim(p, chosen, -1)


def realignment(new: Projection, old: Projection) -> Tensor:
    """R (..., r_new, r_old): what re-expresses coordinates in the old directions in the new ones.

    ``P_new^T P_old`` for orthonormal directions, and in general ``P_new^T P_old (P_old^T P_old)^{-1}``. Both must be of
    one gradient, so of one size m, side and dtype.
    """
    instance("new", new, Projection), instance("old", old, Projection)
    if new.basis.shape[:-1] != old.basis.shape[:-1] or new.transposed != old.transposed:
        raise ValueError(f"new must be of the matrices of old, {tuple(old.basis.shape[:-1])}, "
                         f"found {tuple(new.basis.shape[:-1])}")  # fmt: skip
    if new.basis.dtype != old.basis.dtype:
        raise TypeError(f"new must have the dtype of old, {old.basis.dtype}, found {new.basis.dtype}")
    return _turn(new.basis, old.basis)


def _turn(new: Tensor, old: Tensor) -> Tensor:
    R, gram = new.mT @ old, old.mT @ old
    plain = torch.eye(old.shape[-1], dtype=old.dtype, device=old.device)
    if torch.allclose(gram, plain.expand_as(gram), atol=1e3 * torch.finfo(old.dtype).eps):
        return R
    return R @ torch.linalg.pinv(gram, hermitian=True)


def realign(R: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The moments of Adam after a change of directions: ``R M`` and ``(R * R) V``, products of entries in the second.

    The first is what is left of the old moment in the span of the new directions. The second is right for coordinates
    whose mixed products average to 0; energy outside that span is lost, so it comes out small.

    Args:
        R: (..., s, r), of `realignment`, float32 or float64.
        first: M, (..., r, n), in the dtype of R.
        second: V, in the shape of M, at least 0.
    """
    tensor("R", R, dtype=FLOATS)
    if R.ndim < 2:
        raise ValueError(f"R must have shape (..., s, r), found {tuple(R.shape)}")
    tensor("first", first, dtype=R.dtype)
    if first.ndim < 2 or first.shape[:-1] != (*R.shape[:-2], R.shape[-1]):
        raise ValueError(f"first must have shape (..., r, n) with r = {R.shape[-1]}, the columns of R, found "
                         f"{tuple(first.shape)}")  # fmt: skip
    tensor("second", second, dtype=R.dtype, shape=tuple(first.shape), at_least=0.0)
    return R @ first, (R * R) @ second
