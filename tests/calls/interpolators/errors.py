"""Valid calls of `implicitly.interpolators`."""

import torch

from calls import Call
from calls.interpolators.units import SEED, bits
from calls.interpolators.units import law as function_law

F64 = torch.float64
ANY = "rows columns dims empty dtype ints list number zero"


def shares(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=F64)


def law(*weights: float) -> torch.Tensor:
    """A dense law on three points, from eight weights."""
    weights = shares(*weights or (1, 2, 0, 1, 1, 5, 4, 2))
    return weights / weights.sum()


def data(**more) -> dict:
    return dict(samples=torch.tensor([[0, 2], [2, 1]]), **more)


CALLS = {
    "implicitly.interpolators.errors.binary_entropy": Call(lambda: dict(p=shares(0.0, 0.3, 1.0)), accepts={"p": ANY}),
    "implicitly.interpolators.errors.binary_entropy#number": Call(lambda: dict(p=0.3), accepts={"p": ANY + " size"}),
    "implicitly.interpolators.errors.gap": Call(
        lambda: dict(eps=shares(0.0, 0.3), delta=shares(0.1, 0.2)), accepts={"eps": ANY, "delta": ANY}
    ),
    "implicitly.interpolators.errors.noisy_error": Call(
        lambda: dict(delta=shares(0.0, 0.3), eps=0.2), accepts={"delta": ANY, "eps": ANY + " size"},
        names={"eps": "delta"},
    ),
    "implicitly.interpolators.errors.independent_noise_error": Call(
        lambda: dict(eps=shares(0.0, 0.3)), accepts={"eps": ANY}
    ),
    "implicitly.interpolators.errors.arbitrary_noise_bound": Call(
        lambda: dict(eps=shares(0.0, 0.3)), accepts={"eps": ANY}
    ),
    "implicitly.interpolators.errors.bits_to_error": Call(
        lambda: dict(bits=shares(0.0, 2.5)), accepts={"bits": ANY + " nonfinite"}
    ),
    "implicitly.interpolators.errors.clean_error_range": Call(
        lambda: dict(bits=0.9, eps=0.3), accepts={"bits": "size", "eps": "zero size"}, names={"eps": "bits"}
    ),
    "implicitly.interpolators.errors.log2_binomial": Call(
        lambda: dict(n=shares(4, 7), k=shares(0, 3)), accepts={"n": ANY, "k": ANY}
    ),
    "implicitly.interpolators.errors.expected_over_flips": Call(
        lambda: dict(values=shares(1, 2, 5).expand(2, 3), eps=shares(0.0, 0.3)),
        accepts={"values": "rows columns dims empty dtype ints list nonfinite", "eps": ANY},
    ),
    "implicitly.interpolators.errors.beta_memorizer": Call(lambda: dict(N=5), accepts={"N": "zero"}),
    "implicitly.interpolators.hashes.HashRule": Call(
        lambda: dict(index=9, density=0.125), accepts={"index": "zero", "density": "zero size"}
    ),
    "implicitly.interpolators.hashes.shortest_hash": Call(lambda: dict(flips=bits("0100"), seed=3, limit=4096),
        accepts=SEED | {"flips": "rows empty"},
    ),
    "implicitly.interpolators.hashes.hash_table": Call(
        lambda: dict(index=5, points=torch.arange(4), seed=3),
        accepts=SEED | {"index": "zero", "points": "rows empty large"},
    ),
    "implicitly.interpolators.hashes.hash_price": Call(lambda: dict(N=9, k=2), accepts={"k": "zero"}, names={"N": "k"}),
    "implicitly.interpolators.prices.dense_law": Call(lambda: dict(law=function_law())),
    "implicitly.interpolators.prices.xor_law": Call(lambda: dict(first=law(), second=law(1, 0, 0, 0, 0, 1, 0, 0)),
        names={"first": "second"},
    ),
    "implicitly.interpolators.prices.Price": Call(
        lambda: dict(bits=3.5, noisy=0.25, clean=(0.5, 0.25)),
        accepts={"bits": "zero size nonfinite", "noisy": "zero size nonfinite", "clean": "nonfinite empty"},
        nan="an error that is not defined",
    ),
    "implicitly.interpolators.prices.price_of_distinct_samples": Call(
        lambda: dict(law=law(), target=5, eps=0.3, N=1), accepts={"target": "zero", "eps": "zero size", "N": "zero"}
    ),
    "implicitly.interpolators.prices.price_of_iid_samples": Call(
        lambda: dict(law=law(), labels=5, N=2), accepts={"labels": "zero"}
    ),
    "implicitly.interpolators.prices.minimal_law": Call(lambda: dict(laws=[law(), law(1, 0, 0, 0, 0, 1, 0, 0)])),
    "implicitly.interpolators.prices.typical_errors": Call(
        lambda: dict(laws=[law(), law(1, 0, 0, 0, 0, 1, 0, 0)], target=5, **data(flipped=bits("01", "00"))),
        accepts={"target": "zero"},
        names={"samples": "flipped"},
    ),
    "implicitly.interpolators.prices.teacher_and_memorizer": Call(
        lambda: dict(tables=bits("011", "101", "000"), target=bits("111"), **data(flips=bits("01", "00"))),
        accepts={"tables": "rows"},
        names={"samples": "flips", "tables": "target"},
    ),
    "implicitly.interpolators.errors.repeat_probability": Call(lambda: dict(points=6, N=3), accepts={"N": "zero"}),
}  # fmt: skip
