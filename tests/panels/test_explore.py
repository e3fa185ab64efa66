"""Explore the results: what it shows follows from the rows, and no setting raises."""

import itertools

import numpy as np
import pytest

from resnet_lesson.experiments.table import RESULTS
from resnet_lesson.findings import comparison
from resnet_lesson.panels import explore
from resnet_lesson.panels.explore import BEST, METRICS, Explore
from tests.findings.test_comparison import GAPS, made_up


@pytest.fixture
def table(monkeypatch):
    """Let the panel read made-up rows: ``table(rows)``."""
    def use(rows):
        monkeypatch.setattr(explore.table, "read", lambda name: rows)
        explore.forget()
        return rows
    yield use
    explore.forget()


@pytest.fixture
def rows(table):
    found = made_up(GAPS) + made_up(GAPS, "no-norm", base=0.5, rates=(0.003, 0.01, 0.03))
    for i, row in enumerate(found):
        row |= {"test_error": row["train_error"] / 2, "gradient_norm": 0.1 + i % 7,
                "seconds": 5.0 + i % 11}
    return table(found)


@pytest.mark.parametrize("depth", GAPS)
def test_the_best_rates_and_the_difference_are_those_of_the_comparison(rows, depth):
    shown = Explore.compute(depth, BEST, "batch norm", "test error")
    known = comparison.paired(rows, "depth", depth, "test_error")
    assert shown.paired == pytest.approx(known.interval)
    for arm, side in (("plain", known.first), ("residual", known.second)):
        assert shown.chosen[arm].rate == side.rate
        assert np.mean(shown.chosen[arm].values) == pytest.approx(side.mean)
        assert shown.edges[arm] == side.edge
    assert shown.by_depth["plain"][depth] == shown.chosen["plain"]


def test_one_rate_for_both_arms_is_that_rate(rows):
    shown = Explore.compute(56, 0.1, "batch norm")
    assert {found.rate for found in shown.chosen.values()} == {0.1}
    assert {found.rate for by_depth in shown.by_depth.values()
            for found in by_depth.values()} == {0.1}
    assert list(shown.by_rate["plain"]) == [0.01, 0.03, 0.1]
    assert shown.edges == {"plain": "", "residual": ""}


@pytest.mark.parametrize("metric", METRICS)
def test_the_limits_hold_every_value(rows, metric):
    for norm in explore.NORMS:
        shown = Explore.compute(20, BEST, norm, metric)
        low, high = shown.limits
        values = [value for side in (shown.by_depth, shown.by_rate) for points in side.values()
                  for point in points.values() for value in point.values]
        assert len(values) > 20 and all(low <= value <= high for value in values)


def test_no_setting_raises_and_each_has_its_words(rows):
    panel = Explore()
    controls = panel.controls
    rates = [value for _, value in controls["rate"].options]
    settings = [*itertools.product((8, 34), rates, explore.NORMS, ["training error"]),
                *itertools.product([56], [BEST], explore.NORMS, METRICS)]
    for depth, rate, norm, metric in settings:
        panel.set(depth=depth, rate=rate, norm=norm, metric=metric)
        assert f"{depth} layers" in panel.caption
        grid = (0.01, 0.03, 0.1) if norm == "batch norm" else (0.003, 0.01, 0.03)
        assert bool(panel.trouble) == (rate != BEST and rate not in grid)
        if panel.trouble:
            assert "nothing is recorded; the rates there are" in panel.caption
        else:
            assert metric in panel.caption and "residual" in panel.caption


def test_the_caption_says_tie_edge_and_divergence(table):
    table(made_up({8: 0.0, 56: 0.3}, rates=(0.03, 0.1), diverged=1))
    panel = Explore(depth=8)
    assert "0 lies inside" in panel.caption and "0 lies outside" not in panel.caption
    assert "The best rate of plain is the lowest of the grid" in panel.caption
    assert "5 of 5 residual runs diverged" in panel.caption
    panel.set(depth=56)
    assert "+0.300 (+0.2" in panel.caption and "0 lies outside" in panel.caption


def test_partial_tables_are_drawn_as_far_as_they_go(table):
    table([row for row in made_up(GAPS, seeds=1) if row["arm"] == "plain" and row["depth"] != 32])
    panel = Explore()
    assert "residual not recorded" in panel.caption and "one seed" in panel.caption
    assert panel.result.paired is None and panel.trouble == ""
    panel.set(depth=32)
    assert panel.trouble == "Batch norm, 32 layers: nothing is recorded."


def test_no_rows_and_no_table_become_words(table, monkeypatch):
    table([])
    assert "nothing is recorded" in Explore().caption
    explore.forget()

    def absent(name):
        raise FileNotFoundError(f"no recorded results called {name!r}")
    monkeypatch.setattr(explore.table, "read", absent)
    assert "no recorded results called 'sweep'" in Explore().caption


def test_runs_whose_gradient_is_unknown_are_drawn_without_it(table):
    found = made_up({8: 0.1, 20: 0.1})
    for row in found:
        if row["arm"] == "plain":
            row |= {"gradient_norm": "", "seconds": ""}
    table(found)
    panel = Explore(depth=20, metric="gradient norm, last epoch")
    assert "plain not recorded" in panel.caption and panel.result.paired is None


def test_lines_rings_and_marks_are_where_the_numbers_are(rows):
    panel = Explore(depth=34, rate=0.1)
    shown = panel.result
    x, y = panel._rings["plain", "left"].get_data()
    assert (x[0], y[0]) == (explore.PLACES[34], pytest.approx(
        np.mean(shown.chosen["plain"].values)))
    assert panel._rings["plain", "right"].get_xdata()[0] == 0.1
    assert list(panel._lines["residual", "6n + 2"].get_xdata()) == [0, 1, 2, 3]
    assert len(panel._lines["residual", "ImageNet"].get_xdata()) == 2
    assert panel._here.get_xdata() == [explore.PLACES[34]] * 2
    assert panel._axes[1].get_title() == "34 layers"
    panel.set(metric="seconds")
    assert panel._axes[0].get_yscale() == "log" and panel._axes[0].get_ylabel() == "seconds"


@pytest.mark.parametrize(("change", "words"), [
    ({"metric": "loss"}, "metric must be"), ({"norm": "layer"}, "norm must be"),
    ({"depth": 7}, "depth must be"), ({"rate": 5}, "nothing is recorded")])
def test_impossible_settings_are_refused_in_words(rows, change, words):
    setting = {"depth": 8, "rate": BEST, "norm": "none", "metric": "seconds"}
    with pytest.raises(ValueError, match=words):
        Explore.compute(**{**setting, **change})


def test_reset_larger_and_bundle(rows):
    panel = Explore()
    before = panel.caption
    panel.set(depth=8, norm="none", metric="seconds")
    panel.enlarge()
    panel.reset()
    assert panel.caption == before == repr(panel)
    assert {"image/png", "text/plain"} <= set(panel._repr_mimebundle_())


def test_ticks_cover_their_decades():
    assert explore._ticks(0.1, 1) == pytest.approx([0.1, 0.2, 0.5, 1])
    assert explore._ticks(10, 1e5) == pytest.approx([10, 100, 1e3, 1e4, 1e5])
    assert len(explore._ticks(1e-9, 1e3)) <= 8


@pytest.mark.parametrize(("value", "words"), [(0.034, "0.034"), (99.4, "99"), (1234.5, "1,234"),
                                              (2e-7, "2.0·10⁻⁷"), (0, "0")])
def test_numbers_are_written_as_people_write_them(value, words):
    assert explore._number(value) == words


def test_the_recorded_table_if_there_is_one():
    explore.forget()
    if (RESULTS / "sweep.csv").exists():
        assert Explore().caption
