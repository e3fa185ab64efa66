"""*What you have built*, and predictions that a restart remembers."""

from types import SimpleNamespace

import pytest

from resnet_lesson import reader
from resnet_lesson.exercises import mine
from resnet_lesson.panels import Prediction, built


@pytest.fixture
def four_exercises(my_folder, monkeypatch):
    monkeypatch.setattr(mine, "catalogue", lambda: {
        key: SimpleNamespace(part=part) for key, part in (
            ("batch_norm.FOLD", ""), ("batch_norm.BATCH_NORM", "BatchNorm2d"),
            ("sizes.ONE", "Residual"), ("sizes.TWO", ""))})


def test_the_record_is_shown_as_it_is_now(four_exercises, capsys):
    panel = built.Built()
    assert repr(panel) == "Exercises solved: 0 of 4."
    reader.verdict("sizes.ONE", True, "")
    reader.verdict("sizes.GONE", True, "")   # of an earlier version of the lesson
    reader.part("Residual", reader.KEPT)
    reader.part("train", "fails its check")
    Prediction("Which?", ["a", "b"]).choice = "a"
    for question, measured in (("How?", "a"), ("When?", "b")):
        guess = Prediction(question, ["a", "b"])
        guess.choice = "a"
        guess.compare(measured)
    assert repr(panel) == (
        "Exercises solved: 1 of 4. Parts of your network in my_resnet.py: Residual. "
        "Predictions: 3 made, 2 of them measured, 1 held.")
    assert panel._repr_markdown_().endswith(
        "| 04 batch norm | ○ ○ | ○ `BatchNorm2d` |\n|  sizes | ● ○ | ● `Residual` |")
    built.line()
    assert capsys.readouterr().out == f"{panel}\n"


def test_nobody_has_built_anything():
    panel = built.Built()
    assert repr(panel) == built.NOBODY and built.NOBODY in panel._repr_markdown_()
    assert "| 03 convolution sizes | ○ " in panel._repr_markdown_()
    assert "●" not in panel._repr_markdown_().partition("|---|")[2]


def again():
    """Return the prediction as a restarted kernel makes it."""
    return Prediction("Which?", ["this", "that"])


def test_a_prediction_is_remembered(my_folder):
    first = again()
    assert first.choice is None
    first.compare("that")
    assert not (my_folder / reader.RECORD).exists()   # nothing was predicted
    first.choice = "this"
    assert (again().choice, again().measured) == ("this", "that")
    assert again().caption == "You predicted “this”. Measured: that."
    second = again().compare("this", "Now 3.")
    assert again().measured == "this" and second.caption.endswith("Measured: this. Now 3.")


def test_what_is_no_option_any_more_is_forgotten(my_folder):
    for choice, outcome, found in (("other", "that", None), ("this", "other", "this")):
        reader.prediction("Which?", choice, outcome)
        assert again().choice == found and again().measured is None


def test_tests_and_published_notebooks_remember_nothing():
    again().choice = "this"
    assert again().choice is None
