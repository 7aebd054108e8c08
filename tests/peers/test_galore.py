"""A second opinion: the package galore-torch cuts gradients to their best r directions as we do.

`make test-peers` installs it; without it these tests are skipped. Only its projector is read:
the package itself imports optimizers that need further packages. It decomposes in float32 whatever it is given.
"""

import importlib.util
from pathlib import Path

import pytest
import torch

from implicitly import low_rank

F64 = torch.float64
FOUND = importlib.util.find_spec("galore_torch")
pytestmark = pytest.mark.skipif(FOUND is None, reason="needs galore-torch: make test-peers")


def projector(rank):
    """The peer's projector, loaded as a file."""
    path = Path(FOUND.submodule_search_locations[0]) / "galore_projector.py"
    spec = importlib.util.spec_from_file_location("galore_projector", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.GaLoreProjector(rank)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (7, 7)])
@pytest.mark.parametrize("rank", [1, 3])
def test_the_same_cut(shape, rank, agrees):
    """The comparison sees one direction more."""
    for seed in range(4):
        dice = torch.Generator().manual_seed(seed)
        G = torch.randn(shape, generator=dice, dtype=F64)
        peer = projector(rank)
        theirs = peer.project_back(peer.project(G, 0))
        ours = low_rank.draw_projection(G, rank, "galore", generator=dice).estimate(G)
        # Singular vectors of float32 are off by 6e-8 over the relative gap of the values, here above 1/50.
        agrees(claim="low-rank-gradients/C10", peer="galore-torch", what="a gradient cut to its largest directions",
               measured=(theirs - ours).norm() / G.norm(), at_most=1e-5)  # fmt: skip
        more = low_rank.draw_projection(G, rank + 1, "galore", generator=dice).estimate(G)
        assert (theirs - more).norm() / G.norm() > 0.01
        error = (theirs - G).square().sum()
        assert torch.allclose(error, low_rank.expected_error(torch.linalg.svdvals(G), rank, "galore"), rtol=1e-5)
