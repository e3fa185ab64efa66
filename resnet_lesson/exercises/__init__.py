"""Exercises with a check that explains; one module for each notebook that has some."""

from resnet_lesson.exercises.base import Exercise, Mistake, Verdict

# the notebooks in their order: the module of each one's exercises, and its number
SERIES = {name: f"{number:02}" for number, name in enumerate((
    "start_here", "residual_idea", "gradient_sum", "convolution_sizes", "batch_norm",
    "residual_block", "resnet18", "train_fashion_mnist", "with_and_without", "looking_inside",
))} | {"your_turn": "11", "python_corner": "A1", "two_networks_equal": "A2",
      "ladder_of_speed": "A3"}
__all__ = ["SERIES", "Exercise", "Mistake", "Verdict"]
