"""Explore the results: what it shows follows from the rows, and what is missing is said."""

import numpy as np
import pytest

from resnet_lesson.findings import comparison
from resnet_lesson.panels import explore
from resnet_lesson.panels.explore import BEST, METRICS, Explore


@pytest.fixture
def table(monkeypatch):
    """Let the panel read other rows: ``table(rows)``."""
    def use(rows):
        monkeypatch.setattr(explore.table, "read", lambda name: rows)
        explore.forget()
        return rows
    yield use
    explore.forget()


@pytest.fixture
def rows(table, invented):
    found = invented.pairs(invented.GAPS) + invented.pairs(
        invented.GAPS, "no-norm", base=0.5, rates=(0.003, 0.01, 0.03))
    for row in found:
        row["test_error"] = row["train_error"] / 2
    return table(found)


def test_every_metric_is_a_column_of_the_results():
    assert set(METRICS.values()) <= set(comparison.Result._fields)


@pytest.mark.parametrize("rate", [BEST, 0.1])
@pytest.mark.parametrize("depth", explore.PLACES)
def test_rates_and_difference_are_those_of_the_comparison(rows, depth, rate):
    shown = Explore.compute(depth, rate, "batch norm", "test error")
    known = comparison.paired(rows, "depth", depth, "test_error", None if rate == BEST else rate)
    assert shown.paired == known.interval
    assert shown.chosen == {"plain": known.first, "residual": known.second}
    for arm, found in shown.chosen.items():
        assert shown.by_depth[arm][depth] == found
        assert list(shown.by_rate[arm]) == [0.01, 0.03, 0.1]
        assert shown.by_rate[arm][found.rate].values == found.values


def test_a_rate_that_was_not_tried_is_said_to_be_missing_and_which_ones_are_there(rows):
    panel = Explore(norm="none")
    for _, rate in panel.controls["rate"].options:
        panel.set(rate=rate)
        assert bool(panel.trouble) == (rate not in (BEST, 0.003, 0.01, 0.03))
        assert panel.trouble or "training error" in panel.caption and "residual" in panel.caption
    assert panel.trouble.endswith("nothing is recorded; the rates there are 0.003, 0.01 and 0.03.")


def test_the_caption_says_tie_edge_and_divergence(table, invented):
    table(invented.pairs({8: 0.0, 56: 0.3}, rates=(0.03, 0.1), diverged=1))
    panel = Explore(depth=8)
    assert "0 lies inside" in panel.caption and "0 lies outside" not in panel.caption
    assert "The best rate of plain is the lowest of the grid" in panel.caption
    assert "5 of 5 residual runs diverged" in panel.caption
    panel.set(depth=56)
    assert "+0.300 (+0.2" in panel.caption and "0 lies outside" in panel.caption


def test_partial_tables_are_drawn_as_far_as_they_go(table, invented):
    table([row for row in invented.pairs(invented.GAPS, seeds=1)
           if row["arm"] == "plain" and row["depth"] != 32])
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
    assert "no recorded results called 'sweep'; python -m" in Explore().caption


def test_lines_rings_and_marks_are_where_the_numbers_are(rows):
    panel = Explore(depth=34, rate=0.1)
    shown = panel.result.chosen["plain"]
    x, y = panel._rings["plain", "left"].get_data()
    assert (x[0], y[0]) == (explore.PLACES[34], np.mean(shown.values))
    assert panel._rings["plain", "right"].get_xdata()[0] == 0.1
    assert list(panel._lines["residual", "6n + 2"].get_xdata()) == [0, 1, 2, 3]
    assert len(panel._lines["residual", "ImageNet"].get_xdata()) == 2
    assert len(panel._dots["plain", "left"].get_xdata()) == 6 * 5
    assert panel._here.get_xdata() == [explore.PLACES[34]] * 2
    left, right = panel.figure.axes
    assert right.get_title() == "34 layers"
    panel.set(metric="test error")
    assert left.get_ylabel() == "test error" and "layers, batch norm, test error after 158 steps" \
        in panel.caption


@pytest.mark.parametrize(("change", "words"), [
    ({"metric": "loss"}, "metric must be"), ({"norm": "layer"}, "norm must be"),
    ({"depth": 7}, "depth must be"), ({"rate": 5}, "nothing is recorded")])
def test_impossible_settings_are_refused_in_words(rows, change, words):
    setting = {"depth": 8, "rate": BEST, "norm": "none", "metric": "test error"}
    with pytest.raises(ValueError, match=words):
        Explore.compute(**{**setting, **change})
