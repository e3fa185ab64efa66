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
