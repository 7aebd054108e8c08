"""Block Kaczmarz by others: plain torch with all trajectories of a step at once, torch.compile of that step, and
kaczmarz-algorithms, which runs one trajectory."""

import functools

import torch

import implicitly_kernels as ik

ITEM = "trajectory step"
FEW = 20  # steps of the slow ones


def collection(case, device):
    g = torch.Generator().manual_seed(0)
    B, T, r, d, k = (case[v] for v in ("B", "T", "r", "d", "steps"))
    dtype = getattr(torch, case["dtype"])
    V = torch.linalg.qr(torch.randn(T, d, r, generator=g, dtype=torch.float64)).Q.mT.contiguous()
    s2 = 0.1 + torch.rand(T, r, generator=g, dtype=torch.float64)
    e = torch.randn(B, d, generator=g, dtype=torch.float64)
    order = torch.randint(T, (B, k), generator=g)
    return *(t.to(device, dtype) for t in (e, V, s2)), order.to(device)


def kaczmarz_algorithms(V, e, order, greedy):
    """solve(): one trajectory of rank 1, from 0 to the solution -e, whose errors are ours."""
    A = V[:, 0].double().numpy()
    b = -(A @ e.double().numpy())

    @functools.cache
    def kind():
        from kaczmarz import Cyclic, MaxDistance

        class Ordered(Cyclic):
            def _select_row_index(self, xk):
                return int(order[self._k - 1])

        return MaxDistance if greedy else Ordered

    return lambda: kind().solve(A, b, maxiter=len(order), tol=None)


def runs(case, device):
    e, V, s2, order = collection(case, device)
    B, T, r, d, k = (case[v] for v in ("B", "T", "r", "d", "steps"))
    how = {"rule": case["rule"], "steps": k} if case["rule"] else {"order": order}
    for backend in ik.available_backends(device):
        if backend != "reference":
            yield backend, None, lambda be=backend: ik.kaczmarz(e, V, s2, **how, backend=be), B * k, ""

    rows, mine = V.reshape(T * r, d).T, torch.arange(B, device=device)

    def moved(e, m):
        if r == 1:
            v = V[:, 0][m]
            return e - (v * e).sum(1, keepdim=True) * v
        v = V[m]
        return e - torch.bmm(torch.bmm(v, e[:, :, None]).mT, v)[:, 0]

    def greedy(e, closed):
        x = (e @ rows).square()
        m = ((x.view(B, T, r).sum(2) if r > 1 else x) + closed).argmax(1)
        return moved(e, m), m

    def loop(moved, greedy):
        def run():
            x, closed = e, e.new_zeros((B, T))
            for t in range(FEW):
                if case["rule"]:
                    x, m = greedy(x, closed)
                    closed[mine, m] = -torch.inf
                else:
                    x = moved(x, order[:, t])
            return x
        return run

    few = B * FEW
    yield "eager", "torch", loop(moved, greedy), few, "all trajectories of a step at once"
    yield "compile", "torch", loop(torch.compile(moved), torch.compile(greedy)), few, "one compiled step, looped"
    if device == "cpu" and r == 1:
        note = "one trajectory; its rule may take a task again" if case["rule"] else "one trajectory, our order"
        yield ("kaczmarz-algorithms", "kaczmarz-algorithms", kaczmarz_algorithms(V, e[0], order[0], bool(case["rule"])),
               k, note)
