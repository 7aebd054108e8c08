"""What the tests of block Kaczmarz share: problems, and each task solved by its own matrix in float64."""

import torch
from lanes import relative_error

from implicitly_kernels import kaczmarz
from implicitly_kernels.kaczmarz import _DISPATCH

TRITON = "kernels/implicitly_kernels/kaczmarz/_triton.py"
NUMBA = "kernels/implicitly_kernels/kaczmarz/_numba.py"
F32, F64 = torch.float32, torch.float64
NAMES = ("e", "taken", "lengths", "loss")


def problem(B, T, r, d, seed=0):
    """Matrices X (T, n, d) of ranks 1 to r, some tasks twice, weights w and a solution; float64."""
    g = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=g, dtype=F64)  # noqa: E731
    V = torch.linalg.qr(normal(T, d, r)).Q.mT.contiguous()
    s2 = 0.05 + 0.95 * torch.rand(T, r, generator=g, dtype=F64)
    U = torch.linalg.qr(normal(T, r + 1, r)).Q
    for m in range(T):
        V[m, 1 + m % r:], s2[m, 1 + m % r:] = 0, 0
    solution = normal(d)
    p = {"e": normal(B, d), "basis": V, "s2": s2, "shift": V @ solution}
    X = U * s2.sqrt()[:, None, :] @ V
    for m in range(3, T, 5):  # as the task before
        for v in (V, s2, p["shift"], X):
            v[m] = v[m - 1]
    return p, X


def solved(X, inverse, y, w, filter, strength, gamma):
    """Oracle: w after learning the task X, y, without a decomposition of ours."""
    if filter == "projection" or (filter == "ridge" and strength == 0):
        return w - inverse @ (X @ w - y)
    if filter == "ridge":
        return torch.linalg.solve(X.T @ X + strength * torch.eye(len(w), dtype=F64), X.T @ y + strength * w)
    for _ in range(int(strength)):
        w = w - gamma * X.T @ (X @ w - y)
    return w


def scores(X, inverse, y, w, rule):
    left = X @ w - y
    if rule == "residual":
        return left.square().sum(1).tolist()
    return ((-1 if rule == "nearest" else 1) * (inverse @ left[:, :, None])[..., 0].square().sum(1)).tolist()


def oracle(p, X, inverse, y, *, order=None, rule=None, repetition=False, steps=None, filter="projection", strength=0.0,
           gamma=None, record=None):  # fmt: skip
    """One trajectory and one task at a time. With `rule`, `order` is what the backend took, to be checked."""
    k, rows = order.shape[1], []
    for w, tasks in zip(p["e"], order.tolist(), strict=True):
        lengths, losses, open_ = [], [], list(range(len(X)))
        for t in range(k + 1):
            losses.append(0.5 * (X @ w - y).square().sum().item() / len(X))
            if t == k:
                break
            m = tasks[t]
            if rule:
                score = scores(X, inverse, y, w, rule)
                top = max(score[j] for j in open_)
                equal = top - 1e-9 * abs(top) - 1e-25  # of equal tasks, or of tasks learned, up to rounding
                assert m == next(j for j in open_ if score[j] >= equal), (t, rule)
                if not repetition:
                    open_.remove(m)
            at = strength[t].item() if isinstance(strength, torch.Tensor) else strength
            new = solved(X[m], inverse[m], y[m], w, filter, at, gamma)
            lengths.append((new - w).square().sum().item())
            w = new
        rows.append((w, lengths, [losses[t] for t in (record or [k])]))
    e, lengths, losses = zip(*rows, strict=True)
    made = lambda v: torch.tensor(v, dtype=F64)  # noqa: E731
    return {"e": torch.stack(e), "lengths": made(lengths), "loss": made(losses)}


SMALL = [(2, 4, 2, 11, 3)]
LARGE = [*SMALL, (1, 1, 1, 1, 2), (6, 7, 3, 37, 6), (5, 11, 1, 100, 9), (3, 6, 10, 130, 5)]
LAMBDAS = torch.tensor([0.5, 0.0, 0.02, 3.0, 0.3, 0.1, 7.0, 0.2, 0.01], dtype=F64)
BUDGETS = torch.tensor([3, 1, 40, 7, 2, 300, 1, 5, 9])
FILTERS = [
    {}, {"filter": "ridge", "strength": 0.3}, {"filter": "ridge", "strength": LAMBDAS},
    {"filter": "budget", "strength": 4, "gamma": 0.7}, {"filter": "budget", "strength": BUDGETS, "gamma": 0.9},
]  # fmt: skip
RULES = [(rule, again) for rule in ("distance", "residual", "nearest") for again in (False, True)]


def settings(T, k, seed, B):
    """Every filter in given orders, every rule by two filters."""
    order = torch.randint(T, (B, k), generator=torch.Generator().manual_seed(seed))
    cut = lambda f, k: {n: v[:k] if isinstance(v, torch.Tensor) else v for n, v in f.items()}  # noqa: E731
    yield from ({"order": order, **cut(f, k)} for f in FILTERS)
    for rule, again in RULES:
        steps = k if again else min(k, T)
        yield from ({"rule": rule, "repetition": again, "steps": steps, **cut(f, steps)} for f in FILTERS[:3:2])


def check(call, dtype, device="cpu", shapes=LARGE):
    """Against the oracle; float32 within 1e-5, and 20 times the reference's own error and five roundings."""
    for B, T, r, d, k in shapes:
        p, X = problem(B, T, r, d)
        if dtype == F32:  # what is computed with, exactly
            p = {name: v.float().double() for name, v in p.items()}
            X = p["s2"].sqrt()[:, :, None] * p["basis"]
        y = (X @ torch.linalg.lstsq(p["basis"].reshape(-1, d), p["shift"].reshape(-1)).solution)
        inverse = torch.linalg.pinv(X, rtol=1e-9)
        given = {name: v.to(device, dtype) for name, v in p.items()}
        for how in settings(T, k, 1, B):
            steps = how["order"].shape[1] if "order" in how else how["steps"]
            moved = {n: v.to(device) if isinstance(v, torch.Tensor) else v for n, v in how.items()}
            record = [steps, 0, steps // 2, steps]
            out = dict(zip(NAMES, call(**given, **moved, record=record), strict=True))
            want = oracle(p, X, inverse, y, **{**how, "order": out["taken"].cpu(), "record": record})
            plain = dict(zip(NAMES, kaczmarz(**{n: v.to(dtype) for n, v in p.items()}, **how, record=record,
                                             backend="reference"), strict=True))  # fmt: skip
            if "order" in how:
                assert torch.equal(out["taken"].cpu(), how["order"])
            for name, value in want.items():
                got = out[name]
                assert got.dtype == dtype and got.shape == value.shape
                limit = 1e-11 if dtype == F64 else min(1e-5, 20 * relative_error(plain[name], value) + 3e-7)
                assert relative_error(got, value) <= limit, (B, T, r, d, name, how)


def by(run):
    """A public call that runs this implementation instead of a registered one."""

    def call(*args, **kwargs):
        loaded = dict(_DISPATCH._loaded)
        _DISPATCH._loaded["reference"] = run
        try:
            return kaczmarz(*args, **kwargs, backend="reference")
        finally:
            _DISPATCH._loaded.clear()
            _DISPATCH._loaded.update(loaded)

    return call


def drift(call, device="cpu"):
    """The first step takes away all but 2**-52 of the error; what is left, and no rounding, gives the other steps."""
    g = torch.Generator().manual_seed(3)
    T, d = 12, 40
    V = torch.randn(T, 1, d, generator=g, dtype=F64)
    V[0], V[0, 0, 0] = 0, 1
    V = V / V.norm(dim=2, keepdim=True)
    rest = torch.randn(1, d, generator=g, dtype=F64)
    rest[0, 0] = 0
    e, s2 = 2.0**-52 * rest, torch.ones(T, 1, dtype=F64)
    e[0, 0] = 1
    want = kaczmarz(rest, V[1:], s2[1:], rule="distance", backend="reference")
    out = call(e.to(device), V.to(device), s2.to(device), rule="distance")
    assert out[1][0].tolist() == [0, *(1 + want[1][0]).tolist()]
    assert relative_error(2.0**52 * out[0], want[0]) < 1e-12
