"""f, g and x: the curves add up, and the words are those that people write."""

import itertools

import numpy as np
import pytest
import torch

from resnet_lesson.panels.f_g_x import FGX, GRID, HIGHEST, polynomial

NUMBERS = np.random.default_rng(0).uniform(-3, 3, (30, 5)).tolist()


def oracle(coefficients, x):
    a, b, c = torch.tensor(coefficients, dtype=torch.float64)
    return a * x**2 + b * x + c


@pytest.mark.parametrize("a, b, c, alpha, x", NUMBERS)
def test_compute_splits_f_into_g_and_x(a, b, c, alpha, x):
    alpha = abs(alpha) / 3
    result = FGX.compute(a, b, c, alpha, x)
    grid = torch.as_tensor(GRID)
    f, g, output = (torch.as_tensor(result.curves[name]) for name in ("f", "g", "output"))
    torch.testing.assert_close(f, oracle((a, b, c), grid))
    torch.testing.assert_close(g + grid, f)
    torch.testing.assert_close(output, alpha * (f - grid) + grid)
    torch.testing.assert_close(oracle(result.output, grid), output)
    assert result.point["output"] == pytest.approx(alpha * result.point["g"] + x)
    assert (g + 1 - f).abs().max() > 0.9, "taking away 1 instead of x is seen"


@pytest.mark.parametrize("a, b, c, alpha, x", NUMBERS[:10])
def test_alpha_goes_from_the_identity_to_f(a, b, c, alpha, x):
    start, end = (FGX.compute(a, b, c, alpha, x).curves for alpha in (0, 1))
    np.testing.assert_allclose(start["output"], GRID)
    np.testing.assert_allclose(end["output"], end["f"])


def test_the_worked_example():
    result = FGX.compute(a=5, b=3, c=2, alpha=1, x=0.6)
    assert result.g == (5, 2, 2)
    panel = FGX(alpha=1)
    assert panel.caption.startswith("f(x) = 5x² + 3x + 2 = g(x) + x with g(x) = 5x² + 2x + 2.")
    assert panel.caption.endswith("5.6, where f(x) = 5.6. That is f.")
    panel.set(alpha=0)
    assert panel.caption.endswith("That is the identity, whatever f is.")
    panel.set(a=0, b=1, c=0)
    assert "nothing is left to add" in panel.caption


@pytest.mark.parametrize("coefficients, words", [
    ((5, 3, 2), "5x² + 3x + 2"), ((-1, 1, -1), "−x² + x − 1"), ((0, 0, 0), "0"),
    ((0, -1, 0), "−x"), ((1, 0, 0.5), "x² + 0.5"), ((0, 0, -2), "−2"), ((-0.0, 0.0001, 1), "1"),
])
def test_polynomials_read_as_people_write_them(coefficients, words):
    assert polynomial(*coefficients) == words


def test_every_corner_of_the_controls_lies_inside_the_picture():
    for values in itertools.product((-5, 5), (-4, 4), (-3, 3), (0, 1), (-1, 1)):
        curves = FGX.compute(*values).curves
        assert all(np.abs(curve).max() <= HIGHEST for curve in curves.values())


def test_bars_stack_to_the_output():
    panel = FGX(a=-2, b=1.5, c=-1, alpha=0.4, x=-0.5)
    x, branch, output = panel.figure.axes[1].patches
    assert x.get_height() == -0.5
    assert branch.get_y() == -0.5
    assert branch.get_y() + branch.get_height() == pytest.approx(output.get_height())
    assert output.get_height() == pytest.approx(panel.result.point["output"])
