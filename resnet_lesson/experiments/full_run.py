"""Train ResNet-18 once on the full set: ``python -m resnet_lesson.experiments.full_run``.

The network is the one of notebook 07, at 28×28 pixels. Weights are chosen on the validation
split; the test split is used once, at the end. Writes ``results/full_run.csv``, one row per
epoch; the test accuracy of the chosen weights stands in every row.
"""

import argparse
from pathlib import Path

import torch

from resnet_lesson import training
from resnet_lesson.experiments import table
from resnet_lesson.networks import resnet


def main(arguments=None):
    """Train, evaluate once on the test split, write the rows."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=table.RESULTS / "full_run.csv")
    parser.add_argument("--checkpoint", type=Path, default=None,
                        help="folder for weights and history; an interrupted run resumes there")
    options = parser.parse_args(arguments)
    splits = table.load_or_end(parser, "full")
    torch.manual_seed(0)
    model = resnet.resnet18()
    resume = options.checkpoint is not None and (options.checkpoint / "history.json").exists()
    history = training.fit(model, splits, epochs=options.epochs, lr=0.05, seed=0,
                           checkpoint=options.checkpoint, resume=resume)
    if history.interrupted:
        return
    test = training.evaluate(history.load_best(model), splits.test)
    print(f"test accuracy of epoch {history.best['epoch']}, chosen on validation: "
          f"{test.accuracy:.4f}")
    rows = table.epochs(history, model, splits, arm="residual", depth=18,
                        test_accuracy=test.accuracy, test_loss=test.loss)
    table.write(rows, options.out, list(rows[0]))
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
