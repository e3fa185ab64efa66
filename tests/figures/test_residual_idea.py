"""Figures of notebook 01 draw their data, and its take-along sentences have a turning point."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from resnet_lesson.exercises.residual_idea import START, run_stack
from resnet_lesson.figures import residual_idea

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01_residual_idea.ipynb"


@pytest.fixture(scope="module")
def idea():
    """Return what the notebook's own cells define: stacks, starts, targets and the training."""
    told = {"torch": torch, "nn": nn, "through": run_stack, "passing": START.solve}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"]).replace("through = ", "_ = ").replace("passing = ", "_ = ")
        if source.startswith(("class ", "COPIES", "TARGETS", "def ", "_ = passing")):
            lines = [line for line in source.splitlines() if not line.startswith("_ = ")]
            exec("\n".join(lines), told)
    return told


def end(idea, start, residual, target, depth=16, lr=0.003, steps=250):
    stack = idea["Stack"](idea["draw"](idea[start], depth), residual)
    return residual_idea.final(
        idea["train"](stack, [idea["TARGETS"][target]], lr, steps)).median().item()


@pytest.fixture(autouse=True)
def quick(idea):
    idea["COPIES"] = 3


def test_what_is_taken_along_holds_and_turns_with_target_depth_and_start(idea):
    assert end(idea, "pytorch", False, "y = x") > 0.9
    assert end(idea, "pytorch", True, "y = x") < 0.05
    assert end(idea, "pytorch", False, "y = 0") < end(idea, "pytorch", True, "y = 0") / 1000
    assert end(idea, "pytorch", False, "y = x", depth=2, lr=0.01) < 0.1   # not of two blocks


def test_a_plain_stack_trains_from_its_own_pattern_and_he_weights_spoil_the_shortcut(idea):
    assert end(idea, "yours", False, "y = x + wave") < 0.125 < end(
        idea, "pytorch", False, "y = x + wave")
    assert end(idea, "he", True, "y = x + wave") > 2 * end(idea, "he_small", True, "y = x + wave")


def test_a_dot_stands_for_a_seed_and_the_best_rate_is_that_of_the_lowest_median():
    figure = residual_idea.ends({"y = x": {"2 plain": [0.1, 0.2, 0.9], "2 residual": [0.02]}})
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xdata(), [0.1, 0.2, 0.9])
    runs = {0.1: torch.full((30, 2, 3), 3.0), 0.2: torch.ones(30, 2, 3)}
    assert residual_idea.best(runs, 1).tolist() == [1, 1, 1]
