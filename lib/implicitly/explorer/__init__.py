"""One widget class for the book's interactive pictures; see `Explorer`."""

from .charts import Bars, Lines, Rule
from .compiled import PageFunction, page_function
from .controls import Choice, Seed, Slider
from .panel import Panel
from .plane import Field, Heatmap, Points, Trajectories
from .predict import Predict
from .strict import progress
from .widget import Explorer

__all__ = [
    "Bars",
    "Choice",
    "Explorer",
    "Field",
    "Heatmap",
    "Lines",
    "PageFunction",
    "Panel",
    "Points",
    "Predict",
    "Rule",
    "Seed",
    "Slider",
    "Trajectories",
    "page_function",
    "progress",
]
