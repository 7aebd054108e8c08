"""Train the networks that `stored_digit_nets` loads, and store their weights beside this module.

    python -m implicitly.equivariance.train_digits

Half an hour on one core. Roundings differ between CPUs and grow in training: the weights of another run are other
weights, and the SHA-256 that it prints belongs into `digit_nets`.
"""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch

from .digit_nets import DESIGNS, _names, train_digit_net

__all__: list[str] = []


def _pack(nets) -> bytes:
    """The file: all weights in the order of `_names`, as float16, in one compressed array."""
    flat = torch.cat([torch.nn.utils.parameters_to_vector(net.parameters()) for net in nets]).detach()
    if not torch.isfinite(flat.half()).all():
        raise ValueError("weights must fit float16, found an infinity")
    stream = io.BytesIO()
    np.savez_compressed(stream, weights=flat.half().numpy())
    return stream.getvalue()


if __name__ == "__main__":
    trained = []
    for name, steps, seed in _names():
        net, losses = train_digit_net(DESIGNS[name], seed=seed, steps=steps)
        print(f"{name}, {steps} steps, seed {seed}: mean of the last 20 losses {losses[-20:].mean():.4f}", flush=True)
        trained.append(net)
    data = _pack(trained)
    Path(__file__).with_name("digit_nets.npz").write_bytes(data)
    print(f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")
