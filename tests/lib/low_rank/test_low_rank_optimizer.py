"""`implicitly.low_rank.LowRank` keeps the conventions of torch's optimizers, and does what its parts do."""

import copy
import io

import pytest
import torch

from implicitly import low_rank

F64 = torch.float64
SIZES = ((6, 9), (9, 6), (2, 5, 7), (6,), (3, 8), (2, 1, 7, 5))


def params(dtype=F64):
    g = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(*size, generator=g, dtype=F64).to(dtype)) for size in SIZES]


def feed(parameters, step):
    """The gradients of one step."""
    g = torch.Generator().manual_seed(100 + step)
    for p in parameters:
        p.grad = torch.randn(*p.shape, generator=g, dtype=F64).to(p.dtype) + p.detach()


def run(optimizer, parameters, steps, start=0):
    for t in range(start, start + steps):
        feed(parameters, t)
        optimizer.step()
    return [p.detach().clone() for p in parameters]


def both(**given):
    ours = params()
    return low_rank.LowRank(ours, **{"lr": 0.05, "rank": 3, "interval": 4, **given}), ours


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_at_full_rank_it_is_adamw(decay):
    optimizer, ours = both(rank=20, weight_decay=decay)
    theirs = params()
    other = torch.optim.AdamW(theirs, lr=0.05, weight_decay=decay)
    for a, b in zip(run(optimizer, ours, 9), run(other, theirs, 9), strict=True):
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-14)


def test_at_full_rank_sgd_is_sgd():
    optimizer, ours = both(rank=20, rule="sgd")
    theirs = params()
    for a, b in zip(run(optimizer, ours, 5), run(torch.optim.SGD(theirs, lr=0.05), theirs, 5), strict=True):
        assert torch.allclose(a, b, rtol=1e-13)


def test_a_step_of_sgd_is_the_estimate():
    optimizer, ours = both(rule="sgd", interval=1, floor=0.2)
    before = [p.detach().clone() for p in ours]
    feed(ours, 0)
    optimizer.step()
    for p, old in zip(ours, before, strict=True):
        state = optimizer.state[p]
        if "basis" not in state:
            assert torch.allclose(old - p.detach(), 0.05 * p.grad)
            continue
        drawn = low_rank.Projection(state["basis"], state["weight"], p.shape[-2] > p.shape[-1])
        assert torch.allclose(old - p.detach(), 0.05 * drawn.estimate(p.grad), atol=1e-13)


def test_sgd_is_unbiased_over_seeds():
    total, G = 0.0, torch.randn(4, 6, generator=torch.Generator().manual_seed(1), dtype=F64)
    for seed in range(3000):
        p = torch.nn.Parameter(torch.zeros(4, 6, dtype=F64))
        p.grad = G
        low_rank.LowRank([p], lr=1.0, rank=2, rule="sgd", seed=seed).step()
        total = total - p.detach()
    error = float(low_rank.expected_error(torch.linalg.svdvals(G), 2))
    assert float((total / 3000 - G).norm()) < 3 * (error / 3000) ** 0.5


def test_moments_follow_by_hand():
    """One matrix, Adam step by step, with a refresh and a realignment in between."""
    p = torch.nn.Parameter(torch.zeros(4, 6, dtype=F64))
    optimizer = low_rank.LowRank([p], lr=0.1, rank=2, interval=2, weight="root", floor=0.3)
    W, M, V, old = torch.zeros(4, 6, dtype=F64), None, None, None
    for t in range(1, 6):
        G = torch.randn(4, 6, generator=torch.Generator().manual_seed(t), dtype=F64)
        p.grad = G.clone()
        optimizer.step()
        state = optimizer.state[p]
        P, w = state["basis"], state["weight"]
        if M is None:
            M, V = torch.zeros(2, 6, dtype=F64), torch.zeros(2, 6, dtype=F64)
        elif not torch.equal(P, old):
            M, V = low_rank.realign(P.T @ old, M, V)
        assert (old is None or not torch.equal(P, old)) == (t % 2 == 1)
        g, old = P.T @ G, P.clone()
        M, V = 0.9 * M + 0.1 * g, 0.999 * V + 0.001 * g * g
        W = W - 0.1 * (P * w) @ ((M / (1 - 0.9**t)) / ((V / (1 - 0.999**t)).sqrt() + 1e-8))
        assert torch.allclose(p.detach(), W, atol=1e-12)


@pytest.mark.parametrize("rule", low_rank.RULES)
@pytest.mark.parametrize("kind", low_rank.PROJECTIONS)
def test_foreach_off_and_on(rule, kind):
    found = []
    for foreach in (False, True, None):
        optimizer, ours = both(rule=rule, kind=kind, foreach=foreach)
        found.append(run(optimizer, ours, 10))
    for rows in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(rows, found[0], strict=True))


@pytest.mark.parametrize("dtype", [F64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("at", [3, 4, 6])
def test_state_dict_round_trip(at, dtype):
    """Stopped, saved to a file, loaded into a fresh optimizer, and run on: as if it had not stopped."""
    whole, mine = params(dtype), params(dtype)
    expected = run(low_rank.LowRank(whole, lr=0.05, rank=3, interval=4, seed=5), whole, 10)
    first = low_rank.LowRank(mine, lr=0.05, rank=3, interval=4, seed=5)
    run(first, mine, at)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = low_rank.LowRank(mine, lr=1.0, rank=1, interval=9, seed=5)
    second.load_state_dict(torch.load(file))
    assert second.param_groups[0]["rank"] == 3 and second.param_groups[0]["lr"] == 0.05
    kept = {s["exp_avg"].dtype for s in second.state.values()}
    assert kept == {torch.float32 if dtype == torch.bfloat16 else dtype}
    assert all(torch.equal(a, b) for a, b in zip(run(second, mine, 10 - at, at), expected, strict=True))
    again = copy.deepcopy(second)
    assert again.numbers() == second.numbers()


def test_a_loaded_state_is_its_own():
    optimizer, ours = both()
    run(optimizer, ours, 2)
    saved = optimizer.state_dict()
    other, theirs = both()
    other.load_state_dict(saved)
    before = optimizer.state[ours[0]]["exp_avg"].clone()
    run(other, theirs, 1, 2)
    assert torch.equal(optimizer.state[ours[0]]["exp_avg"], before)


def test_closure_groups_and_schedule():
    ours = params()
    optimizer = low_rank.LowRank(
        [{"params": ours[:2], "rank": 2, "kind": "galore"}, {"params": ours[2:], "lr": 0.0}], lr=0.1, rank=3
    )
    before = [p.detach().clone() for p in ours]

    def closure():
        optimizer.zero_grad()
        loss = sum(p.square().sum() for p in ours)
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    assert loss.requires_grad and loss.item() == pytest.approx(sum(float(p.square().sum()) for p in before))
    assert not torch.equal(ours[0], before[0]) and torch.equal(ours[4].detach(), before[4])
    assert optimizer.state[ours[0]]["basis"].shape == (6, 2) and optimizer.state[ours[2]]["basis"].shape == (2, 5, 3)
    assert "basis" not in optimizer.state[ours[3]] and "basis" not in optimizer.state[ours[4]]
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    optimizer.step(closure)
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.05, 0.0]


def test_maximize_and_missing_gradients():
    up, ours = both(maximize=True)
    down, theirs = both()
    start = params()
    feed(ours, 0), feed(theirs, 0)
    ours[0].grad = theirs[0].grad = None
    up.step(), down.step()
    assert torch.equal(ours[0], start[0]) and ours[0] not in up.state
    assert torch.allclose(ours[1] - start[1], start[1] - theirs[1], atol=1e-13)


def test_numbers_are_counted():
    optimizer, ours = both()
    run(optimizer, ours, 1)
    expected = (low_rank.optimizer_numbers(6, 9, 3) + low_rank.optimizer_numbers(9, 6, 3)
                + 4 * low_rank.optimizer_numbers(5, 7, 3) + 2 * 6 + low_rank.optimizer_numbers(3, 8, 3))  # fmt: skip
    assert optimizer.numbers() == expected
    assert low_rank.optimizer_numbers(1024, 4096) == 2 * 1024 * 4096
    assert low_rank.optimizer_numbers(4096, 1024, 128) == 128 * (1024 + 1 + 2 * 4096)
    assert low_rank.optimizer_numbers(3, 8, 3, rule="sgd") == 0


def test_draws_are_the_seeds():
    one, two, three = (both(seed=seed) for seed in (1, 1, 2))
    found = [run(optimizer, ours, 3) for optimizer, ours in (one, two, three)]
    assert torch.equal(found[0][0], found[1][0]) and not torch.equal(found[0][0], found[2][0])
    bases = [one[0].state[p]["basis"] for p in one[1][:1]]
    assert not torch.equal(bases[0], two[0].state[two[1][1]]["basis"])


def test_it_learns():
    g = torch.Generator().manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(12, 20), torch.nn.Tanh(), torch.nn.Linear(20, 5))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=g) / 4)
    x, y = torch.randn(64, 12, generator=g), torch.randn(64, 5, generator=g)
    optimizer = low_rank.LowRank(model.parameters(), lr=1e-2, rank=2, interval=10, floor=0.3)
    losses = []
    for _ in range(300):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_what_is_refused():
    with pytest.raises(ValueError, match="rank must be at least 1, found 0"):
        both(rank=0)
    with pytest.raises(ValueError, match="floor must be finite and at least 0 and at most 1, found 2"):
        low_rank.LowRank([{"params": params(), "floor": 2.0}])
    with pytest.raises(ValueError, match="kind must be one of"):
        both(kind="gaussian")
    with pytest.raises(TypeError, match="params must be floating"):
        low_rank.LowRank([torch.zeros(3, dtype=torch.int64)])
    optimizer, ours = both()
    feed(ours, 0)
    ours[1].grad[0, 0] = float("nan")
    with pytest.raises(ValueError, match="params must have finite gradients, found NaN or infinity at parameter 1"):
        optimizer.step()
    ours[0].grad = torch.zeros(6, 9, dtype=F64).to_sparse()
    with pytest.raises(ValueError, match="dense gradients, found a sparse one at parameter 0"):
        optimizer.step()


def test_settings_do_not_touch_each_other():
    """A run beside others is the run alone, but for its draws."""
    task = low_rank.NoisyOutputs(m=6, n=8, noisy=2, batch=4)
    full = {"lr": 0.05, "rule": "sgd"}
    alone = low_rank.train(task, {"full": full}, 30, seeds=[0], looks=3)
    more = low_rank.train(task, {"full": full, "cut": {**full, "kind": "galore", "rank": 2}}, 30, seeds=[0, 1], looks=3)
    assert torch.allclose(alone.error[0], more.error[0, :1], rtol=1e-12)
    assert alone.at.tolist() == [0, 10, 20, 30] and alone.error[0, 0, 0] == 1
    assert more.error[1, 0, -1] > more.error[0, 0, -1]


def test_levels_are_runs_of_their_own():
    task = low_rank.NoisyOutputs(m=6, n=8, noisy=2, batch=4)
    settings = {"cut": {"lr": 0.05, "rule": "sgd", "kind": "galore", "rank": 2}, "full": {"lr": 0.05, "rule": "sgd"}}
    both = low_rank.train(task, settings, 20, seeds=[0, 1], levels=[0.5, 6.0], looks=2)
    assert both.error.shape == (2, 2, 2, 3)
    loud = low_rank.train(task, settings, 20, seeds=[0, 1], looks=2)  # strong is 6
    assert torch.allclose(both.error[:, 1], loud.error, rtol=1e-10)


def test_the_regression_by_hand():
    """Full gradient descent on it, written out."""
    task = low_rank.NoisyOutputs(m=3, n=4, noisy=1, strong=2.0, weak=0.1, batch=5)
    found = low_rank.train(task, {"full": {"lr": 0.1, "rule": "sgd"}}, 7, seeds=[3], looks=1)
    g = torch.Generator().manual_seed(3)
    teacher = torch.randn(3, 4, generator=g, dtype=F64) / 2
    W = torch.zeros(3, 4, dtype=F64)
    for t in range(7):
        x, e = torch.randn(4, 5, generator=g, dtype=F64), torch.randn(3, 5, generator=g, dtype=F64)
        e = e * torch.tensor([[2.0], [0.1], [0.1]], dtype=F64)
        rate = 0.1 * 0.5 * (1 + torch.cos(torch.tensor(torch.pi * t / 7, dtype=F64)))
        W = W - rate * ((W @ x - (teacher @ x + e)) @ x.T / 5)
    expected = (W - teacher)[1:].square().sum() / teacher[1:].square().sum()
    assert float(found.error[0, 0, -1]) == pytest.approx(float(expected), rel=1e-12)


def test_what_diverges_is_infinite():
    task = low_rank.NoisyOutputs(m=6, n=8, noisy=2, batch=4)
    found = low_rank.train(task, {"wild": {"lr": 5.0, "rule": "sgd"}}, 30, seeds=[0], looks=3)
    assert found.error[0, 0].tolist()[0] == 1 and found.error[0, 0, -1].isinf()
