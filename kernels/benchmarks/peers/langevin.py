"""Langevin chains by others: plain torch, vmap of a gradient, torch.compile, torchsde."""

import torch

import implicitly_kernels as ik
from implicitly_kernels.langevin import reference

ITEM = "chain step"
FEW = 20  # steps of the slow ones


def runs(case, device):
    g = torch.Generator().manual_seed(0)
    h, k, n, chains = case["hidden"], case["d_in"], case["samples"], case["chains"]
    d, beta, eta = h * (k + 1), 30.0, 0.02
    x = torch.randn(n, k, generator=g).to(device)
    y = (torch.rand(n, generator=g) < 0.5).float().to(device)
    start = (0.5 * torch.randn(chains, d, generator=g)).to(device)
    scale = (2 * eta / beta) ** 0.5
    potential, metropolis = ik.TanhNet(x, y, h), case.get("metropolis", False)
    for backend in ik.available_backends(device):
        if backend != "reference":
            yield backend, None, lambda b=backend: ik.langevin(
                start, potential, beta=beta, eta=eta, steps=case["steps"], prior_var=1.0,
                metropolis=metropolis, backend=b), chains * case["steps"], ""

    def loop(step, known=lambda theta: ()):
        """A step takes the parameters and what the step before knew of them, and gives both."""
        def run():
            state = (start, *known(start))
            for _ in range(FEW):
                state = step(*state)
            return state[0]
        return run

    def loss(theta):
        z = torch.tanh(x @ theta[: h * k].view(h, k).T) @ theta[h * k:]
        return (torch.nn.functional.softplus(z) - y * z).mean()

    gradient = torch.func.vmap(torch.func.grad(loss))
    few = chains * FEW
    if metropolis:
        both = torch.func.vmap(torch.func.grad_and_value(loss))

        def with_prior(value, grad, theta):
            return value + 0.5 / beta * (theta * theta).sum(1), grad + theta / beta

        def by_hand(theta):
            return with_prior(*reference.tanh_net(theta, x, y, h), theta)

        def by_vmap(theta):
            return with_prior(*reversed(both(theta)), theta)

        def metropolized(potential):
            def step(theta, energy, pull):
                noise = scale * torch.randn_like(theta)
                new = theta - eta * pull + noise
                new_energy, new_pull = potential(new)
                back = theta - new + eta * new_pull
                moved = (noise * noise).sum(1) - (back * back).sum(1)
                log_ratio = beta * (energy - new_energy) + beta / (4 * eta) * moved
                take = torch.log(torch.rand_like(log_ratio)) < log_ratio
                return (torch.where(take[:, None], new, theta), torch.where(take, new_energy, energy),
                        torch.where(take[:, None], new_pull, pull))
            return step

        yield "eager", "torch", loop(metropolized(by_hand), by_hand), few, "gradient by hand, batched"
        yield "eager, vmap", "torch", loop(metropolized(by_vmap), by_vmap), few, "vmap of grad"
        yield ("compile", "torch", loop(torch.compile(metropolized(by_hand)), by_hand), few,
               "one compiled step, looped")  # fmt: skip
        return  # torchsde has no such correction

    def by_hand(theta):
        _, grad = reference.tanh_net(theta, x, y, h)
        return (theta - eta * (grad + theta / beta) + scale * torch.randn_like(theta),)

    def by_vmap(theta):
        return (theta - eta * (gradient(theta) + theta / beta) + scale * torch.randn_like(theta),)

    yield "eager", "torch", loop(by_hand), few, "gradient by hand, batched"
    yield "eager, vmap", "torch", loop(by_vmap), few, "vmap of grad"
    yield "compile", "torch", loop(torch.compile(by_hand)), few, "one compiled step, looped"

    class Chain(torch.nn.Module):
        noise_type, sde_type = "diagonal", "ito"

        def f(self, t, theta):
            return -(gradient(theta) + theta / beta)

        def g(self, t, theta):
            return torch.full_like(theta, (2 / beta) ** 0.5)

    times = torch.tensor([0.0, FEW * eta], device=device)
    chain = Chain()

    def by_torchsde():
        import torchsde

        return torchsde.sdeint(chain, start, times, dt=eta, method="euler")

    yield "torchsde", "torchsde", by_torchsde, few, "Euler, same step size"
