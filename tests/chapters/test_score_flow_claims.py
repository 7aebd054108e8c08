"""Every check of the chapter score-flow passes, and fails when a fault is planted in what it rests on."""

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, shifted, without_near_fault

from implicitly import diffusion

LIBRARY = "implicitly.diffusion."


def bent_ramp(z, length, rho):
    """The factor L / (L - rho) in place of L / (L - 2 rho)."""
    length = torch.as_tensor(length, dtype=z.dtype)
    return length / (length - rho) * (torch.relu(z - rho) - torch.relu(z - (length - rho)))


def lopsided_ramp(z, length, rho):
    """The second kink at L - 1.2 rho."""
    length = torch.as_tensor(length, dtype=z.dtype)
    return torch.minimum(((z - rho) * (length / (length - 2.2 * rho))).clamp(min=0), length)


def lopsided_flow(x, net, rho, *, flow=diffusion.score_flow, **options):
    """The flow of the denoiser with that ramp, step by step: the kernel knows only the right one."""
    return flow(x, lambda y, r: net.x1 + lopsided_ramp(net.coordinates(y), net.L, r) @ net.U, rho, **options)


def half_cost(self, rho):
    """One neuron an edge in place of two."""
    size = self.L if hasattr(self, "L") else self.t.diff()
    return float((size / (size - 2 * rho)).sum())


def slow_exact(c, length, rho, time, exact=diffusion.score_flow_exact):
    """A rate of rho / (L - 2 rho) in the middle band, nearly."""
    return exact(c, length, (1 - 1e-6) * rho, time)


def squared_line(x, denoise, sigma_T, sigma_0, *, alpha=1.0):
    """The exponent 2 on sigma_0 / sigma_T."""
    clean = denoise(x, alpha * sigma_T)
    return clean + (sigma_0 / sigma_T) ** 2 * (x - clean)


def dropped_factor(p_0, p_L, m):
    """Without the number m of ways to have one coordinate at L."""
    training = p_0**m + p_0 ** (m - 1) * p_L
    return training, (p_0 + p_L) ** m - training, 1 - (p_0 + p_L) ** m


def shifted_alpha(x, denoise, sigmas, *, flow=diffusion.probability_flow, **options):
    """rho a little above sigma."""
    return flow(x, denoise, sigmas, **{**options, "alpha": 1 + 1e-5})


def one_index(gram, length, rho, members):
    """The condition for one member of S in place of all."""
    push = -(members.double() * length) @ (gram - torch.eye(len(gram)).to(gram))
    return ((push <= rho) & members).any(1) | ~members.any(1)


def twice_the_push(gram, length, rho, members, exact=diffusion.vertex_is_fixed):
    """rho / 2 in place of rho."""
    return exact(gram, length, rho / 2, members)


def right_angles(m, d, *, generator, obtuse=None, simplex=diffusion.random_simplex, **options):
    """Orthogonal data, for which the limit need not be on an edge."""
    return simplex(m, d, generator=generator, **options)


def half_exponent(gamma, length, rho_T, rho_0):
    """gamma in place of 2 gamma."""
    return (rho_0 * (length - 2 * rho_T) / (rho_T * (length - 2 * rho_0))) ** gamma


def without_squares(self, y, sigma):
    """Logits without -|x_n|^2 / 2."""
    return ((y @ self.points.T) / sigma**2).softmax(1) @ self.points


def other_decay(value):
    def train(*args, seeds, decay, train=diffusion.train_denoisers, **options):
        return train(*args, seeds=seeds, decay=value, **options)

    return train


def swapped_decays(*args, seeds, decay, train=diffusion.train_denoisers, **options):
    """The networks with and without decay change places."""
    return train(*args, seeds=seeds, decay=decay[::-1], **options)


FEW_ANGLES = {"(90.0, 97.0, 130.0)": "(97.0,)", "(0.1, 0.2)": "(0.2,)"}
ONE_ANGLE = {"(92.0, 100.0, 120.0)": "(100.0,)"}
FEW_ENDS = {"uniform(300, -1.0": "uniform(40, -1.0"}
FEW_INSIDE = {"uniform(60, -1, 2": "uniform(10, -1, 2"}
FEW_CORNERS = {"uniform(1000, -1.0": "uniform(50, -1.0", "(0, 1, 2)": "(0, 1)"}
FEW_STARTS = {"uniform(80, -0.4": "uniform(12, -0.4"}
FEW_COORDINATES = {"0.79, 300": "0.79, 12"}
ONE_SETTING = {"((0.2, (2, 3, 5, 9)), (0.1, (3,)))": "((0.2, (3,)),)"}
ONE_SIZE = {"for N in (2, 3, 5, 9)": "for N in (3,)"}
FEW_SIMPLICES = {"range(30)": "range(5)", "uniform(100, -1.5": "uniform(30, -1.5"}
TWO_EDGES = {"(95.0, 110.0, 140.0)": "(110.0,)", "uniform(40, 0.2": "uniform(10, 0.2"}
FEW_STEPS = {"decay=[1e-4] * 3 + [0] * 3": "decay=[1e-4] * 3 + [0] * 3, steps=1500"}

ONE_NET = {"[0, 1, 2, 0, 1, 2], decay=[1e-4] * 3 + [0] * 3": "[0], decay=[1e-4], steps=2500",
           "nets[:3], nets[3:]": "nets, nets"}  # fmt: skip


def nearly(name, share):
    return LIBRARY + name, scaled(LIBRARY + name, 1 + share)


FAULTS = [
    Fault("C1", "balls", LIBRARY + "ramp", bent_ramp, far=True),
    Fault("C1", "balls", *nearly("ramp", 1e-11)),
    Fault("C1", "cost", LIBRARY + "SimplexDenoiser.cost", half_cost, FEW_ANGLES, far=True),
    Fault("C1", "cost", *nearly("SimplexDenoiser.cost", 1e-4), FEW_ANGLES),
    Fault("C1", "function", LIBRARY + "ramp", lopsided_ramp),
    Fault("C2", "corner", LIBRARY + "score_flow", lopsided_flow, FEW_CORNERS, far=True),
    Fault("C2", "corner", *nearly("score_flow", 1e-5), FEW_CORNERS),
    Fault("C2", "course", LIBRARY + "score_flow_exact", slow_exact, FEW_STARTS),
    Fault("C3", "straight line", LIBRARY + "probability_flow_exact", squared_line, FEW_INSIDE, far=True),
    Fault("C3", "straight line", LIBRARY + "ramp", bent_ramp, FEW_INSIDE, far=True),
    Fault("C3", "straight line", *nearly("probability_flow_exact", 1e-6), FEW_INSIDE),
    Fault("C3", "ratio", LIBRARY + "probability_flow", shifted_alpha, FEW_COORDINATES),
    Fault("C4", "shares", LIBRARY + "end_probabilities", dropped_factor, ONE_SETTING),
    Fault("C4", "score flow", LIBRARY + "end_probabilities", dropped_factor, ONE_SIZE),
    Fault("C6", "condition", LIBRARY + "vertex_is_fixed", one_index, FEW_SIMPLICES),
    Fault("C6", "condition", LIBRARY + "vertex_is_fixed", twice_the_push, FEW_SIMPLICES),
    Fault("C6", "vertices", LIBRARY + "vertex_is_fixed", twice_the_push, FEW_SIMPLICES, far=True),
    Fault("C6", "vertices", *nearly("score_flow", 1e-5), FEW_SIMPLICES),
    Fault("C5", "edges", LIBRARY + "random_simplex", right_angles, FEW_ENDS, far=True),
    Fault("C5", "edges", LIBRARY + "ramp", shifted(LIBRARY + "ramp", 1e-5), FEW_ENDS),
    Fault("C7", "two edges", LIBRARY + "exact._clock", half_exponent, TWO_EDGES, far=True),
    Fault("C7", "two edges", *nearly("two_edges_exact", 1e-5), TWO_EDGES),
    Fault("C7", "rate", LIBRARY + "exact._clock", half_exponent, ONE_ANGLE),
    Fault("C8", "memorizes", LIBRARY + "EmpiricalBayes", diffusion.SimplexDenoiser.from_points, {"(3, 9)": "(3,)"}),
    Fault("C8", "equal shares", LIBRARY + "EmpiricalBayes.__call__", without_squares),
    Fault("C9", "cost", LIBRARY + "LineDenoiser.cost", half_cost, far=True),
    Fault("C9", "cost", *nearly("LineDenoiser.cost", 1e-4)),
    Fault("C9", "function", LIBRARY + "ramp", lopsided_ramp, far=True),
    Fault("C9", "function", *nearly("ramp", 1e-4)),
    Fault("C9", "flows", LIBRARY + "ramp", lopsided_ramp, far=True),
    Fault("C9", "flows", LIBRARY + "probability_flow_exact", squared_line, far=True),
    Fault("C9", "flows", *nearly("probability_flow_exact", 1e-5)),
    Fault("C10", "with decay", LIBRARY + "train_denoisers", other_decay(0.0), ONE_NET),
    Fault("C10", "without decay", LIBRARY + "train_denoisers", other_decay(1e-4), FEW_STEPS),
    Fault("C10", "fit", LIBRARY + "train_denoisers", swapped_decays, FEW_STEPS),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("score-flow", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("score-flow", FAULTS)
