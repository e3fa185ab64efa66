"""Train the named recipes on the full set: ``python -m resnet_lesson.experiments.recipes fast 0``.

Weights are those of the best epoch by validation accuracy; the test split is used once, at the
end. With ``--all`` a recipe, whose settings validation has chosen, is trained once more with the
validation pictures too; then the last epoch's weights count. Writes ``results/recipes.csv``, one
row per epoch; runs that are there already are kept. An interrupted run goes on from its
checkpoint.
"""

import argparse
import functools
import math
from pathlib import Path

import torch

from resnet_lesson import training
from resnet_lesson.data.splits import Split
from resnet_lesson.experiments import table
from resnet_lesson.training.arrangement import Arrangement
from resnet_lesson.training.recipes import RECIPES

JOINED = " with validation"  # what the source of joined pictures ends with
KEY = ("recipe", "seed", "data")
COLUMNS = (*KEY, "epochs", "batch_size", "lr", "arrangement", "parameters",
           "epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
           "seconds", "examples_per_second", "steps", "chosen_epoch", "test_accuracy", "test_loss",
           "views", "views_accuracy", "threads", "processor", "python", "torch", "commit")


def join(splits):
    """Return splits whose training pictures are those of validation too."""
    train, validation = splits.train, splits.validation
    return splits._replace(train=Split(
        torch.cat([train.images, validation.images]), torch.cat([train.labels, validation.labels]),
        train.name, f"{train.source}{JOINED}", train.classes))


def train(name, seed, splits, checkpoint=None):
    """Train one recipe from one seed; return its rows, or ``None`` where it was interrupted.

    Of splits that ``join`` returned, the weights after the last epoch count, and what they make of
    pictures that they were trained on is no validation, so it is left out.

    Raises:
        ValueError: an unknown recipe.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe must be one of {', '.join(RECIPES)}, got {name!r}")
    recipe = RECIPES[name]
    torch.manual_seed(seed)
    model = recipe.build()
    resume = checkpoint is not None and (checkpoint / "history.json").exists()
    # Precision and memory format are no part of a recipe: the fastest that agree are measured.
    history = training.fit(model, splits, seed=seed, checkpoint=checkpoint, resume=resume,
                           **{"arrangement": "auto"} | recipe.options)
    if history.interrupted:
        return None
    joined = splits.train.source.endswith(JOINED)
    if not joined:
        history.load_best(model)
    ask = functools.partial(training.evaluate, model, splits.test, size=recipe.options.get("size"))
    test = ask()
    arrangement = Arrangement(**history.settings["arrangement"])
    rows = table.epochs(history, model, splits, recipe=name, arrangement=str(arrangement),
                        steps=math.ceil(len(splits.train) / history.settings["batch_size"]))
    if joined:
        rows = [row | {"validation_loss": "", "validation_accuracy": ""} for row in rows]
    rows[-1] |= {"chosen_epoch": len(rows) if joined else history.best["epoch"],
                 "test_accuracy": test.accuracy, "test_loss": test.loss}
    if recipe.views > 1:
        rows[-1] |= {"views": recipe.views, "views_accuracy": ask(views=recipe.views).accuracy}
    return rows


def main(arguments=None):
    """Train one recipe from the given seeds and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe", choices=list(RECIPES))
    parser.add_argument("seeds", nargs="+", type=int)
    parser.add_argument("--source", choices=("full", "mini"), default="full")
    parser.add_argument("--all", action="store_true", help="train on the validation pictures too, "
                        "once nothing is left to choose")
    parser.add_argument("--out", type=Path, default=table.RESULTS / "recipes.csv")
    parser.add_argument("--checkpoints", type=Path, default=Path("runs/recipes"))
    options = parser.parse_args(arguments)
    if not options.out.absolute().parent.is_dir():
        parser.error(f"{options.out} cannot be written: its folder is missing")
    splits, pictures = table.load_or_end(parser, options.source), options.source
    if options.all:
        splits, pictures = join(splits), f"{pictures}-all"
    for seed in options.seeds:
        if (options.recipe, seed, splits.train.source) in table.recorded(options.out, KEY):
            continue
        folder = options.checkpoints / f"{options.recipe}-{pictures}-{seed}"
        try:
            rows = train(options.recipe, seed, splits, folder)
        except (ValueError, RuntimeError) as error:
            parser.error(f"{error} (to train from the start, delete {folder})")
        if rows is None:
            return
        table.record(rows, options.out, KEY, COLUMNS)
        print(f"{options.recipe}, seed {seed}: test accuracy {rows[-1]['test_accuracy']:.4f}")


if __name__ == "__main__":
    main()
