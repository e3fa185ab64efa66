"""Figures about data and training draw their data; captions are pinned for all together."""

import torch

from resnet_lesson.figures import train_fashion_mnist as pictures


def test_examples_show_pictures_of_each_class(mini):
    figure = pictures.examples(mini.test, per_class=2)
    assert "1,000 pictures of 28×28" in figure.caption and "100 of each" in figure.caption
    assert sum(len(ax.images) for ax in figure.axes) == 20
    ankle_boot = mini.test.images[mini.test.labels == 9][1, 0].numpy()
    assert (figure.axes[-1].images[0].get_array() == ankle_boot).all()


def test_confusion_writes_each_count_that_is_not_zero():
    figure = pictures.confusion(torch.tensor([[8, 2, 0], [0, 9, 1], [5, 0, 5]]), ("a", "b", "c"))
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert written == {(0, 0): "8", (1, 0): "2", (1, 1): "9", (2, 1): "1", (0, 2): "5", (2, 2): "5"}


def test_a_class_without_pictures_has_the_whole_bar():
    counts = torch.tensor([[8, 2, 0], [0, 0, 0], [1, 0, 9]])
    ax, = pictures.per_class(counts, ("a", "b", "c")).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["b", "a", "c"]
    assert ax.collections[0].get_segments()[0][:, 0].tolist() == [0, 1]


def run(recipe, seed, accuracy, source="full", **more):
    return [{"recipe": recipe, "data": source, "seed": seed, "epochs": 2, "steps": 430,
             "parameters": 1234567, "test_accuracy": value, **more} for value in ("", accuracy)]


def test_the_recipe_table_has_one_line_a_recipe_and_data_set():
    rows = [row for seed, accuracy in enumerate((0.93, 0.94, 0.95))
            for row in run("fast", seed, accuracy)]
    rows += run("small", 0, 0.9) + run("fast", 0, 0.5, "mini") + run("unfinished", 0, "")
    headings, lines = pictures.recipe_table(rows)
    assert all(len(line) == len(headings) for line in lines)
    half = 4.302653 * 0.01 / 3 ** 0.5   # Student's t with two degrees of freedom
    assert lines == [["fast", "full", "1,234,567", 2, "860", 3, "0.9400",
                      f"{0.94 - half:.3f} to {0.94 + half:.3f}"],
                     ["small", "full", "1,234,567", 2, "860", 1, "0.9000", "unknown from one seed"],
                     ["fast", "mini", "1,234,567", 2, "860", 1, "0.5000", "unknown from one seed"]]


def test_several_views_have_a_line_of_their_own():
    rows = [row for seed, ten in ((0, 0.95), (1, 0.97))
            for row in run("long", seed, 0.93, views=10, views_accuracy=ten)]
    _, lines = pictures.recipe_table(rows)
    assert [(line[0], line[6]) for line in lines] == [("long", "0.9300"),
                                                      ("long, 10 views", "0.9600")]
    assert lines[0][1:6] == lines[1][1:6]
