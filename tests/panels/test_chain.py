"""The chain: products are right, regions are where the products say, every setting has words."""

import itertools
import math

import pytest

from resnet_lesson.panels import chain
from resnet_lesson.panels.chain import Chain


@pytest.mark.parametrize("depth", [1, 2, 17, 64])
@pytest.mark.parametrize("w", [-3.0, -1.0, -0.35, 0.0, 0.5, 2.0])
def test_products_match_multiplication(depth, w):
    result = Chain.compute(depth, w)
    assert result.plain == pytest.approx(math.prod([w] * depth))
    assert result.residual == pytest.approx(math.prod([1 + w] * depth))
    for curve, slope in zip(result.curves, (w, 1 + w), strict=True):
        assert curve.shape == (depth + 1,)
        assert curve == pytest.approx([abs(slope) ** k for k in range(depth + 1)])


@pytest.mark.parametrize("depth", [1, 5, 50])
def test_regions_are_where_the_products_vanish_and_explode(depth):
    for row, regions in enumerate(Chain.compute(depth, 0.5).regions):
        for slope, word in list(zip(chain.SLOPES, regions, strict=True))[::23]:
            value = abs(slope + row) ** depth
            assert word == (2 if value > 100 else 0 if value < 1 / 100 else 1)


def test_the_source_that_says_neither_vanishes_nor_explodes_is_wrong():
    result = Chain.compute(50, 0.5)
    assert result.residual > 1e8 and Chain.compute(50, -0.5).residual < 1e-14


def test_runs_cover_the_axis_without_gaps():
    found = chain.runs(Chain.compute(50, 0.5).regions[0])
    assert [word for word, _, _ in found] == [2, 1, 0, 1, 2]
    assert found[0][1] == chain.LOWEST and found[-1][2] == chain.HIGHEST
    assert all(one[2] == two[1] for one, two in itertools.pairwise(found))


def test_a_slider_value_near_minus_one_gives_exactly_zero():
    assert Chain.compute(3, -0.9999999999).residual == 0


def test_every_region_is_drawn():
    panel = Chain()
    for depth in (1, 2, 33, 64):
        panel.set(depth=depth)
        visible = sum(patch.get_visible() for patch in panel.figure.axes[1].patches)
        assert visible == sum(len(chain.runs(r)) for r in panel.result.regions) <= chain.MOST


def test_zero_is_drawn_and_said():
    panel = Chain(depth=20, w=0.0)
    assert "w^20 = 0, which vanishes" in panel.caption
    plain = panel.figure.axes[0].get_lines()[0].get_ydata()
    assert 0 < plain[-1] < 1e-20 < plain[0], "in the strip under the axis, not missing"


def test_impossible_depth_is_refused_in_words():
    with pytest.raises(ValueError, match="at least one layer"):
        Chain.compute(0, 0.5)
