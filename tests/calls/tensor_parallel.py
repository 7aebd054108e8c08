"""Valid calls of `implicitly.tensor_parallel`."""

import torch

from calls import Call
from implicitly import tensor_parallel as tp
from implicitly.tensor_parallel import language

F64 = torch.float64
STR, MOD, JOB, TRA, LAN, LOC = (f"implicitly.tensor_parallel.{name}." for name in
                                ("streams", "model", "jobs", "traffic", "language", "local_steps"))  # fmt: skip


def gauss(*shape, seed=7):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def small():
    return tp.Shape(1, 4, 2, 4, 5, 4)


def dense():
    return tp.first_weights(small(), 0)


def wires():
    return tp.OneProcess(2)


def parts():
    return tp.shard(dense(), small(), wires())


def tokens():
    return torch.tensor([[0, 1, 2], [3, 4, 0]])


def curved():
    return torch.stack([torch.eye(2, dtype=F64), torch.diag(torch.tensor([2.0, 0.5], dtype=F64))])


WEIGHTS = "a dict as first_weights or shard makes it"
LAYER = dict(compute=1e-3, latency=1e-5, bandwidth=1e9, ranks=2, bytes_forward=2, bytes_backward=4)
CALLS = {
    STR + "shared_channels": Call(lambda: dict(p=0.5, width=7), accepts={"p": "zero size"}),
    STR + "Wires": Call(lambda: dict(ranks=2, here=2, first=0, rule="pair"),
                        skip={"here": "a subclass says it", "first": "a subclass says it"}),
    STR + "OneProcess": Call(lambda: dict(ranks=2, rule="pair")),
    STR + "OneProcess.partial_sum": Call(lambda: dict(self=wires(), z=gauss(2, 3, 4), shared=2, scale=1.5),
                                         accepts={"z": "columns dims dtype nonfinite", "scale": "zero sign size",
                                                  "shared": "zero"},
                                         nan="z may hold NaN, which is passed on"),
    STR + "OneProcess.sum_streams": Call(lambda: dict(self=wires(), z=gauss(2, 3), wide=True), nan="z may hold NaN",
                                         accepts={"z": "columns dims dtype nonfinite"}),
    MOD + "column_parallel": Call(lambda: dict(x=gauss(2, 1, 3, 4), weight=gauss(2, 5, 4)), nan="x may hold NaN",
                                  accepts={"x": "nonfinite", "weight": "nonfinite"},
                                  names={"x": "weight", "weight": "x"}),
    MOD + "row_parallel": Call(
        lambda: dict(x=gauss(2, 1, 3, 4), weight=gauss(2, 5, 4), wires=wires(), shared=2, scale=1.5),
        nan="x may hold NaN",
        accepts={"x": "nonfinite", "weight": "nonfinite", "scale": "zero sign size", "shared": "zero"},
        names={"x": "weight z", "weight": "x z"},
    ),
    MOD + "Shape": Call(lambda: dict(layers=1, width=4, heads=2, hidden=4, vocabulary=5, context=4),
                        names={"width": "heads"}),
    MOD + "Shape.divides": Call(lambda: dict(self=small(), ranks=2)),
    MOD + "first_weights": Call(lambda: dict(shape=small(), seed=0, size=0.1, dtype=torch.float32),
                                accepts={"size": "size", "seed": "zero"}),
    MOD + "shard": Call(lambda: dict(weights=dense(), shape=small(), wires=wires()), skip={"weights": WEIGHTS}),
    MOD + "is_norm": Call(lambda: dict(name="0.norm"), skip={"name": "any text"}),
    MOD + "is_replicated": Call(lambda: dict(name="0.norm"), skip={"name": "any text"}),
    MOD + "loss": Call(lambda: dict(weights=parts(), shape=small(), tokens=tokens(), wires=wires(), shared=2,
                                    scale=1.5),
                       accepts={"tokens": "rows columns", "scale": "zero sign size none", "shared": "zero"},
                       skip={"weights": WEIGHTS}),
    MOD + "complete_norms": Call(lambda: dict(gradients=parts(), wires=wires()), skip={"gradients": WEIGHTS}),
    MOD + "dense_loss": Call(lambda: dict(weights=dense(), shape=small(), tokens=tokens()),
                             accepts={"tokens": "rows columns"}, skip={"weights": WEIGHTS}),
    JOB + "gradients": Call(
        lambda: dict(wires=wires(), shape=small(), weights=dense(), tokens=tokens(), shared=2, rule="pair", scale=1.5),
        accepts={"tokens": "rows columns", "scale": "zero sign size none", "shared": "zero"}, skip={"weights": WEIGHTS},
    ),
    JOB + "all_gradients": Call(
        lambda: dict(wires=wires(), settings=[dict(shape=small(), weights=dense(), tokens=tokens(), shared=2)]),
        skip={"settings": "arguments of gradients, checked there"},
    ),
    LAN + "name_tokens": Call(lambda: {}),
    LAN + "stored_runs": Call(lambda: {}),
    TRA + "layer_elements": Call(lambda: dict(places=6, shared=2), accepts={"shared": "zero"}),
    TRA + "step_elements": Call(lambda: dict(layers=1, places=6, width=4, shared=2), accepts={"shared": "zero"},
                                names={"width": "shared"}),
    TRA + "ring_bytes": Call(lambda: dict(elements=10, ranks=2, bytes_each=4), accepts={"elements": "zero"}),
    TRA + "effective_width": Call(lambda: dict(width=4, shared=2, ranks=2), accepts={"shared": "zero"},
                                  names={"width": "shared"}),
    TRA + "LayerTime": Call(lambda: dict(**LAYER),
                            accepts={"compute": "zero size", "latency": "zero size", "bandwidth": "size"}),
    TRA + "LayerTime.inference": Call(lambda: dict(self=tp.LayerTime(**LAYER), places=6, shared=2),
                                      accepts={"shared": "zero"}),
    TRA + "LayerTime.training": Call(lambda: dict(self=tp.LayerTime(**LAYER), places=6, shared=2),
                                      accepts={"shared": "zero"}),
    TRA + "fit_line": Call(
        lambda: dict(size=torch.tensor([1.0, 2, 4], dtype=F64), seconds=torch.tensor([3.0, 5, 9], dtype=F64)),
        names={"size": "seconds", "seconds": "size"},
    ),
    LAN + "train": Call(
        lambda: dict(wires=wires(), shared=2, seed=0, shape=tp.Shape(1, 4, 2, 4, 39, 3), steps=2, until=1, batch=1,
                     rate=0.01, scaled=True, double=True),
        accepts={"shared": "zero", "seed": "zero", "until": "none", "rate": "size"},
        names={"until": "steps", "steps": "until"},
    ),
    LAN + "held_out_loss": Call(
        lambda: dict(weights=tp.shard(tp.first_weights(MICRO, 0), MICRO, wires()), wires=wires(), shared=2, shape=MICRO,
                     scale=1.5),
        accepts={"shared": "zero", "scale": "zero sign size none"}, skip={"weights": WEIGHTS},
    ),
    LOC + "local_descent": Call(
        lambda: dict(curvature=curved(), target=gauss(2, 2), rate=0.1, local=2, rounds=3, outer=0.7, momentum=0.5),
        names={"curvature": "target", "target": "curvature"}, accepts={"momentum": "zero size", "outer": "size"},
    ),
    LOC + "local_limit": Call(lambda: dict(curvature=curved(), target=gauss(2, 2), rate=0.1, local=2),
                              names={"curvature": "target", "target": "curvature"}),
    LOC + "average_minimizer": Call(lambda: dict(curvature=curved(), target=gauss(2, 2)),
                                    names={"curvature": "target", "target": "curvature"}),
}  # fmt: skip
MICRO = tp.Shape(1, 4, 2, 4, 39, 3)
assert language.SMALL.width == 64
