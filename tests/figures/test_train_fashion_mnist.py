"""Figures about data and training say in words what they draw."""

import pytest
import torch

from resnet_lesson import data, figures, training
from resnet_lesson.figures import train_fashion_mnist as pictures


@pytest.fixture(scope="module")
def split():
    return data.load_fashion_mnist("mini", quiet=True).test


def test_examples_count_what_they_show(split):
    figure = pictures.examples(split, per_class=2)
    assert "1,000 pictures of 28×28" in figure.caption and "100 of each" in figure.caption
    assert sum(len(axes.images) for axes in figure.axes) == 20
    few = pictures.examples(split.take(slice(3)), per_class=2)
    assert "0 to 1 of each" in few.caption


def history(*validation):
    rows = [{"epoch": i, "train_loss": 2 / i, "train_accuracy": 0.1 * i, "validation_loss": 2 / i,
             "validation_accuracy": value} for i, value in enumerate(validation, 1)]
    return training.History({}, rows, [2.0] * 7)


def test_curves_name_the_best_epoch():
    caption = pictures.curves(history(0.3, 0.8, 0.7)).caption
    assert "best after epoch 2: 0.800" in caption and "from 2.00 to 0.67 in 3 epochs" in caption


def test_curves_of_an_interrupted_first_epoch_say_so():
    assert "No epoch has finished yet; 7 steps" in pictures.curves(history()).caption


def test_confusion_names_the_most_frequent_mistake():
    counts = torch.tensor([[8, 2, 0], [0, 9, 1], [5, 0, 5]])
    caption = pictures.confusion(counts, ("a", "b", "c")).caption
    assert "8 of 30" in caption and "c taken for a, 5 times" in caption
    assert "Best recognised: b (0.90 right); worst: c (0.50)" in caption


def test_mistakes_are_those_the_network_is_surest_of(split):
    logits = torch.nn.functional.one_hot((split.labels + 1) % 10, 10) * torch.linspace(
        1, 9, len(split))[:, None]
    figure = pictures.mistakes(split, logits, count=4)
    assert "wrong on 1,000 of 1,000" in figure.caption
    sure = logits[-4:].softmax(1).max(1).values.min()
    assert f"{sure:.2f} or more" in figure.caption
    perfect = torch.nn.functional.one_hot(split.labels, 10) * 9.0
    assert "right on all 1,000" in pictures.mistakes(split, perfect).caption


def test_per_class_says_whether_worst_and_best_can_be_told_apart():
    far = pictures.per_class(torch.tensor([[95, 5], [50, 50]]), ("a", "b")).caption
    near = pictures.per_class(torch.tensor([[9, 1], [2, 8]]), ("a", "b")).caption
    assert "intervals do not overlap" in far and "intervals overlap" in near


def test_the_ladder_names_its_largest_and_smallest_step():
    figure = pictures.ladder([("a", 10.0), ("b", 15.0), ("c", 150.0), ("d", 165.0)])
    assert "From 10 to 165 pictures a second" in figure.caption
    assert "16 times" in figure.caption or "17 times" in figure.caption
    assert "largest step: c (× 10); the smallest: d (× 1.1)" in figure.caption
    assert "a: 10 pictures" in pictures.ladder([("a", 10.0)]).caption


def test_a_class_without_pictures_has_the_whole_bar():
    counts = torch.tensor([[8, 2, 0], [0, 0, 0], [1, 0, 9]])
    figure = pictures.per_class(counts, ("a", "b", "c"))
    assert "b: no picture; c: 0.90 (0.60 to 0.98). These two intervals overlap" in figure.caption
    axis, = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["b", "a", "c"]
    assert axis.collections[0].get_segments()[0][:, 0].tolist() == [0, 1]


def test_the_recipe_table_has_one_line_a_recipe_and_data_set():
    def run(recipe, seed, accuracy, source="full"):
        return [{"recipe": recipe, "data": source, "seed": seed, "epochs": 2, "steps": 430,
                 "parameters": 1234567, "test_accuracy": value} for value in ("", accuracy)]

    rows = (run("fast", 0, 0.93) + run("fast", 1, 0.94) + run("fast", 2, 0.95)
            + run("small", 0, 0.9) + run("fast", 0, 0.5, "mini"))
    headings, lines = pictures.recipe_table(rows)
    assert all(len(line) == len(headings) for line in lines)
    half = 4.302653 * 0.01 / 3 ** 0.5   # Student's t with two degrees of freedom
    assert lines == [["fast", "full", "1,234,567", 2, "860", 3, "0.9400",
                      f"{0.94 - half:.3f} to {0.94 + half:.3f}"],
                     ["small", "full", "1,234,567", 2, "860", 1, "0.9000", "unknown from one seed"],
                     ["fast", "mini", "1,234,567", 2, "860", 1, "0.5000", "unknown from one seed"]]
    assert pictures.recipe_table(run("fast", 0, ""))[1] == [], "an unfinished run has no line"


def test_several_views_have_a_line_of_their_own():
    rows = [{"recipe": "long", "data": "full", "seed": seed, "epochs": 2, "steps": 430,
             "parameters": 1, "test_accuracy": one, "views": 10, "views_accuracy": ten}
            for seed, one, ten in ((0, "", ""), (0, 0.93, 0.95), (1, "", ""), (1, 0.93, 0.97))]
    _, lines = pictures.recipe_table(rows)
    assert [line[0] for line in lines] == ["long", "long, 10 views"]
    assert [line[6] for line in lines] == ["0.9300", "0.9600"]
    assert lines[0][1:6] == lines[1][1:6]


def test_optimism_is_claimed_only_where_the_interval_excludes_zero():
    clear = pictures.optimism([0.90, 0.91, 0.92, 0.91], [0.88, 0.89, 0.89, 0.89]).caption
    assert "+0.023" in clear and "flatters" in clear and "4 seeds" in clear
    for fresh in ([0.92, 0.88, 0.92, 0.89], [0.95, 0.95, 0.96, 0.95]):
        caption = pictures.optimism([0.90, 0.91, 0.92, 0.91], fresh).caption
        assert "do not show a bias" in caption


def test_every_figure_can_be_shown_with_readable_text(split):
    shown = [pictures.examples(split, 1), pictures.curves(history(0.1, 0.2)),
             pictures.confusion(torch.eye(10).long(), split.classes),
             pictures.per_class(torch.eye(10).long(), split.classes),
             pictures.ladder([("a", 10.0), ("b", 15.0)]), pictures.optimism([0.9, 0.8], [0.7, 0.8])]
    for figure in shown:
        assert figures.png(figure).startswith(b"\x89PNG")
        texts = [text for axes in figure.axes for text in
                 [axes.xaxis.label, axes.yaxis.label, axes.title, *axes.get_xticklabels(),
                  *axes.texts]]
        assert min(text.get_fontsize() for text in texts) >= 12
