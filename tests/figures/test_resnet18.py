import math

import pytest

from resnet_lesson.figures import png, resnet18
from resnet_lesson.networks.mutants import Finding


def findings(row):
    return [Finding(f"check {i}", mark == ".", "") for i, mark in enumerate(row)]


def texts(figure):
    return [text for text in figure.findobj(lambda a: hasattr(a, "get_fontsize"))
            if text.get_text() and text.get_visible()]


def test_survey_says_what_each_check_catches_and_what_only_one_does():
    figure = resnet18.survey({"none": findings("..."), "a": findings("..x"), "b": findings(".xx")})
    assert figure.caption.startswith("Of 2 mistakes: “check 0” catches 0, “check 1” catches 1, "
                                     "“check 2” catches 2.")
    assert "Only “check 2” catches: a." in figure.caption
    assert "Each is caught by one check at least." in figure.caption
    assert figure.caption.endswith("The correct network passes every check.")
    words = [text.get_text() for text in texts(figure)]
    assert words.count("caught") == 3
    assert words.count("–") == 6


def test_survey_does_not_hide_a_miss_or_a_false_alarm():
    caption = resnet18.survey({"none": findings("x."), "a": findings("..")}).caption
    assert "Nothing catches: a." in caption
    assert caption.endswith("The correct network fails a check.")


def test_first_differences_names_the_stage_and_takes_any_number():
    figure = resnet18.first_differences({
        "right": {"stem": 0.0, "stage 1": 1e-15}, "wrong": {"stem": 1e-16, "stage 1": 0.3},
        "shape": {"stem": math.inf, "stage 1": math.nan}})
    assert "right: no difference anywhere" in figure.caption
    assert "wrong: first different at stage 1" in figure.caption
    assert "shape: first different at stem" in figure.caption
    lines = figure.axes[0].get_lines()[:3]
    assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 3
    assert list(lines[2].get_ydata()) == [10, 10]


ROWS = [{"depth": 18, "parameters": 10, "published_parameters": 10, "multiply_adds": 4e9,
         "published_multiply_adds": 4.04e9},
        {"depth": 34, "parameters": 25, "published_parameters": 25, "multiply_adds": 8e9,
         "published_multiply_adds": 8e9}]


def test_family_compares_with_the_published_numbers():
    caption = resnet18.family(ROWS).caption
    assert "agree with the published ones to the last digit" in caption
    assert "within 0.99%" in caption
    assert "parameters grow 2.5 times and multiply-adds 2.0 times" in caption
    assert "differ" in resnet18.family([{**ROWS[0], "parameters": 11}, ROWS[1]]).caption


@pytest.mark.parametrize("figure", [
    resnet18.survey({"none": findings("...."), "a": findings("..xx")}),
    resnet18.first_differences({"a": {"stem": 0.0, "stage 1": 0.1}}),
    resnet18.family(ROWS)], ids=["survey", "first_differences", "family"])
def test_house_style(figure):
    assert png(figure)
    assert min(text.get_fontsize() for text in texts(figure)) >= 12
    for axes in figure.axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
    assert figure.caption
