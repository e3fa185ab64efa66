"""The trained pair that ships with the lesson: ``python -m resnet_lesson.experiments.small_pair``.

Two networks of 20 layers, residual and plain, trained on all of Fashion-MNIST from equal initial
weights (``resnet.plain_twin``), with the same pictures in the same order and the same rate. Weights
of the best epoch by validation accuracy are rounded to float16 and stored as safetensors; test
accuracy is that of the rounded weights, computed once, in float32. Writes
``results/small_pair.csv``, one row per arm and epoch, and ``assets/pair/<arm>.safetensors``.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load as load_weights
from safetensors.torch import save_file

from resnet_lesson import training
from resnet_lesson.data.augment import Augment
from resnet_lesson.experiments import table
from resnet_lesson.experiments.studies import ARMS, twin
from resnet_lesson.networks import resnet
from resnet_lesson.training.arrangement import Arrangement

WEIGHTS = Path(__file__).parents[1] / "assets" / "pair"
SEED = 0
OPTIONS = {"epochs": 12, "batch_size": 128, "lr": 0.1, "nesterov": True,
           "augment": Augment(shift=1, flip=True), "seed": SEED,
           "arrangement": Arrangement("bfloat16", channels_last=True)}


class Pair(NamedTuple):
    """The two networks in evaluation mode, and the recorded last row of each arm by name."""

    residual: resnet.ResNet
    plain: resnet.ResNet
    record: dict


def build(arm):
    """Return the untrained network of an arm, see ``studies.twin``."""
    return twin(arm, SEED, lambda: resnet.small_resnet(20, widths=(24, 48, 96), stem="small/2"))


def _cast(state, dtype):
    """Return a state with its floats in another precision; what counts stays whole numbers."""
    return {name: value.to(dtype) if value.is_floating_point() else value
            for name, value in state.items()}


def load(folder=WEIGHTS):
    """Return the trained ``Pair``: float32 in memory, on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: a file that holds no such network.
    """
    networks = {}
    for arm in ARMS:
        path, model = Path(folder) / f"{arm}.safetensors", build(arm)
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing; reinstall the lesson, or make the weights "
                                    "with python -m resnet_lesson.experiments.small_pair")
        try:
            model.load_state_dict(_cast(load_weights(path.read_bytes()), torch.float32))
        except Exception as error:  # safetensors and torch raise several kinds
            raise ValueError(f"{path} does not hold the {arm} network of the lesson "
                             f"({str(error).splitlines()[0]}); reinstall the lesson") from None
        networks[arm] = model.eval()
    last = {row["arm"]: row for row in table.read("small_pair") if row["test_accuracy"] != ""}
    return Pair(**networks, record=last)


def train(arm, splits, checkpoint=None, folder=WEIGHTS):
    """Train one arm, store its weights, return its rows; ``None`` where it was interrupted."""
    model = build(arm)
    resume = checkpoint is not None and (checkpoint / "history.json").exists()
    history = training.fit(model, splits, checkpoint=checkpoint, resume=resume, **OPTIONS)
    if history.interrupted:
        return None
    state = _cast(history.best_weights, torch.float16)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / f"{arm}.safetensors")
    model.load_state_dict(_cast(state, torch.float32))
    test = training.evaluate(model, splits.test)
    rows = table.epochs(history, model, splits, arm=arm, depth=20)
    rows[-1] |= {"chosen_epoch": history.best["epoch"], "test_accuracy": test.accuracy,
                 "test_loss": test.loss}
    return rows


def main(arguments=None):
    """Train both arms and write down what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", type=Path, default=Path("runs/small_pair"),
                        help="folder for the runs; an interrupted one resumes there")
    parser.add_argument("--out", type=Path, default=table.RESULTS / "small_pair.csv")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    splits = table.load_or_end(parser, "full")
    for arm in ARMS:
        rows = train(arm, splits, options.checkpoint / arm, options.weights)
        if rows is None:
            return
        print(f"{arm}: test accuracy {rows[-1]['test_accuracy']:.4f}")
        table.record(rows, options.out, ("arm",), list(rows[-1]))


if __name__ == "__main__":
    main()
