"""Every check of the chapter merging-networks passes, and fails when a fault is planted in what it rests on."""

import pytest
import torch
from chapter_cells import Fault, scaled, see_it_fail, without_near_fault

from implicitly import merging

LIBRARY = "implicitly.merging."
QUICK = {"steps=400, size=64": "steps=150, size=64"}  # the ten-class networks
NO_MIDDLE = {"SAMPLES = (8, 32, 128)": "SAMPLES = (8, 128)"}
SHORT = {"STEPS, RATES = 200": "STEPS, RATES = 80"}


def times(name, factor):
    return LIBRARY + name, scaled(LIBRARY + name, factor)


def forgets_columns(self, orders, permuted=merging.Net.permuted):
    """Rows are put in another order, and the next layer still reads in the old one."""
    net = permuted(self, orders)
    return merging.Net((net.weights[0], *self.weights[1:]), net.biases)


def bends_weights(self, orders, permuted=merging.Net.permuted):
    """Weights are off by 1e-11."""
    net = permuted(self, orders)
    return merging.Net(tuple(w * (1 + 1e-11) for w in net.weights), net.biases)


def slightly_off(nets, average=merging.average):
    """A mean that is not quite in the middle."""
    net = average(nets)
    return merging.Net(tuple(w * (1 + 1e-11) for w in net.weights), net.biases)


def matches_nothing(a, b, x=None, **given):
    return tuple(torch.arange(d) for d in a.widths[1:])


def first_alone(nets):
    """One of the networks for their average."""
    return nets[0]


def nearly_first(nets, average=merging.average):
    """A tenth of a hundredth of the way to the other."""
    return merging.interpolate(nets[0], nets[1], 0.002)


def nearly_follows(a, b, share, interpolate=merging.interpolate):
    return interpolate(a, b, 0.1 * share)


def adds_biases(self, fold=merging.SuperNet.fold):
    """Biases are added and not merged."""
    found = fold(self)
    extra = [sum(n.biases[l].mean(-1, keepdim=True) for n in self.models) for l in range(len(self.merge))]
    net = merging.Net(found.net.weights, tuple(b + e for b, e in zip(found.net.biases, extra, strict=True)))
    return merging.Folded(net, found.out)


def bent_fold(self, fold=merging.SuperNet.fold):
    """Weights are off by 1e-11."""
    found = fold(self)
    net = merging.Net(tuple(w * (1 + 2e-12) for w in found.net.weights), found.net.biases)
    return merging.Folded(net, found.out)


def blind_average(models, averaged=merging.averaged):
    """M = [I, I]: weights add up."""
    found = averaged(models)
    return merging.SuperNet(found.models, tuple(m * (1 + 1e-11) for m in found.merge), found.unmerge)


def shrunk_grams(models, samples, *, keep=0.9, regmean=merging.regression_mean):
    """A little of the off-diagonal entries is lost."""
    return regmean(models, samples, keep=keep * 0.999)


def no_steps(start, samples, *, steps=400, fit=merging.fit_maps, **given):
    return fit(start, samples, steps=0, **given)


def lost_unit(models, stacked=merging.stacked):
    """One neuron is a little too loud."""
    found = stacked(models)
    return merging.SuperNet(found.models, (found.merge[0] * (1 + 1e-11), *found.merge[1:]), found.unmerge)


def starts_between(models, which=0, copied=merging.copied):
    """The other model's block is not quite 0."""
    a, b = copied(models, which), copied(models, 1 - which)
    merge = tuple(p + 1e-5 * q for p, q in zip(a.merge, b.merge, strict=True))
    return merging.SuperNet(a.models, merge, a.unmerge)


def counts_too_many(supernet, *, rank=None, trainable=merging.trainable):
    return trainable(supernet, rank=rank) + 1


def smallest_directions(Y, width, merge=merging.linear_merge):
    """The bottom eigenvectors."""
    found = torch.linalg.eigh(Y @ Y.T)[1][:, :width]
    return merging.LinearMerge(found.T, found, merge(Y, width).left)


def bent_directions(Y, width, merge=merging.linear_merge):
    found = merge(Y, width)
    return found._replace(unmerge=found.unmerge * (1 + 2e-5))


def trained_student(start, models, samples, distill=merging.distill, **given):
    """The student peeks: it starts as the zipped networks."""
    x = torch.cat(list(samples))
    return distill(merging.zipped(models, x).fold(), models, samples, **given)


def dim_eyes(*args, evaluate=merging.evaluate, **given):
    """A fifth of the right answers is counted."""
    found = evaluate(*args, **given)
    return found._replace(tasks=0.2 * found.tasks)


def half_zipped(models, x, widths=None, zipped=merging.zipped):
    """Wider layers are zipped to three quarters first: some neurons are lost."""
    found = zipped(models, x, widths)
    keep = [(torch.arange(m.shape[-2]) % 4 > 0).to(m.dtype)[:, None] for m in found.merge]
    return merging.SuperNet(found.models, tuple(m * k for m, k in zip(found.merge, keep, strict=True)), found.unmerge)


def zips_nothing(models, x, widths=None):
    """The average for the zipped networks."""
    return merging.averaged(models)


def copies_of_the_first(models, samples, *, start="average", merge=merging.merge_transformers, **given):
    return merge(models, samples, start="copy", **given)


def folds_better(trained=merging.trained_transformers):
    """Folding is ahead by a tenth everywhere."""
    found = trained()
    right = found.right.clone()
    right[:, :, 0] += 0.1
    return found._replace(right=right)


FAULTS = [
    Fault("C1", "same function", LIBRARY + "Net.permuted", forgets_columns, far=True),
    Fault("C1", "same function", LIBRARY + "Net.permuted", bends_weights),
    Fault("C1", "repaired", LIBRARY + "match_activations", matches_nothing, far=True),
    Fault("C1", "repaired", LIBRARY + "average", slightly_off),
    Fault("C1", "unrepaired", LIBRARY + "average", first_alone, far=True),
    Fault("C1", "unrepaired", LIBRARY + "average", nearly_first),
    Fault("C1", "by weights", LIBRARY + "match_weights", matches_nothing, far=True),
    Fault("C1", "by weights", LIBRARY + "average", slightly_off),
    Fault("C2", "average fails", LIBRARY + "interpolate", nearly_follows, smaller=QUICK),
    Fault("C2", "near guessing", LIBRARY + "interpolate", nearly_follows, smaller=QUICK),
    Fault("C2", "in part", LIBRARY + "match_activations", matches_nothing, smaller=QUICK),
    Fault("C3", "fold", LIBRARY + "SuperNet.fold", adds_biases, far=True),
    Fault("C3", "fold", LIBRARY + "SuperNet.fold", bent_fold),
    Fault("C4", "instances", LIBRARY + "averaged", blind_average),
    Fault("C4", "regmean", LIBRARY + "regression_mean", shrunk_grams),
    Fault("C4", "below its start", LIBRARY + "fit_maps", no_steps),
    Fault("C5", "lossless", LIBRARY + "stacked", lost_unit),
    Fault("C5", "copy", LIBRARY + "copied", starts_between),
    Fault("C5", "count", LIBRARY + "trainable", counts_too_many),
    Fault("C5", "learns", LIBRARY + "fit_maps", no_steps),
    Fault("C5", "full width", LIBRARY + "zipped", half_zipped, smaller=SHORT),
    Fault("C6", "tail", LIBRARY + "linear_merge", smallest_directions, far=True),
    Fault("C6", "tail", LIBRARY + "linear_merge", bent_directions),
    Fault("C6", "random merge", LIBRARY + "linear_merge", smallest_directions),
    Fault("C7", "few samples", LIBRARY + "distill", trained_student, smaller=SHORT, far=True),
    Fault("C7", "few samples", LIBRARY + "evaluate", dim_eyes, smaller=SHORT),
    Fault("C7", "catches up", LIBRARY + "evaluate", dim_eyes, smaller=NO_MIDDLE),
    Fault("C7", "same start", LIBRARY + "fit_maps", no_steps, smaller=SHORT),
    Fault("C7", "start", LIBRARY + "zipped", zips_nothing, smaller=SHORT, far=True),
    Fault("C7", "start", LIBRARY + "evaluate", dim_eyes, smaller=SHORT),
    Fault("C8", "chance", LIBRARY + "merge_transformers", copies_of_the_first),
    Fault("C8", "tie", LIBRARY + "trained_transformers", folds_better),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_check_fails_with_a_planted_fault(fault, monkeypatch):
    see_it_fail("merging-networks", fault, monkeypatch)


def test_every_check_has_a_fault():
    assert not without_near_fault("merging-networks", FAULTS)
