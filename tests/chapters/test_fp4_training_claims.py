"""Every check of the chapter fp4-training passes, and fails when a fault is planted in what it rests on."""

import pytest
from chapter_cells import Fault, see_it_fail, without_near_fault

from implicitly import low_precision as lp
from implicitly.low_precision import BlockFormat

LIBRARY = "implicitly.low_precision."


def leaning_coin(x, levels, coin=None, rounding=lp.round_to_grid):
    """The upper neighbour comes a little too often."""
    return rounding(x, levels, coin if coin is None else 0.97 * coin)


def too_much_variance(self, x, coin=BlockFormat.coin):
    found = coin(self, x)
    return found._replace(variance=1.05 * found.variance)


def forgets_clipping(self, x, coin=BlockFormat.coin):
    """The mean is x, also beyond the last grid point."""
    return coin(self, x)._replace(mean=x.double())


def scales_times(factor):
    def scaled_scales(self, x, scales=BlockFormat.scales):
        return factor * scales(self, x)

    return scaled_scales


def worse_floats(self, x, rounding="nearest", error=BlockFormat.error):
    """E4M3 scales are charged a fifth more."""
    return error(self, x, rounding) * (1.2 if self.scale == "e4m3 nearest" else 1)


def off_quadrature(levels, scale, error=lp.normal_error):
    return error(levels, scale) * (1 + 5e-5)


def never_shares(*args, one_coin=False, products=lp.products, **given):
    return products(*args, **given)


def always_shares(*args, one_coin=False, products=lp.products, **given):
    return products(*args, one_coin=True, **given)


def clips_again(self, x, quantize=BlockFormat.quantize, **given):
    """Scales to nearest where they should go up."""
    return quantize(BlockFormat(self.block, self.scale.replace("up", "nearest")), x, **given)


def always_tosses(self, x, *, rounding="nearest", quantize=BlockFormat.quantize, **given):
    return quantize(self, x, rounding="coin", **given)


def never_tosses(self, x, *, rounding="nearest", quantize=BlockFormat.quantize, **given):
    return quantize(self, x, rounding="nearest", **given)


def louder(gradient, curvature, sigma, rate, sampled=lp.sampled_progress, **given):
    return sampled(gradient, curvature, 1.1 * sigma, rate, **given)


def boasts(gradient, curvature, sigma, best=lp.best_progress):
    rate, share = best(gradient, curvature, sigma)
    return rate, 1.05 * share


def steeper(variable, ratio=lp.steepest_ratio):
    return 1.01 * ratio(variable)


def higher_floor(rate, noise, steps, descend=lp.descend):
    found = descend(rate, noise, steps)
    return found._replace(floor=1.1 * found.floor)


def stored_with(group, name, change):
    """The stored results, one row changed."""

    def changed_results(stored=lp.stored_language_runs):
        found = stored()
        rows = dict(getattr(found, group))
        base = found.policies["float32"]
        return found._replace(**{group: rows | {name: change(rows[name], base)}})

    return changed_results


def less_by(amount):
    return lambda loss, base: loss - amount


def hurries(policy, seed, train=lp.train_language_model, **given):
    return train(policy, seed, rate=3.1e-3, **given)


def near_threshold(stored=lp.stored_language_runs):
    """Ratios are less than half of what they were."""
    found = stored()
    noise = {step: rows.clone() for step, rows in found.noise.items()}
    for rows in noise.values():
        rows[:, 3] *= 0.4
    return found._replace(noise=noise)


def calm_batches(stored=lp.stored_language_runs):
    """Sampling noise is less than a third of what it was."""
    found = stored()
    noise = {step: rows.clone() for step, rows in found.noise.items()}
    for rows in noise.values():
        rows[:, 2] *= 0.3
    return found._replace(noise=noise)


def leans(self, x, coin=BlockFormat.coin):
    found = coin(self, x)
    return found._replace(mean=1.01 * found.mean)


def lets_spikes_pass(gradient, typical, step, *, decay=0.99):
    return gradient, typical


def balances_nothing(x, w, strength=0.5):
    return x, w


def all_through(gradient, train=lp.pruned_training, **given):
    return train("straight-through", **given)


FORMAT = LIBRARY + "BlockFormat."
STORED = LIBRARY + "stored_language_runs"
FAULTS = [
    Fault("C1", "mean", LIBRARY + "round_to_grid", leaning_coin),
    Fault("C1", "twice", LIBRARY + "round_to_grid", leaning_coin),
    Fault("C1", "kernel", FORMAT + "coin", too_much_variance),
    Fault("C1", "kernel mean", FORMAT + "coin", leans),
    Fault("C2", "unbiased", FORMAT + "scales", scales_times(0.97), far=True),
    Fault("C2", "unbiased", FORMAT + "scales", scales_times(1 - 3e-4)),
    Fault("C2", "clipped", FORMAT + "scales", scales_times(1.03)),
    Fault("C2", "kernel mean", FORMAT + "coin", forgets_clipping),
    Fault("C2", "inflation", FORMAT + "scales", scales_times(1.01)),
    Fault("C3", "standards", FORMAT + "error", worse_floats),
    Fault("C3", "scale alone", FORMAT + "error", worse_floats),
    Fault("C3", "quadrature", LIBRARY + "normal_error", off_quadrature),
    Fault("C4", "one coin", LIBRARY + "products", never_shares),
    Fault("C4", "own coins", LIBRARY + "products", always_shares),
    Fault("C5", "gain", FORMAT + "quantize", clips_again),
    Fault("C5", "lost gain", FORMAT + "quantize", always_tosses),
    Fault("C5", "scale up", FORMAT + "quantize", clips_again),
    Fault("C5", "coin", FORMAT + "quantize", never_tosses),
    Fault("C5", "no clipping", FORMAT + "quantize", always_tosses),
    Fault("C5", "crossing", FORMAT + "quantize", never_tosses),
    Fault("C5", "small batch", FORMAT + "quantize", never_tosses),
    Fault("C6", "share", LIBRARY + "sampled_progress", louder),
    Fault("C6", "uneven bowls", LIBRARY + "best_progress", boasts),
    Fault("C6", "steepest", LIBRARY + "steepest_ratio", steeper),
    Fault("C6", "fixed step", LIBRARY + "descend", higher_floor),
    Fault("C7", "forward coin", STORED, stored_with("policies", "coin", less_by(0.12))),
    Fault("C7", "forward coin in training", STORED, stored_with("plain_test", "coin", less_by(0.02))),
    Fault("C7", "forward share", STORED, stored_with("policies", "forward only", lambda v, base: (v + base) / 2)),
    Fault("C7", "no gain", STORED, stored_with("policies", "paper", less_by(0.03))),
    Fault("C7", "format", STORED, stored_with("policies", "mx up", less_by(0.022))),
    Fault("C7", "repeated", LIBRARY + "train_language_model", hurries),
    Fault("C8", "ratio", STORED, near_threshold),
    Fault("C8", "louder", STORED, calm_batches),
    Fault("C8", "which pass", STORED, stored_with("switches", "forward", less_by(-0.014))),
    Fault("C8", "backward", STORED, stored_with("switches", "backward", less_by(0.02))),
    Fault("C9", "clipping", LIBRARY + "clip_spikes", lets_spikes_pass),
    Fault("C9", "clipping alone", LIBRARY + "clip_spikes", lets_spikes_pass),
    Fault("C10", "balanced", LIBRARY + "balance_channels", balances_nothing),
    Fault("C11", "straight through", LIBRARY + "pruned_training", all_through),
    Fault("C11", "progressive", LIBRARY + "pruned_training", all_through),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("fp4-training", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("fp4-training", FAULTS)
