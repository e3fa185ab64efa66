"""The pair that ships: small, safe to load, and as accurate as its record says."""

import pytest
import torch
from safetensors import safe_open

from resnet_lesson import data, training
from resnet_lesson.data import idx
from resnet_lesson.experiments import small_pair
from resnet_lesson.experiments.table import read


@pytest.fixture(scope="module")
def pair():
    return small_pair.load()


def test_the_files_are_small_half_precision_and_hold_no_code(pair):
    for arm in small_pair.ARMS:
        path = small_pair.WEIGHTS / f"{arm}.safetensors"
        assert path.stat().st_size < 2_000_000
        with safe_open(path, "pt") as file:
            tensors = [file.get_tensor(key) for key in file.keys()]  # noqa: SIM118
        assert {tensor.dtype for tensor in tensors} <= {torch.float16, torch.int64}
    assert sum(p.numel() for p in pair.residual.parameters()) < 1_000_000
    assert not pair.residual.training and not pair.plain.training
    assert pair.residual.conv1.weight.dtype == torch.float32


def test_the_weights_give_their_recorded_test_accuracy(pair):
    if idx.find_full() is None:
        pytest.skip("the full Fashion-MNIST is not on this machine")
    test = data.load_fashion_mnist("full", quiet=True).test
    for arm, model in zip(small_pair.ARMS, pair[:2], strict=True):
        accuracy = training.evaluate(model, test, progress=False).accuracy
        assert round(accuracy, 4) == round(pair.record[arm]["test_accuracy"], 4)
    assert pair.record["residual"]["test_accuracy"] >= 0.93


def test_both_arms_started_from_equal_weights_and_had_the_same_recipe():
    residual, plain = (small_pair.build(arm).state_dict() for arm in small_pair.ARMS)
    assert all(torch.equal(value, residual[key]) for key, value in plain.items())
    rows = read("small_pair")
    for column in ("depth", "data", "epochs", "batch_size", "lr", "seed", "torch"):
        assert len({row[column] for row in rows}) == 1, column
    for arm in small_pair.ARMS:
        own = [row for row in rows if row["arm"] == arm]
        assert [row["epoch"] for row in own] == list(range(1, own[0]["epochs"] + 1))
        best = max(own, key=lambda row: row["validation_accuracy"])
        assert own[-1]["chosen_epoch"] == best["epoch"]


def test_missing_or_foreign_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="residual.safetensors is missing"):
        small_pair.load(tmp_path)
    for arm in small_pair.ARMS:
        (tmp_path / f"{arm}.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="does not hold the residual network"):
        small_pair.load(tmp_path)
    with pytest.raises(ValueError, match="arm must be one of residual, plain"):
        small_pair.build("other")


def test_a_trained_arm_is_stored_as_it_was_judged(tmp_path, monkeypatch):
    mini = data.load_fashion_mnist("mini", quiet=True)
    part = data.Splits(*(split.take(slice(200)) for split in mini))
    monkeypatch.setitem(small_pair.OPTIONS, "epochs", 2)
    rows = [small_pair.train(arm, part, tmp_path / arm, tmp_path)[-1] for arm in small_pair.ARMS]
    models = small_pair.load(tmp_path)[:2]
    for row, model in zip(rows, models, strict=True):
        found = training.evaluate(model, part.test).accuracy
        assert row["test_accuracy"] == pytest.approx(found)


def test_the_command_trains_both_arms_and_writes_them_down(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load_fashion_mnist", lambda source: None)
    monkeypatch.setattr(small_pair, "train", lambda arm, *rest: [
        {"arm": arm, "epoch": 1, "test_accuracy": 0.5}])
    out = tmp_path / "rows.csv"
    for _ in range(2):
        small_pair.main(["--out", str(out)])
    assert [line.split(",")[0] for line in out.read_text().splitlines()] == [
        "arm", "residual", "plain"]
    with pytest.raises(SystemExit):
        small_pair.main(["other"])
