"""A second opinion: the package galore-torch cuts gradients to their best r directions as we do.

``pip install --no-deps galore-torch==1.0`` brings it; without it these tests are skipped. Only its projector is read:
the package itself imports optimizers that need further packages. It decomposes in float32 whatever it is given.
"""

import importlib.util
from pathlib import Path

import pytest
import torch

from implicitly import low_rank

F64 = torch.float64
FOUND = importlib.util.find_spec("galore_torch")
pytestmark = pytest.mark.skipif(FOUND is None, reason="needs galore-torch: pip install --no-deps galore-torch==1.0")


def projector(rank):
    """The peer's projector, loaded as a file."""
    path = Path(FOUND.submodule_search_locations[0]) / "galore_projector.py"
    spec = importlib.util.spec_from_file_location("galore_projector", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.GaLoreProjector(rank)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (7, 7)])
@pytest.mark.parametrize("rank", [1, 3])
def test_the_same_cut(shape, rank):
    for seed in range(4):
        dice = torch.Generator().manual_seed(seed)
        G = torch.randn(shape, generator=dice, dtype=F64)
        peer = projector(rank)
        theirs = peer.project_back(peer.project(G, 0))
        ours = low_rank.draw_projection(G, rank, "galore", generator=dice).estimate(G)
        assert torch.allclose(theirs, ours, atol=1e-5)
        error = (theirs - G).square().sum()
        assert torch.allclose(error, low_rank.expected_error(torch.linalg.svdvals(G), rank, "galore"), rtol=1e-5)
