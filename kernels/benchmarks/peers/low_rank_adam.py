"""Low-rank Adam by others: plain torch by torch.addmm, the same through a step that is a matrix of its own, and
galore-torch, which lifts, scales and gives the step back for the caller to apply."""

import importlib.util
from pathlib import Path

import torch

import implicitly_kernels as ik

ITEM = "weight"
BETAS, EPS, LR = (0.9, 0.999), 1e-8, 1e-3


def given(case, device):
    """Weight, gradient, directions, weights of ones and moments, as after some steps."""
    g = torch.Generator().manual_seed(0)
    m, n, r = case["m"], case["n"], case["r"]
    draw = lambda *shape: torch.randn(*shape, generator=g).to(device)  # noqa: E731
    basis = torch.linalg.qr(draw(m, r)).Q.contiguous()
    return draw(m, n), draw(m, n), basis, torch.ones(r, device=device), draw(r, n), draw(r, n).square()


def projector(rank, basis):
    """The projector of galore-torch, as a file: the package itself imports optimizers that need further packages."""
    found = importlib.util.find_spec("galore_torch")
    if found is None:
        raise ImportError("galore_torch is missing", name="galore-torch")
    path = Path(found.submodule_search_locations[0]) / "galore_projector.py"
    spec = importlib.util.spec_from_file_location("galore_projector", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.GaLoreProjector(rank, update_proj_gap=10**9, proj_type="left")
    made.ortho_matrix = basis  # its own refresh is a singular value decomposition
    return made


def adam(low, mean, square):
    mean.mul_(BETAS[0]).add_(low, alpha=1 - BETAS[0])
    square.mul_(BETAS[1]).addcmul_(low, low, value=1 - BETAS[1])
    root = (square / (1 - BETAS[1] ** 10)).sqrt_().add_(EPS)
    return (mean / (1 - BETAS[0] ** 10)).div_(root)


def runs(case, device):
    W, G, P, w, M, V = given(case, device)
    count = W.numel() if case["call"] == "step" else M.numel()
    backends = ik.available_backends(device)
    backends.remove("numba") if "numba" in backends else None
    if device == "cuda":
        backends.remove("reference")
    if case["call"] == "realign":
        R = torch.linalg.qr(P.T @ P + 0.1 * torch.randn(len(w), len(w), device=device)).Q.contiguous()
        for backend in backends:
            yield backend, None, lambda be=backend: ik.low_rank_realign(R, M, V, backend=be), count, ""
        yield "eager", "torch", lambda: (R @ M, R.square() @ V), count, "two products"
        return
    how = {"step": 10, "lr": LR, "betas": BETAS, "eps": EPS}
    for backend in backends:
        yield backend, None, lambda be=backend: ik.low_rank_adam(W, G, P, w, M, V, **how, backend=be), count, ""
    yield ("eager", "torch", lambda: W.add_((P * w) @ adam(P.T @ G, M, V), alpha=-LR), count,
           "the step a matrix of its own")  # fmt: skip
    yield ("eager, addmm", "torch", lambda: W.addmm_(P * w, adam(P.T @ G, M, V), alpha=-LR), count,
           "lifted into the weight by torch.addmm")  # fmt: skip
    yield ("products alone", "torch", lambda: W.addmm_(P, P.T @ G, alpha=-1e-9), count,
           "no moments: the rest is all that fusing could save")  # fmt: skip
    if device == "cuda":
        torch.compiler.reset()
        step = torch.compile(lambda: W.addmm_(P * w, adam(P.T @ G, M, V), alpha=-LR), dynamic=False)
        yield "compile", "torch", step, count, "of the latter"
    peer = projector(case["r"], P)
    yield ("galore-torch", "galore-torch",
           lambda: W.add_(peer.project_back(adam(peer.project(G, 1), M, V)), alpha=-LR), count,
           "its projector, in the same step")  # fmt: skip
