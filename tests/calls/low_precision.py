"""Valid calls of `implicitly.low_precision`."""

import torch

from calls import Call
from implicitly.low_precision import Accumulator, FloatFormat, Split, digit_split, first_networks

LP = "implicitly.low_precision"
FORMAT = dict(mantissa=3, exponent=3)
BIAS = "sign zero"


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def narrow():
    return Accumulator(3, 3, 5, 4, chunk=4)


def pair(rows=3):
    return dict(x=normal(2, 6), w=normal(rows, 6, seed=1), accumulator=narrow())


def few(n=40):
    x, y, x_test, y_test = digit_split()
    return Split(x[:n], y[:n], x_test[:n], y_test[:n])


def nets():
    return first_networks([0, 1], (64, 3, 10))


SIZES = {"x": "w", "w": "x"}

CALLS = {
    f"{LP}.formats.FloatFormat": Call(lambda: FORMAT | dict(bias=5), accepts={"bias": BIAS}),
    f"{LP}.formats.FloatFormat.quantize": Call(
        lambda: dict(self=FloatFormat(3, 3, 5), x=normal(3, 4), rounding="nearest", underflow=True),
        accepts={"x": "rows columns dims empty dtype"}),
    f"{LP}.formats.FloatFormat.exact_bits": Call(lambda: dict(self=FloatFormat(3, 3, 5), terms=7)),
    f"{LP}.formats.Accumulator": Call(
        lambda: FORMAT | dict(bias_product=5, bias_sum=4, chunk=4, rounding="truncate", underflow=True),
        accepts={"bias_product": BIAS, "bias_sum": BIAS}),
    f"{LP}.formats.Accumulator.without_underflow": Call(lambda: dict(self=narrow())),
    f"{LP}.formats.sum_bias": Call(lambda: dict(bias_product=12, chunk=16), accepts={"bias_product": BIAS}),
    f"{LP}.sums.matmul": Call(lambda: pair() | dict(gradient="recursive-overflow"), names=SIZES,
                              accepts={"x": "rows empty", "w": "rows empty"}),
    f"{LP}.sums.add_up": Call(lambda: dict(terms=normal(2, 6), accumulator=narrow()),
                              accepts={"terms": "rows columns empty dtype"}),
    f"{LP}.sums.count_events": Call(pair, names=SIZES, accepts={"x": "rows empty", "w": "rows empty"}),
    f"{LP}.sums.trace": Call(lambda: pair(2), names=SIZES),
    f"{LP}.sums.linear": Call(
        lambda: dict(x=normal(2, 6), weight=normal(3, 6, seed=1), bias=normal(3), accumulator=narrow(),
                     gradient="identity"),
        accepts={"x": "rows empty", "bias": "none"}, names={"x": "w bias", "weight": "w bias", "bias": "w"}),
    f"{LP}.sums.conv2d": Call(
        lambda: dict(x=normal(2, 2, 5, 4), weight=normal(3, 2, 3, 2, seed=1), bias=normal(3), accumulator=narrow(),
                     stride=2, padding=1, gradient="identity"),
        accepts={"x": "rows columns", "weight": "columns", "bias": "none", "padding": "zero"},
        names={"x": "weight", "weight": "x bias w"}),
    f"{LP}.laws.stagnation": Call(lambda: dict(mantissa=7, chunk=16, largest=300.0),
                                  accepts={"largest": "size nonfinite"}),
    f"{LP}.laws.fraction_limit": Call(lambda: dict(mantissa=7)),
    f"{LP}.laws.growth": Call(lambda: dict(mantissa=7, mean=0.5, terms=256, support=1.0),
                              accepts={"terms": "zero", "mean": "size", "support": "size"},
                              names={"mean": "support"}),
    f"{LP}.laws.mean_loss": Call(lambda: dict(mantissa=7)),
    f"{LP}.laws.mean_loss_limit": Call(lambda: dict(mantissa=7)),
    f"{LP}.laws.sequential_additions": Call(lambda: dict(terms=100, chunk=16)),
    f"{LP}.laws.least_kept": Call(lambda: dict(mantissa=7, terms=100, chunk=16)),
    f"{LP}.laws.adder_cells": Call(lambda: dict(mantissa=7, exponent=4)),
    f"{LP}.laws.best_chunk": Call(lambda: dict(terms=100)),
    f"{LP}.nets.digit_split": Call(lambda: dict(seed=1), accepts={"seed": "zero"}),
    f"{LP}.nets.first_networks": Call(lambda: dict(seeds=[0, 1], widths=(64, 3, 10))),
    f"{LP}.nets.train": Call(
        lambda: dict(networks=nets(), data=few(), accumulator=narrow(), epochs=1, rate=0.01, batch=30,
                     gradient="immediate-change"),
        accepts={"accumulator": "none", "epochs": "zero", "rate": "size"},
        skip={"data": "a named tuple, which cannot be made empty: test_digit_accumulators.py has bad ones"}),
    f"{LP}.nets.Networks": Call(lambda: dict(weights=nets().weights, biases=nets().biases, seeds=(0, 1))),
    f"{LP}.nets.Networks.rows": Call(lambda: dict(self=nets(), rows=[1, 0]), accepts={"rows": "zero rows"}),
    f"{LP}.nets.Networks.logits": Call(lambda: dict(self=nets(), x=few(3).x, accumulator=narrow()),
                                       accepts={"x": "rows empty", "accumulator": "none"}),
    f"{LP}.nets.Networks.accuracy": Call(lambda: dict(self=nets(), x=few(3).x, y=few(3).y, accumulator=narrow()),
                                         accepts={"accumulator": "none"}, names={"x": "y", "y": "x"}),
    f"{LP}.nets.Networks.logit_error": Call(lambda: dict(self=nets(), x=few(3).x, accumulator=narrow()),
                                            accepts={"x": "rows"}),
    f"{LP}.stored.stored_digits": Call(dict),
}  # fmt: skip
