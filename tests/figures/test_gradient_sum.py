"""Figures of notebook 02: captions follow the data, zeros are drawn, bad input is refused."""

import math

import numpy as np
import pytest
import torch

from resnet_lesson import figures
from resnet_lesson.experiments import gradients as experiment
from resnet_lesson.figures import gradient_sum as pictures
from resnet_lesson.figures import tables
from resnet_lesson.figures.axes import above, bounds, log_axis
from resnet_lesson.findings import gradient_flow
from resnet_lesson.findings.gradient_flow import hidden, summarise
from resnet_lesson.inside import gradients
from resnet_lesson.networks import resnet
from resnet_lesson.networks.blocks import BasicBlock
from resnet_lesson.words import short


@pytest.fixture(scope="module")
def rows():
    return experiment.load()


def texts(figure):
    figure.canvas.draw()
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


def test_path_lengths_say_which_paths_are_most_and_which_carry_most():
    counts = [math.comb(8, k) for k in range(9)]
    figure = pictures.path_lengths(counts, gradients.path_shares(8, 0.25), "eight")
    assert "Of 256 paths the largest group, 27%, goes through 4 of 8" in figure.caption
    assert "comes through 1." in figure.caption
    assert "branches on the path" in texts(figure)
    with pytest.raises(ValueError, match="one length"):
        pictures.path_lengths(counts, [1.0], "")


def test_flow_draws_zeros_in_a_strip_and_counts_them(rows):
    figure = pictures.flow(rows)
    assert "8 networks sit in the grey strip" in figure.caption
    ax = figure.axes[0]
    lowest = min(line.get_ydata().min() for line in ax.lines if len(line.get_ydata()))
    assert ax.get_ylim()[0] < lowest < 1e-30
    assert ax.get_yticklabels()[0].get_text() == "0"
    assert all(label.get_text() != "0" for label in figure.axes[3].get_yticklabels())
    without = pictures.flow([row for row in rows if row.depth < 64])
    assert "grey strip" not in without.caption and "At 32 blocks" in without.caption


def test_flow_counts_what_the_table_says(rows):
    found = summarise(rows)
    figure = pictures.flow(rows, ("residual", "pre-activation"))
    explode = sum(gradient_flow.verdict(s.median) == "explodes" for key, s in found.items()
                  if key[0] == "residual" and key[3] == 64)
    assert f"{explode} explode; pre-activation" in figure.caption


def test_two_ratios_count_what_is_hidden(rows):
    figure = pictures.two_ratios(rows, 32)
    unseen = [s for s, _, _ in hidden(rows, 32) if s[0] != "pre-activation"]
    assert f"In {len(unseen)} of them" in figure.caption
    assert "exactly 0" in texts(pictures.two_ratios(rows, 64))
    assert "exactly 0" not in texts(figure)
    with pytest.raises(ValueError, match="nothing was measured"):
        pictures.two_ratios(rows, 7)


@pytest.fixture(scope="module")
def measured():
    torch.manual_seed(0)
    model = resnet.ResNet(BasicBlock, [2], widths=(4,), stem="small")
    X, y = torch.rand(4, 1, 6, 6), torch.randint(10, (4,))
    return gradients.profile(model, X, y), gradients.shares(model, X, y)


def test_profiles_and_terms_say_their_numbers(measured):
    profile, shares = measured
    doubled = profile._replace(gradients=(2 * profile.gradients[0], profile.gradients[1]))
    ratio = profile.gradients[0] / profile.gradients[1]
    caption = pictures.profiles({"plain": (profile, doubled)}).caption
    assert f"before training plain {short(ratio)}" in caption
    assert f"after training plain {short(2 * ratio)}" in caption
    mean = np.mean([share.skip_share for share in shares])
    assert f"carries {mean:.0%} on average before" in pictures.terms(shares, shares).caption


def test_shattered_says_the_correlation_of_neighbours():
    alike = {"smooth": [[1, 0.9, 0.8], [1, 0.7, 0.6]], "rough": [[1, 0.0, 0.0], [1, 0.1, 0.0]]}
    figure = pictures.shattered({"smooth": np.arange(3.0), "rough": np.array([1., -1, 1])},
                                alike, [1, 2])
    assert "mean of 2 seeds: smooth 0.80; rough 0.05" in figure.caption


@pytest.mark.parametrize("zero", [True, False])
def test_a_log_axis_can_be_set_again(zero):
    _, ax = figures.new_figure()
    for low, high in ((-40, 10), (-2, 3)):
        place = log_axis(ax, low, high, zero)
        assert len(ax.patches) == zero
        assert (ax.get_ylim()[0] < place < 10.0 ** low) == zero
        labels = [label.get_text() for label in ax.get_yticklabels()]
        assert (labels[0] == "0") == zero and "1" in labels and len(labels) <= 8


def test_above_moves_zeros_alone():
    assert above([0, 1e-300, 2], 1e-9).tolist() == [1e-9, 1e-300, 2]


def test_bounds_hold_all_values_and_ignore_zeros():
    assert bounds([0, 3e-7, 20, math.inf]) == (-7, 3)
    assert bounds([1]) == (-3, 3)


def test_every_figure_can_be_shown_and_has_readable_text(rows, capsys):
    for figure in (pictures.flow(rows), pictures.two_ratios(rows, 64)):
        figures.show(figure)
        assert figure.caption.split()[0] in capsys.readouterr().out
        assert all(text.get_fontsize() >= 12 for text in
                   figure.findobj(lambda a: hasattr(a, "get_fontsize")) if text.get_text())


def test_a_table_is_shown_as_markdown_and_as_text(monkeypatch):
    shown = []
    monkeypatch.setattr(tables, "display", lambda bundle, raw: shown.append(bundle))
    tables.show_table(["a", "long heading"], [[1, "x"], ["three", 4]])
    assert shown[0]["text/plain"] == "a      long heading\n1      x\nthree  4"
    assert shown[0]["text/markdown"].splitlines() == [
        "| a | long heading |", "| --- | --- |", "| 1 | x |", "| three | 4 |"]
