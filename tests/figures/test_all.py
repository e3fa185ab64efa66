"""What holds for every figure of every notebook, those that are still to come included.

What captions say of made-up data is pinned in ``captions.json``; ``pytest tests/figures --renew``
writes it anew.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.style
import numpy as np
import pytest
import torch
from matplotlib import colors
from matplotlib.collections import Collection
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text

from resnet_lesson import figures
from resnet_lesson.data.splits import Split
from resnet_lesson.experiments import gradients as experiment
from resnet_lesson.experiments import table
from resnet_lesson.experiments.your_question import Pairs
from resnet_lesson.figures import residual_block, resnet18
from resnet_lesson.networks import resnet
from resnet_lesson.networks.blocks import BasicBlock, Bottleneck
from resnet_lesson.networks.mutants import Finding

CAPTIONS = Path(__file__).with_name("captions.json")
MODULES = [importlib.import_module(f"resnet_lesson.figures.{found.name}")
           for found in pkgutil.iter_modules(figures.__path__)]
DRAWING = {f"{module.__name__.rpartition('.')[2]}.{name}": function
           for module in MODULES
           for name, function in inspect.getmembers(module, inspect.isfunction)
           if function.__module__ == module.__name__ and not name.startswith("_")
           and "new_figure(" in inspect.getsource(function)}
RECORDED = {"gradient_sum.flow", "ladder_of_speed.progress", "with_and_without.published",
            "with_and_without.gaps", "with_and_without.without_norm",
            "with_and_without.curves"}  # drawn from results, not made up


def examined(*rows):
    return {f"row {i}": [SimpleNamespace(check=f"check {j}", passed=mark == ".")
                         for j, mark in enumerate(row)] for i, row in enumerate(rows)}


def costs(*numbers):
    return {name: {"parameters": parameters, "multiply-adds": work}
            for name, (parameters, work) in zip("abc", numbers, strict=False)}


def survey(*marks):
    return {name: [Finding(f"check {i}", mark == ".", "") for i, mark in enumerate(row)]
            for name, row in zip(("none", "a", "b"), marks, strict=False)}


def paired(*differences):
    row = {"steps": 9, "batch_size": 4, "data": "made up", "diverged": 0, "train_error": 0.1}
    return Pairs(("a", "b"), (0.1,), (0.1, 0.1), {
        seed: tuple(row | {"validation_error": error} for error in (0.5 + value, 0.5 + 0.1 * seed))
        for seed, value in enumerate(differences)})


@pytest.fixture(scope="module")
def cases():
    """Return, for each figure, lists of arguments that have different things to say."""
    rng = np.random.default_rng(0)
    noise = torch.from_numpy(rng.random((4, 6, 5, 5)))
    square, ones = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]), np.ones((5, 5))
    framed = np.pad(ones[1:4, 1:4], 1, constant_values=0.5)
    rng.uniform(0.8, 1.2, (60, 4))   # what follows is drawn as it always was
    split = Split(torch.from_numpy(rng.integers(0, 256, (20, 1, 8, 8), dtype=np.uint8)),
                  torch.arange(20) % 10)
    lost = {"as stored": {"intact": 900, "1.0": 400, "2.0": 860}}
    fourfifths = torch.arange(1000) % 5 < 4
    rows, sweep, recorded = experiment.load(), table.read("sweep"), table.read("recipes")
    return {
        "batch_norm.three_rates": [({0.1: 0.8, 0.5: 0.7}, {0.1: 0.6, 0.5: low})
                                   for low in (0.1, 0.4)],
        "batch_norm.shared_statistics": [(noise, noise * 3 - 1.5, 1),
                                         (noise[:1, :1], noise[:1, :1] - 0.5, 0)],
        "batch_norm.forgotten_eval": [(0.81, {1: 0.19, 2: 0.5, 128: 0.79}, 0.23, 100),
                                      (0.8, {7: 0.5}, 0.1, 50)],
        "convolution_sizes.coverage_maps": [({"valid": square, "full": square * 0 + 5}, 2),
                                            ({"alone": square}, 3)],
        "convolution_sizes.one_window": [([[0, 1], [2, -3]], [[1, 0.5], [-1, 2]]),
                                         ([[0]], [[2]])],
        "convolution_sizes.receptive_fields": [({"1 layer": framed, "2 layers": ones},),
                                               ({"none": ones * 0},)],
        "gradient_sum.path_lengths": [
            ({"small": [0.6, 0.3, 0.1], "large": [0.1, 0.2, end]},
             {"small": [0.5, 0.4, 0.1], "large": [0.1, 0.3, 0.6]}) for end in (0.7, 0.5)],
        "gradient_sum.flow": [(rows, ("plain", "residual", "pre-activation")), (rows,)],
        "gradient_sum.shattered": [
            ({("residual", "none"): [[1, 0.9, 0.8], [1, 0.7, 0.6]],
              ("plain", "batch norm"): [[1, 0, 0], [1, end, 0]]}, [1, 2]) for end in (0.1, 0.5)],
        "ladder_of_speed.ladder": [({"a": [1, 1.1, 0.9], "b": [7, 8, 7.5], "top": [end, 9, 8]},)
                                   for end in (7, 70)],
        "ladder_of_speed.progress": [(recorded, (0.893, 0.922)), (recorded, (0.9,))],
        "looking_inside.feature_maps": [(noise[0, :1], {"stem": noise[0] * (noise[0] > low)}, 3)
                                        for low in (0, 0.5)],
        "looking_inside.shares": [({"1.0": 0.5, "1.1": end, "2.0": 0.75},) for end in (0.2, 0.9)],
        "looking_inside.filters": [(noise[:, :1] - low,) for low in (0, 0.5)],
        "looking_inside.one_less": [
            ({"residual": lost | {"measured again": {"intact": 910, "1.0": 890, "2.0": end}},
              "plain": {"as stored": {"intact": 880, "1.0": 100}}}, 1000) for end in (900, 880)],
        "looking_inside.several": [
            ({"residual": {"as stored": {frozenset(): 900, frozenset("a"): 800},
                           "measured again": {frozenset(): 910, frozenset("a"): end}}}, 1000)
            for end in (890, 870)],
        "looking_inside.covered": [([(noise[0, :1], 1, 0, 0.9, noise[0, 1] * end)], "ab", 3)
                                   for end in (1, 0.5)],
        "looking_inside.beside_perfect": [({"plain": error}, {"plain": [0.01, 0.02]})
                                          for error in (0.015, 0.05)],
        "looking_inside.reliability": [({"plain": (torch.full((1000,), sure), fourfifths)},)
                                       for sure in (0.3, 0.8, 1.0)],
        "residual_block.drawn": [({"basic": BasicBlock(4, 4), "wide": BasicBlock(4, 8, 2)},),
                                 ({"narrow": Bottleneck(8, 8, preactivation=True)},)],
        "residual_block.costs": [(costs((3000, 8e6), (1500, 2e6), (1000, 1e6)),),
                                 (costs((3000, 8e6), (1500, 4e6)),)],
        "residual_idea.way_stations": [([5, 8, 4, 6],), ([1, 2.5],)],
        "residual_idea.ends": [({"y = x": {"2 plain": [0.1, 0.2, 0.9], "2 residual": [end]}},
                                {"y = x": {"pass x on": 0.125}}) for end in (0.02, 0.3)],
        "resnet18.drawn": [(resnet.resnet18(1000, 3),), (resnet.resnet34(),)],
        "resnet18.bought": [([resnet18.published(depth) for depth in depths],)
                            for depths in ((18, 50, 152), (18, 34))],
        "train_fashion_mnist.examples": [(split, 1), (split.take(slice(3)), 1)],
        "train_fashion_mnist.changed": [
            ({"stored": few, "other": torch.cat([few[:1], 255 - few[1:]])},) for few in (
                split.images[:3], split.images[:5])],
        "train_fashion_mnist.by_step": [({"one": [1.0, 0.5, -0.25], "two": [1.0, end]}, "a rate")
                                        for end in (0.03, 20)],
        "train_fashion_mnist.hundred": [([0.8, 0.85, 0.91], [0.9, high, 0.99], 0.9)
                                        for high in (0.95, 0.89)],
        "train_fashion_mnist.confusion": [(torch.tensor(counts), ("a", "b", "c")) for counts in (
            [[8, 2, 0], [0, 9, 1], [5, 0, 5]], [[8, 0, 0], [0, 9, 3], [0, 0, 5]])],
        "train_fashion_mnist.per_class": [(torch.tensor(counts), ("a", "b", "c")) for counts in (
            [[95, 5, 0], [0, 99, 1], [50, 0, 50]], [[9, 1, 0], [2, 8, 0], [1, 0, 9]],
            [[8, 2, 0], [0, 0, 0], [1, 0, 9]])],
        "two_networks_equal.survey": [(examined("..x", ".xx"),), (examined("x."), "comparison")],
        "your_turn.pairs": [(paired(0.1, 0.3, 0.4),), (paired(0.3, 0.4, 0.6),), (paired(0.1),),
                            (paired(),)],
        "with_and_without.curves": [(table.read("long"), "grid"), ([], "grid")],
        "with_and_without.published": [(sweep,), ([row for row in sweep if row["seed"] < 2],)],
        "with_and_without.live": [({8: {"plain": [0.3, 0.32], "residual": [0.2, end]}},)
                                  for end in (0.22, 0.3)],
        "with_and_without.gaps": [(sweep,), ([],)],
        "with_and_without.without_norm": [(sweep,), ([],)],
    }


def pixels(figure):
    with figures.style():
        figure.set_dpi(50)
        figure.set_layout_engine("none")  # takes longer than the drawing itself
        figure.canvas.draw()
    return np.array(figure.canvas.buffer_rgba())


@pytest.fixture(scope="module", params=DRAWING)
def drawing(request, cases):
    """Return a figure's name, its lists of arguments, it drawn with the first, and the pixels."""
    arguments = cases[request.param]
    figure = DRAWING[request.param](*arguments[0])
    return request.param, arguments, figure, pixels(figure)


def test_the_caption_is_made_from_the_data(drawing, pinned):
    name, arguments, figure, _ = drawing
    captions = [figure.caption, *(DRAWING[name](*others).caption for others in arguments[1:])]
    assert len(set(captions)) == len(captions) > 1
    assert all(caption.endswith(".") for caption in captions)
    assert name in RECORDED or captions == pinned(CAPTIONS, name, captions)


def test_every_word_has_at_least_12_points(drawing):
    small = [text for text in drawing[2].findobj(Text)
             if text.get_text().strip() and text.get_fontsize() < 12]
    assert small == []


TINTS = {color.upper() for color in residual_block.FILLS.values()}


def strange(color):
    """Tell whether a color is neither of the palette, nor grey, nor see-through, nor a tint."""
    red, green, blue, alpha = colors.to_rgba(color)
    return alpha > 0 and not red == green == blue and colors.to_hex(color).upper() not in (
        {*figures.PALETTE, figures.YELLOW} | TINTS)


def test_all_colors_are_of_the_palette(drawing):
    figure = drawing[2]
    found = [artist.get_color() for artist in figure.findobj(Line2D) + figure.findobj(Text)]
    bars = [part for ax in figure.axes if ax.get_label() == "<colorbar>" for part in ax.findobj()]
    for artist in set(figure.findobj(Patch) + figure.findobj(Collection)) - set(bars):
        for color in (artist.get_facecolor(), artist.get_edgecolor()):
            found += [color] if np.ndim(color) == 1 else list(color)
    assert [color for color in found if strange(color)] == []


def test_the_palette_is_that_of_okabe_and_ito_and_a_grey():
    safe = {"#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
    assert set(figures.PALETTE) - {figures.GREY} <= safe and figures.YELLOW in safe
    assert set(figures.COLORS.values()) <= set(figures.PALETTE)


def test_arms_and_lines_differ_in_color_dash_and_marker_each():
    looks = [figures.arm_look(arm) for arm in ("plain", "residual", "pre-activation")]
    for part in ("color", "linestyle", "marker"):
        assert len({look[part] for look in looks}) == 3
        assert len({figures.line_look(i)[part] for i in range(4)}) == 4


@pytest.fixture
def readers_settings():
    with mpl.style.context(["dark_background", {
            "axes.prop_cycle": mpl.cycler(color=["red", "lime"]), "font.size": 30,
            "savefig.bbox": "tight", "savefig.facecolor": "black", "axes.spines.top": True,
            "image.origin": "lower", "lines.marker": "x", "errorbar.capsize": 20,
            "axes.titlelocation": "left", "hatch.linewidth": 9, "figure.dpi": 30}]):
        yield


@pytest.mark.usefixtures("readers_settings")
def test_a_readers_settings_change_no_pixel(drawing):
    name, arguments, _, expected = drawing
    np.testing.assert_array_equal(pixels(DRAWING[name](*arguments[0])), expected)


def test_a_readers_settings_change_no_stored_picture(request):
    draw = DRAWING["residual_idea.way_stations"]
    stored = figures.png(draw([5, 8]))
    request.getfixturevalue("readers_settings")
    assert figures.png(draw([5, 8])) == stored


def test_a_figure_is_shown_with_its_caption_below(capsys):
    figure = DRAWING["residual_idea.way_stations"]([5, 8])
    figures.show(figure)
    assert " ".join(capsys.readouterr().out.split()).endswith(figure.caption)


SQUARE, RAGGED = np.ones((2, 2)), {"a": np.ones((2, 2)), "b": np.ones((3, 3))}


@pytest.mark.parametrize(("name", "arguments", "words"), [
    ("batch_norm.three_rates", ({}, {}), "for the same learning rates"),
    ("batch_norm.three_rates", ({0.1: 0.5}, {0.2: 0.5}), "for the same learning rates"),
    ("batch_norm.shared_statistics", (torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), 3),
     "between 0 and 2, got 3"),
    ("batch_norm.shared_statistics", (torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4), -1),
     "got -1"),
    ("batch_norm.shared_statistics", (torch.zeros(3, 4, 4), torch.zeros(3, 4, 4), 0),
     r"got \(3, 4, 4\)"),
    ("batch_norm.forgotten_eval", (0.8, {}, 0.2, 100), "accuracies between 0 and 1"),
    ("batch_norm.forgotten_eval", (80, {2: 0.5}, 0.2, 100), "accuracies between 0 and 1"),
    ("convolution_sizes.coverage_maps", ({}, 3), "need one shape"),
    ("convolution_sizes.coverage_maps", (RAGGED, 3), "need one shape"),
    ("convolution_sizes.coverage_maps", ({"a": np.ones(3)}, 3), "need one shape"),
    ("convolution_sizes.one_window", (SQUARE, np.ones((5, 1))), "need one shape"),
    ("convolution_sizes.receptive_fields", ({},), "need one shape"),
    ("residual_block.costs", (costs((1, 1)),), "at least two blocks, got 1"),
    ("residual_idea.way_stations", ([3],), "at least two legs"),
    ("residual_idea.way_stations", ([3, 0],), "above 0"),
])
def test_what_makes_no_figure_is_refused_in_words(name, arguments, words):
    with pytest.raises(ValueError, match=words):
        DRAWING[name](*arguments)
