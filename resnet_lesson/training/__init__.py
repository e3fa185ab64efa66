"""One training loop and what it needs."""

from resnet_lesson.training.evaluation import evaluate, predict
from resnet_lesson.training.fit import fit
from resnet_lesson.training.history import History
from resnet_lesson.training.recipes import RECIPES

__all__ = ["RECIPES", "History", "evaluate", "fit", "predict"]
