"""The SuperNet: frozen networks side by side, learnable maps between them, and the fold back to one network.

After the frozen layers ``W_l^i, b_l^i`` of all models i stands one merge ``M_l``, before them one un-merge ``U_(l-1)``;
the ReLU acts between them, at the merged width. So everything between two ReLUs is linear and folds:

    ``W'_l = M_l diag(W_l^1, ..., W_l^m) U_(l-1)``, ``b'_l = M_l [b_l^1; ...; b_l^m]``.

Kinderman, Hubara, Maron, Soudry, "Foldable SuperNets" (arXiv 2410.01483). Chapter `merging-networks`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .._validate import generator as checked_generator
from .._validate import number, tensor, whole, wholes
from .matching import correlations
from .nets import Net, _tensors, checked_orders, fitting_nets, same_shape

__all__ = [
    "Folded",
    "SuperNet",
    "averaged",
    "copied",
    "fold_linear",
    "matched",
    "random_maps",
    "regression_mean",
    "stacked",
    "zipped",
]


def fold_linear(
    weights: Sequence[Tensor], biases: Sequence[Tensor], merge: Tensor, unmerge: Tensor
) -> tuple[Tensor, Tensor]:
    """``M diag(W^1, ..., W^m) U`` and ``M [b^1; ...; b^m]``: one layer, folded; diag(...) is never formed.

    Args:
        weights, biases: of the models, sequences of (..., d_i, e_i) and (..., d_i).
        merge, unmerge: (..., d', sum d_i) and (..., sum e_i, e'). All of one float dtype.

    Returns:
        (..., d', e') and (..., d').
    """
    weights, biases = _tensors("weights", weights), _tensors("biases", biases)
    dtype, lead = weights[0].dtype, tuple(weights[0].shape[:-2])
    if len(biases) != len(weights):
        raise ValueError(f"biases must have one entry for each of the {len(weights)} weights, found {len(biases)}")
    if weights[0].ndim < 2:
        raise ValueError(f"weights[0] must be a matrix, found shape {tuple(weights[0].shape)}")
    for i, w in enumerate(weights):
        tensor(f"weights[{i}]", w, shape=(*lead, "d", "e"), dtype=dtype)
        tensor(f"biases[{i}]", biases[i], shape=(*lead, w.shape[-2]), dtype=dtype)
    tensor("merge", merge, shape=(*lead, "d'", sum(w.shape[-2] for w in weights)), dtype=dtype)
    tensor("unmerge", unmerge, shape=(*lead, sum(w.shape[-1] for w in weights), "e'"), dtype=dtype)
    return _fold(weights, biases, merge, unmerge)


def _fold(weights, biases, merge, unmerge) -> tuple[Tensor, Tensor]:
    up, down = merge.split([w.shape[-2] for w in weights], -1), unmerge.split([w.shape[-1] for w in weights], -2)
    weight = sum(m @ (w @ u) for m, w, u in zip(up, weights, down, strict=True))
    return weight, (merge @ torch.cat(list(biases), -1)[..., None])[..., 0]


@dataclass(frozen=True, eq=False)
class Folded:
    """One network, and the maps from its features to those of each original.

    Args:
        net: a `Net`.
        out: of each model (d_i, d'), or (B, d_i, d'): its features are about ``out @ net(x)``.
    """

    net: Net
    out: tuple[Tensor, ...]

    def __post_init__(self):
        if not isinstance(self.net, Net):
            raise TypeError(f"net must be a Net, found {type(self.net).__name__}")
        object.__setattr__(self, "out", _tensors("out", self.out, dtype=self.net.dtype))
        for i, one in enumerate(self.out):
            tensor(f"out[{i}]", one, shape=(*self.net.batch, "d", self.net.widths[-1]))

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Rebuilt features of each model, (n, d_i) or (B, n, d_i), at inputs `x` as `Net` takes them."""
        h = self.net(x)
        return tuple(h @ u.mT for u in self.out)


@dataclass(frozen=True, eq=False)
class SuperNet:
    """Frozen models and the maps between them.

    Args:
        models: two or more `Net`, of the same depth, inputs, batch and dtype; their widths ``d_l^i`` may differ.
        merge: for each layer 1, ..., L a map ``M_l``, (d'_l, sum_i d_l^i) or (B, d'_l, sum_i d_l^i).
        unmerge: for each layer 0, ..., L a map ``U_l``, (sum_i d_l^i, d'_l) or (B, sum_i d_l^i, d'_l), where
            ``d'_0 = d_0``.
    """

    models: tuple[Net, ...]
    merge: tuple[Tensor, ...]
    unmerge: tuple[Tensor, ...]

    def __post_init__(self):
        models = fitting_nets("models", self.models)
        L, batch, dtype = models[0].depth, models[0].batch, models[0].dtype
        merge, unmerge = _tensors("merge", self.merge, dtype=dtype), _tensors("unmerge", self.unmerge, dtype=dtype)
        for name, value, count in (("merge", merge, L), ("unmerge", unmerge, L + 1)):
            if len(value) != count:
                raise ValueError(f"{name} must have {count} entries for {L} layers, found {len(value)}")
        width = models[0].widths[0]
        for l in range(L + 1):
            total = sum(net.widths[l] for net in models)
            if l:
                tensor(f"merge[{l - 1}]", merge[l - 1], shape=(*batch, "d'", total))
                width = merge[l - 1].shape[-2]
                if not width:
                    raise ValueError(f"merge[{l - 1}] must have at least one row, found none")
            tensor(f"unmerge[{l}]", unmerge[l], shape=(*batch, total, width))
        for name, value in (("models", models), ("merge", merge), ("unmerge", unmerge)):
            object.__setattr__(self, name, value)

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the folded network, ``(d_0, d'_1, ..., d'_L)``."""
        return (self.models[0].widths[0], *(m.shape[-2] for m in self.merge))

    def _blocks(self, l: int) -> list[int]:
        return [net.widths[l] for net in self.models]

    def __call__(self, x: Tensor) -> tuple[Tensor, ...]:
        """Rebuilt features of each model, computed as drawn: un-merge, the frozen layers, merge, ReLU, layer by layer.

        Args:
            x: inputs as `Net` takes them.

        Returns:
            For each model (n, d_i) or (B, n, d_i).
        """
        h = self.models[0]._inputs(x)
        for l, (m, u) in enumerate(zip(self.merge, self.unmerge[:-1], strict=True)):
            wide = (h @ u.mT).split(self._blocks(l), -1)
            wide = [part @ net.weights[l].mT + net.biases[l][..., None, :]
                    for part, net in zip(wide, self.models, strict=True)]  # fmt: skip
            h = (torch.cat(wide, -1) @ m.mT).relu()
        return tuple((h @ self.unmerge[-1].mT).split(self._blocks(-1), -1))

    def fold(self) -> Folded:
        """One network of the merged width that computes the same function."""
        layers = [_fold([n.weights[l] for n in self.models], [n.biases[l] for n in self.models], m, u)
                  for l, (m, u) in enumerate(zip(self.merge, self.unmerge[:-1], strict=True))]  # fmt: skip
        out = self.unmerge[-1].split(self._blocks(-1), -2)
        return Folded(Net(tuple(w for w, _ in layers), tuple(b for _, b in layers)), tuple(u.clone() for u in out))


def _eye(net: Net, l: int) -> Tensor:
    d = net.widths[l]
    return torch.eye(d, dtype=net.dtype).expand(*net.batch, d, d)


def _copies(models: Sequence[Net], l: int) -> Tensor:
    """``[I; ...; I]``."""
    return torch.cat([_eye(n, l) for n in models], -2)


def averaged(models: Sequence[Net]) -> SuperNet:
    """The maps that average m models of the same shape: ``M = [I, ..., I] / m``, ``U = [I; ...; I]``."""
    models = same_shape("models", models)
    unmerge = tuple(_copies(models, l) for l in range(models[0].depth + 1))
    return SuperNet(models, tuple(u.mT / len(models) for u in unmerge[1:]), unmerge)


def copied(models: Sequence[Net], which: int = 0) -> SuperNet:
    """The maps that start as model `which`: its block of ``M`` is ``I``, the others' are 0, all of ``U`` are ``I``."""
    models = same_shape("models", models)
    which = whole("which", which, at_least=0, at_most=len(models) - 1)
    start = averaged(models)
    merge = [torch.cat([_eye(n, l) * (i == which) for i, n in enumerate(models)], -1)
             for l in range(1, models[0].depth + 1)]  # fmt: skip
    return SuperNet(models, tuple(merge), start.unmerge)


def matched(models: Sequence[Net], orders: Sequence[Tensor]) -> SuperNet:
    """The maps that put the second model's neurons in another order and average.

    ``M = [I, P] / 2``, ``U = [I; P^T]``, with ``P`` the matrix that takes the second model's neurons to their places.

    Args:
        models: two of the same shape.
        orders: of the second model's layers, as `Net.permuted` takes them.
    """
    models = same_shape("models", models)
    if len(models) != 2:
        raise ValueError(f"models must be two networks, found {len(models)}")
    orders = checked_orders("orders", orders, models[1])
    merge, unmerge = [], [_copies(models, 0)]
    for l, order in enumerate(orders, 1):
        P = torch.take_along_dim(_eye(models[1], l), order[..., :, None], -2)
        both = torch.cat([_eye(models[0], l), P], -1)
        merge.append(both / 2)
        unmerge.append(both.mT)
    return SuperNet(models, tuple(merge), tuple(unmerge))


def stacked(models: Sequence[Net]) -> SuperNet:
    """The maps that keep everything, at the sum of the widths: ``M`` and ``U`` are the identity."""
    models = fitting_nets("models", models)
    sizes = [sum(n.widths[l] for n in models) for l in range(1, models[0].depth + 1)]
    eyes = tuple(torch.eye(d, dtype=models[0].dtype).expand(*models[0].batch, d, d) for d in sizes)
    return SuperNet(models, eyes, (_copies(models, 0), *eyes))


def random_maps(models: Sequence[Net], widths: Sequence[int], *, generator: torch.Generator) -> SuperNet:
    """Gaussian maps with variance one over the number of columns; ``U_0`` copies the input to each model.

    Args:
        models: as `SuperNet` takes them.
        widths: merged widths ``d'_1, ..., d'_L``, each at least 1.
        generator: on the CPU.
    """
    models = fitting_nets("models", models)
    widths = wholes("widths", widths, length=models[0].depth, at_least=1)
    given = dict(generator=checked_generator("generator", generator, device="cpu"), dtype=models[0].dtype)
    merge, unmerge, batch = [], [_copies(models, 0)], models[0].batch
    for l, d in enumerate(widths, 1):
        total = sum(n.widths[l] for n in models)
        merge.append(torch.randn(*batch, d, total, **given) / total**0.5)
        unmerge.append(torch.randn(*batch, total, d, **given) / d**0.5)
    return SuperNet(models, tuple(merge), tuple(unmerge))


def _samples(samples, models) -> tuple[Tensor, ...]:
    samples = _tensors("samples", samples)
    if len(samples) != len(models):
        raise ValueError(f"samples must have one entry for each of the {len(models)} models, found {len(samples)}")
    for i, (x, net) in enumerate(zip(samples, models, strict=True)):
        try:
            net._inputs(x)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace("x must", f"samples[{i}] must")) from None
        if not x.shape[-2]:
            raise ValueError(f"samples[{i}] must hold at least one input, found none")
    return samples


def regression_mean(models: Sequence[Net], samples: Sequence[Tensor], *, keep: float = 0.9) -> SuperNet:
    """RegMean: each layer is the least-squares fit to what the models' layers do on their own inputs.

    ``W' = (sum_i W^i G_i) (sum_i G_i)^-1``, with the Gram matrix ``G_i = H_i^T H_i`` of the inputs of model i's layer,
    off-diagonal entries times `keep`. As maps: ``M = I / m``, ``U^i = m G_i (sum_j G_j)^-1``. Biases are averaged.
    Jin, Ren, Preotiuc-Pietro, Cheng (arXiv 2212.09849).

    Args:
        models: of the same shape.
        samples: for each model, inputs of its task, as `Net` takes them, one or more.
        keep: in [0, 1]. Below 1 the fit pulls towards the average.

    Returns:
        A `SuperNet` whose ``U_L`` is the identity. To the sum of Grams 1e-6 of its mean diagonal is added, so that few
        samples do not make it singular.
    """
    models = same_shape("models", models)
    samples, keep = _samples(samples, models), number("keep", keep, at_least=0.0, at_most=1.0)
    start, unmerge = averaged(models), []
    inputs = [[x.expand(*n.batch, *x.shape[-2:]), *n.layers(x)[:-1]] for n, x in zip(models, samples, strict=True)]
    for layer in zip(*inputs, strict=True):
        grams = [_shrunk(h.mT @ h, keep) for h in layer]
        total = sum(grams)
        d = total.shape[-1]
        ridge = 1e-6 * total.diagonal(dim1=-2, dim2=-1).mean(-1)[..., None, None]
        ridge = torch.where(ridge > 0, ridge, torch.ones_like(ridge))
        eye = torch.eye(d, dtype=total.dtype)
        inverse = torch.linalg.inv(total + ridge * eye)
        unmerge.append(torch.cat([len(models) * (g + ridge / len(models) * eye) @ inverse for g in grams], -2))
    return SuperNet(models, start.merge, (*unmerge, start.unmerge[-1]))


def _shrunk(gram: Tensor, keep: float) -> Tensor:
    diagonal = torch.diag_embed(gram.diagonal(dim1=-2, dim2=-1))
    return keep * gram + (1 - keep) * diagonal


def zipped(models: Sequence[Net], x: Tensor, widths: Sequence[int] | None = None) -> SuperNet:
    """Merge the most correlated neurons, of one model or of two, until so many are left; in the manner of ZipIt.

    Layer by layer all models' neurons stand in one list. The two groups with the most correlated mean activations are
    joined, again and again. ``M`` averages a group, ``U`` hands its value back to each member.
    Stoica and others, "ZipIt!" (arXiv 2305.03053), which matches neurons within a model as well.

    Args:
        models: as `SuperNet` takes them; their widths may differ.
        x: inputs as `Net` takes them, at least two.
        widths: merged widths, each from 1 to the sum of the models'; left out, those of the first model.
    """
    models = fitting_nets("models", models)
    x = models[0]._inputs(x)
    if x.shape[-2] < 2:
        raise ValueError(f"x must hold at least two inputs, found {x.shape[-2]}")
    widths = models[0].widths[1:] if widths is None else wholes("widths", widths, length=models[0].depth, at_least=1)
    merge, unmerge = [], [_copies(models, 0)]
    layers = zip(*(n.layers(x) for n in models), strict=True)
    for l, (layer, d) in enumerate(zip(layers, widths, strict=True), 1):
        sizes = [n.widths[l] for n in models]
        if d > sum(sizes):
            raise ValueError(f"widths[{l - 1}] must be at most {sum(sizes)}, found {d}")
        every = torch.cat(layer, -1)
        alike = correlations(every, every)
        groups = [_groups(one, d) for one in alike.reshape(-1, *alike.shape[-2:])]
        member = torch.stack(groups).reshape(*models[0].batch, d, sum(sizes)).to(x.dtype)
        merge.append(member / member.sum(-1, keepdim=True))
        unmerge.append(member.mT)
    return SuperNet(models, tuple(merge), tuple(unmerge))


def _groups(alike: Tensor, count: int) -> Tensor:
    """Join the two groups with the largest mean correlation until `count` are left; members, (count, neurons)."""
    import numpy as np

    alike, n = alike.double().numpy().copy(), len(alike)
    np.fill_diagonal(alike, -np.inf)
    member, sizes = np.eye(n), np.ones(n)
    for _ in range(n - count):
        i, j = sorted(np.unravel_index(np.argmax(alike), alike.shape))
        joined = (sizes[i] * alike[i] + sizes[j] * alike[j]) / (sizes[i] + sizes[j])
        alike[i], alike[:, i], alike[i, i] = joined, joined, -np.inf
        alike[j], alike[:, j] = -np.inf, -np.inf
        member[i] += member[j]
        sizes[i], sizes[j], member[j] = sizes[i] + sizes[j], 0, 0
    return torch.tensor(member[sizes > 0])
