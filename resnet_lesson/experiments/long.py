"""Plain against residual to the end of training: ``python -m resnet_lesson.experiments.long``.

He et al. (2016), figures 1 and 6, at the size of this lesson: 20 and 56 layers, momentum 0.9,
weight decay 5e-4, one-cycle. All arms of a depth and seed start from equal weights and see the
pictures in the same order. The parts, in the order in which they are trained:

- ``grid``: Fashion-MNIST mini, four rates, 20 epochs;
- ``end``: mini, each arm and depth at its best rate of ``grid``, 100 epochs;
- ``full``: all of Fashion-MNIST, each arm and depth at its two best rates of ``grid``, 15 epochs;
- ``option-A``: as ``grid``, with shortcuts that have no parameters;
- ``zero-start``: no batch norm, 4 epochs; branches that start at zero (Zhang et al., "Fixup
  Initialization", 2019) beside He's initialisation.

Writes ``results/long.csv``, one row per run and epoch, whole runs only; what is there is kept, and
a run that was cut short goes on from its last finished epoch. ``running_*`` are means over an
epoch's batches in training mode; ``train_*`` are measured after it, in evaluation mode, on the
first 5,000 training pictures (all of mini); gradients are means of the steps' norms. Where a run
diverged, ``diverged`` is 1 and the row judges the last weights before. A single run::

    python -m resnet_lesson.experiments.long --only grid plain 20 0.01 0

trains part, arm, depth, rate and seed again and prints its rows beside the recorded ones.
"""

import argparse
import json
import math
import os
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from itertools import chain, product
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch

from resnet_lesson import data
from resnet_lesson.experiments import table
from resnet_lesson.networks import resnet
from resnet_lesson.training import checkpoints
from resnet_lesson.training.arrangement import Arrangement, DivergedError
from resnet_lesson.training.evaluation import evaluate
from resnet_lesson.training.fit import fit

RUNS = Path("runs/long")   # checkpoints of unfinished runs
DEPTHS = (20, 56)
PAIR = ("plain", "residual")
ARMS = (*PAIR, "residual-A", "residual-zero")
MEASURED = slice(5000)   # the training pictures that are measured after every epoch
LAYOUT = {"device": "cpu", "arrangement": Arrangement(channels_last=True), "progress": False}


class Part(NamedTuple):
    """What the runs of a part share; with ``best``, its rates are the so many best of ``grid``."""

    arms: tuple = PAIR
    source: str = "mini"
    epochs: int = 20
    batch_size: int = 64
    seeds: range = range(5)
    rates: tuple = (0.003, 0.01, 0.03, 0.1)
    best: int = 0
    norm: bool = True


PARTS = {
    "grid": Part(),
    "end": Part(epochs=100, rates=(), best=1),
    "full": Part(source="full", epochs=15, batch_size=128, seeds=range(3), rates=(), best=2),
    "option-A": Part(arms=("residual-A",)),
    "zero-start": Part(arms=("plain", "residual", "residual-zero"), epochs=4, norm=False),
}


class Run(NamedTuple):
    """What tells one run from all others: its key in the table."""

    part: str
    arm: str
    depth: int
    lr: float
    seed: int


COLUMNS = (
    *Run._fields, "data", "train_pictures", "epochs", "batch_size", "epoch", "step",
    "running_loss", "running_error", "train_loss", "train_error", "validation_error",
    "test_error", "conv1_gradient", "gradient", "diverged", "seconds",
    "threads", "processor", "python", "torch", "commit")


def runs(part, rows=(), seeds=None):
    """Return the ``Run``s of a part, seed by seed, of ``seeds`` alone if given.

    Where a part takes the best rates of ``grid``, it needs the recorded rows; all arms at their
    best rate come before all at their second best.
    """
    setting, sides = PARTS[part], list(product(DEPTHS, PARTS[part].arms))
    seeds = [seed for seed in setting.seeds if seeds is None or seed in seeds]
    if setting.rates:
        return [Run(part, arm, depth, lr, seed) for seed in seeds for depth, arm in sides
                for lr in setting.rates]
    best = {side: best_rates(side[1], side[0], rows) for side in sides}
    return [Run(part, arm, depth, best[depth, arm][place], seed) for seed in seeds
            for place in range(setting.best) for depth, arm in sides]


def best_rates(arm, depth, rows):
    """Return the rates of ``grid``, the best first: by training error, then validation error.

    Both are means over seeds, in evaluation mode, after the last epoch; of equals, the lower rate.

    Raises:
        ValueError: ``grid`` is not complete for this arm and depth.
    """
    last = [row for row in rows if row["test_error"] != ""
            and (row["part"], row["arm"], row["depth"]) == ("grid", arm, depth)]
    grid, order = PARTS["grid"], []
    for lr in grid.rates:
        found = [row for row in last if row["lr"] == lr]
        if len(found) < len(grid.seeds):
            raise ValueError(f"the best rates of {arm}, {depth} layers, need all runs of grid; "
                             "python -m resnet_lesson.experiments.long grid makes them")
        means = [round(fmean(row[f"{split}_error"] for row in found), 6)   # ties are ties
                 for split in ("train", "validation")]
        order.append((*means, lr))
    return [lr for *_, lr in sorted(order)]


def build(run):
    """Return the network of a run; arms of a depth and seed share every weight that both have.

    Raises:
        ValueError: an unknown part, arm or depth.
    """
    for name, known in (("part", PARTS), ("arm", ARMS)):
        if getattr(run, name) not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, "
                             f"got {getattr(run, name)!r}")
    options = {"stem": "small/2", "norm": PARTS[run.part].norm}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model = resnet.small_resnet(run.depth, **options,
                                    zero_init_residual=run.arm == "residual-zero")
        if run.arm in ("residual", "residual-zero"):
            return model
        plain = resnet.plain_twin(model)
        if run.arm == "plain":
            return plain
        padded = resnet.small_resnet(run.depth, **options, shortcut="A")
        padded.load_state_dict(plain.state_dict())
        return padded


@lru_cache(maxsize=1)
def splits(source):
    """Return the data of a part."""
    return data.load_fashion_mnist(source, quiet=True)


def errors(name, model, split):
    """Return loss and error of a network on a split, in evaluation mode, as columns."""
    score = evaluate(model, split, batch_size=128, **LAYOUT)
    return {f"{name}_loss": score.loss, f"{name}_error": round(1 - score.accuracy, 6)}


class Gauge:
    """The ``watch`` of a run: measures what ``fit`` does not, and keeps it in a file.

    The file is written before fit's checkpoint of the same epoch, so it is never behind; what a
    resumed run measures again takes the place of what was there.

    Attributes:
        rows: one dict per finished epoch.
        norms: conv1's gradient norm and that of all weights, for each step of the running epoch.
    """

    def __init__(self, path, split):
        self.path, self.split, self.rows, self.norms = path, split, [], []
        if path.exists():
            self.rows, self.norms = json.loads(path.read_text())

    def __call__(self, progress):
        """Note the gradients of a step; after the last one of an epoch, measure and save."""
        if progress.step == 0:
            return
        norms = {name: value.grad.norm() for name, value in progress.model.named_parameters()}
        del self.norms[progress.step - 1:]
        self.norms.append((norms["conv1.weight"].item(),
                           torch.stack(list(norms.values())).norm().item()))
        if progress.step == progress.steps:
            start = time.perf_counter()
            row = errors("train", progress.model, self.split)
            row["conv1_gradient"], row["gradient"] = map(fmean, zip(*self.norms, strict=True))
            row["measuring"] = time.perf_counter() - start
            del self.rows[progress.epoch:]
            self.rows.append(row)
            self.save()

    def save(self):
        """Write the file, whole or not at all."""
        text = json.dumps([self.rows, self.norms])
        checkpoints.replace(self.path, lambda partial: partial.write_text(text))


def train(run, folder):
    """Train a run, or what is left of it, and return its rows, one per epoch, as dicts.

    Args:
        run: a ``Run``.
        folder: of its checkpoint.

    Raises:
        KeyboardInterrupt: the run was stopped; called again, it goes on.
    """
    part, model = PARTS[run.part], build(run)
    pictures = splits(part.source)
    folder.mkdir(parents=True, exist_ok=True)
    gauge = Gauge(folder / "measured.json", pictures.train.take(MEASURED))
    diverged = False
    try:
        history = fit(model, pictures, epochs=part.epochs, batch_size=part.batch_size, lr=run.lr,
                      momentum=0.9, weight_decay=5e-4, schedule="one-cycle", seed=run.seed,
                      checkpoint=folder, resume=(folder / "history.json").exists(), watch=gauge,
                      **LAYOUT)
    except DivergedError as error:
        history, diverged = error.history, True
    finally:
        gauge.save()
    if history.interrupted and not diverged:
        raise KeyboardInterrupt
    fixed = run._asdict() | {"data": pictures.train.source, "train_pictures": len(pictures.train),
                             "epochs": part.epochs, "batch_size": part.batch_size, "diverged": 0}
    fixed |= table.environment()
    steps = math.ceil(len(pictures.train) / part.batch_size)
    rows = [fixed | measured | {
        "epoch": epoch["epoch"], "step": epoch["epoch"] * steps,
        "running_loss": epoch["train_loss"], "running_error": round(1 - epoch["train_accuracy"], 6),
        "validation_error": round(1 - epoch["validation_accuracy"], 6),
        "seconds": epoch["seconds"] - measured["measuring"]}
        for epoch, measured in zip(history.epochs, gauge.rows, strict=True)]
    if diverged:
        rows.append(fixed | errors("train", model, gauge.split)
                    | errors("validation", model, pictures.validation)
                    | {"epoch": len(rows) + 1, "step": len(history.step_losses), "diverged": 1})
    rows[-1] |= errors("test", model, pictures.test)
    return [{name: row.get(name, "") for name in COLUMNS} for row in rows]


def recorded():
    """Return the rows of all recorded runs, by ``Run``."""
    found = {}
    if (table.RESULTS / "long.csv").exists():
        for row in table.read("long"):
            found.setdefault(Run(*(row[name] for name in Run._fields)), []).append(row)
    return found


def study(part, workers, seeds=None, folder=RUNS):
    """Train every run of a part that the table lacks, ``workers`` at a time; a line about each."""
    known = recorded()
    planned = runs(part, list(chain(*known.values())), seeds)
    left = [run for run in planned if run not in known]
    places = [folder / "-".join(map(str, run)) for run in left]
    with ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for count, rows in enumerate(pool.map(train, left, places)):
            table.record(rows, table.RESULTS / "long.csv", Run._fields, COLUMNS)
            shutil.rmtree(places[count])
            print(f"{time.strftime('%d %H:%M')} {' '.join(map(str, left[count]))}: training error "
                  f"{rows[-1]['train_error']:.4f}, validation {rows[-1]['validation_error']:.3f}; "
                  f"{count + 1} of {len(left)}", flush=True)


def repeat(run):
    """Train a run again and print its rows beside the recorded ones; nothing is recorded."""
    with tempfile.TemporaryDirectory() as folder:
        again = train(run, Path(folder))
    before = {row["epoch"]: row for row in recorded().get(run, ())}
    names = COLUMNS[COLUMNS.index("step"):COLUMNS.index("seconds")]
    print("epoch         ", *(f"{name:>16}" for name in names))
    for row in again:
        for title, shown in (("again", row), ("recorded", before.get(row["epoch"], {}))):
            values = [shown.get(name, "") for name in names]
            print(f"{row['epoch']:5} {title:8}",
                  *(f"{value:>16}" if value == "" else f"{value:16.6g}" for value in values))


def main(arguments=None):
    """Train what is missing, or one run again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--workers", type=int, default=os.cpu_count(),
                        help="runs at a time, one thread each")
    parser.add_argument("--seeds", nargs="+", type=int, choices=PARTS["grid"].seeds,
                        help="all by default")
    parser.add_argument("--only", nargs=5, metavar=tuple(name.upper() for name in Run._fields),
                        help="train one run again, record nothing, print both results")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    parts = options.parts or list(PARTS)
    if unknown := [name for name in parts if name not in PARTS]:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    try:
        if options.only is not None:
            part, arm, depth, lr, seed = options.only
            run = Run(part, arm, int(depth), float(lr), int(seed))
            build(run)
            parts = [part]
        if "full" in parts:   # before hours of other parts
            table.load_or_end(parser, "full")
        if options.only is not None:
            return repeat(run)
        for part in parts:
            study(part, options.workers, options.seeds)
    except ValueError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
