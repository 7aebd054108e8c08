"""Valid calls of `implicitly.merging`."""

import torch

from calls import Call
from implicitly import merging

F64 = torch.float64
NETS, MATCH, FOLD = "implicitly.merging.nets.", "implicitly.merging.matching.", "implicitly.merging.folding."
FIT, LINEAR, TASKS = "implicitly.merging.fitting.", "implicitly.merging.linear.", "implicitly.merging.tasks."
TRANS = "implicitly.merging.transformers."


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def net(seed=0, widths=(3, 4, 2), batch=2):
    return merging.random_net(widths, batch=batch, bias=1.0, generator=rng(seed), dtype=F64)


def pair(**given):
    return [net(0, **given), net(1, **given)]


def x(n=5, seed=3):
    return torch.randn(n, 3, generator=rng(seed), dtype=F64)


def head(seed=0, d=2):
    g = rng(seed)
    return merging.Head(torch.randn(2, 3, d, generator=g, dtype=F64), torch.randn(2, 3, generator=g, dtype=F64))


def orders():
    return [torch.tensor([3, 0, 1, 2]), torch.tensor([[1, 0], [0, 1]])]


def supernet():
    return merging.random_maps(pair(), (3, 2), generator=rng(5))


def folded():
    return supernet().fold()


def gauss(*shape, seed=7):
    return torch.randn(*shape, generator=rng(seed), dtype=F64)


def transformer(seed=0):
    data = torch.randn(1, 4, 64, generator=rng(9))
    return merging.train_transformers(data, torch.zeros(1, 4, dtype=torch.int64), [0, 0], width=2, classes=2, steps=0,
                                      generator=rng(seed))[0]  # fmt: skip


def images(n=3):
    return torch.randn(n, 64, generator=rng(4))


def merged_transformer():
    return merging.merge_transformers([transformer(0), transformer(1)], [images(), images()], steps=0)




CALLS = {
    NETS + "Net": Call(lambda: dict(weights=net().weights, biases=net().biases), names={"weights": "biases"}),
    NETS + "Net.__call__": Call(lambda: dict(self=net(), x=x()), accepts={"x": "rows empty"}),
    NETS + "Net.layers": Call(lambda: dict(self=net(), x=x()), accepts={"x": "rows empty"}),
    NETS + "Net.rows": Call(lambda: dict(self=net(), which=[1, 0, 1])),
    NETS + "Net.permuted": Call(lambda: dict(self=net(), orders=orders())),
    NETS + "Net.rescaled": Call(lambda: dict(self=net(), scales=[gauss(4).exp(), gauss(2, 2).exp()])),
    NETS + "Head": Call(lambda: dict(weight=gauss(2, 3, 4), bias=gauss(2, 3)),
                        accepts={"weight": "columns"}, names={"weight": "bias"}),
    NETS + "Head.__call__": Call(lambda: dict(self=head(), features=gauss(2, 5, 2)),
                                 accepts={"features": "dims rows empty"}),
    NETS + "Head.rows": Call(lambda: dict(self=head(), which=[1, 0])),
    NETS + "Head.permuted": Call(lambda: dict(self=head(), order=torch.tensor([1, 0]))),
    NETS + "random_net": Call(
        lambda: dict(widths=[3, 2], batch=2, gain=1.0, bias=0.5, generator=rng(), dtype=F64),
        accepts={"batch": "none", "bias": "zero size", "gain": "size"},
    ),
    NETS + "average": Call(lambda: dict(nets=pair())),
    NETS + "interpolate": Call(lambda: dict(a=net(0), b=net(1), share=0.25), accepts={"share": "zero size"},
                               names={"a": "b"}),
    NETS + "interpolate#heads": Call(lambda: dict(a=head(0), b=head(1), share=0.25), accepts={"share": "zero size"},
                                     names={"a": "b"}),
    MATCH + "correlations": Call(lambda: dict(f=gauss(5, 2), g=gauss(5, 3, seed=1)),
                                 accepts={"f": "columns", "g": "columns"}, names={"f": "g"}),
    MATCH + "assign": Call(lambda: dict(similarity=gauss(2, 3, 3)), accepts={"similarity": "rows empty dtype dims"}),
    MATCH + "match_activations": Call(lambda: dict(a=net(0), b=net(1), x=x()), accepts={"x": "rows"},
                                      names={"a": "b"}),
    MATCH + "match_weights": Call(lambda: dict(a=net(0), b=net(1), sweeps=3), names={"a": "b"}),
    FOLD + "fold_linear": Call(
        lambda: dict(weights=[gauss(3, 2), gauss(2, 2)], biases=[gauss(3), gauss(2)], merge=gauss(4, 5),
                     unmerge=gauss(4, 3)),
        accepts={"merge": "rows empty", "unmerge": "columns empty"},
        names={"weights": "biases merge", "biases": "weights", "merge": "unmerge"},
    ),
    FOLD + "Folded": Call(lambda: dict(net=net(), out=[gauss(2, 3, 2)]), accepts={"out": ""}),
    FOLD + "Folded.__call__": Call(lambda: dict(self=folded(), x=x()), accepts={"x": "rows empty"}),
    FOLD + "SuperNet": Call(
        lambda: dict(models=pair(), merge=supernet().merge, unmerge=supernet().unmerge), names={"merge": "unmerge"},
    ),
    FOLD + "SuperNet.__call__": Call(lambda: dict(self=supernet(), x=x()), accepts={"x": "rows empty"}),
    FOLD + "averaged": Call(lambda: dict(models=pair())),
    FOLD + "copied": Call(lambda: dict(models=pair(), which=1), accepts={"which": "zero"}),
    FOLD + "matched": Call(lambda: dict(models=pair(), orders=orders())),
    FOLD + "stacked": Call(lambda: dict(models=pair())),
    FOLD + "random_maps": Call(lambda: dict(models=pair(), widths=[3, 2], generator=rng())),
    FOLD + "regression_mean": Call(lambda: dict(models=pair(), samples=[x(), x(4)], keep=0.9),
                                   accepts={"keep": "zero size"}),
    FOLD + "zipped": Call(lambda: dict(models=pair(), x=x(), widths=[3, 2]), accepts={"x": "rows", "widths": "none"}),
    FIT + "rebuild_loss": Call(lambda: dict(folded=folded(), models=pair(), samples=[x(), x(4)]),
                               names={"models": "folded"}),
    FIT + "trainable": Call(lambda: dict(supernet=merging.copied(pair(widths=(3, 2, 2))), rank=1),
                            accepts={"rank": "none"}),
    FIT + "fit_maps": Call(
        lambda: dict(start=supernet(), samples=[x(), x(4)], steps=2, rate=1e-3, inputs=True),
        accepts={"steps": "zero", "rate": "size"},
    ),
    FIT + "fit_maps#rank": Call(
        lambda: dict(start=merging.copied(pair()), samples=[x(), x(4)], steps=2, rank=1, generator=rng()),
        accepts={"steps": "zero", "rank": "none"},
    ),
    FIT + "distill": Call(
        lambda: dict(start=folded(), models=pair(), samples=[x(), x(4)], steps=2, rate=1e-3, out=True),
        accepts={"steps": "zero", "rate": "size"}, names={"models": "start"},
    ),
    FIT + "train_classifiers": Call(
        lambda: dict(X=gauss(2, 4, 3), y=torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0]]), task=[0, 1], hidden=[3],
                     classes=2, steps=2, rate=1e-3, size=3, generator=rng()),
        accepts={"X": "columns dtype", "steps": "zero", "rate": "size"},
        names={"X": "y task", "y": "X", "classes": "y"},
    ),
    LINEAR + "linear_merge": Call(lambda: dict(Y=gauss(4, 6), width=2), accepts={"Y": "rows columns dtype"}),
    LINEAR + "rebuild_error": Call(lambda: dict(Y=gauss(4, 6), merge=gauss(2, 4), unmerge=gauss(4, 2)),
                                   accepts={"Y": "columns", "unmerge": "none"},
                                   names={"Y": "merge", "merge": "unmerge"}),
    TASKS + "digit_halves": Call(lambda: dict(split=True)),
    TASKS + "accuracy": Call(lambda: dict(scores=gauss(2, 4, 3), y=torch.tensor([0, 1, 2, 0])),
                             accepts={"scores": "rows columns empty dims dtype"}, names={"scores": "y"}),
    TASKS + "Ensemble": Call(lambda: dict(models=pair())),
    TASKS + "Ensemble.__call__": Call(lambda: dict(self=merging.Ensemble(pair()), x=x()), accepts={"x": "rows empty"}),
    TASKS + "evaluate": Call(
        lambda: dict(rebuild=merging.Ensemble(pair()), heads=[head(0), head(1)], X=gauss(2, 4, 3),
                     y=torch.tensor([[0, 1, 2, 0], [1, 1, 0, 0]])),
        names={"X": "x y", "y": "X", "heads": "X features"},
    ),
    TRANS + "Transformer": Call(
        lambda: dict(weights=transformer().weights, biases=transformer().biases, norms=transformer().norms),
        names={"norms": "weights biases"},
    ),
    TRANS + "Transformer.__call__": Call(lambda: dict(self=transformer(), x=images()), accepts={"x": "rows empty"}),
    TRANS + "Transformer.rows": Call(lambda: dict(self=transformer(), which=[1, 0])),
    TRANS + "train_transformers": Call(
        lambda: dict(X=images(4)[None], y=torch.tensor([[0, 1, 1, 0]]), task=[0, 0], width=2, classes=2, steps=1,
                     rate=1e-3, size=3, generator=rng()),
        accepts={"X": "dtype", "steps": "zero", "rate": "size"}, names={"X": "y task", "y": "X", "classes": "y"},
    ),
    TRANS + "merge_transformers": Call(
        lambda: dict(models=[transformer(0), transformer(1)], samples=[images(), images(2)], method="fold",
                     start="copy", steps=1, rate=1e-3),
        accepts={"steps": "zero", "rate": "size"},
    ),
    TRANS + "trained_transformers": Call(dict),
}  # fmt: skip
