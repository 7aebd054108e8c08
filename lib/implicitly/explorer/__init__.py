"""One widget class for the book's interactive pictures; see `Explorer`."""

from .charts import Bars, Lines, Rule
from .controls import Choice, Slider
from .panel import Panel
from .plane import Field, Heatmap, Points, Trajectories
from .predict import Predict
from .widget import Explorer

__all__ = [
    "Bars",
    "Choice",
    "Explorer",
    "Field",
    "Heatmap",
    "Lines",
    "Panel",
    "Points",
    "Predict",
    "Rule",
    "Slider",
    "Trajectories",
]
