"""The ladder and the tables of the recipes say what their numbers say, and turn with them."""

import pytest
import torch

from resnet_lesson.experiments import table
from resnet_lesson.figures import ladder_of_speed as pictures
from resnet_lesson.training.arrangement import Arrangement, Timing


def run(recipe, seed, accuracy, source="full", validation=(0.8, 0.9), **more):
    return [{"recipe": recipe, "data": source, "seed": seed, "epochs": 2, "steps": 430,
             "parameters": 1234567, "seconds": 10.0 * (seed + 1), "validation_accuracy": value,
             "test_accuracy": end, **more}
            for value, end in zip(validation, ("", accuracy), strict=True)]


def test_the_ladder_multiplies_medians_and_marks_the_direct_measurement():
    figure = pictures.ladder({"a": [1, 2, 9], "b": [0.5, 0.5, 3], "top against bottom": [7, 8, 9]})
    assert "medians multiply to 1; measured in turns, the top is 8 times" in figure.caption
    assert [text.get_text() for text in figure.axes[0].texts] == [" × 2", " × 0.5", " × 8"]
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert [list(line.get_xdata()) for line in dots] == [[1, 2, 9], [0.5, 0.5, 3], [7, 8, 9]]
    assert dots[0].get_color() == dots[1].get_color() != dots[2].get_color()


def test_millions_of_multiply_adds():
    assert pictures.millions(torch.nn.Conv2d(1, 1000, 3, padding=1), 100) == 90


def test_the_table_of_ways_shows_the_limits_and_who_does_not_agree():
    headings, lines = pictures.ways_table([
        Timing(Arrangement(), 1.0, 0.0, 1.0, ""),
        Timing(Arrangement("bfloat16"), 0.5, 0.02, 0.1, "gradients point elsewhere")])
    assert "at most 10%" in headings[2] and "at least 0.7" in headings[3]
    assert [line[-1] for line in lines] == ["yes", "no"]


def test_the_recipe_table_has_a_line_for_each_recipe_data_set_and_number_of_views():
    rows = [row for seed, accuracy in enumerate((0.93, 0.94, 0.95))
            for row in run("fast", seed, accuracy)]
    rows += run("small", 0, 0.9) + run("unfinished", 0, "")
    rows += run("fast", 0, 0.5, "full with validation", views=10, views_accuracy=0.6)
    headings, lines = pictures.recipe_table(rows)
    assert all(len(line) == len(headings) for line in lines)
    half = 4.302653 * 0.01 / 3 ** 0.5   # Student's t with two degrees of freedom
    assert lines == [["fast", "1,234,567", 2, "860", "40", 3, "0.9400",
                      f"{0.94 - half:.3f} to {0.94 + half:.3f}"],
                     ["small", "1,234,567", 2, "860", "20", 1, "0.9000", "unknown from one seed"],
                     *(["fast with validation" + views, "1,234,567", 2, "860", "20", 1, accuracy,
                        "unknown from one seed"]
                       for views, accuracy in (("", "0.5000"), (", 10 views", "0.6000")))]


@pytest.mark.parametrize(("gains", "verdict"), [
    ((0.001, 0.002, 0.003), "not decided"), ((0.002, 0.002, 0.003), "more right"),
    ((-0.002, -0.002, -0.003), "fewer right"), ((0.0, 0.0, 0.0), "not decided"),
    ((0.002,), "not decided: one seed")])
def test_a_pair_is_decided_where_its_interval_leaves_out_zero(gains, verdict):
    seeds = [0.9, 0.95, 0.8][:len(gains)]   # far apart: unpaired, nothing would be decided
    rows = []
    for seed, (one, gain) in enumerate(zip(seeds, gains, strict=True)):
        rows += run("long", seed, one, views=10, views_accuracy=one + gain)
        rows += run("long", seed, one + gain, "full with validation")
    _, lines = pictures.paired_table(rows)
    assert [line[0] for line in lines] == ["long: 10 views − 1, same weights",
                                           "long: with − without validation, same seeds"]
    assert {line[-1] for line in lines} == {verdict} and {line[1] for line in lines} == {len(gains)}


def test_the_worst_fall_is_that_of_the_worst_seed_and_of_the_last_epochs():
    rows = run("a", 0, 0.9, validation=(0.9, 0.7)) + run("b", 0, 0.9, validation=(0.9, 0.85))
    rows += run("a", 1, 0.9, validation=(0.8, 0.9))
    assert pictures.worst_falls(rows) == pytest.approx({"a": 0.2, "b": 0.05})
    assert pictures.worst_falls(rows, last=1) == {"a": 0, "b": 0}
    recorded = table.read("recipes")   # what the notebook says of them
    falls, ends = pictures.worst_falls(recorded), pictures.worst_falls(recorded, last=4)
    assert falls["book"] > 0.02 and falls["fast-long"] > 0.02
    assert ends["fast-long"] < 0.002 and ends["book"] < 0.002


def test_progress_says_when_each_recipe_had_the_target():
    rows = run("a", 0, 0.9) + run("a", 1, 0.9) + run("b", 0, 0.9, validation=(0.9, 0.8))
    rows += run("b", 1, 0.9, validation=(0.7, 0.8)) + run("c", 2, 0.9, validation=(0.7, 0.89))
    caption = pictures.progress(rows, (0.9,)).caption   # a tie has reached it
    assert "0.9 on validation: a 20 to 40, b 10 to never and c never." in caption


def test_what_notebook_a3_says_of_the_recipes():
    ends = {}
    for (recipe, _, _), epochs in pictures.runs(table.read("recipes")).items():
        ends.setdefault(recipe, []).append(epochs[-1]["test_accuracy"])
        if recipe == "book":
            assert epochs[-1]["train_accuracy"] > 0.999
    (book,) = ends["book"]
    assert book - ends["small"][0] < 1.5 * (table.read("full_run")[-1]["test_accuracy"]
                                            - ends["small"][0])
    assert max(ends["quick"]) < book < min(ends["fast"])
    assert 0.02 <= book - ends["small"][0] <= 0.03
    seconds = {line[0]: float(line[4].replace(",", "")) for line in
               pictures.recipe_table(table.read("recipes"))[1]}
    assert seconds["fast-long with validation"] < seconds["fast-long"]
