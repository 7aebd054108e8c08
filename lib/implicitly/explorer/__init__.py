"""One widget class for the book's interactive pictures; see `Explorer`."""

from .controls import Choice, Slider
from .views import Bars, Field, Heatmap, Lines, Panel, Points, Rule, Trajectories
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
    "Rule",
    "Slider",
    "Trajectories",
]
