"""`implicitly.merging` against exact cases and independent computations."""

import itertools

import numpy as np
import pytest
import scipy.linalg
import torch

from implicitly import merging

F64 = torch.float64


def dice(seed):
    return torch.Generator().manual_seed(seed)


def nets(*shapes, batch=3, dtype=F64):
    """Random networks; at bias 1 some of their neurons are silent."""
    return [merging.random_net(s, batch=batch, bias=1.0, generator=dice(k), dtype=dtype) for k, s in enumerate(shapes)]


def lively(widths, batch, x):
    """Random networks whose neurons switch at their mean on x: a silent neuron has no twin that could be told."""
    weights, biases, h = merging.random_net(widths, batch=batch, generator=dice(0), dtype=F64).weights, [], x
    for W in weights:
        z = h @ W.mT
        biases.append(-z.mean(1))
        h = (z + biases[-1][:, None]).relu()
    return merging.Net(weights, tuple(biases))


PAIR = ((6, 5, 4, 5), (6, 5, 4, 5))
X = torch.randn(40, 6, generator=dice(9), dtype=F64)


def test_net_by_hand():
    net = merging.Net([torch.tensor([[1.0, -1.0]])], [torch.tensor([0.5])])
    assert net(torch.tensor([[2.0, 1.0], [0.0, 3.0]])).tolist() == [[1.5], [0.0]]
    assert (net.depth, net.batch, net.widths, net.size) == (1, (), (2, 1), 3)


def test_a_batch_is_its_rows():
    (net,) = nets(PAIR[0])
    for i in range(3):
        assert torch.allclose(net.rows([i])(X)[0], net(X)[i], rtol=1e-13)
    assert torch.equal(net.rows([2, 0, 2])(X)[0], net.rows([2])(X)[0])


@pytest.mark.parametrize("kind", ["permuted", "rescaled"])
def test_the_same_function(kind):
    """Another order and other scales change features as said, and nothing else."""
    (net,) = nets(PAIR[0])
    if kind == "permuted":
        orders = [torch.randperm(d, generator=dice(d)) for d in net.widths[1:]]
        assert torch.allclose(net.permuted(orders)(X), net(X)[..., orders[-1]], rtol=1e-12)
        head = merging.Head(torch.randn(3, 2, 5, generator=dice(1), dtype=F64), torch.zeros(3, 2, dtype=F64))
        assert torch.allclose(head.permuted(orders[-1])(net.permuted(orders)(X)), head(net(X)), rtol=1e-12)
    else:
        scales = [torch.rand(3, d, generator=dice(d), dtype=F64) + 0.5 for d in net.widths[1:]]
        assert torch.allclose(net.rescaled(scales)(X), net(X) * scales[-1][:, None], rtol=1e-12)


def test_assignment_against_all_permutations():
    similarity = torch.randn(4, 5, 5, generator=dice(0), dtype=F64)
    for one, found in zip(similarity, merging.assign(similarity), strict=True):
        best = max(itertools.permutations(range(5)), key=lambda p: sum(one[k, j] for k, j in enumerate(p)))
        assert found.tolist() == list(best)


def test_correlations_against_numpy():
    f, g = torch.randn(20, 3, generator=dice(0), dtype=F64), torch.randn(20, 2, generator=dice(1), dtype=F64)
    expected = np.corrcoef(f.numpy().T, g.numpy().T)[:3, 3:]
    assert np.allclose(merging.correlations(f, g), expected, rtol=1e-12)
    f[:, 1] = 7.0  # a dead neuron
    assert merging.correlations(f, g)[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("match", ["activations", "weights"])
def test_a_permuted_twin_is_recovered(match):
    x = torch.randn(400, 16, generator=dice(1), dtype=F64)
    net = lively((16, 12, 12, 12), 3, x)
    orders = [torch.stack([torch.randperm(d, generator=dice(d + k)) for k in range(3)]) for d in (12, 12, 12)]
    twin = net.permuted(orders)
    found = merging.match_activations(net, twin, x) if match == "activations" else merging.match_weights(net, twin)
    back = twin.permuted(found)
    assert all(torch.equal(p, q) for p, q in zip(back.weights, net.weights, strict=True))
    assert torch.allclose(merging.matched([net, twin], found).fold()(x)[0], net(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shapes", [PAIR, PAIR + PAIR[:1], ((6, 5, 4), (6, 3, 7))], ids=["two", "three", "widths"])
def test_fold_is_the_supernet(shapes):
    models = nets(*shapes)
    maps = merging.random_maps(models, (3, 6, 4)[: models[0].depth], generator=dice(5))
    for wide, folded in zip(maps(X), maps.fold()(X), strict=True):
        assert torch.allclose(wide, folded, rtol=1e-11, atol=1e-11)


def test_fold_linear_by_block_diagonal():
    weights, biases = [torch.randn(3, 4, dtype=F64, generator=dice(k)) for k in (0, 1)], [torch.ones(3, dtype=F64)] * 2
    M, U = (torch.randn(s, dtype=F64, generator=dice(3)) for s in ((2, 6), (8, 5)))
    W, b = merging.fold_linear(weights, biases, M, U)
    assert np.allclose(W, M.numpy() @ scipy.linalg.block_diag(*weights) @ U.numpy(), rtol=1e-12)
    assert torch.allclose(b, M.sum(1))


def test_instances():
    models = nets(*PAIR)
    mean = merging.average(models)
    for got, want in zip(merging.averaged(models).fold().net.weights, mean.weights, strict=True):
        assert torch.allclose(got, want, rtol=1e-14)
    for which in (0, 1):
        net = merging.copied(models, which).fold().net
        assert all(map(torch.equal, net.weights + net.biases, models[which].weights + models[which].biases))
    other = nets((6, 5, 4), (6, 3, 7))
    for got, net in zip(merging.stacked(other).fold()(X), other, strict=True):
        assert torch.allclose(got, net(X), rtol=1e-12)
    ends = [merging.interpolate(*models, s) for s in (0.0, 0.5, 1.0)]
    assert torch.equal(ends[0].weights[0], models[0].weights[0])
    assert torch.allclose(ends[1].weights[1], mean.weights[1], rtol=1e-14)


def test_regmean_against_normal_equations():
    """Each layer against scipy's least squares on the models' own layer inputs; more inputs than units."""
    models = nets((6, 5, 5), (6, 5, 5), batch=1)
    samples = [torch.randn(50, 6, generator=dice(k), dtype=F64) for k in (3, 4)]
    found = merging.regression_mean(models, samples, keep=1.0).fold().net
    for l in range(2):
        H = [(x[None], *net.layers(x))[l][0] for net, x in zip(models, samples, strict=True)]
        Y = torch.cat([h @ net.weights[l][0].T for h, net in zip(H, models, strict=True)])
        W = scipy.linalg.lstsq(torch.cat(H).numpy(), Y.numpy())[0].T
        assert np.allclose(torch.cat(H) @ found.weights[l][0].T, torch.cat(H).numpy() @ W.T, atol=1e-4)
        assert torch.allclose(found.biases[l], (models[0].biases[l] + models[1].biases[l]) / 2)
    kept = merging.regression_mean(models, samples, keep=0.0).fold().net  # diagonal Grams: a weighted mean
    G = [(x * x).sum(0) for x in samples]
    mean = (models[0].weights[0] * G[0] + models[1].weights[0] * G[1]) / (G[0] + G[1])
    assert torch.allclose(kept.weights[0], mean, rtol=1e-5)


def test_zipping():
    x = torch.randn(60, 8, generator=dice(1), dtype=F64)
    net = lively((8, 6, 6), 2, x)
    twin = net.permuted([torch.randperm(6, generator=dice(k)) for k in (1, 2)])
    both = merging.zipped([net, twin], x)  # each neuron meets its copy
    assert torch.allclose(both(x)[0], net(x), rtol=1e-12) and torch.allclose(both(x)[1], twin(x), rtol=1e-12)
    other = nets((6, 5, 4), (6, 3, 7))
    whole = merging.zipped(other, X, (8, 11))
    assert all(torch.allclose(got, n(X), rtol=1e-12) for got, n in zip(whole(X), other, strict=True))
    few = merging.zipped(other, X, (3, 2))
    assert few.widths == (6, 3, 2) and all((m.sum(-1) - 1).abs().max() < 1e-12 for m in few.merge)


def test_linear_merge_is_pca():
    Y = torch.randn(8, 30, generator=dice(0), dtype=F64)
    values = torch.linalg.svdvals(Y).square()
    for width in (1, 4, 8):
        best = merging.linear_merge(Y, width)
        tail = values[width:].sum()
        assert torch.allclose(best.left, tail, rtol=1e-9, atol=1e-10)
        assert torch.allclose(merging.rebuild_error(Y, best.merge, best.unmerge), tail, atol=1e-10)
        assert torch.allclose(merging.rebuild_error(Y, best.merge), tail, atol=1e-10)
    assert float(merging.linear_merge(Y[:, :3], 3).left) < 1e-10  # fewer inputs than units: nothing is lost


def test_gradient_through_the_fold_is_the_wide_one():
    """One step of Adam from `fit_maps` moves each entry by the step size, against the sign of the wide gradient."""
    models = nets(*PAIR, batch=1)
    start = merging.random_maps(models, (5, 4, 5), generator=dice(2))
    maps = [m.clone().requires_grad_() for m in (*start.merge, *start.unmerge[1:])]
    wide = merging.SuperNet(models, maps[:3], [start.unmerge[0], *maps[3:]])
    samples = [X[:20], X[20:]]
    loss = sum((wide(x)[i] - models[i](x)).square().sum(-1).mean(-1).sum() for i, x in enumerate(samples))
    grads = torch.autograd.grad(loss, maps)
    fit = merging.fit_maps(start, samples, steps=1, rate=1e-3)
    assert torch.allclose(fit.losses[0], loss.detach(), rtol=1e-12)
    after = (*fit.supernet.merge, *fit.supernet.unmerge[1:])
    moved = [new - old.detach() for new, old in zip(after, maps, strict=True)]
    for move, grad in zip(moved, grads, strict=True):
        seen = grad.abs() > 1e-6
        assert torch.equal(move[seen].sign(), -grad[seen].sign())
    assert torch.allclose(merging.rebuild_loss(fit.supernet.fold(), models, samples), fit.losses[-1], rtol=1e-12)


@pytest.mark.parametrize("kind", ["full", "rank", "inputs", "distill"])
def test_training_lowers_the_loss_and_leaves_the_models(kind):
    models = nets((6, 5, 5), (6, 5, 5), dtype=torch.float32)
    before = [w.clone() for net in models for w in net.weights]
    samples = [X[:10].float(), X[10:24].float()]
    start = merging.copied(models)
    if kind == "distill":
        fit = merging.distill(start.fold(), models, samples, steps=80, rate=3e-3)
        end = fit.student
    else:
        given = {"full": {}, "rank": dict(rank=2, generator=dice(0)), "inputs": dict(inputs=True)}[kind]
        fit = merging.fit_maps(start, samples, steps=80, rate=3e-3, **given)
        end = fit.supernet.fold()
        assert torch.equal(fit.supernet.unmerge[0], start.unmerge[0]) == (kind != "inputs")
    assert (fit.losses[-1] < 0.8 * fit.losses[0]).all()
    assert torch.allclose(merging.rebuild_loss(end, models, samples), fit.losses[-1], rtol=1e-4)
    assert all(torch.equal(p, q) for p, q in zip(before, [w for n in models for w in n.weights], strict=True))


def test_one_network_is_a_batch_of_one():
    many = nets((6, 5, 5), (6, 5, 5), batch=1)
    single = [merging.Net([w[0] for w in n.weights], [b[0] for b in n.biases]) for n in many]
    samples = [X[:10], X[10:]]
    a, b = (merging.fit_maps(merging.averaged(m), samples, steps=5) for m in (many, single))
    assert a.losses.shape == (6, 1) and b.losses.shape == (6,)
    assert torch.allclose(a.losses[:, 0], b.losses, rtol=1e-10)
    c, d = (merging.distill(merging.averaged(m).fold(), m, samples, steps=5) for m in (many, single))
    assert torch.allclose(c.losses[:, 0], d.losses, rtol=1e-10)


def test_trainable():
    maps = merging.copied(nets((6, 5, 5), (6, 5, 5)))
    assert merging.trainable(maps) == 2 * 4 * 5 * 5
    assert merging.trainable(maps, rank=2) == 2 * (4 * 5 + 6 * 2 * 5)


def test_classifiers_learn():
    data = merging.digit_halves()
    net, head = merging.train_classifiers(data.train, data.train_y, [0, 1], (16,), classes=5, steps=120,
                                          generator=dice(0))  # fmt: skip
    scores = merging.evaluate(merging.Ensemble([net.rows([0]), net.rows([1])]), [head.rows([0]), head.rows([1])],
                              data.test, data.test_y)  # fmt: skip
    assert scores.tasks.shape == (1, 2) and (scores.tasks > 0.85).all()
    assert 0.4 < float(scores.joint[0]) <= float(scores.tasks.mean())


def test_parts_of_the_digits_are_disjoint():
    data = merging.digit_halves()
    for t in range(2):
        rows = torch.cat([data.train[t], data.valid[t], data.test[t]])
        assert len(torch.unique(rows, dim=0)) == len(rows)
    assert [tuple(one.shape) for one in merging.digit_halves(split=False)[:2]] == [(1, 960, 64), (1, 960)]


def test_evaluate_by_hand():
    one = merging.Head(torch.eye(2, dtype=F64), torch.zeros(2, dtype=F64))
    X2, y = torch.tensor([[[2.0, 1]], [[3.0, 1]]], dtype=F64), torch.tensor([[0], [1]])
    scores = merging.evaluate(lambda x: (x, 2 * x), [one, one], X2, y)
    assert scores.tasks.tolist() == [1.0, 0.0] and float(scores.joint) == 0.0


# --- the transformer -------------------------------------------------------------------------------------------------


def test_transformer_copy_and_patches():
    from implicitly.merging import transformers

    data = merging.digit_halves()
    net, _ = merging.train_transformers(data.train, data.train_y, [0, 1], width=4, classes=5, steps=2,
                                        generator=dice(0))  # fmt: skip
    duo = [net.rows([0]), net.rows([1])]
    samples = [data.train[0, :6], data.train[1, :6]]
    copy = merging.merge_transformers(duo, samples, start="copy", steps=0)
    assert torch.allclose(copy.net(samples[0]), duo[0](samples[0]), atol=1e-6)
    image = torch.arange(64.0)
    tokens = transformers._patches(image)
    assert tokens[0].tolist() == [0, 1, 8, 9] and tokens[5].tolist() == [18, 19, 26, 27]
    for method in ("fold", "distill"):
        fit = merging.merge_transformers(duo, samples, method=method, start="copy", steps=30, rate=3e-3)
        assert (fit.losses[-1] < 0.9 * fit.losses[0]).all()


def test_transformer_attention_against_torch():
    from torch.nn.functional import scaled_dot_product_attention

    q, k, v = (torch.randn(1, 2, 3, 4, 5, generator=dice(s)) for s in range(3))
    ours = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
    assert torch.allclose(ours, scaled_dot_product_attention(q, k, v), atol=1e-6)


def test_stored_transformers():
    stored = merging.trained_transformers()
    data = merging.digit_halves()
    right = merging.evaluate(lambda x: tuple(net(x) for net in stored.models), stored.heads, data.test, data.test_y)
    assert (right.tasks > 0.93).all()
    assert stored.right.shape == (len(stored.samples), 2, 2, len(stored.models[0].norms))


def test_a_changed_file_is_refused(monkeypatch):
    monkeypatch.setattr("implicitly.merging.transformers._SHA256", "0" * 64)
    with pytest.raises(ValueError, match="SHA-256"):
        merging.trained_transformers()
