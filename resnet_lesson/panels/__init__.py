"""Panels: controls around a measurement or a drawing, for reading and for the lecture hall."""

from resnet_lesson.panels.base import DrawingPanel, FigurePanel, Panel
from resnet_lesson.panels.prediction import Prediction

__all__ = ["DrawingPanel", "FigurePanel", "Panel", "Prediction"]
