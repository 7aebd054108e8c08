"""Train the transformers that the chapter `merging-networks` loads, merge them, and store both; some minutes.

    python -m implicitly.merging._train

Prints the sha256 that `transformers._SHA256` must name. Step sizes are chosen on the validation images.
"""

import hashlib

import numpy as np
import torch

from .tasks import digit_halves, evaluate
from .transformers import _STORED, _packed, _unpacked, merge_transformers, train_transformers

PAIRS, SAMPLES, RATES, STEPS = 4, (16, 64), (1e-3, 4e-3), 250


def main() -> None:
    data = digit_halves()
    task = [0] * PAIRS + [1] * PAIRS
    net, head = train_transformers(data.train, data.train_y, task, classes=5, steps=300,
                                   generator=torch.Generator().manual_seed(0))  # fmt: skip
    weights = _packed(net, head).half()
    net, head = _unpacked(weights.float(), 5)
    halves = [list(range(PAIRS)), list(range(PAIRS, 2 * PAIRS))]
    models, heads = [net.rows(h) for h in halves], [head.rows(h) for h in halves]

    def best(n, start, method):
        """Of the two step sizes the one that is better on the validation images."""
        found = [merge_transformers(models, list(data.train[:, :n]), method=method, start=start, steps=STEPS, rate=rate)
                 for rate in RATES]  # fmt: skip
        valid = [evaluate(one.rebuild, heads, data.valid, data.valid_y).tasks.mean().item() for one in found]
        chosen = found[int(np.argmax(valid))]
        right = evaluate(chosen.rebuild, heads, data.test, data.test_y).tasks.mean(-1)
        print(n, start, method, RATES[int(np.argmax(valid))], right.mean().item(), flush=True)
        return right

    right = torch.stack([torch.stack([torch.stack([best(n, start, method) for method in ("fold", "distill")])
                                      for start in ("copy", "average")]) for n in SAMPLES])  # fmt: skip
    np.savez(_STORED, weights=weights.numpy(), classes=5, samples=np.array(SAMPLES), right=right.numpy())
    print(hashlib.sha256(_STORED.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
