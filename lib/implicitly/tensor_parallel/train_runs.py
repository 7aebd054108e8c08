"""Train the language models whose results the chapter `partial-synchronization` loads; about an hour on one free core.

    python -m implicitly.tensor_parallel.train_runs FOLDER

One file a run in FOLDER: what is there is not run again, and several processes may share one FOLDER. When all are
there, the sums of two processes over the loopback are timed, all is packed beside this file, and its sha256 is printed,
which `language._SHA256` must name.
"""

import hashlib
import json
import platform
import sys
from pathlib import Path

import torch

from .language import _FILE, run

__all__: list[str] = []

SHARES, SEEDS, FEW = (0.0, 0.25, 0.5, 0.75), range(5), range(3)
SIZES = [2**k for k in range(10, 23)]


def runs() -> dict[str, dict]:
    """Name -> arguments of `run`, the most important first."""
    found: dict[str, dict] = {}
    for seed in SEEDS:
        found[f"run/1/1.0/scaled/{seed}"] = dict(ranks=1, p=1.0, seed=seed)
        for p in SHARES:
            found[f"run/4/{p}/scaled/{seed}"] = dict(ranks=4, p=p, seed=seed)
    for seed in SEEDS:
        found[f"run/4/0.5/plain/{seed}"] = dict(ranks=4, p=0.5, seed=seed, scaled=False)
    for seed in FEW:
        for ranks in (2, 8):
            for p in SHARES:
                found[f"run/{ranks}/{p}/scaled/{seed}"] = dict(ranks=ranks, p=p, seed=seed)
    for seed in FEW:
        for p, ranks in ((1.0, 1), (0.5, 4)):
            found[f"long/{ranks}/{p}/scaled/{seed}"] = dict(ranks=ranks, p=p, seed=seed, steps=1500, kind="long")
    return found


def processor() -> str:
    """The name of this machine's processor, and how many of its cores there are for us."""
    import os

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores"


def main(folder: str) -> None:
    """Run what is missing, then pack."""
    from . import jobs
    from .processes import run_ranks

    torch.set_num_threads(1)
    out, todo = Path(folder), runs()
    out.mkdir(parents=True, exist_ok=True)
    for name, given in todo.items():
        file = out / (name.replace("/", "~") + ".json")
        try:
            file.touch(exist_ok=False)
        except FileExistsError:
            continue
        found = run(**given)
        file.write_text(json.dumps(found))
        print(name, found["test"], flush=True)
    texts = {name: (out / (name.replace("/", "~") + ".json")).read_text() for name in todo}
    if not all(texts.values()):
        print("another process is not done yet: start this again then")
        return
    timed = torch.stack(run_ranks(jobs.sum_times, 2, sizes=SIZES, repeats=101, timeout=600))
    times = {2: timed.amax(0).amin(1)}  # a sum is done when the slower rank has it; the fastest of the repeats
    packed = {"machine": processor(), "sizes": SIZES,
              "loopback": {ranks: [float(f"{v:.4g}") for v in seconds] for ranks, seconds in times.items()},
              "runs": {name: json.loads(text) for name, text in texts.items()}}  # fmt: skip
    file = Path(__file__).parent / _FILE
    file.write_text(json.dumps(packed, indent=0) + "\n")
    print(hashlib.sha256(file.read_bytes()).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1])
