"""The recorded gradients are complete, can be measured again, and are told in true sentences."""

import math

import pytest
import torch

from resnet_lesson.experiments import gradients
from resnet_lesson.findings import gradient_flow
from resnet_lesson.findings.gradient_flow import hidden, sentences, summarise
from resnet_lesson.inside.gradients import profile as profile_of
from resnet_lesson.words import short

# Rounding differs between processors, and a network that multiplies a disturbance by r from one
# end to the other multiplies that difference too; so the tolerance is for shallow networks.
TOLERANCE = 0.02


@pytest.fixture(scope="module")
def rows():
    return gradients.load()


def fake(shortcut, norm, initialisation, depth, seed, ratio, weight=1.0):
    return gradients.Row(shortcut, norm, initialisation, depth, seed, ratio, weight, 1.0, ratio,
                         1.0, 16, 14, 128, "2", (ratio, 1.0), (weight, 1.0), (1.0, 1.0))


def test_the_table_is_complete(rows):
    settings = summarise(rows)
    assert len(settings) == (len(gradients.SHORTCUTS) * len(gradients.NORMS)
                             * len(gradients.INITIALISATIONS) * len(gradients.DEPTHS))
    assert {8, 64} <= set(gradients.DEPTHS)
    assert all(summary.seeds == len(gradients.SEEDS) >= 5 for summary in settings.values())
    for row in rows:
        assert (row.width, row.size, row.batch) == (16, 14, 128)
        assert len(row.gradients) == len(row.weights) == len(row.activations) == row.depth
        assert all(math.isfinite(value) for value in row.gradients + row.weights)


def test_the_columns_agree_with_the_profiles(rows):
    for row in rows:
        assert row.first_gradient == pytest.approx(row.gradients[0], rel=0.006)
        assert row.last_gradient == pytest.approx(row.gradients[-1], rel=0.006)
        assert row.gradient_ratio == pytest.approx(row.first_gradient / row.last_gradient, rel=1e-4)
        assert row.weight_ratio == pytest.approx(row.weights[0] / row.weights[-1], rel=0.02)
        assert row.activation_ratio == pytest.approx(row.activations[-1] / row.activations[0],
                                                     rel=0.02)


def drift(row):
    """Return what differs between a recorded row and the same network measured now."""
    now = gradients.measure_network(*row.setting, row.seed)
    found = []
    for column in ("gradient_ratio", "weight_ratio", "activation_ratio", "first_gradient",
                   "last_gradient"):
        if getattr(now, column) != pytest.approx(getattr(row, column), rel=TOLERANCE):
            found.append(f"{column}: {getattr(row, column)} recorded, {getattr(now, column)} now")
    for column in ("gradients", "weights", "activations"):
        if getattr(now, column) != pytest.approx(getattr(row, column), rel=TOLERANCE, abs=1e-40):
            found.append(column)
    return found


@pytest.mark.parametrize("setting", [
    ("plain", "none", "default", 4), ("residual", "none", "he", 8), ("plain", "none", "xavier", 8),
    ("plain", "batch norm", "he", 8), ("residual", "batch norm", "xavier", 8),
    ("pre-activation", "batch norm", "default", 4), ("plain", "none", "he", 16)], ids=str)
def test_rows_can_be_measured_again(rows, setting):
    row = next(row for row in rows if row.setting == setting and row.seed == 2)
    assert drift(row) == []


def test_a_forged_row_is_caught(rows):
    row = next(row for row in rows if row.depth == 4)
    assert drift(row._replace(gradient_ratio=1.05 * row.gradient_ratio))
    assert drift(row._replace(gradients=(1.05 * row.gradients[0], *row.gradients[1:])))
    assert drift(row._replace(seed=row.seed + 1))


def test_underflow_is_recorded_as_zero_and_is_real(rows):
    zero = [row for row in rows if row.gradient_ratio == 0]
    assert {row.setting for row in zero} == {("plain", "none", "default", 64)}
    model, X, y = gradients.build("plain", "none", "default", 40, 0)
    single = profile_of(model, X[:8], y[:8]).gradients
    double = profile_of(model.double(), X[:8].double(), y[:8]).gradients
    assert all(value > 0 for value in double)
    assert single[-1] == pytest.approx(double[-1], rel=1e-3)


def test_recording_resumes_and_ends_with_the_same_file(tmp_path, monkeypatch, capsys):
    few = {"shortcuts": ("residual", "plain"), "norms": ("none",), "initialisations": ("he",),
           "depths": (1, 2), "seeds": (0, 1)}
    whole = tmp_path / "whole.csv"
    rows = gradients.record(whole, **few)
    assert [row.setting + (row.seed,) for row in rows] == [
        (arm, "none", "he", depth, seed) for arm in ("plain", "residual") for depth in (1, 2)
        for seed in (0, 1)]
    assert [row[:5] for row in gradients.load(whole)] == [row[:5] for row in rows]
    cut = tmp_path / "cut.csv"
    lines = whole.read_text().splitlines(keepends=True)
    cut.write_text("".join(lines[:4]) + lines[4][:40])  # the last line was being written
    calls = []
    measured = gradients.measure_network
    monkeypatch.setattr(gradients, "measure_network",
                        lambda *key: calls.append(key) or measured(*key))
    gradients.record(cut, **few)
    assert cut.read_text() == whole.read_text() and len(calls) == 5
    gradients.record(cut, **few)
    assert len(calls) == 5
    gradients.record(cut, again=True, **few)
    assert len(calls) == 13 and cut.read_text() == whole.read_text()
    assert not list(tmp_path.glob("*.partial"))


def test_the_command_says_where_it_wrote(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gradients, "record", lambda path, again: [1, 2])
    gradients.main(["--out", str(tmp_path / "x.csv")])
    assert "2 networks in" in capsys.readouterr().out


def test_twins_share_weights_and_pictures():
    plain, X, _ = gradients.build("plain", "batch norm", "xavier", 2, 3)
    residual, other, _ = gradients.build("residual", "batch norm", "xavier", 2, 3)
    assert torch.equal(X, other)
    for (name, one), two in zip(plain.named_parameters(), residual.parameters(), strict=True):
        assert torch.equal(one, two), name


def test_building_leaves_the_random_numbers_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    gradients.build("plain", "none", "he", 1, 0)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("setting", "words"), [
    (("curved", "none", "he", 4, 0), "shortcut must be one of"),
    (("plain", "layer", "he", 4, 0), "norm must be one of"),
    (("plain", "none", "big", 4, 0), "initialisation must be one of"),
    (("plain", "none", "he", 0, 0), "depth must be a whole number"),
    (("plain", "none", "he", 2.5, 0), "depth must be a whole number")])
def test_impossible_settings_are_refused_in_words(setting, words):
    with pytest.raises(ValueError, match=words):
        gradients.measure_network(*setting)


def test_a_missing_table_names_the_command_that_writes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="resnet_lesson.experiments.gradients"):
        gradients.load(tmp_path / "none.csv")


def test_sentences_follow_the_numbers():
    values = {("none", "default"): (0.0, 2.0), ("none", "he"): (0.5, 5000.0),
              ("batch norm", "he"): (3e4, 20.0), ("none", "xavier"): (1.0, 2.0),
              ("batch norm", "xavier"): (1e-9, 500.0)}
    rows = [fake(arm, *key, 8, seed, pair[i]) for key, pair in values.items() for seed in range(3)
            for i, arm in enumerate(("plain", "residual"))]
    vanish, explode, hold, helps, hurts, same = sentences(rows, 8)
    assert "plain, PyTorch's default, no norm (0, underflow in 3 of 3 seeds)" in vanish
    assert "plain, Xavier, with batch norm (1.0·10⁻⁹)" in vanish and "residual" not in vanish
    assert "residual, He, no norm (5.0·10³)" in explode
    assert "plain, He, with batch norm (3.0·10⁴)" in explode
    assert "residual, He, with batch norm (20)" in hold and "plain, He, no norm (0.5)" in hold
    assert "PyTorch's default, no norm" in helps and "He, with batch norm" in helps
    assert "500 with: it still explodes" in helps and "20 with)" in helps
    assert "He, no norm (0.5 without, 5.0·10³ with)" in hurts
    assert "Xavier, no norm (1 without, 2 with)" in same


def test_sentences_change_with_the_numbers(rows):
    turned = [row._replace(gradient_ratio=1 / row.gradient_ratio if row.gradient_ratio else 1e9)
              for row in rows]
    assert sentences(turned, 64)[0] != sentences(rows, 64)[0]
    with pytest.raises(ValueError, match="nothing was measured at 5 blocks"):
        sentences(rows, 5)


def test_weights_that_hide_are_found():
    rows = [fake("plain", "none", "he", 8, 0, 1e-5), fake("plain", "none", "xavier", 8, 0, 1.0),
            fake("residual", "none", "he", 8, 0, 1e5, weight=1e4)]
    assert [setting for setting, _, _ in hidden(rows, 8)] == [rows[0].setting]


@pytest.mark.parametrize(("plain", "residual", "word"), [
    (1e-6, 0.5, "helps"), (0.0, 1e9, "helps"), (1.0, 1e3, "hurts"), (1.0, 1e-3, "hurts"),
    (2.0, 3.0, "makes no clear difference"), (0.0, 0.0, "makes no clear difference"),
    (100.0, 0.01, "makes no clear difference")])
def test_effect(plain, residual, word):
    assert gradient_flow.effect(plain, residual) == word


@pytest.mark.parametrize(("value", "word"), [
    (0, "0"), (1, "1"), (0.031, "0.031"), (47.4, "47"), (280, "280"), (3.2e-26, "3.2·10⁻²⁶"),
    (1.6e10, "1.6·10¹⁰"), (999.9, "1000"), (1000, "1.0·10³"), (-0.5, "-0.5"), (math.inf, "inf")])
def test_short_numbers(value, word):
    assert short(value) == word


@pytest.mark.parametrize(("one", "other", "value"), [
    (1, 2, 0.5), (0, 3, 0), (3, 0, math.inf), (0, 0, math.nan)])
def test_ratio_of_zeros(one, other, value):
    assert gradients.ratio(one, other) == pytest.approx(value, nan_ok=True)


def test_the_table_shows_each_setting_once(rows):
    headings, lines = gradient_flow.table(rows)
    assert headings[3:] == [f"{depth} blocks" for depth in gradients.DEPTHS]
    assert len(lines) == 12 and len({tuple(line[:3]) for line in lines}) == 12
    found = summarise(rows)
    assert lines[0][3] == short(found[("plain", "none", "default", 4)].median)
