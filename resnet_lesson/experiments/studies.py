"""What is asked: the studies of the sweep, their runs, and the best rate of an arm."""

from types import MappingProxyType
from typing import NamedTuple

import torch

from resnet_lesson.experiments.table import read
from resnet_lesson.networks import resnet

ARMS = ("plain", "residual")
DEPTHS = (8, 20, 32, 56, 18, 34)
IMAGENET_DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class Study(NamedTuple):
    """What all runs of a study share; ``epochs`` to ``size`` are arguments of ``fit``.

    ``wider`` holds more rates for some depths, for both arms alike, where the best one of an arm
    was the end of the grid.
    """

    source: str
    depths: tuple
    rates: tuple
    seeds: range
    norm: bool = True
    epochs: int = 2
    batch_size: int = 64
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "one-cycle"
    size: int | None = None
    wider: dict = MappingProxyType({})

    def rates_at(self, depth):
        """Return the learning rates of both arms at a depth."""
        return (*self.rates, *self.wider.get(depth, ()))


STUDIES = {
    # 6n + 2 networks and narrow ResNet-18 and -34
    "depth": Study("mini", DEPTHS, (0.01, 0.03, 0.1), range(5),
                   wider={8: (0.3,), 20: (0.3,), 18: (0.003,), 34: (0.003,)}),
    "no-norm": Study("mini", DEPTHS, (0.003, 0.01, 0.03), range(5), norm=False,
                     wider={8: (0.1,), 20: (0.001, 0.1), 32: (0.1,)}),
    # ResNet-18 as the sources train it; 0.005 for plain and 0.01 for residual is what they publish
    "digits": Study("digits", (18,), (0.005, 0.01), range(10), epochs=5, momentum=0.0,
                    weight_decay=0.0, schedule="constant", size=32),
    # each arm at its own best rate of the study "depth"
    "full": Study("full", (20, 56), (), range(3), epochs=1),
}


class Run(NamedTuple):
    """What tells one run from all others: its key in the table."""

    study: str
    arm: str
    depth: int
    lr: float
    seed: int


def runs(study):
    """Return the ``Run``s of a study; those of ``full`` need the results of ``depth``."""
    setting = STUDIES[study]
    return [Run(study, arm, depth, lr, seed)
            for seed in setting.seeds for depth in setting.depths for arm in ARMS
            for lr in setting.rates_at(depth) or (best_rate("depth", arm, depth),)]


def twin(arm, seed, make):
    """Return the untrained network of an arm: what ``make()`` gives, or that without shortcuts.

    Weights depend on the seed alone, and both arms share every tensor that both have.

    Raises:
        ValueError: an unknown arm.
    """
    if arm not in ARMS:
        raise ValueError(f"arm must be one of {', '.join(ARMS)}, got {arm!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make()
    return model if arm == "residual" else resnet.plain_twin(model)


def final_rows(study, rows=None):
    """Return the last row of each run of a study: the one that holds the final errors."""
    rows = read("sweep") if rows is None else rows
    return [row for row in rows if row["study"] == study and row["train_error"] != ""]


def best_rate(study, arm, depth, rows=None):
    """Return the learning rate of a study with the lowest mean training error over seeds.

    Raises:
        ValueError: no run of that arm and depth is recorded.
    """
    errors = {}
    for row in final_rows(study, rows):
        if (row["arm"], row["depth"]) == (arm, depth):
            errors.setdefault(row["lr"], []).append(row["train_error"])
    if not errors:
        raise ValueError(f"no recorded run of study {study!r}, arm {arm!r}, depth {depth}; "
                         f"python -m resnet_lesson.experiments.sweep {study} makes them")
    return min(errors, key=lambda lr: sum(errors[lr]) / len(errors[lr]))
