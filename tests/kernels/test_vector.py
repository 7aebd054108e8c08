"""Vectors of numba: what is calculated with them has the same bits whatever their width."""

import pytest
from lanes import said_on

# Each kernel that uses them, for long enough that a difference in a last bit grows, and of sizes no width divides.
LONG_RUNS = """
import hashlib, torch
import implicitly_kernels as ik
from implicitly_kernels import _vector
def say(name, *out):
    print(name, hashlib.sha256(b"".join(t.contiguous().numpy().tobytes() for t in out)).hexdigest())
def place(*shape):
    return torch.arange(1, 1 + torch.tensor(shape).prod()).view(shape).mul(0.37).frac() - 0.5
print(_vector.WIDTH)
coef = place(6, 5)
coef[:, 4] = 0.3
net = ik.TanhNet(3 * place(40, 5), (place(40) > 0).float(), 7)
for mode in ({"prior_var": 0.5}, {"box": 0.6}, {"box": 0.8, "prior_var": 0.7, "metropolis": True}):
    for potential, d in ((net, 42), (ik.Polynomial(coef), 6)):
        rest = {"beta": 20.0, "eta": 0.02, "steps": 300, "seed": 2**33 + 1, "backend": "numba"}
        say(f"langevin {d} {mode}", *ik.langevin(place(45, d), potential, **rest, **mode))
for dtype in (torch.float32, torch.float64):
    u = torch.nn.functional.normalize(place(7, 5).double(), dim=1).to(dtype)
    rest = (u, torch.arange(1, 8).to(dtype), torch.linspace(0.4, 0.01, 61), torch.full((60,), 0.1))
    for method in ("euler", "heun"):
        x = ik.relu_flow(4 * place(101, 5).to(dtype), *rest, method=method, save_every=20, backend="numba")
        say(f"relu_flow {dtype} {method}", x)
for shape, more in (((13, 55, 37, 14, 1), {}), ((40, 33, 1), {"bias": 2, "scaled": True, "alphabet": "bits"})):
    x = place(9, shape[0]) > 0
    say(f"sign_nets {shape}", *ik.sign_nets(x, x[:, 0], shape, 5000, start=2**32 - 2000, backend="numba", **more))
for loss in ("cross-entropy", "exponential", "pairlog", "polynomial"):
    rest = {"normalized": torch.tensor([0.5, 1.0], dtype=torch.float64), "loss": loss, "backend": "numba"}
    labels = torch.arange(2 * 37).view(2, 37) % 4
    say(f"perm_gd {loss}", *ik.perm_gd(place(2, 4, 5).double(), place(2, 37, 5).double(), labels, 300, **rest))
for qdq in (ik.nvfp4_qdq, ik.mxfp4_qdq):
    say(qdq.__name__, qdq(4 * place(37, 160), rounding="sr", seed=2**40 + 1, backend="numba"))
"""


def test_bits_do_not_hang_on_the_width_of_vectors(tmp_path):
    features = pytest.importorskip("llvmlite.binding").get_host_cpu_features()
    if not features.get("avx512f"):
        pytest.skip("compares the vectors of AVX-512 with those of AVX2")
    targets = {}, {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,+avx2,+fma"}
    wide, narrow = (said_on(target, LONG_RUNS, tmp_path).splitlines() for target in targets)
    assert (wide[0], narrow[0]) == ("16", "8")
    assert wide[1:] == narrow[1:] and len(wide) == 1 + 6 + 4 + 2 + 4 + 2
