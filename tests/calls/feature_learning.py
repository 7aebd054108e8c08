"""Valid calls of `implicitly.feature_learning`."""

import torch

from calls import Call
from implicitly import feature_learning

F64 = torch.float64
DATA, NETS = (f"implicitly.feature_learning.{name}." for name in ("clusters", "relu_nets"))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def gauss(*shape, seed=7):
    return torch.randn(*shape, generator=rng(seed), dtype=F64)


def data():
    return feature_learning.draw_clusters(8, 100, 3.0, 0.25, pairs=3, new=4, generator=rng())


def signs(n):
    return torch.where(torch.arange(n) % 2 == 0, 1.0, -1.0).to(F64)


CALLS = {
    DATA + "Clusters": Call(
        lambda: dict(
            X=gauss(4, 5), y=signs(4), flipped=torch.arange(4) < 1, X_new=gauss(3, 5), y_new=signs(3), start=gauss(2, 5)
        ),
        accepts={"start": "rows"},
        names={"X": "y flipped X_new start", "X_new": "y_new"},
    ),
    DATA + "draw_clusters": Call(
        lambda: dict(N=8, d=100, mu=3.0, flip=0.25, labels="xor", balanced=True, pairs=3, new=4, generator=rng()),
        accepts={"mu": "zero size", "flip": "zero size"},
        names={"N": "d", "pairs": "d"},
    ),
    DATA + "draw_clusters#independent": Call(
        lambda: dict(N=7, d=100, mu=3.0, flip=0.25, labels="sides", balanced=False, pairs=3, new=4, generator=rng()),
        accepts={"mu": "zero size", "flip": "zero size"},
        names={"N": "d", "pairs": "d"},
    ),
    DATA + "linear_accuracy": Call(
        lambda: dict(theta=gauss(5), mu=2.0, labels="sides"),
        accepts={"theta": "rows columns", "mu": "zero size"},
    ),
    NETS + "train": Call(
        lambda: dict(data=data(), eta=0.5, steps=3, record=[0, 1, 3], hold=1),
        accepts={"eta": "size", "record": "none", "hold": "none zero", "steps": "zero"},
        names={"steps": "record"},
    ),
    NETS + "first_step": Call(lambda: dict(data=data(), eta=0.5), accepts={"eta": "size"}),
    NETS + "scores": Call(
        lambda: dict(W=gauss(4, 5), a=signs(4), X=gauss(6, 5)),
        accepts={"X": "rows empty"},
        names={"W": "a X"},
    ),
    NETS + "accuracy": Call(
        lambda: dict(scores=gauss(3, 4), y=signs(4)),
        accepts={"scores": "rows dims empty"},
        names={"scores": "y"},
    ),
    NETS + "matched": Call(
        lambda: dict(W=gauss(3, 4, 5), a=signs(4)),
        accepts={"W": "dims columns rows empty"},
        names={"a": "W"},
    ),
}
