"""Recipes: what they are called is what they do, and their record holds what was measured."""

import csv

import pytest
import torch

from resnet_lesson import book, data, recipes, speed, training
from resnet_lesson.experiments import recipes as recorded


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


def test_a_recorded_recipe_is_resumable_and_never_doubled(tmp_path, monkeypatch, capsys):
    mini = data.load_fashion_mnist("mini", quiet=True)
    part = data.Splits(*(split.take(slice(100)) for split in mini))
    monkeypatch.setattr(data, "load_fashion_mnist", lambda source: part)
    short = recipes.FAST._replace(options=recipes.FAST.options | {"epochs": 2})
    monkeypatch.setitem(recorded.RECIPES, "fast", short)
    out = tmp_path / "rows.csv"
    for _ in range(2):
        recorded.main(["fast", "0", "1", "--out", str(out), "--checkpoints", str(tmp_path)])
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["epoch"]) for row in rows] == [
        ("0", "1"), ("0", "2"), ("1", "1"), ("1", "2")]
    assert rows[0]["test_accuracy"] == "" and 0 <= float(rows[1]["test_accuracy"]) <= 1
    assert f"{float(rows[1]['test_accuracy']):.4f}" in capsys.readouterr().out
    with pytest.raises(ValueError, match="recipe must be one of book"):
        recorded.train("slow", 0, part)


def test_ten_crops_are_recorded_beside_one_of_the_same_weights(monkeypatch):
    mini = data.load_fashion_mnist("mini", quiet=True)
    part = data.Splits(*(split.take(slice(100)) for split in mini))
    short = recipes.FAST.options | {"epochs": 1, "batch_size": 50,
                                     "arrangement": speed.PLAIN}
    asked, last, evaluate = [], {}, training.evaluate

    def watched(model, split, **options):
        asked.append((split.name, options.get("crops", 1)))
        return evaluate(model, split, **options)

    monkeypatch.setattr(training, "evaluate", watched)
    for crops in (1, 10):
        recipe = recipes.FAST._replace(options=short, crops=crops)
        monkeypatch.setitem(recorded.RECIPES, "fast", recipe)
        last[crops] = recorded.train("fast", 0, part)[-1]
    one = [("validation", 1), ("test", 1)]
    assert asked == [*one, *one, ("test", 10)], "ten crops choose nothing"
    assert last[1]["test_loss"] == last[10]["test_loss"]
    assert "ten_crop_accuracy" not in last[1] and 0 <= last[10]["ten_crop_accuracy"] <= 1
    assert set(last[10]) == set(recorded.COLUMNS)


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
