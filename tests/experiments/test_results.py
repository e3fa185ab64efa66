"""Recorded results: they can be regenerated, and are what the README says."""

import re
import statistics
from pathlib import Path

import pytest

from resnet_lesson import data
from resnet_lesson.experiments import full_run, small_pair, sweep, table
from resnet_lesson.experiments import recipes as recorded_recipes
from resnet_lesson.figures.ladder_of_speed import recipe_table
from resnet_lesson.networks import resnet
from resnet_lesson.training.recipes import RECIPES

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def readme():
    return (PROJECT / "README.md").read_text(encoding="utf-8")


def test_the_recorded_run_is_real_and_reaches_what_was_asked():
    rows = table.read("full_run")
    assert rows[0]["data"] == "Fashion-MNIST full" and len(rows) >= 5
    assert rows[-1]["test_accuracy"] >= 0.90
    losses = [row["train_loss"] for row in rows]
    assert losses == sorted(losses, reverse=True)


def test_the_readme_says_what_was_recorded(readme):
    rows = table.read("full_run")
    text = re.sub(r"\s+", " ", readme)
    accuracy, = re.findall(r"reaches a test accuracy of ([\d.]+)", text)
    epochs, = re.findall(r"trained once for (\d+) epochs", text)
    minutes, = re.findall(r"in about (\d+) minutes of training", text)
    assert accuracy == f"{rows[0]['test_accuracy']:.3f}"
    assert int(epochs) == len(rows)
    assert int(minutes) == round(sum(row["seconds"] for row in rows) / 60)


def test_the_readmes_table_of_recipes_is_the_recorded_one(readme):
    headings, lines = recipe_table(table.read("recipes"))
    start = readme.index(f"| {' | '.join(headings)} |")
    shown = readme[start:].split("\n\n")[0].splitlines()[2:]
    assert shown == [f"| {' | '.join(map(str, line))} |" for line in lines]


def test_the_recorded_recipes_reach_what_is_said_of_them():
    rows = table.read("recipes")
    last = [row for row in rows if row["test_accuracy"] != ""]
    full = "Fashion-MNIST full"
    joined = full + recorded_recipes.JOINED
    seeds = {}
    for row in last:
        seeds.setdefault((row["recipe"], row["data"]), []).append(row)
    quick, fast = ([row["test_accuracy"] for row in seeds[name, full]]
                   for name in ("quick", "fast"))
    assert len(quick) >= 3 and min(quick) >= 0.893  # the book's accuracy
    assert len(fast) >= 3 and statistics.fmean(fast) >= 0.934
    long = [row["views_accuracy"] for row in seeds["fast-long", joined]]
    assert len(long) >= 3 and statistics.fmean(long) >= 0.943
    assert {source for _, source in seeds} == {full, joined}
    for (name, source), runs in seeds.items():
        assert len({row["seed"] for row in runs}) == len(runs)
        assert all(row["epochs"] == RECIPES[name].options["epochs"] for row in runs)
        assert (name, full) in seeds, "what is trained on all pictures was validated before"
        assert source == full or all(row["chosen_epoch"] == row["epochs"] for row in runs)
    for row in rows:
        assert (row["validation_accuracy"] == "") == (row["data"] == joined)


def test_links_and_states_in_the_readme_are_true(readme):
    targets = re.findall(r"\]\(([^)]+)\)", readme)
    assert all((PROJECT / target).is_file() for target in targets), targets
    rows = re.findall(r"^\| (.+?) \| .+ \| (\d+|coming) \|$", readme, re.MULTILINE)
    assert len(rows) == 15
    for name, state in rows:
        assert ("notebooks/" in name) == (state != "coming"), name
    for path in (PROJECT / "notebooks").glob("*.ipynb"):
        assert f"notebooks/{path.name}" in targets, path.name


@pytest.mark.parametrize(("module", "arguments"), [
    (full_run, []), (small_pair, []), (recorded_recipes, ["fast", "0"]), (sweep, ["depth", "full"]),
    (sweep, ["--only", "full", "plain", "20", "0.1", "0"])])
def test_a_command_that_needs_the_full_set_says_in_one_line_that_it_is_missing(
        module, arguments, monkeypatch, capsys):
    def missing(source):
        raise FileNotFoundError(f"the {source} set is not here; this is how to get it")

    monkeypatch.setattr(data, "load_fashion_mnist", missing)
    monkeypatch.setattr(module, "train", lambda *_: pytest.fail("went on without pictures"),
                        raising=False)
    with pytest.raises(SystemExit) as end:
        module.main(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(
        "the full set is not here; this is how to get it")


def test_the_command_writes_the_rows_that_it_measured(tmp_path, monkeypatch, capsys, mini):
    part = data.Splits(*(split.take(slice(64)) for split in mini))
    monkeypatch.setattr(data, "load_fashion_mnist", lambda source: part)
    small = resnet.small_resnet(8, widths=(4, 4, 4), stem="small/2")
    monkeypatch.setattr(full_run.resnet, "resnet18", lambda: small)
    out = tmp_path / "rows.csv"
    full_run.main(["--epochs", "2", "--out", str(out), "--checkpoint", str(tmp_path / "run")])
    rows = table.read(out)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert set(rows[0]) >= set(table.read("full_run")[0]) - {"machine"} | {"processor", "commit"}
    assert f"{rows[0]['test_accuracy']:.4f}" in capsys.readouterr().out
