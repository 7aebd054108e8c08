"""Valid calls of `implicitly.sweeps`."""

from calls import Call


def area(a, b, seed):
    return {"area": a * b + seed}


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
}  # fmt: skip
