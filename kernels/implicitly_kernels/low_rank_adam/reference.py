"""One step of Adam in r directions of a matrix, and its moments in new directions, in plain torch: the definition."""


def tall(weight):
    """Whether the second side of these matrices is the shorter one, which is projected."""
    return weight.shape[-2] > weight.shape[-1]


def step(weight, grad, basis, scale, exp_avg, exp_avg_sq, step, lr, beta1, beta2, eps, decay):
    """Changes weight, exp_avg and exp_avg_sq in place. See low_rank_adam."""
    low = basis.mT @ (grad.mT if tall(weight) else grad)
    exp_avg.mul_(beta1).add_(low, alpha=1 - beta1)
    exp_avg_sq.mul_(beta2).addcmul_(low, low, value=1 - beta2)
    root = (exp_avg_sq / (1 - beta2**step)).sqrt_().add_(eps)
    update = (exp_avg / (1 - beta1**step)).div_(root)
    if decay:
        weight.mul_(1 - lr * decay)
    factors = basis * scale[..., None, :], update
    left, right = (factors[1].mT, factors[0].mT) if tall(weight) else factors
    if weight.dtype == update.dtype and weight.ndim <= 3:  # the product is never a matrix of its own
        (weight.addmm_ if weight.ndim == 2 else weight.baddbmm_)(left, right, alpha=-lr)
    else:
        weight.add_((left @ right).to(weight.dtype), alpha=-lr)


def realign(R, exp_avg, exp_avg_sq):
    """R M and (R * R) V. See low_rank_realign."""
    return R @ exp_avg, (R * R) @ exp_avg_sq
