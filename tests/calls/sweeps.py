"""Valid calls of `implicitly.sweeps`."""

from calls import Call
from implicitly.sweeps import Table


def area(a, b, seed):
    return {"area": a * b + seed}


def table():
    return Table({"a": a, "seed": seed, "area": a * 2.0 + seed} for a in (1, 2) for seed in (0, 1))


CALLS = {
    "implicitly.sweeps.sweep": Call(
        lambda: dict(function=area, grid={"a": [1, 2], "b": [0.5]}, seeds=[0, 1], version="a", n_jobs=1,
                     progress=False),
        accepts={"seeds": "sign", "n_jobs": "none", "version": "any"},
        skip={"n_jobs": "a number of processes: starting them takes longer than all else"},
    ),
    "implicitly.sweeps.sweep#seeds of a range": Call(
        lambda: dict(function=area, grid={"a": [1, 2], "b": [0.5]}, seeds=range(2), progress=False),
        accepts={"seeds": "sign"},
    ),
    "implicitly.sweeps.Table.where": Call(lambda: dict(self=table(), a=2), accepts={"a": "any"}),
    "implicitly.sweeps.Table.column": Call(lambda: dict(self=table(), name="area")),
    "implicitly.sweeps.Table.mean": Call(lambda: dict(self=table(), name="area")),
    "implicitly.sweeps.Table.spread": Call(lambda: dict(self=table(), name="area")),
}  # fmt: skip
