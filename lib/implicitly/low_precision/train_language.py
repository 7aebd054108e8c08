"""Train the language models whose results the chapter `fp4-training` loads; an hour on one free core.

    python -m implicitly.low_precision.train_language FOLDER

One file a run in FOLDER: what is there is not run again, and several processes may share one FOLDER. When all are
there, packs them beside this file and prints the sha256 that `language._STORED_SHA256` must name.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch

from .language import _STORED, held_out_loss, train_language_model
from .policies import PLACES, POLICIES, Policy

__all__: list[str] = []

SEEDS, STEPS, BATCH, SWITCH = 5, 500, 128, 400
WIDE_STEPS, WIDE_BATCH, PLACE_SEEDS = 250, 2048, 3
PROBES = (0, 25, 50, 100, 200, 300, 400, 475)


def runs() -> dict[str, tuple[Policy, int, dict]]:
    """Name -> (policy, seed, arguments of `train_language_model`), the most important first."""
    found: dict[str, tuple[Policy, int, dict]] = {}
    for seed in range(SEEDS):
        for name, policy in POLICIES.items():
            probe = PROBES if name == "paper" else ()
            found[f"policy/{name}/{seed}"] = policy, seed, dict(steps=STEPS, batch=BATCH, probe=probe)
    paper = POLICIES["paper"]
    switches = {"backward": ("backward", "update"), "forward": ("forward",), "all": ("forward", "backward", "update")}
    for seed in range(SEEDS):
        for name, passes in switches.items():
            found[f"switch/{name}/{seed}"] = paper, seed, dict(steps=STEPS, batch=BATCH,
                                                              then={SWITCH: paper.without(*passes)})  # fmt: skip
    for seed in range(SEEDS):
        for name in ("float32", "forward only", "nearest", "paper"):
            found[f"wide/{name}/{seed}"] = POLICIES[name], seed, dict(steps=WIDE_STEPS, batch=WIDE_BATCH)
    for seed in range(PLACE_SEEDS):
        for source in ("nearest", "coin"):
            for place in PLACES:
                policy = Policy(**{place: getattr(POLICIES[source], place)})
                found[f"place/{source} {place}/{seed}"] = policy, seed, dict(steps=STEPS, batch=BATCH)
    return found


def main(folder: str) -> None:
    torch.set_num_threads(1)
    out, todo = Path(folder), runs()
    out.mkdir(exist_ok=True)
    for name, (policy, seed, given) in todo.items():
        file = out / (name.replace("/", "~") + ".json")
        try:
            file.touch(exist_ok=False)
        except FileExistsError:
            continue
        run = train_language_model(policy, seed, **given)
        found = {"test": run.test, "wide_test": held_out_loss(run.model, Policy()), "train": run.train.tolist(),
                 "noise": {str(k): list(v) for k, v in run.noise.items()}}  # fmt: skip
        file.write_text(json.dumps(found))
        print(name, run.test, flush=True)
    texts = {name: (out / (name.replace("/", "~") + ".json")).read_text() for name in todo}
    if not all(texts.values()):
        print("another process is not done yet: start this again then")
        return
    results = {}
    for name, text in texts.items():
        one = json.loads(text)
        kept = 50 if name.startswith("policy/") else 0
        results[name] = {"test": round(one["test"], 5), "wide_test": round(one["wide_test"], 5),
                         "train": [round(v, 5) for v in one["train"][:kept]],
                         "noise": {k: [float(f"{w:.4g}") for w in v] for k, v in one["noise"].items()}}  # fmt: skip
    _STORED.write_text(json.dumps(results, indent=0) + "\n")
    print(hashlib.sha256(_STORED.read_bytes()).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1])
