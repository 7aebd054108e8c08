"""Train what `stored_digits` loads, and store it beside this module.

    python -m implicitly.low_precision.train_digits

A quarter of an hour on one core. Roundings differ between CPUs and grow in training: the weights of another run are
other weights, and the SHA-256 that it prints belongs into `stored`.
"""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch

from .nets import Networks, digit_split, first_networks, train
from .stored import _FILE, _STAGED_BY, FINE_TUNED, SEEDS, STAGED, WINDOWS
from .sums import GRADIENTS

__all__: list[str] = []


def _packed(nets) -> np.ndarray:
    flat = torch.cat([v.flatten() for v in (*nets.weights, *nets.biases)]).half()
    if not torch.isfinite(flat).all():
        raise ValueError("weights must fit float16, found an infinity")
    return flat.numpy()


def main() -> None:
    data = digit_split()

    def right(nets, accumulator, *about):
        """How many test digits each network names, int16."""
        found = nets.accuracy(data.x_test, data.y_test, accumulator)
        print(*about, [round(v, 3) for v in found.tolist()], flush=True)
        return (found * len(data.x_test)).round().numpy().astype(np.int16)

    nets = train(first_networks(SEEDS), data, epochs=12, rate=3e-3)
    weights = _packed(nets)
    w, b = (tuple(v.half().float() for v in part) for part in (nets.weights, nets.biases))
    nets = Networks(w, b, SEEDS)
    right(nets, None, "float32")
    fine_tuned = []
    for name, a in FINE_TUNED.items():
        right(nets, a, name, "as trained")
        first = train(nets, data, a.without_underflow(), epochs=3)
        fine_tuned.append([right(found, a, name, way) for way, found in (
            ("six epochs", train(nets, data, a, epochs=6)), ("3 + 3", train(first, data, a, epochs=3)),
            ("nine epochs", train(nets, data, a, epochs=9)), ("3 + 6", train(first, data, a, epochs=6)))])
    start = first_networks(SEEDS, (64, 32, 32, 10))
    gradients = [[right(train(start, data, a, epochs=6, rate=3e-3, gradient=g), a, a.bias_sum, g) for g in GRADIENTS]
                 for a in WINDOWS]  # fmt: skip
    staged = []
    for a in STAGED:
        staged.append([])
        for g in _STAGED_BY:
            more = dict(rate=3e-3, gradient=g)
            first = train(start, data, a.without_underflow(), epochs=3, **more)
            staged[-1].append([right(found, a, "staged", a.bias_sum, g) for found in (
                train(start, data, a, epochs=6, **more), train(first, data, a, epochs=3, **more))])  # fmt: skip
    stream = io.BytesIO()
    np.savez_compressed(stream, weights=weights, fine_tuned=np.array(fine_tuned), gradients=np.array(gradients),
                        staged=np.array(staged))  # fmt: skip
    Path(__file__).with_name(_FILE).write_bytes(stream.getvalue())
    print(f"{len(stream.getvalue())} bytes, SHA-256 {hashlib.sha256(stream.getvalue()).hexdigest()}")


if __name__ == "__main__":
    main()
