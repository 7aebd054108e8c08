"""Valid calls of the modules of `implicitly.low_precision` that are of four bits."""

import torch

from calls import Call
from implicitly.low_precision import (
    BLOCK_FORMATS,
    E2M1,
    POLICIES,
    BlockFormat,
    LanguageModel,
    Policy,
    Quantizer,
    name_contexts,
)

LP = "implicitly.low_precision"
F64 = torch.float64


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=dice(seed), dtype=dtype)


def nv():
    return BLOCK_FORMATS["NVFP4 up"]


def odd():
    return BlockFormat(8, "exact")


def model():
    return LanguageModel.first(0)


def bowl():
    return dict(gradient=normal(3, dtype=F64), curvature=torch.tensor([1.0, 2.0, 0.5], dtype=F64), sigma=0.3)


SHAPES = "rows columns dims empty"
FREE = {"gradient": "curvature", "curvature": "gradient"}

CALLS = {
    f"{LP}.blocks.round_to_grid": Call(
        lambda: dict(x=normal(4, dtype=F64), levels=E2M1, coin=torch.rand(4, generator=dice(), dtype=F64)),
        accepts={"coin": "none", "levels": "rows columns ints list"}, names={"x": "coin"}),
    f"{LP}.blocks.BlockFormat": Call(lambda: dict(block=16, scale="e4m3 up")),
    f"{LP}.blocks.BlockFormat.scales": Call(lambda: dict(self=odd(), x=normal(3, 20)), accepts={"x": SHAPES}),
    f"{LP}.blocks.BlockFormat.quantize": Call(
        lambda: dict(self=nv(), x=normal(3, 20), rounding="coin", seed=3),
        accepts={"x": SHAPES, "seed": "zero"}),
    f"{LP}.blocks.BlockFormat.coin": Call(lambda: dict(self=odd(), x=normal(3, 20)), accepts={"x": SHAPES}),
    f"{LP}.blocks.BlockFormat.error": Call(
        lambda: dict(self=nv(), x=normal(3, 20), rounding="coin"), accepts={"x": "rows columns dims"}),
    f"{LP}.blocks.BlockFormat.flushed": Call(lambda: dict(self=nv(), x=normal(3, 20)), accepts={"x": SHAPES}),
    f"{LP}.blocks.clip_bias": Call(lambda: dict(form=nv(), x=normal(3, 20)), accepts={"x": "rows columns dims"}),
    f"{LP}.blocks.normal_error": Call(lambda: dict(levels=E2M1, scale=0.5),
                                      accepts={"levels": "rows columns ints", "scale": "size"}),
    f"{LP}.blocks.best_normal_scale": Call(lambda: dict(levels=[0.0, 1.0, 2.5]),
                                           accepts={"levels": "rows columns ints"}),
    f"{LP}.policies.Quantizer": Call(lambda: dict(form=nv(), rounding="coin")),
    f"{LP}.policies.Quantizer.__call__": Call(
        lambda: dict(self=Quantizer(nv(), "coin"), x=normal(3, 20), seed=2), accepts={"x": SHAPES, "seed": "zero"}),
    f"{LP}.policies.Policy": Call(
        lambda: dict(forward_x=Quantizer(nv()), forward_w=None, backward_dy=None, backward_w=None, update_dy=None,
                     update_x=Quantizer(nv(), "coin")),
        accepts={k: "none" for k in ("forward_x", "forward_w", "backward_dy", "backward_w", "update_dy", "update_x")}),
    f"{LP}.policies.Policy.of": Call(
        lambda: dict(forward=Quantizer(nv()), backward=None, update=Quantizer(nv(), "coin")),
        accepts={"forward": "none", "backward": "none", "update": "none"}),
    f"{LP}.policies.Policy.without": Call(lambda: dict(self=POLICIES["paper"]), accepts={"passes": "any"}),
    f"{LP}.policies.products": Call(
        lambda: dict(x=normal(4, 6), w=normal(3, 6, seed=1), dy=normal(4, 3, seed=2), policy=POLICIES["paper"],
                     seed=1, one_coin=True),
        accepts={"seed": "zero"}, names={"x": "w dy", "w": "dy x", "dy": "w x"}),
    f"{LP}.policies.fp4_linear": Call(
        lambda: dict(x=normal(4, 6), weight=normal(3, 6, seed=1), policy=POLICIES["paper"], seed=1),
        accepts={"seed": "zero", "x": "rows empty", "weight": "rows empty"}, names={"x": "weight"}),
    f"{LP}.progress.progress_share": Call(lambda: dict(ratio=1.5), accepts={"ratio": "size"}),
    f"{LP}.progress.steepest_ratio": Call(lambda: dict(variable="noise")),
    f"{LP}.progress.mean_progress": Call(lambda: bowl() | dict(rate=0.1), names=FREE,
                                         accepts={"sigma": "zero size", "rate": "zero size"}),
    f"{LP}.progress.best_progress": Call(bowl, names=FREE, accepts={"sigma": "zero size"}),
    f"{LP}.progress.sampled_progress": Call(
        lambda: bowl() | dict(rate=0.1, draws=4, generator=dice()), names=FREE,
        accepts={"sigma": "zero size", "rate": "zero size"}),
    f"{LP}.progress.descend": Call(lambda: dict(rate=0.3, noise=0.1, steps=5),
                                   accepts={"steps": "zero", "rate": "size"}),
    f"{LP}.progress.gradient_to_noise": Call(
        lambda: dict(exact=normal(5), draws=normal(3, 5, seed=1)),
        accepts={"draws": "rows"}, names={"exact": "draws", "draws": "exact"}),
    f"{LP}.language.LanguageModel": Call(lambda: dict(parameters=model().parameters)),
    f"{LP}.language.LanguageModel.first": Call(lambda: dict(seed=1), accepts={"seed": "zero"}),
    f"{LP}.language.LanguageModel.logits": Call(
        lambda: dict(self=model(), x=name_contexts().x[:3], policy=POLICIES["paper"], seed=2),
        accepts={"x": "rows empty", "seed": "zero"}),
    f"{LP}.language.LanguageModel.loss": Call(
        lambda: dict(self=model(), x=name_contexts().x[:3], y=name_contexts().y[:3], policy=POLICIES["paper"], seed=2),
        accepts={"seed": "zero"}, names={"x": "y"}),
    f"{LP}.language.batch_noise": Call(
        lambda: dict(model=model(), policy=POLICIES["paper"], batch=16, draws=2, large=32, seed=1),
        accepts={"seed": "zero"}),
    f"{LP}.language.held_out_loss": Call(lambda: dict(model=model(), policy=Policy())),
    f"{LP}.language.train_language_model": Call(
        lambda: dict(policy=POLICIES["forward only"], seed=1, steps=3, batch=16, rate=0.01, until=2,
                     then={1: Policy()}, probe=(1,)),
        accepts={"seed": "zero", "rate": "size", "until": "none", "then": "none", "probe": "empty rows columns"}),
    f"{LP}.labs.clip_spikes": Call(lambda: dict(gradient=normal(5), typical=0.3, step=4, decay=0.9),
                                   accepts={"gradient": "rows columns dims", "typical": "zero size",
                                            "decay": "zero size"}),
    f"{LP}.labs.spiked_descent": Call(lambda: dict(clip=True, form=nv(), seed=1, steps=3, size=10.0, every=2),
                                      accepts={"form": "none", "seed": "zero", "size": "size"}),
    f"{LP}.labs.balance_channels": Call(lambda: dict(x=normal(4, 6), w=normal(3, 6, seed=1), strength=0.5),
                                        accepts={"x": "rows", "w": "rows", "strength": "zero size"},
                                        names={"x": "w", "w": "x"}),
    f"{LP}.labs.keep_largest": Call(lambda: dict(w=normal(3, 8), keep=2, of=4),
                                    accepts={"w": "rows dims empty dtype"}, names={"of": "w"}),
    f"{LP}.labs.pruned_training": Call(
        lambda: dict(gradient="masked", seeds=2, generator=dice(), keep=1, of=8, steps=3), accepts={"steps": "zero"}),
    f"{LP}.language.character_names": Call(dict),
    f"{LP}.language.name_contexts": Call(dict),
    f"{LP}.language.stored_language_runs": Call(dict),
}  # fmt: skip
