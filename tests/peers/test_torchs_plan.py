"""A second opinion on the layers of `partial-synchronization`: torch deals out an MLP by its own plan."""

import torch

from implicitly import tensor_parallel as tp

F64 = torch.float64


def test_everything_shared_is_torchs_plan(agrees):
    """Output and gradients of two real processes. The comparison sees an output that is not summed over the ranks."""
    dice = torch.Generator().manual_seed(0)
    x, up, down = (torch.randn(shape, generator=dice, dtype=F64) for shape in [(2, 3, 6), (8, 6), (6, 8)])
    ours, torchs = (tp.run_ranks(tp.torch_plan, 2, x=x, up=up, down=down, ours=ours, timeout=200)
                    for ours in (True, False))  # fmt: skip
    worst = max(
        (a[name] - b[name]).abs().max() / b[name].abs().max()
        for a, b in zip(ours, torchs, strict=True) for name in b
    )  # fmt: skip
    # Sums of at most 36 products, in another order: 36 x 1.1e-16, and cancellation up to a hundredfold.
    agrees(claim="partial-synchronization/C3", peer="torch", what="output and gradients of an MLP on two processes",
           measured=worst, at_most=1e-12)  # fmt: skip
    alone = torch.nn.functional.gelu(x @ up[:4].T) @ down[:, :4].T
    assert (alone - torchs[0]["y"]).abs().max() > 0.01
