"""Figures of notebook 06 draw their data; what they say is pinned for all figures together."""

import math

from resnet_lesson.figures import resnet18
from resnet_lesson.networks.mutants import Finding


def test_survey_marks_what_is_caught():
    rows = {name: [Finding(f"check {i}", mark == ".", "") for i, mark in enumerate(marks)]
            for name, marks in (("none", ".."), ("a", ".x"))}
    words = [text.get_text() for text in resnet18.survey(rows).axes[0].texts]
    assert words == ["–", "–", "–", "caught"]


def test_first_differences_draws_any_number():
    figure = resnet18.first_differences({"shape": {"stem": math.inf, "one": math.nan, "two": 0.0}})
    assert figure.axes[0].lines[0].get_ydata().tolist() == [10, 10, resnet18.FLOOR]
