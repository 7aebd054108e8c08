"""Cross-covariance attention in plain torch: the definition, and its gradient."""

EPS = 1e-12  # norms below it count as it: a channel of zeros stays zero


def unit(x):
    """x (..., N, d) with each channel divided by its norm over the tokens, and the norms (..., 1, d)."""
    norm = x.norm(dim=-2, keepdim=True).clamp_min(EPS)
    return x / norm, norm


def weights(q, k, temperature):
    """A (B, H, d, d), and what it is made of: unit channels and their norms."""
    (q, q_norm), (k, k_norm) = unit(q), unit(k)
    cosines = q.mT @ k
    return (temperature[:, None, None] * cosines).softmax(-1), cosines, (q, q_norm), (k, k_norm)


def run(q, k, v, temperature):
    """V A^T of each head. See cross_covariance_attention."""
    return v @ weights(q, k, temperature)[0].mT


def unit_backward(grad, x, norm):
    """Gradient in the channels before they were divided by their norms; below EPS the divisor is a constant."""
    along = (grad * x).sum(-2, keepdim=True) * (norm > EPS).to(x.dtype)
    return (grad - x * along) / norm


def backward(grad, q, k, v, temperature):
    """Gradients in q, k, v and temperature, from grad (B, H, N, d)."""
    A, cosines, (q, q_norm), (k, k_norm) = weights(q, k, temperature)
    moved = grad.mT @ v  # the gradient in A
    logits = A * (moved - (A * moved).sum(-1, keepdim=True))
    inner = temperature[:, None, None] * logits
    return (
        unit_backward(k @ inner.mT, q, q_norm), unit_backward(q @ inner, k, k_norm), grad @ A,
        (logits * cosines).sum((0, 2, 3)),
    )  # fmt: skip
