"""Random threshold networks: the same integers everywhere, held against networks built by hand."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from test_rng import plain

import implicitly_kernels as ik
from implicitly_kernels import sign_nets, sign_nets_predict, sign_nets_weights
from implicitly_kernels.sign_nets import _DISPATCH, reference
from implicitly_kernels.sign_nets.reference import Layout

TRITON = "kernels/implicitly_kernels/sign_nets/_triton.py"
NUMBA = "kernels/implicitly_kernels/sign_nets/_numba.py"
LAYOUTS = [
    Layout((16, 8, 1)),
    Layout((3, 1)),
    Layout((1, 1, 1)),
    Layout((7, 5, 3, 1), 2, True),
    Layout((12, 24, 1), 3, True, True),
    Layout((40, 33, 1), 1, False, False),
    Layout((64, 10, 6, 4, 1), 0, True),
    Layout((9, 64, 1), 4, False, True),
    Layout((13, 55, 37, 14, 1)),
    Layout((33, 2, 1)),
    Layout((5, 3, 1), 2**20, True),
    Layout((9, 11, 1)),
    Layout((12, 16, 1)),
    Layout((16, 2, 1)),
]


def sample(n, d, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(n, d, generator=g) < 0.5, torch.rand(n, generator=g) < 0.5


def by_hand(seed, index, x, layout):
    """Outputs of one network from the specification: Python integers, bit by bit, +-1 products."""
    a = x.numpy().astype(np.int64)
    for layer, (d_in, d_out) in enumerate(pairwise(layout.widths)):
        field = 1
        while field < d_in:
            field *= 2

        def word(j, step):
            key = (seed & 0xFFFFFFFF, seed >> 32)
            return plain((index & 0xFFFFFFFF, index >> 32, step, j // 4), key)[j % 4]

        columns = []
        for k in range(d_out):
            bits = [(word((k * field + i) // 32, 2 * layer) >> ((k * field + i) % 32)) & 1
                    for i in range(d_in)]
            b, g = 0, 1
            if layout.bias or layout.scaled:
                levels = 2 * layout.bias + 1
                r = word(k, 2 * layer + 1) * levels * (3 if layout.scaled else 1) >> 32
                b, g = r % levels - layout.bias, (r // levels - 1 if layout.scaled else 1)
            w = np.array(bits) if layout.bits else 2 * np.array(bits) - 1
            inputs = a if layout.bits else 2 * a - 1
            columns.append((g * (inputs @ w) + b >= 0).astype(np.int64))
        a = np.stack(columns, axis=1)
    return a[:, 0].astype(bool)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_reference_against_networks_built_by_hand(layout):
    x, _ = sample(6, layout.widths[0])
    index = torch.tensor([0, 1, 77, 2**33 + 5])
    got = reference.predict(2**40 + 7, index, x, layout).numpy()
    for i, row in zip(index.tolist(), got, strict=True):
        assert np.array_equal(row, by_hand(2**40 + 7, i, x, layout))


def check_same_counts(search, device, layouts, n_nets):
    """Counts and interpolators of one backend equal the reference's, at a large offset too."""
    for layout in layouts:
        for n, start in ((7, 0), (5, 2**33 - 11)):
            x, y = sample(n, layout.widths[0], seed=n)
            # Labels that a network gives, so that somebody fits them; one label of the second is noise.
            y = reference.predict(9, torch.tensor([start + n_nets // 2]), x, layout)[0]
            if n == 5:
                y = y.clone()
                y[0] = ~y[0]
            want = reference.search(x, y, layout, n_nets, 9, start, 5)
            got = search(x.to(device), y.to(device), layout, n_nets, 9, start, 5)
            assert torch.equal(got[0].cpu(), want[0]), layout
            assert torch.equal(got[1].cpu(), want[1]), layout


def test_same_counts_everywhere(fast_lane, small):
    backend, device = fast_lane
    layouts = LAYOUTS[:1] + LAYOUTS[3:5] + LAYOUTS[6:7] if small else LAYOUTS
    check_same_counts(_DISPATCH.load(backend), device, layouts, 133 if small else 1500)


def test_counts_add_up_and_interpolators_interpolate(lane, request):
    backend, device = lane
    n_nets = 300 if "triton-cpu" in request.node.name else 20_000
    x, y = sample(6, 9, seed=3)
    counts, found = sign_nets(x.to(device), y.to(device), (9, 6, 1), n_nets, seed=1, keep=n_nets,
                              backend=backend)
    assert counts.sum() == n_nets and counts.shape == (7,)
    fits = found[found >= 0]
    assert len(fits) == counts[-1] and (fits.diff() > 0).all()
    out = sign_nets_predict(fits, x.to(device), (9, 6, 1), seed=1)
    assert (out == y.to(device)).all()
    nobody = sign_nets_predict(torch.arange(n_nets, device=device), x.to(device), (9, 6, 1), seed=1)
    assert (nobody == y.to(device)).all(dim=1).sum() == counts[-1]


def test_law_of_a_single_neuron(lane, request):
    """One odd-width sign neuron answers a fair coin; first misses are geometric for fresh inputs."""
    backend, device = lane
    n_nets = 2048 if "triton-cpu" in request.node.name else 200_000
    x, y = sample(1, 15, seed=4)
    counts, _ = sign_nets(x.to(device), y.to(device), (15, 1), n_nets, backend=backend)
    assert abs(counts[0].item() - n_nets / 2) < 5 * (n_nets / 4) ** 0.5


def test_splitting_a_search_changes_nothing(lane, request):
    backend, device = lane
    n = 200 if "triton-cpu" in request.node.name else 3000
    x, y = (t.to(device) for t in sample(4, 8))
    whole, found = sign_nets(x, y, (8, 4, 1), n, keep=n, backend=backend)
    cut = n // 3 + 1
    a, fa = sign_nets(x, y, (8, 4, 1), cut, keep=n, backend=backend)
    b, fb = sign_nets(x, y, (8, 4, 1), n - cut, start=cut, keep=n, backend=backend)
    assert torch.equal(a + b, whole)
    assert torch.equal(torch.cat([fa[fa >= 0], fb[fb >= 0]]), found[found >= 0])
    few = sign_nets(x, y, (8, 4, 1), n, keep=2, backend=backend)[1]
    assert torch.equal(few, found[:2])


def test_block_size_does_not_change_a_count(fast_lane, monkeypatch):
    backend, device = fast_lane
    module = __import__(f"implicitly_kernels.sign_nets._{backend}", fromlist=["search"])
    x, y = (t.to(device) for t in sample(5, 16))
    layout = Layout((16, 8, 1))
    want = reference.search(x.cpu(), y.cpu(), layout, 500, 3, 0, 4)
    names = {"triton": [("REPEAT", 2), ("LAUNCH", 256)], "numba": [("CACHE", 0), ("CACHE", 1000)]}
    for name, value in names[backend]:
        monkeypatch.setattr(module, name, value)
        got = module.search(x, y, layout, 500, 3, 0, 4)
        assert torch.equal(got[0].cpu(), want[0]) and torch.equal(got[1].cpu(), want[1])


def test_empty_samples_networks_and_strided_inputs(lane):
    backend, device = lane
    x, y = (t.to(device) for t in sample(4, 6))
    counts, found = sign_nets(x[:0], y[:0], (6, 2, 1), 100, keep=3, backend=backend)
    assert counts.tolist() == [100] and found.tolist() == [0, 1, 2]
    counts, found = sign_nets(x, y, (6, 2, 1), 0, keep=2, backend=backend)
    assert counts.tolist() == [0] * 5 and found.tolist() == [-1, -1]
    counts, found = sign_nets(x, y, (6, 2, 1), 100, keep=0, backend=backend)
    assert found.shape == (0,)
    wide = torch.stack([x, ~x], dim=2)[:, :, 0]
    both = [sign_nets(v, y, (6, 2, 1), 100, backend=backend) for v in (x, wide)]
    assert torch.equal(both[0][0], both[1][0]) and torch.equal(both[0][1], both[1][1])


def test_contradictory_labels_have_no_interpolator(lane):
    backend, device = lane
    x = torch.zeros(2, 5, dtype=torch.bool, device=device)
    y = torch.tensor([True, False], device=device)
    counts, found = sign_nets(x, y, (5, 3, 1), 200, backend=backend)
    assert counts[2] == 0 and (found == -1).all()


def test_weights_have_their_alphabet():
    index = torch.arange(2000)
    for layout, values in ((Layout((6, 4, 1), 2, True), [-1, 1]),
                           (Layout((6, 4, 1), 2, True, True), [0, 1])):
        alphabet = "bits" if layout.bits else "signs"
        for w, b, g in sign_nets_weights(index, layout.widths, bias=2, scaled=True,
                                         alphabet=alphabet):
            assert w.unique().tolist() == values
            assert b.unique().tolist() == [-2, -1, 0, 1, 2] and g.unique().tolist() == [-1, 0, 1]
            n = b.numel()
            for v in (-1, 0, 1):  # uniform to five standard errors
                assert abs((g == v).sum() - n / 3) < 5 * (n * 2 / 9) ** 0.5


def test_auto_runs_what_triton_does_not_take(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.delenv("IMPLICITLY_BACKEND", raising=False)
    monkeypatch.setattr(_DISPATCH, "choose", lambda backend, device: "triton")  # as on a GPU
    x, y = sample(4, 6)
    layout = Layout((6, 2, 2, 2, 2, 1))
    got = sign_nets(x, y, layout.widths, 100, keep=4)
    want = reference.search(x, y, layout, 100, 0, 0, 4)
    assert torch.equal(got[0], want[0]) and torch.equal(got[1], want[1])
    with pytest.raises(ValueError, match="the triton backend takes at most 4 layers"):
        sign_nets(x, y, layout.widths, 100, backend="triton")


def test_no_networks_have_no_weights_and_no_outputs():
    none = torch.arange(3)[:0]
    x, _ = sample(5, 6)
    for extra in ({}, {"bias": 2, "scaled": True}):
        shapes = [tuple(map(tuple, (t.shape for t in layer)))
                  for layer in sign_nets_weights(none, (6, 40, 1), **extra)]
        assert shapes == [((0, 40, 6), (0, 40), (0, 40)), ((0, 1, 40), (0, 1), (0, 1))]
        out = sign_nets_predict(none, x, (6, 40, 1), **extra)
        assert out.shape == (0, 5) and out.dtype == torch.bool


def test_opcheck(lane):
    backend, device = lane
    x, y = (t.to(device) for t in sample(4, 6))
    torch.library.opcheck(torch.ops.implicitly.sign_nets.default,
                          (x, y, [6, 2, 1], 50, 0, 0, 3, 1, True, "bits", backend))


X, Y = sample(4, 6)
BAD = [
    (TypeError, "x: expected a torch.Tensor", {"x": [[True]]}),
    (TypeError, "x: expected dtype bool", {"x": X.float()}),
    (ValueError, r"x: expected shape \(\*, 6\), got \(4, 5\)", {"x": X[:, :5]}),
    (TypeError, "y: expected dtype bool", {"y": Y.long()}),
    (ValueError, r"y: expected shape \(4\), got \(3,\)", {"y": Y[:3]}),
    (ValueError, "widths: expected .* one output", {"widths": (6, 2)}),
    (ValueError, r"widths\[1\]: expected 1 <= ", {"widths": (6, 0, 1)}),
    (ValueError, r"widths\[0\]: expected 1 <= .* got 65", {"widths": (65, 1)}),
    (TypeError, r"widths\[1\]: expected an int", {"widths": (6, 2.0, 1)}),
    (ValueError, "n_nets: expected 0 <=", {"n_nets": -1}),
    (ValueError, "start: expected 0 <=", {"start": -5}),
    (ValueError, "keep: expected 0 <=", {"keep": -1}),
    (ValueError, "bias: expected 0 <=", {"bias": -1}),
    (ValueError, "alphabet: expected one of", {"alphabet": "trits"}),
    (ValueError, "seed: expected 0 <= seed", {"seed": 2**63}),
    (ValueError, "x: expected at most 4095 samples",
     {"x": X.repeat(1024, 1), "y": Y.repeat(1024)}),
    (ValueError, "backend: expected one of", {"backend": "cpu"}),
]


@pytest.mark.parametrize(("error", "message", "change"), BAD)
def test_bad_arguments(error, message, change):
    kwargs = {"x": X, "y": Y, "widths": (6, 2, 1), "n_nets": 10, **change}
    with pytest.raises(error, match=message):
        sign_nets(**kwargs)


def test_bad_indices():
    with pytest.raises(ValueError, match="index: expected numbers >= 0, got -1"):
        sign_nets_predict(torch.tensor([-1]), X, (6, 2, 1))
    with pytest.raises(TypeError, match="index: expected dtype int64"):
        sign_nets_weights(torch.tensor([1.0]), (6, 2, 1))
    assert ik.sign_nets is sign_nets


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_two_runs_on_the_gpu_are_equal():
    x, y = (t.cuda() for t in sample(20, 16))
    a = sign_nets(x, y, (16, 8, 1), 1 << 24)
    b = sign_nets(x, y, (16, 8, 1), 1 << 24)
    for i in range(2):
        assert torch.equal(a[i], b[i])
    few = [sign_nets(x.to(device), y.to(device), (16, 8, 1), 1 << 12, backend=backend)
           for device, backend in (("cuda", "triton"), ("cpu", "reference"))]  # fmt: skip
    for i in range(2):
        assert torch.equal(few[0][i].cpu(), few[1][i])


FAULTS = {
    "numba: tie goes down": (NUMBA, "d_in // 2 * each", "(d_in - 1) // 2 * each"),
    "numba: neurons that are none": (NUMBA, "high & given_high", "high"),
    "numba: one sample too many": (NUMBA, "U32(before ^ failed)", "before"),
    "numba: a small network misses a sample": (NUMBA, "s += 4", "s += 5"),
    "numba: shared counter": (NUMBA, "net = first + U64(vector) * V", "net = first + U64(vector // 2) * V"),
}
TRITON_FAULTS = {
    "triton: tie goes down": (TRITON, "on = ((s >= 0)", "on = ((s > 0)"),
    "triton: off-by-one mask": (TRITON, "(place < n_nets)", "(place <= n_nets)"),
    "triton: shared counter": (TRITON, "net = place + start", "net = place // 2 + start"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(mutant, fault):
    module = mutant(*FAULTS[fault])
    with pytest.raises(AssertionError):
        check_same_counts(module.search, "cpu", LAYOUTS[:1] + LAYOUTS[8:9], 1500)


@pytest.mark.interp
@pytest.mark.skipif("os.environ.get('TRITON_INTERPRET') != '1'", reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("fault", TRITON_FAULTS)
def test_planted_triton_faults_are_seen(mutant, fault):
    module = mutant(*TRITON_FAULTS[fault])
    with pytest.raises(AssertionError):
        check_same_counts(module.search, "cpu", LAYOUTS[:1], 133)
