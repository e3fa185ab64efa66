"""Recipes: what they are called is what they do, and their record holds what was measured."""

import csv

import pytest
import torch
from safetensors.torch import load_file

from resnet_lesson import data, training
from resnet_lesson.experiments import recipes as recorded
from resnet_lesson.training import book, evaluation, recipes
from resnet_lesson.training.arrangement import PLAIN


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
def test_every_recipe_takes_a_step(mini, name):
    recipe, part = recipes.RECIPES[name], data.Splits(*(split.take(slice(4)) for split in mini))
    options = recipe.options | {"epochs": 1, "batch_size": 4, "arrangement": PLAIN}
    assert len(training.fit(recipe.build(), part, **options).step_losses) == 1


def test_a_recorded_recipe_uses_the_arrangement_that_was_measured(monkeypatch):
    def fit(model, splits, *, arrangement=None, **options):
        raise LookupError(arrangement)

    monkeypatch.setattr(training, "fit", fit)
    for name in recipes.RECIPES:
        with pytest.raises(LookupError, match="auto"):
            recorded.train(name, 0, None)


@pytest.fixture
def part(splits):
    """Return pictures for two steps an epoch."""
    return data.Splits(*(split.take(slice(100)) for split in splits))


@pytest.fixture
def short(part, network, monkeypatch):
    """Let "fast" be a small network, two epochs and few pictures, whatever source is asked for.

    Returns a function that changes that recipe.
    """
    def load(source):
        return part._replace(train=data.Split(part.train.images, part.train.labels,
                                              source=f"Fashion-MNIST {source}"))

    def change(views=1, **options):
        options = recipes.FAST.options | {"epochs": 2, "batch_size": 50,
                                          "arrangement": PLAIN} | options
        monkeypatch.setitem(recorded.RECIPES, "fast",
                            recipes.Recipe(network, options, views))

    monkeypatch.setattr(data, "load_fashion_mnist", load)
    change()
    return change


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_recorded_recipe_is_never_doubled(short, tmp_path, capsys):
    out = tmp_path / "rows.csv"
    full, both = "Fashion-MNIST full", "Fashion-MNIST full with validation"
    for more in (["--source", "mini"], [], [], ["--all"], ["--all"]):   # other data, another run
        recorded.main(["fast", "0", "1", "--out", str(out), "--checkpoints", str(tmp_path), *more])
    rows = rows_of(out)
    assert [(row["data"], row["seed"], row["epoch"]) for row in rows] == [
        (source, seed, epoch) for source in ("Fashion-MNIST mini", full, both) for seed in "01"
        for epoch in "12"]
    assert rows[0]["test_accuracy"] == "" and 0 <= float(rows[1]["test_accuracy"]) <= 1
    assert f"{float(rows[1]['test_accuracy']):.4f}" in capsys.readouterr().out
    assert (tmp_path / "fast-full-all-0" / "state.pt").exists()
    with pytest.raises(ValueError, match="recipe must be one of book"):
        recorded.train("slow", 0, None)


def test_a_recorded_recipe_goes_on_where_it_was_stopped(short, tmp_path, monkeypatch):
    fit, steps = training.fit, []

    def stopped(*arguments, **options):
        def watch(progress):
            steps.append(progress.step)
            return len(steps) == 3   # the end of the first epoch, and no row yet
        return fit(*arguments, watch=watch, **options)

    out = tmp_path / "rows.csv"
    arguments = ["fast", "0", "--out", str(out), "--checkpoints", str(tmp_path)]
    monkeypatch.setattr(training, "fit", stopped)
    recorded.main(arguments)
    assert not out.exists() and len(steps) == 3
    recorded.main(arguments)
    assert len(steps) == 3 + 3, "the first epoch was not trained again"
    assert [row["epoch"] for row in rows_of(out)] == ["1", "2"]


def test_what_cannot_be_recorded_ends_in_one_line(short, tmp_path, capsys):
    arguments = ["fast", "0", "--checkpoints", str(tmp_path), "--out"]
    with pytest.raises(SystemExit):
        recorded.main([*arguments, str(tmp_path / "nowhere" / "rows.csv")])
    assert "its folder is missing" in capsys.readouterr().err
    recorded.main([*arguments, str(tmp_path / "rows.csv")])
    (tmp_path / "rows.csv").unlink()
    short(lr=0.5)
    with pytest.raises(SystemExit):
        recorded.main([*arguments, str(tmp_path / "rows.csv")])
    told = capsys.readouterr().err
    assert "lr=0.2, now lr=0.5" in told and f"delete {tmp_path / 'fast-full-0'}" in told


def test_several_views_are_recorded_beside_one_of_the_same_weights(short, part, loop, monkeypatch):
    asked, last, evaluate = [], {}, training.evaluate

    def watched(model, split, **options):
        asked.append((split.name, options.get("views", 1)))
        return evaluate(model, split, **options)

    monkeypatch.setattr(training, "evaluate", watched)
    monkeypatch.setattr(loop, "evaluate", watched)
    for views in (1, 2, 10):
        short(views, epochs=1)
        last[views] = recorded.train("fast", 0, part)[-1]
    one = [("validation", 1), ("test", 1)]
    assert asked == [*one, *one, ("test", 2), *one, ("test", 10)], "more views choose nothing"
    assert last[1]["test_loss"] == last[2]["test_loss"] == last[10]["test_loss"]
    assert not {"views", "views_accuracy"} & set(last[1])
    for views in (2, 10):
        assert last[views]["views"] == views and 0 <= last[views]["views_accuracy"] <= 1
        assert set(last[views]) == set(recorded.COLUMNS)


def test_joined_pictures_are_those_of_both_splits_and_the_test_split_stays(mini):
    joined = recorded.join(mini)
    assert torch.equal(joined.train.images[:5000], mini.train.images)
    assert torch.equal(joined.train.images[5000:], mini.validation.images)
    assert torch.equal(joined.train.labels, torch.cat([mini.train.labels, mini.validation.labels]))
    assert joined.test is mini.test and joined.train.source != mini.train.source


@pytest.mark.parametrize("joined", [False, True])
def test_validation_chooses_if_it_is_unseen(short, part, loop, monkeypatch, tmp_path, joined):
    asked, falling = [], iter((0.9, 0.1))

    def evaluate(model, split, **options):
        if split.name == "validation":   # the first epoch is called the best
            return evaluation.Score(1.0, next(falling))
        asked.append({name: value.clone() for name, value in model.state_dict().items()})
        return evaluation.Score(1.0, 0.5)

    monkeypatch.setattr(training, "evaluate", evaluate)
    monkeypatch.setattr(loop, "evaluate", evaluate)
    rows = recorded.train("fast", 0, recorded.join(part) if joined else part, tmp_path)
    best = load_file(tmp_path / "best.safetensors")
    final = torch.load(tmp_path / "state.pt", weights_only=True)["model"]
    used, other = (final, best) if joined else (best, final)
    assert len(asked) == 1 and all(torch.equal(asked[0][name], used[name]) for name in used)
    assert not all(torch.equal(asked[0][name], other[name]) for name in other)
    assert rows[-1]["chosen_epoch"] == (2 if joined else 1)
    assert [row["validation_accuracy"] for row in rows] == (["", ""] if joined else [0.9, 0.1])
    assert {row["steps"] for row in rows} == {4 if joined else 2}
