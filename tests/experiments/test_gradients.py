"""The recorded gradients are complete and can be measured again."""

import math

import pytest
import torch

from resnet_lesson.exercises.gradient_sum import PATH_SHARES
from resnet_lesson.experiments import gradients
from resnet_lesson.findings.gradient_flow import mean_length
from resnet_lesson.inside import gradients as inside
from resnet_lesson.inside.gradients import profile as profile_of

# Rounding differs between processors, and a network that multiplies a disturbance by r from one
# end to the other multiplies that difference too; so the tolerance is for shallow networks.
TOLERANCE = 0.02


@pytest.fixture(scope="module")
def rows():
    return gradients.load()


def test_the_table_is_complete(rows):
    assert {row[:5] for row in rows} == set(gradients.NETWORKS) and len(rows) == 3 * 2 * 3 * 5 * 8
    assert {8, 64} <= set(gradients.DEPTHS) and len(gradients.SEEDS) >= 5
    for row in rows:
        assert (row.width, row.size, row.batch) == (16, 14, 128)
        assert len(row.gradients) == len(row.weights) == len(row.activations) == row.depth
        assert all(math.isfinite(value) for value in row.gradients + row.weights)


def test_the_ratios_agree_with_the_profiles(rows):
    for row in rows:   # a profile has three digits
        for ratio, (first, *_, last) in ((row.gradient_ratio, row.gradients),
                                         (row.weight_ratio, row.weights),
                                         (1 / row.activation_ratio, row.activations)):
            assert ratio == pytest.approx(first / last, rel=0.011)


def drift(row):
    """Return what differs between a recorded row and the same network measured now."""
    now = gradients.measure_network(*row.setting, row.seed)
    found = []
    for column in ("gradient_ratio", "weight_ratio", "activation_ratio"):
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
    few = [(arm, "none", "he", depth, seed) for seed in (0, 1) for depth in (1, 2)
           for arm in ("residual", "plain")]
    order = sorted(few, key=lambda network: (network[0], *network[3:]))
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    assert [row[:5] for row in gradients.record(whole, few)] == order
    assert [row[:5] for row in gradients.load(whole)] == order
    calls, measure = [], gradients.measure_network

    def interrupted(*network):
        calls.append(network)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return measure(*network)

    monkeypatch.setattr(gradients, "measure_network", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gradients.record(cut, few)
    assert [row[:5] for row in gradients.load(cut)] == few[:3]
    gradients.record(cut, few)
    assert cut.read_bytes() == whole.read_bytes() and calls == [*few[:4], *few[3:]]
    gradients.record(cut, few)
    assert len(calls) == 9, "what is there is not measured again"
    assert not list(tmp_path.glob("*.partial"))


def test_the_command_says_where_it_wrote(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gradients, "record", lambda path: [1, 2])
    gradients.main(["--out", str(tmp_path / "x.csv")])
    assert "2 networks in" in capsys.readouterr().out


def test_twins_share_weights_and_pictures():
    plain, X, _ = gradients.build("plain", "batch norm", "xavier", 2, 3)
    residual, other, _ = gradients.build("residual", "batch norm", "xavier", 2, 3)
    assert torch.equal(X, other)
    for (name, one), two in zip(plain.named_parameters(), residual.parameters(), strict=True):
        assert torch.equal(one, two), name


def carried(shortcut, norm, initialisation, seed):
    model, X, y = gradients.build(shortcut, norm, initialisation, 16, seed)
    parts = inside.gradient_by_path_length(model, X[:32], y[:32]).parts
    return inside.projected_shares(parts), [
        row.branch_to_skip ** 2 for row in inside.shares(model, X[:32], y[:32])]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_which_paths_carry_turns_with_the_setting_and_follows_from_the_terms(seed):
    means = []
    for norm, start in (("none", "default"), ("batch norm", "he"), ("none", "he")):
        shares, squares = carried("residual", norm, start, seed)
        means.append(mean_length(shares))
        assert abs(mean_length(PATH_SHARES.solve(squares)) - means[-1]) < 1.7
        assert (shares[0] > 0.5) == (start == "default")
    assert means[0] < 1 and 5 < means[1] < 6 and 8.5 < means[2] < 10
    shares, squares = carried("pre-activation", "none", "he", seed)
    assert abs(mean_length(PATH_SHARES.solve(squares)) - mean_length(shares)) < 0.2


def ends(shortcut, norm, initialisation, depth, *, pictures=32, training=True):
    model, X, y = gradients.build(shortcut, norm, initialisation, depth, 0)
    sizes = profile_of(model.train(training), X[:pictures], y[:pictures]).gradients
    return sizes[0] / sizes[-1]


def test_batch_norm_tames_in_training_mode_alone_and_not_at_every_depth():
    assert ends("plain", "batch norm", "he", 16) > 100 > ends("residual", "batch norm", "he", 16)
    modes = [ends(arm, "batch norm", "he", 16, training=False) for arm in ("plain", "residual")]
    assert modes[0] < 3 and modes[1] > 300, "the opposite verdict before training"
    assert 60 < ends("residual", "batch norm", "he", 128) < 100
    assert ends("residual", "batch norm", "he", 192) > 100, "what grows in proportion gets there"


def test_the_rules_come_nearer_in_wider_networks(monkeypatch):
    narrow = ends("plain", "none", "he", 32, pictures=8)
    monkeypatch.setattr(gradients, "WIDTH", 64)
    assert narrow < 0.3 < ends("plain", "none", "he", 32, pictures=8) < 1.5
    growth = ends("plain", "batch norm", "he", 16, pictures=16) ** (1 / 15)
    assert growth == pytest.approx(math.pi / (math.pi - 1), rel=0.06)


def test_shattering_takes_norm_and_no_shortcut_at_16_blocks_and_depth_without_norm():
    near = {(arm, norm): gradients.alike(arm, norm, "he", 16)[:, 1].mean()
            for arm in ("plain", "residual") for norm in gradients.NORMS}
    assert near.pop(("plain", "batch norm")) < 0.1 and min(near.values()) > 0.8
    assert gradients.alike("plain", "none", "he", 32)[:, 1].mean() < 0.7
    step = gradients.line()
    assert ((step[1] - step[0]).square().mean().sqrt() * 255).item() == pytest.approx(0.6, abs=0.1)


def test_building_leaves_the_random_numbers_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    gradients.build("plain", "none", "he", 1, 0)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("setting", "words"), [
    (("curved", "none", "he", 4, 0), "shortcut must be one of"),
    (("plain", "layer", "he", 4, 0), "norm must be one of"),
    (("plain", "none", "big", 4, 0), "initialisation must be one of"),
    (("plain", "none", "he", 0, 0), "depth must be a whole number above 0"),
    (("plain", "none", "he", 2.5, 0), "depth must be a whole number above 0")])
def test_impossible_settings_are_refused_in_words(setting, words):
    with pytest.raises(ValueError, match=words):
        gradients.measure_network(*setting)


def test_a_missing_table_names_the_command_that_writes_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="resnet_lesson.experiments.gradients"):
        gradients.load(tmp_path / "none.csv")


@pytest.mark.parametrize(("one", "other", "value"), [
    (1, 2, 0.5), (0, 3, 0), (3, 0, math.inf), (0, 0, math.nan)])
def test_ratio_of_zeros(one, other, value):
    assert gradients.ratio(one, other) == pytest.approx(value, nan_ok=True)
