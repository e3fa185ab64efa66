"""The trained pair that ships with the lesson: ``python -m resnet_lesson.experiments.small_pair``.

import asyncio
import html
import random
from functools import lru_cache
from typing import NamedTuple
import ipywidgets as widgets
from resnet_lesson.experiments.table import RESULTS, environment, load_or_end, read, record
from resnet_lesson.experiments.table import RESULTS, environment, load_or_end, read, record
from resnet_lesson import data, figures
from resnet_lesson.experiments import small_pair
from resnet_lesson.findings.intervals import wilson
from resnet_lesson.inside import lesions
from resnet_lesson.panels.base import DrawingPanel, svg
Two networks of 20 layers, residual and plain, trained on all of Fashion-MNIST from equal initial
weights (``resnet.plain_twin``), with the same pictures in the same order and the same rate. Weights
of the best epoch by validation accuracy are rounded to float16 and stored as safetensors; test
accuracy is that of the rounded weights, computed once, in float32. Writes
``results/small_pair.csv``, one row per arm and epoch, and ``assets/pair/<arm>.safetensors``.
"""

import argparse
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load as load_weights
from safetensors.torch import save_file

from resnet_lesson import data, training
from resnet_lesson.data.augment import Augment
from resnet_lesson.experiments.table import RESULTS, environment, load_or_end, read, record
from resnet_lesson.inside import lesions
from resnet_lesson.networks import resnet
from resnet_lesson.training.arrangement import Arrangement

WEIGHTS = Path(__file__).parents[1] / "assets" / "pair"
ARMS = ("residual", "plain")
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
    """Return the untrained network of an arm; both arms share every tensor that both have.

    Raises:
        ValueError: an unknown arm.
    """
    if arm not in ARMS:
        raise ValueError(f"arm must be one of {', '.join(ARMS)}, got {arm!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = resnet.small_resnet(20, widths=(24, 48, 96), stem="small/2")
    return model if arm == "residual" else resnet.plain_twin(model)


def load(folder=WEIGHTS):
    """Return the trained ``Pair``: float32 in memory, on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: the weights are not there.
        ValueError: a file that holds no such network.
    """
    networks = []
    for arm in ARMS:
        path, model = Path(folder) / f"{arm}.safetensors", build(arm)
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing; reinstall the lesson, or make the weights "
                                    "with python -m resnet_lesson.experiments.small_pair")
        try:
            state = load_weights(path.read_bytes())
            model.load_state_dict({key: value.float() if value.is_floating_point() else value
                                   for key, value in state.items()})
        except Exception as error:  # safetensors and torch raise several kinds
            raise ValueError(f"{path} does not hold the {arm} network of the lesson "
                             f"({str(error).splitlines()[0]}); reinstall the lesson") from None
        networks.append(model.eval())
    last = {row["arm"]: row for row in read("small_pair") if row["test_accuracy"] != ""}
    return Pair(*networks, last)


def train(arm, splits, checkpoint=None, folder=WEIGHTS):
    """Train one arm, store its weights, return its rows; ``None`` where it was interrupted."""
    model = build(arm)
    resume = checkpoint is not None and (checkpoint / "history.json").exists()
    history = training.fit(model, splits, checkpoint=checkpoint, resume=resume, **OPTIONS)
    if history.interrupted:
        return None
    state = {key: value.half() if value.is_floating_point() else value
             for key, value in history.best_weights.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / f"{arm}.safetensors")
    model.load_state_dict({key: value.float() if value.is_floating_point() else value
                           for key, value in state.items()})
    test = training.evaluate(model, splits.test)
    fixed = {"arm": arm, "depth": 20, "parameters": sum(p.numel() for p in model.parameters()),
             "data": splits.train.source, **{key: history.settings[key] for key in
                                             ("epochs", "batch_size", "lr", "seed")}}
    rows = [fixed | row | environment() for row in history.epochs]
    rows[-1] |= {"chosen_epoch": history.best["epoch"], "test_accuracy": test.accuracy,
                 "test_loss": test.loss}
    return rows


def main(arguments=None):
    """Train what is asked for and write it down."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("arms", nargs="*", help="residual, plain, or both by default")
    parser.add_argument("--checkpoint", type=Path, default=Path("runs/small_pair"),
                        help="folder for the runs; an interrupted one resumes there")
    parser.add_argument("--out", type=Path, default=RESULTS / "small_pair.csv")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    if unknown := set(options.arms) - set(ARMS):
        parser.error(f"no arm {unknown.pop()!r}; there are {', '.join(ARMS)}")
    splits = load_or_end(parser, "full")
    for arm in options.arms or ARMS:
        rows = train(arm, splits, options.checkpoint / arm, options.weights)
        if rows is None:
            return
        print(f"{arm}: test accuracy {rows[-1]['test_accuracy']:.4f}")
        record(rows, options.out, ("arm",), list(rows[-1]))


@lru_cache(maxsize=1)
def evaluators():
    """Return the trained pair on the 1,000 test pictures of the mini set, by arm.

    They are made once and remember what they have measured, for panels and notebook together.
    """
    pair, test = load(), data.load_fashion_mnist("mini", quiet=True).test
    return {arm: lesions.Evaluator(getattr(pair, arm), test) for arm in ARMS}


if __name__ == "__main__":
    main()
