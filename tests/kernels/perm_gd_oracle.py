"""What perm_gd is held against: autograd, and arithmetic of 60 digits."""


import mpmath
import torch
from lanes import relative_error

from implicitly_kernels.perm_gd.reference import LOSSES

KINDS = [(loss, normalized) for loss in LOSSES for normalized in (True, False)]
SMALL = [(2, 7, 3, 3), (1, 1, 1, 2)]
LARGE = [*SMALL, (1, 9, 2, 4), (5, 30, 5, 3), (3, 33, 7, 5), (2, 8, 4, 2), (2, 100, 10, 3)]


def problem(b, n, d, k, seed=0, reach=1.0):
    """Random data, labels and weights: margins of either sign, about `reach` large."""
    g = torch.Generator().manual_seed(seed)
    rand = lambda *s: torch.randn(s, generator=g, dtype=torch.float64)  # noqa: E731
    return {"w": reach * rand(b, k, d) / d**0.5, "x": rand(b, n, d),
            "y": torch.randint(0, k, (b, n), generator=g)}


def call(run, p, steps, loss, normalized, rate, device, log_time=None, dtype=torch.float64):
    b = p["w"].shape[0]
    log_time = torch.full((b,), -torch.inf, dtype=torch.float64) if log_time is None else log_time
    w, t, r = run(p["w"].to(device, dtype), p["x"].to(device, dtype), p["y"].to(device), steps, loss,
                  rate.to(device), normalized, log_time.to(device))
    assert w.dtype == dtype and t.dtype == r.dtype == torch.float64
    return w.double().cpu(), t.cpu(), r.cpu()


# The oracle: losses as one writes them, their gradient by autograd.
def risk(w, x, y, loss):
    s = x @ w.T
    if loss == "cross-entropy":
        return torch.nn.functional.cross_entropy(s, y, reduction="sum")
    own = torch.nn.functional.one_hot(y, len(w)).bool()
    u = (s.gather(1, y[:, None]) - s)[~own]
    if loss == "exponential":
        return torch.exp(-u).sum()
    if loss == "pairlog":
        return torch.nn.functional.softplus(-u).sum()
    return torch.where(u >= 0, 1 / (1 + u.clamp(min=0)), 1 - u).sum()


def by_autograd(p, steps, loss, normalized, rate):
    ws, times, risks = [], [], []
    for w, x, y, f in zip(p["w"], p["x"], p["y"], rate, strict=True):
        time = 0.0
        for _ in range(steps):
            w = w.detach().requires_grad_()
            r = risk(w, x, y, loss)
            (gradient,) = torch.autograd.grad(r, w)
            step = f
            if normalized:
                bend = r
                if loss == "polynomial":
                    s = x @ w.T
                    u = s.gather(1, y[:, None]) - s
                    own = torch.nn.functional.one_hot(y, len(w)).bool()
                    bend = (2 / (1 + u[~own].clamp(min=0)) ** 3).sum()
                step = f / (2 * (x * x).sum(1).max() * bend)
            w = w - step * gradient
            time += float(step.detach())
        ws.append(w.detach())
        times.append(time)
        risks.append(risk(w.detach(), x, y, loss))
    return torch.stack(ws), torch.tensor(times, dtype=torch.float64).log(), torch.stack(risks).log()


def check_against_autograd(run, device, shapes, steps, dtype=torch.float64, bound=1e-12):
    for shape in shapes:
        p = problem(*shape)
        rate = 0.05 + 0.1 * torch.rand(shape[0], dtype=torch.float64,
                                       generator=torch.Generator().manual_seed(1))
        for loss, normalized in KINDS:
            f = 5 * rate if normalized else rate / (2 * shape[1] * shape[2])
            want = by_autograd(p, steps, loss, normalized, f)
            got = call(run, p, steps, loss, normalized, f, device, dtype=dtype)
            assert relative_error(got[0], want[0]) < bound
            for a, b in zip(got[1:], want[1:], strict=True):
                assert (a - b).abs().max() < bound * (1 + b.abs().max())


def in_60_digits(w, x, y, steps, loss, share):
    with mpmath.workdps(60):
        w = [[mpmath.mpf(v) for v in row] for row in w]
        time, classes = mpmath.mpf(0), len(w)
        twice = 2 * max(sum(mpmath.mpf(v) ** 2 for v in row) for row in x)

        def evaluate():
            r, pull = mpmath.mpf(0), [[mpmath.mpf(0)] * len(x[0]) for _ in w]
            for xi, yi in zip(x, y, strict=True):
                score = [sum(a * b for a, b in zip(row, xi, strict=True)) for row in w]
                e = [mpmath.exp(score[k] - score[yi]) for k in range(classes)]
                others = [k for k in range(classes) if k != yi]
                total = sum(e[k] for k in others)
                for k in others:
                    if loss == "cross-entropy":
                        c = e[k] / (1 + total)
                    else:
                        c = e[k] / (1 + e[k]) if loss == "pairlog" else e[k]
                    if loss == "pairlog":
                        r += mpmath.log1p(e[k])
                    for j, v in enumerate(xi):
                        pull[k][j] -= c * v
                        pull[yi][j] += c * v
                if loss != "pairlog":
                    r += mpmath.log1p(total) if loss == "cross-entropy" else total
            return r, pull

        for _ in range(steps):
            r, pull = evaluate()
            step = share / (twice * r)
            time += step
            w = [[a + step * b for a, b in zip(*rows, strict=True)]
                 for rows in zip(w, pull, strict=True)]
        r, _ = evaluate()
        return (torch.tensor([[float(v) for v in row] for row in w], dtype=torch.float64),
                float(mpmath.log(time)), float(mpmath.log(r)))


FEW = {"x": [[1.0, 0.25], [-0.5, 1.0], [-0.75, -1.0]], "y": [0, 1, 2]}
EXTREMES = {"deep": 1100.0, "deeper": 9000.0, "wrong": -4000.0, "tail": 40.0, "near tail": 13.0}


def check_extremes(run, device, names=tuple(EXTREMES), counts=(0, 3)):
    """Margins from -6000 to +13000: log risk, log time and the moves against 60 digits."""
    x, y = torch.tensor([FEW["x"]], dtype=torch.float64), torch.tensor([FEW["y"]])
    start = torch.tensor([[1.0, 0.1], [-0.6, 0.9], [-0.3, -1.1]], dtype=torch.float64)
    for name in names:
        p = {"w": EXTREMES[name] * start[None], "x": x, "y": y}
        for loss in LOSSES[:3]:
            share = torch.tensor([0.75], dtype=torch.float64)
            for steps in counts:
                want = in_60_digits(p["w"][0].tolist(), FEW["x"], FEW["y"], steps, loss, 0.75)
                w, t, r = call(run, p, steps, loss, True, share, device)
                assert abs(r.item() - want[2]) < 1e-12 * max(1, abs(want[2]))
                if steps:
                    assert abs(t.item() - want[1]) < 1e-12 * max(1, abs(want[1]))
                    # What a step moves is known to 1e-9 of it, or to the rounding of W itself.
                    moved = (want[0] - p["w"][0]).abs().max()
                    assert (w[0] - want[0]).abs().max() < 1e-9 * moved + 1e-15 * w.abs().max()
