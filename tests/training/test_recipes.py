"""Recipes: what they are called is what they do, and their record holds what was measured."""

import csv
import importlib

import pytest
import torch
from safetensors.torch import load_file

from resnet_lesson import data, training
from resnet_lesson.experiments import recipes as recorded
from resnet_lesson.training import book, evaluation, recipes
from resnet_lesson.training.arrangement import PLAIN

LOOP = importlib.import_module("resnet_lesson.training.fit")  # the name is also the function's


def test_the_books_recipe_has_the_books_values():
    options = recipes.BOOK.options
    assert (options["lr"], options["epochs"], options["batch_size"], options["size"]) == (
        book.LEARNING_RATE, book.EPOCHS, book.BATCH_SIZE, book.SIZE)
    assert options["momentum"] == options["weight_decay"] == 0 and (
        options["schedule"] == "constant")
    assert {**recipes.SMALL.options, "size": 96} == options
    weight = recipes.BOOK.build().layer1[0].conv1.weight
    bound = (6 / (2 * 64 * 9)) ** 0.5  # Xavier's uniform
    assert weight.abs().max() <= bound and weight.abs().max() > 0.99 * bound


@pytest.mark.parametrize("name", list(recipes.RECIPES))
def test_every_recipe_takes_a_step(name):
    mini = data.load_fashion_mnist("mini", quiet=True)
    part = data.Splits(*(split.take(slice(20)) for split in mini))
    options = recipes.RECIPES[name].options | {"epochs": 1, "batch_size": 20}
    torch.manual_seed(0)
    history = training.fit(recipes.RECIPES[name].build(), part, progress=False, **options)
    assert len(history.step_losses) == 1


@pytest.fixture
def short(monkeypatch):
    """Two epochs of two steps, on 100 pictures that stand for whatever source is asked for."""
    mini = data.load_fashion_mnist("mini", quiet=True)
    part = data.Splits(*(split.take(slice(100)) for split in mini))

    def load(source):
        return part._replace(train=data.Split(part.train.images, part.train.labels,
                                              source=f"Fashion-MNIST {source}"))

    monkeypatch.setattr(data, "load_fashion_mnist", load)
    options = recipes.FAST.options | {"epochs": 2, "batch_size": 50, "arrangement": PLAIN}
    monkeypatch.setitem(recorded.RECIPES, "fast", recipes.FAST._replace(options=options))


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_recorded_recipe_is_never_doubled(short, tmp_path, capsys):
    out = tmp_path / "rows.csv"
    for source in ("mini", "full", "full"):   # the same seed on other data is another run
        recorded.main(["fast", "0", "1", "--source", source, "--out", str(out), "--checkpoints",
                       str(tmp_path)])
    rows = rows_of(out)
    assert [(row["data"][-4:], row["seed"], row["epoch"]) for row in rows] == [
        (source, seed, epoch) for source in ("mini", "full") for seed in "01" for epoch in "12"]
    assert rows[0]["test_accuracy"] == "" and 0 <= float(rows[1]["test_accuracy"]) <= 1
    assert f"{float(rows[1]['test_accuracy']):.4f}" in capsys.readouterr().out
    with pytest.raises(ValueError, match="recipe must be one of book"):
        recorded.train("slow", 0, None)


def test_a_recorded_recipe_goes_on_where_it_was_stopped(short, tmp_path, monkeypatch, capsys):
    fit, steps = training.fit, []

    def stopped(*arguments, **options):
        def watch(progress):
            steps.append(progress.step)
            return len(steps) == 3   # the end of the first epoch, and no row yet
        return fit(*arguments, watch=watch, **options)

    whole, out = tmp_path / "whole.csv", tmp_path / "rows.csv"
    recorded.main(["fast", "0", "--out", str(whole), "--checkpoints", str(tmp_path / "whole")])
    arguments = ["fast", "0", "--out", str(out), "--checkpoints", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(training, "fit", stopped)
        recorded.main(arguments)
    assert not out.exists() and len(steps) == 3
    monkeypatch.setattr(training, "fit", lambda *a, **options: fit(
        *a, watch=lambda progress: steps.append(progress.step), **options))
    recorded.main(arguments)
    assert len(steps) == 3 + 3, "the first epoch was not trained again"
    for row, other in zip(rows_of(out), rows_of(whole), strict=True):
        assert {name: value for name, value in row.items() if "second" not in name} == {
            name: value for name, value in other.items() if "second" not in name}


def test_what_cannot_be_recorded_ends_in_one_line(short, tmp_path, monkeypatch, capsys):
    arguments = ["fast", "0", "--checkpoints", str(tmp_path), "--out"]
    with pytest.raises(SystemExit):
        recorded.main([*arguments, str(tmp_path / "nowhere" / "rows.csv")])
    assert "its folder is missing" in capsys.readouterr().err
    recorded.main([*arguments, str(tmp_path / "rows.csv")])
    (tmp_path / "rows.csv").unlink()
    changed = recorded.RECIPES["fast"]
    monkeypatch.setitem(recorded.RECIPES, "fast",
                        changed._replace(options=changed.options | {"lr": 0.5}))
    with pytest.raises(SystemExit):
        recorded.main([*arguments, str(tmp_path / "rows.csv")])
    told = capsys.readouterr().err
    assert "lr=0.2, now lr=0.5" in told and f"delete {tmp_path / 'fast-full-0'}" in told


def test_several_views_are_recorded_beside_one_of_the_same_weights(monkeypatch):
    mini = data.load_fashion_mnist("mini", quiet=True)
    part = data.Splits(*(split.take(slice(100)) for split in mini))
    short = recipes.FAST.options | {"epochs": 1, "batch_size": 50,
                                     "arrangement": PLAIN}
    asked, last, evaluate = [], {}, training.evaluate

    def watched(model, split, **options):
        asked.append((split.name, options.get("views", 1)))
        return evaluate(model, split, **options)

    monkeypatch.setattr(training, "evaluate", watched)
    monkeypatch.setattr(LOOP, "evaluate", watched)
    for views in (1, 2, 10):
        recipe = recipes.FAST._replace(options=short, views=views)
        monkeypatch.setitem(recorded.RECIPES, "fast", recipe)
        last[views] = recorded.train("fast", 0, part)[-1]
    one = [("validation", 1), ("test", 1)]
    assert asked == [*one, *one, ("test", 2), *one, ("test", 10)], "more views choose nothing"
    assert last[1]["test_loss"] == last[2]["test_loss"] == last[10]["test_loss"]
    assert not {"views", "views_accuracy"} & set(last[1])
    for views in (2, 10):
        assert last[views]["views"] == views and 0 <= last[views]["views_accuracy"] <= 1
        assert set(last[views]) == set(recorded.COLUMNS)


@pytest.mark.parametrize("name", list(recipes.RECIPES))
def test_a_recorded_recipe_uses_the_arrangement_that_was_measured(name, monkeypatch):
    asked = []

    def fit(model, splits, *, arrangement="float32", **options):
        asked.append(arrangement)
        raise LookupError

    monkeypatch.setattr(training, "fit", fit)
    with pytest.raises(LookupError):
        recorded.train(name, 0, data.load_fashion_mnist("mini", quiet=True))
    assert asked == ["auto"]


def test_joined_pictures_are_those_of_both_splits_and_the_test_split_stays():
    mini = data.load_fashion_mnist("mini", quiet=True)
    joined = recorded.join(mini)
    assert torch.equal(joined.train.images[:5000], mini.train.images)
    assert torch.equal(joined.train.images[5000:], mini.validation.images)
    assert torch.equal(joined.train.labels, torch.cat([mini.train.labels, mini.validation.labels]))
    assert joined.test is mini.test and joined.train.source != mini.train.source


@pytest.mark.parametrize("joined", [False, True])
def test_validation_chooses_unless_its_pictures_were_trained_on(monkeypatch, tmp_path, joined):
    mini = data.load_fashion_mnist("mini", quiet=True)
    part = data.Splits(*(split.take(slice(50)) for split in mini))
    options = recipes.FAST.options | {"epochs": 2, "batch_size": 50, "arrangement": PLAIN}
    monkeypatch.setitem(recorded.RECIPES, "fast", recipes.FAST._replace(options=options, views=1))
    asked, falling = [], iter((0.9, 0.1))

    def evaluate(model, split, **options):
        if split.name == "validation":   # the first epoch is called the best
            return evaluation.Score(1.0, next(falling))
        asked.append({name: value.clone() for name, value in model.state_dict().items()})
        return evaluation.Score(1.0, 0.5)

    monkeypatch.setattr(training, "evaluate", evaluate)
    monkeypatch.setattr(LOOP, "evaluate", evaluate)
    rows = recorded.train("fast", 0, recorded.join(part) if joined else part, tmp_path)
    best = load_file(tmp_path / "best.safetensors")
    final = torch.load(tmp_path / "state.pt", weights_only=True)["model"]
    used, other = (final, best) if joined else (best, final)
    assert len(asked) == 1 and all(torch.equal(asked[0][name], used[name]) for name in used)
    assert not all(torch.equal(asked[0][name], other[name]) for name in other)
    assert rows[-1]["chosen_epoch"] == (2 if joined else 1)
    assert [row["validation_accuracy"] for row in rows] == (["", ""] if joined else [0.9, 0.1])
    assert {row["steps"] for row in rows} == {2 if joined else 1}


def test_all_is_recorded_beside_the_run_that_validation_chose(short, tmp_path):
    out = tmp_path / "rows.csv"
    for more in ([], ["--all"], ["--all"]):
        recorded.main(["fast", "0", "--out", str(out), "--checkpoints", str(tmp_path), *more])
    rows = rows_of(out)
    assert [row["data"] for row in rows] == (2 * ["Fashion-MNIST full"]
                                             + 2 * ["Fashion-MNIST full with validation"])
    assert len(rows) == 4 and (tmp_path / "fast-full-all-0" / "state.pt").exists()
