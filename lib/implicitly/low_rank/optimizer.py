"""Adam and gradient descent that keep only r directions of each matrix, and what they remember, counted.

`LowRank` is a `torch.optim.Optimizer` for a model of your own. Chapter `low-rank-gradients`. Bad arguments raise
TypeError or ValueError.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from implicitly_kernels import low_rank_adam, low_rank_realign

from .._validate import F64, choice, flag, number, numbers, whole
from .._validate import seed as checked_seed
from .estimators import _draw

__all__ = [
    "PROJECTIONS",
    "RULES",
    "WEIGHTS",
    "LowRank",
    "optimizer_numbers",
]

#: What `LowRank` can draw.
PROJECTIONS = ("plumage", "galore", "uniform", "haar")
#: What it does with the projected gradient.
RULES = ("adam", "sgd")
#: What the lift multiplies a direction by: 1/p, its root, or 1. For ``haar`` 1/p is m/r.
WEIGHTS = ("inverse", "root", "none")
_POWER = {"inverse": 1.0, "root": 0.5, "none": 0.0}


def optimizer_numbers(m: int, n: int, rank: int | None = None, *, rule: str = "adam") -> int:
    """How many numbers the optimizer keeps for a matrix (m, n): directions, their weights and the moments.

    Args:
        m, n: at least 1.
        rank: r, at least 1; where it is left out, or at least min(m, n), nothing is projected.
        rule: ``"adam"``, two moments, or ``"sgd"``, none.

    >>> optimizer_numbers(1024, 4096), optimizer_numbers(1024, 4096, 128)
    (8388608, 1179776)
    """
    m, n = sorted((whole("m", m, at_least=1), whole("n", n, at_least=1)))
    rank = m if rank is None else whole("rank", rank, at_least=1)
    moments = 2 * (choice("rule", rule, RULES) == "adam")
    return moments * m * n if rank >= m else m * rank + rank + moments * rank * n


class LowRank(torch.optim.Optimizer):
    """Adam, or plain gradient descent, on ``P^T G`` in place of the gradient G of a matrix.

    Every `interval` steps each matrix draws r directions of the shorter side from its gradient
    (`draw_projection`), and its moments are re-expressed in them (`realign`). Every step projects the gradient, lets
    the rule make an update of r rows of it, multiplies these rows by weights and lifts them. Parameters of fewer than
    two dimensions, and matrices with a side of at most r, are not projected; of more than two dimensions the last two
    are a matrix, and the others number matrices with a draw each.

    Draws depend on `seed`, the parameter's place and the step alone, so that a run that is resumed from a state dict
    goes on as if it had not stopped. Arguments may differ between parameter groups.

    Args:
        params: parameters or groups of them, floating; float16 and bfloat16 are updated by way of float32.
        lr: step size, at least 0.
        rank: r, at least 1.
        interval: steps with one draw, tau, at least 1.
        kind: one of `PROJECTIONS`.
        floor, keep_head: of ``plumage``, as in `inclusion_probabilities`. Without a floor a direction that is rarely
            drawn takes large steps for `interval` steps: gradient descent then diverges easily.
        weight: one of `WEIGHTS`, applied after the rule; None is ``"inverse"`` for ``"sgd"``, which keeps the step
            unbiased at the refresh, and ``"none"`` for ``"adam"``, whose step is not unbiased in any case.
        rule: one of `RULES`.
        betas, eps: of Adam, as in `torch.optim.Adam`.
        weight_decay: at least 0; decoupled, ``W -= lr weight_decay W``, as in `torch.optim.AdamW`.
        realign: whether moments follow a new draw; False keeps them as they are, for comparison.
        maximize: step along the gradient, not against it.
        foreach: whether elementwise work on what is not projected is done on lists of tensors; None does so on CUDA.
            The result is the same.
        seed: of all draws.

    >>> layer = torch.nn.Linear(64, 32)
    >>> optimizer = LowRank(layer.parameters(), lr=1e-3, rank=4, interval=50, floor=0.1)
    >>> layer(torch.ones(8, 64)).square().mean().backward()
    >>> optimizer.step()
    >>> optimizer.numbers()  # 4 directions, their weights, two moments; and two moments of the bias
    708
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        *,
        rank: int = 8,
        interval: int = 200,
        kind: str = "plumage",
        floor: float = 0.0,
        keep_head: bool = True,
        weight: str | None = None,
        rule: str = "adam",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        realign: bool = True,
        maximize: bool = False,
        foreach: bool | None = None,
        seed: int = 0,
    ):
        defaults = {
            "lr": lr, "rank": rank, "interval": interval, "kind": kind, "floor": floor, "keep_head": keep_head,
            "weight": weight, "rule": rule, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "realign": realign, "maximize": maximize, "foreach": foreach,
        }  # fmt: skip
        self._seed = checked_seed("seed", seed)
        super().__init__(params, _checked(defaults))

    def add_param_group(self, param_group: dict) -> None:
        """As in `torch.optim.Optimizer`, with what a group says of its own checked."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            group.update(_checked(group))
            for p in group["params"]:
                if not p.is_floating_point():
                    raise TypeError(f"params must be floating, found {p.dtype}")
        except (TypeError, ValueError):
            self.param_groups.pop()
            raise

    def load_state_dict(self, state_dict: dict) -> None:
        """As in `torch.optim.Optimizer`; moments keep their dtype, where torch casts them to that of the parameter."""
        super().load_state_dict(state_dict)
        saved = [i for group in state_dict["param_groups"] for i in group["params"]]
        here = [p for group in self.param_groups for p in group["params"]]
        for i, p in zip(saved, here, strict=True):
            for key, value in state_dict["state"].get(i, {}).items():
                if isinstance(value, Tensor):
                    device = "cpu" if key == "step" else p.device
                    self.state[p][key] = value.detach().clone().to(device)

    def numbers(self) -> int:
        """How many numbers are kept now: directions, weights and moments of all parameters that have been stepped."""
        return sum(value.numel() for state in self.state.values() for key, value in state.items() if key != "step")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step; with a closure, which computes the loss and its gradients, returns the loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        place = 0
        for group in self.param_groups:
            work = []
            for p in group["params"]:
                if p.grad is not None:
                    work.append(self._prepared(p, group, place))
                place += 1
            if work:
                _apply(group, work)
        return loss

    def _prepared(self, p: Tensor, group: dict, place: int) -> tuple:
        """Parameter, state, gradient, and whether it is projected: by Adam's kernel, or already, for ``"sgd"``."""
        if p.grad.is_sparse:
            raise ValueError(f"params must have dense gradients, found a sparse one at parameter {place}")
        state = self.state[p]
        grad = p.grad if p.dtype in (torch.float32, F64) else p.grad.float()
        grad = -grad if group["maximize"] else grad
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
        projected = p.ndim >= 2 and min(p.shape[-2:]) > group["rank"]
        if projected and int(state["step"]) % group["interval"] == 0:
            self._refresh(state, grad, group, place)
        adam = group["rule"] == "adam"
        if adam and "exp_avg" not in state:
            kept = (*p.shape[:-2], state["basis"].shape[-1], max(p.shape[-2:])) if projected else None
            for key in ("exp_avg", "exp_avg_sq"):
                state[key] = torch.zeros_like(grad) if kept is None else grad.new_zeros(kept)
        if projected and not adam:
            grad = state["basis"].mT @ (grad.mT if _tall(p) else grad)
        state["step"] += 1
        return p, state, grad, projected

    def _refresh(self, state: dict, grad: Tensor, group: dict, place: int) -> None:
        if not grad.isfinite().all():
            raise ValueError(f"params must have finite gradients, found NaN or infinity at parameter {place}")
        mixed = (self._seed * 1_000_003 + place) * 1_000_003 + int(state["step"])
        dice = torch.Generator().manual_seed(mixed % 2**63)
        new = _draw(grad, group["rank"], group["kind"], dice, group["floor"], group["keep_head"])
        # The moments are aligned before this step's gradient comes to them.
        if group["realign"] and "exp_avg" in state:
            R = new.basis.mT @ state["basis"]  # both are orthonormal
            state["exp_avg"], state["exp_avg_sq"] = low_rank_realign(R, state["exp_avg"], state["exp_avg_sq"])
        how = group["weight"] or ("inverse" if group["rule"] == "sgd" else "none")
        state["basis"], state["weight"] = new.basis.contiguous(), new.weight ** _POWER[how]


def _tall(p: Tensor) -> bool:
    return p.shape[-2] > p.shape[-1]


def _apply(group: dict, work: list[tuple]) -> None:
    """The rule, the lift and the step, for all parameters of a group."""
    adam, lr, decay = group["rule"] == "adam", group["lr"], group["weight_decay"]
    if adam:
        for p, state, grad, low in work:
            if low:
                low_rank_adam(p, grad, state["basis"], state["weight"], state["exp_avg"], state["exp_avg_sq"],
                              step=int(state["step"]), lr=lr, betas=group["betas"], eps=group["eps"], decay=decay)
        work = [one for one in work if not one[-1]]
        if not work:
            return
    params, states, updates, projected = zip(*work, strict=True)
    if adam:
        foreach = all(p.is_cuda for p in params) if group["foreach"] is None else group["foreach"]
        moments = [s["exp_avg"] for s in states], [s["exp_avg_sq"] for s in states]
        times = [float(s["step"]) for s in states]
        rule = _adam_foreach if foreach else _adam_each
        updates = rule(list(updates), *moments, times, group["betas"], group["eps"])
    for p, state, update, low in zip(params, states, updates, projected, strict=True):
        if decay:
            p.mul_(1 - lr * decay)
        if not low:
            p.add_(update.to(p.dtype), alpha=-lr)
            continue
        factors = state["basis"] * state["weight"][..., None, :], update
        left, right = (factors[1].mT, factors[0].mT) if _tall(p) else factors
        if p.dtype == update.dtype and p.ndim <= 3:  # the product is never a matrix of its own
            (p.addmm_ if p.ndim == 2 else p.baddbmm_)(left, right, alpha=-lr)
        else:
            p.add_((left @ right).to(p.dtype), alpha=-lr)


def _adam_each(grads, first, second, times, betas, eps):
    found = []
    for g, m, v, t in zip(grads, first, second, times, strict=True):
        m.mul_(betas[0]).add_(g, alpha=1 - betas[0])
        v.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
        root = (v / (1 - betas[1] ** t)).sqrt_().add_(eps)
        found.append((m / (1 - betas[0] ** t)).div_(root))
    return found


def _adam_foreach(grads, first, second, times, betas, eps):
    torch._foreach_mul_(first, betas[0])
    torch._foreach_add_(first, grads, alpha=1 - betas[0])
    torch._foreach_mul_(second, betas[1])
    torch._foreach_addcmul_(second, grads, grads, 1 - betas[1])
    root = torch._foreach_div(second, [1 - betas[1] ** t for t in times])
    torch._foreach_sqrt_(root)
    torch._foreach_add_(root, eps)
    found = torch._foreach_div(first, [1 - betas[0] ** t for t in times])
    torch._foreach_div_(found, root)
    return list(found)


def _checked(group: dict) -> dict:
    """The options of a group, in the form that `step` computes with."""
    betas = group["betas"]
    found = {
        "lr": number("lr", group["lr"], at_least=0.0),
        "rank": whole("rank", group["rank"], at_least=1),
        "interval": whole("interval", group["interval"], at_least=1),
        "kind": choice("kind", group["kind"], PROJECTIONS),
        "floor": number("floor", group["floor"], at_least=0.0, at_most=1.0),
        "keep_head": flag("keep_head", group["keep_head"]),
        "weight": group["weight"] if group["weight"] is None else choice("weight", group["weight"], WEIGHTS),
        "rule": choice("rule", group["rule"], RULES),
        "betas": numbers("betas", betas, length=2, at_least=0.0, below=1.0),
        "eps": number("eps", group["eps"], at_least=0.0),
        "weight_decay": number("weight_decay", group["weight_decay"], at_least=0.0),
        "realign": flag("realign", group["realign"]),
        "maximize": flag("maximize", group["maximize"]),
        "foreach": group["foreach"] if group["foreach"] is None else flag("foreach", group["foreach"]),
    }
    return found
