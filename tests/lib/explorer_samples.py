"""A small explorer, the samples, and what is stored of one: for the tests of the Python side."""

import base64
import importlib
import io
import sys
from pathlib import Path

import numpy as np

from implicitly.explorer import Explorer, Lines, Slider

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lib/explorer-js/bench"))
samples = importlib.import_module("samples")

T = np.linspace(0, 1, 8)


def lines(compute=None, controls=None, view=None, **more):
    """A small explorer that is right, to be made wrong in one place."""
    compute = compute or (lambda a: {"t": T, "y": a * T})
    controls = [Slider("a", [1.0, 2.0, 4.0])] if controls is None else controls
    view = view or Lines("t", "y")
    return Explorer(compute, controls, view, **{"title": "A title", "alt": "A line rises.", **more})


def bundle(explorer):
    data, metadata = explorer._repr_mimebundle_()
    return data, metadata["implicitly"]["explorer"]


def still_of(explorer):
    """The picture of an explorer's output and its size in CSS pixels."""
    from PIL import Image

    output = samples.output(explorer)
    picture, about = base64.b64decode(output["data"]["image/png"]), output["metadata"]["image/png"]
    return picture, Image.open(io.BytesIO(picture)).convert("RGBA"), (about["width"], about["height"])
