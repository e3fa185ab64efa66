"""Tables of results: numbers come back as numbers, and no row is lost, doubled or touched."""

import math
import shutil

import pytest

from resnet_lesson.experiments import table

KEY, COLUMNS = ("arm", "lr", "seed"), ("arm", "lr", "seed", "epoch", "error", "note")


def rows(seed, error=0.25, lr=1.0):
    return [{"arm": "plain", "lr": lr, "seed": seed, "epoch": 1},
            {"arm": "plain", "lr": lr, "seed": seed, "epoch": 2, "error": error, "note": "6n + 2"}]


def test_numbers_are_read_as_numbers():
    found = table.read("full_run")
    assert [row["epoch"] for row in found] == list(range(1, len(found) + 1))
    assert all(isinstance(row["test_accuracy"], float) for row in found)
    assert isinstance(found[0]["torch"], str)


def test_unknown_results_name_the_known_ones():
    with pytest.raises(FileNotFoundError, match="'nothing'; there are: full_run, gradients"):
        table.read("nothing")


def test_what_is_recorded_is_read_again(tmp_path):
    path = tmp_path / "table.csv"
    assert table.recorded(path, KEY) == set()
    table.record(rows(0, 1 / 3), path, KEY, COLUMNS)
    assert table.read(path) == [
        {"arm": "plain", "lr": 1, "seed": 0, "epoch": 1, "error": "", "note": ""},
        {"arm": "plain", "lr": 1, "seed": 0, "epoch": 2, "error": 0.333333, "note": "6n + 2"}]
    table.record(rows(1, math.inf), path, KEY, COLUMNS)
    assert table.read(path)[-1]["error"] == math.inf


def test_a_table_loses_and_doubles_nothing(tmp_path):
    path = tmp_path / "table.csv"
    for seed, lr in ((0, 1.0), (1, 1.0), (0, 0.1), (0, 1.0)):  # 1.0 is written as 1
        table.record(rows(seed, lr=lr), path, KEY, COLUMNS)
    assert [(row["lr"], row["seed"], row["epoch"]) for row in table.read(path)] == [
        (1, 1, 1), (1, 1, 2), (0.1, 0, 1), (0.1, 0, 2), (1, 0, 1), (1, 0, 2)]
    assert table.recorded(path, KEY) == {("plain", 1, 1), ("plain", 0.1, 0), ("plain", 1, 0)}
    before = path.read_bytes()
    with pytest.raises(ValueError, match="wrong"):
        table.record([rows(0)[0] | {"wrong": 1}], path, KEY, COLUMNS)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["full_run", "gradients", "lesions", "recipes", "small_pair",
                                  "sweep"])
def test_rows_of_other_runs_keep_every_byte(name, tmp_path):
    path = tmp_path / f"{name}.csv"
    shutil.copy(table.RESULTS / path.name, path)
    before = path.read_bytes()
    columns = before.split(b"\r\n")[0].decode().split(",")
    table.record([dict.fromkeys(columns, "new")], path, columns, columns)
    assert path.read_bytes() == before + b",".join([b"new"] * len(columns)) + b"\r\n"
