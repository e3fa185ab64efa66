"""Figures of notebook 03: captions from the data, readable text, refusals."""

import numpy as np
import pytest
import torch

from resnet_lesson import figures
from resnet_lesson.figures import convolution_sizes


def least_font(figure):
    figure.canvas.draw()
    texts = figure.findobj(lambda artist: hasattr(artist, "get_fontsize") and artist.get_text())
    return min(text.get_fontsize() for text in texts)


def maps():
    return {"valid": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]), "full": np.full((3, 3), 4)}


def ramp():
    return np.linspace(0, 1, 6) * np.ones((6, 1))


BUILDERS = {
    "coverage_maps": lambda: convolution_sizes.coverage_maps(maps(), kernel_size=2),
    "borders": lambda: convolution_sizes.borders(ramp(), {"zeros": ramp() * 0.5}),
    "orders": lambda: convolution_sizes.orders({"a": (np.arange(4), np.arange(4))}),
    "walks": lambda: convolution_sizes.walks({"28×28": [("input", 28), ("conv", 14)]}),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_figure_has_a_caption_and_readable_text(name):
    figure = BUILDERS[name]()
    assert figure.caption.endswith(".") and least_font(figure) >= 12
    assert figures.png(figure).startswith(b"\x89PNG")


def test_coverage_names_corner_and_centre_of_each_map():
    caption = convolution_sizes.coverage_maps(maps(), kernel_size=2).caption
    assert "2×2 kernel" in caption
    assert "valid: corner 1, centre 4" in caption and "full: corner 4, centre 4" in caption


def test_coverage_writes_each_number_and_takes_tensors():
    figure = convolution_sizes.coverage_maps({"valid": torch.tensor([[1.0, 2], [3, 4]])},
                                             kernel_size=3)
    assert [text.get_text() for text in figure.axes[0].texts] == ["1", "2", "3", "4"]


def test_borders_measure_edge_and_inside_apart():
    picture = np.ones((5, 5))
    framed = picture.copy()
    framed[0] = framed[-1] = framed[:, 0] = framed[:, -1] = 0.5
    caption = convolution_sizes.borders(picture, {"zeros": framed, "kept": picture}).caption
    assert "zeros 0.50, kept 0.00" in caption and "inside move by 0.00" in caption
    assert "by 0.25" in convolution_sizes.borders(picture, {"other": picture * 0.75}).caption


def test_orders_say_how_many_values_differ_and_by_how_much():
    caption = convolution_sizes.orders({"max": ([1, 2], [1, 2]), "average": ([1.0, 2, 3, 4],
                                                                 [1.0, 2, 3, 3])}).caption
    assert "max: none of 2 values differ" in caption
    assert "average: 25% of 4 values differ, these by 1.00 on average" in caption


def test_walks_list_every_size():
    line = [("input", 96), ("conv1", 48), ("layer4", 3)]
    figure = convolution_sizes.walks(
        {"96×96": line, "28×28": [(name, size // 3) for name, size in line]})
    assert "96 → 48 → 3; 32 → 16 → 1" in figure.caption
    dashes = [drawn.get_linestyle() for drawn in figure.axes[0].lines]
    assert len(set(dashes)) == 2


@pytest.mark.parametrize("call", [
    lambda: convolution_sizes.coverage_maps({}, 3),
    lambda: convolution_sizes.coverage_maps({"a": np.ones((2, 2)), "b": np.ones((3, 3))}, 3),
    lambda: convolution_sizes.coverage_maps({"a": np.ones(3)}, 3),
    lambda: convolution_sizes.borders(np.ones((3, 3)), {}),
    lambda: convolution_sizes.borders(np.ones((3, 3)), {"zeros": np.ones((2, 2))}),
    lambda: convolution_sizes.orders({}),
    lambda: convolution_sizes.orders({"a": ([1, 2], [1])}),
    lambda: convolution_sizes.walks({}),
    lambda: convolution_sizes.walks({"a": [("input", 3)], "b": [("conv", 3)]}),
])
def test_data_that_make_no_figure_are_refused_in_words(call):
    with pytest.raises(ValueError, match=r"need|as many values"):
        call()
