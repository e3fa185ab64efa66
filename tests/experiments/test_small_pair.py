"""The pair that ships: small, safe to load, and as accurate as its record says."""

import math
import shutil

import pytest
import torch
from safetensors import safe_open

from resnet_lesson import data, training
from resnet_lesson.experiments import small_pair
from resnet_lesson.experiments.studies import ARMS
from resnet_lesson.experiments.table import read


@pytest.fixture(scope="module")
def pair():
    return small_pair.load()


def test_the_files_are_small_half_precision_and_hold_no_code(pair):
    for arm in ARMS:
        path = small_pair.WEIGHTS / f"{arm}.safetensors"
        assert path.stat().st_size < 2_000_000
        with safe_open(path, "pt") as file:
            tensors = [file.get_tensor(key) for key in file.keys()]  # noqa: SIM118
        assert {tensor.dtype for tensor in tensors} <= {torch.float16, torch.int64}
    assert sum(p.numel() for p in pair.residual.parameters()) < 1_000_000
    assert not pair.residual.training and not pair.plain.training
    assert pair.residual.conv1.weight.dtype == torch.float32


def strayed(model, recorded, test):
    """Tell whether accuracy on 1,000 of the 10,000 pictures is 3 standard errors off its record."""
    found = training.evaluate(model, test, progress=False).accuracy
    error = math.sqrt(recorded * (1 - recorded) * (1 / 1000 - 1 / 10_000))
    return abs(found - recorded) > 3 * error


def test_the_weights_do_what_is_recorded_of_them_and_spoilt_ones_do_not(pair, mini):
    recorded = {arm: pair.record[arm]["test_accuracy"] for arm in ARMS}
    assert recorded["residual"] >= 0.93
    for arm in ARMS:
        assert not strayed(getattr(pair, arm), recorded[arm], mini.test)
    spoilt = small_pair.load().plain
    spoilt.bn1.running_mean.zero_()
    assert strayed(spoilt, recorded["plain"], mini.test)


def test_both_arms_started_from_equal_weights_and_had_the_same_recipe():
    plain, residual = (small_pair.build(arm).state_dict() for arm in ARMS)
    assert all(torch.equal(value, residual[key]) for key, value in plain.items())
    rows = read("small_pair")
    for column in ("depth", "data", "epochs", "batch_size", "lr", "seed", "torch"):
        assert len({row[column] for row in rows}) == 1, column
    for arm in ARMS:
        own = [row for row in rows if row["arm"] == arm]
        assert [row["epoch"] for row in own] == list(range(1, own[0]["epochs"] + 1))
        best = max(own, key=lambda row: row["validation_accuracy"])
        assert own[-1]["chosen_epoch"] == best["epoch"]


def test_missing_or_foreign_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="plain.safetensors is missing"):
        small_pair.load(tmp_path)
    for arm in ARMS:
        (tmp_path / f"{arm}.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="does not hold the plain network"):
        small_pair.load(tmp_path)
    with pytest.raises(ValueError, match="arm must be one of plain, residual"):
        small_pair.build("other")


def test_a_trained_arm_is_stored_as_it_was_judged(tmp_path, monkeypatch, mini):
    part = data.Splits(*(split.take(slice(150)) for split in mini))
    monkeypatch.setitem(small_pair.OPTIONS, "epochs", 2)
    shutil.copy(small_pair.WEIGHTS / "residual.safetensors", tmp_path)
    row = small_pair.train("plain", part, tmp_path / "run", tmp_path)[-1]
    stored = small_pair.load(tmp_path)
    found = training.evaluate(stored.plain, part.test)   # its loss shows the rounding
    assert (row["test_accuracy"], row["test_loss"]) == pytest.approx(
        (found.accuracy, found.loss), rel=1e-6)
    assert not torch.equal(stored.plain.conv1.weight, small_pair.build("plain").conv1.weight)
    assert small_pair.train("plain", part, tmp_path / "run", tmp_path)[-1] == row, "it is resumed"


def test_the_command_trains_both_arms_and_writes_them_down(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load_fashion_mnist", lambda source: None)
    monkeypatch.setattr(small_pair, "train", lambda arm, *rest: [
        {"arm": arm, "epoch": 1, "test_accuracy": 0.5}])
    out = tmp_path / "rows.csv"
    for _ in range(2):
        small_pair.main(["--out", str(out)])
    assert [line.split(",")[0] for line in out.read_text().splitlines()] == [
        "arm", "plain", "residual"]
