"""A question of one's own: two arms, trained in pairs until a budget of minutes is used.

An arm is a function without arguments that builds a network and returns it, alone or with a dict
of arguments of ``fit``. The worked example of notebook 11, stochastic depth, is recorded in
``results/your_question.csv`` by ``python -m resnet_lesson.experiments.your_question``, which goes
on where it was interrupted.
"""

import hashlib
import math
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from functools import lru_cache
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from resnet_lesson import data, reader
from resnet_lesson.experiments import table
from resnet_lesson.networks import resnet
from resnet_lesson.training import pace
from resnet_lesson.training.arrangement import Arrangement, DivergedError
from resnet_lesson.training.evaluation import evaluate
from resnet_lesson.training.fit import fit
from resnet_lesson.training.settings import Settings

MEASURED = slice(2000)   # the training pictures on which the training error is measured
_estimates = {}          # seconds of a run, by mark: a budget that was asked for stays enough
_shelf = lru_cache(maxsize=1)(tempfile.mkdtemp)   # where there is no reader's folder


class Pairs(NamedTuple):
    """What is finished: names of the arms, rates tried, each arm's best, and rows by seed."""

    names: tuple
    tried: tuple
    rates: tuple
    rows: dict   # seed → (row of the first arm, row of the second)

    def errors(self, arm, column="validation_error"):
        """Return a column of one arm (0 or 1), one value per seed."""
        return [both[arm][column] for both in self.rows.values()]


def pairs(rows, names, rates):
    """Return the ``Pairs`` in rows, at each arm's best of the rates in its runs with seed 0."""
    runs = [{(row["lr"], row["seed"]): row for row in rows if row["arm"] == name}
            for name in names]
    one, other = (min(rates, key=lambda lr, own=own: own.get((lr, 0), {}).get(
        "validation_error", 1)) for own in runs)
    seeds = sorted({seed for lr, seed in runs[0] if seed and lr == one}
                   & {seed for lr, seed in runs[1] if seed and lr == other})
    return Pairs(tuple(names), tuple(rates), (one, other),
                 {seed: (runs[0][one, seed], runs[1][other, seed]) for seed in seeds})


class Arm:
    """One side of a question: it builds networks, trains them, and says what goes wrong."""

    def __init__(self, make, splits, settings):
        """Try the arm on a few pictures, so that what cannot be compared is refused at once."""
        if isinstance(make, nn.Module) or not callable(make):
            raise ValueError("an arm is a function that builds a network, got a "
                             f"{type(make).__name__}; give a function's name, without brackets")
        self.make, self.splits, self.settings = make, splits, settings
        self.name = getattr(make, "__name__", "arm").replace("_", " ")
        one, other = (self.build(seed)[0].parameters() for seed in (1, 2))
        if all(map(torch.equal, one, other)):
            raise ValueError(f"arm “{self.name}” has the same first weights for every seed; build "
                             "a new network inside it, and set no seed there")
        few = splits._replace(train=splits.train.take(slice(4 * settings["batch_size"])),
                              validation=splits.validation.take(slice(64)))
        history, model, _ = self.train(few, 1e-3, 0)
        losses = history.step_losses + history.column("validation_loss")
        does = f"{[f'{loss:.4g}' for loss in losses]} {history.settings} {splits}"
        self.mark = f"arm-{hashlib.sha1(does.encode()).hexdigest()[:8]}"   # what tells it apart
        if self.mark not in _estimates:
            own = {name: history.settings[name] for name in ("batch_size", "epochs", "size")}
            training = pace.estimate(model, splits.train, **own).seconds
            _estimates[self.mark] = 1.2 * training   # a fifth more to measure the errors

    @contextmanager
    def _in_words(self):
        """Say of an error whose it is, and in which line of the reader's."""
        try:
            yield
        except Exception as error:
            lines = [f"line {frame.lineno} of {frame.name}, "
                     for frame in traceback.extract_tb(error.__traceback__)
                     if not {"site-packages", "resnet_lesson", "<string>"} & set(
                         Path(frame.filename).parts)]
            what = str(error).strip().split("\n")[0].rstrip(".")
            raise ValueError(f"arm “{self.name}” fails ({''.join(lines[-1:])}"
                             f"{type(error).__name__}: {what}); mend it, and try it alone on "
                             "splits.train.pixels(slice(8))") from error

    def build(self, seed):
        """Return a network, its first weights drawn from the seed, and the arm's settings."""
        with self._in_words(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            made = self.make()
        model, options = made if isinstance(made, tuple) and len(made) == 2 else (made, {})
        if not isinstance(model, nn.Module) or not isinstance(options, dict):
            raise ValueError(f"arm “{self.name}” returns no network but {made!r:.40}; end it with "
                             "return and a network, or a network and a dict of settings")
        return model, self.settings | options

    def train(self, splits, lr, seed, watch=None):
        """Return the history, the trained network, and whether it diverged."""
        model, settings = self.build(seed)
        with self._in_words(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)   # what is drawn in training is as equal as the first weights
            try:
                return fit(model, splits, lr=lr, seed=seed, watch=watch, progress=False,
                           **settings), model, 0
            except DivergedError as error:
                return error.history, model, 1

    def row(self, lr, seed, watch=None):
        """Return the row of one run; where it was stopped, raise ``KeyboardInterrupt``."""
        start = time.perf_counter()
        history, model, diverged = self.train(self.splits, lr, seed, watch)
        if history.interrupted and not diverged:
            raise KeyboardInterrupt
        found = {name: history.settings[name] for name in ("epochs", "batch_size", "data")}
        for split in (self.splits.train.take(MEASURED), self.splits.validation):
            found[f"{split.name}_error"] = round(
                1 - evaluate(model, split, progress=False).accuracy, 6)
        return found | table.environment() | {
            "arm": self.name, "mark": self.mark, "lr": lr, "seed": seed, "diverged": diverged,
            "steps": len(history.step_losses), "seconds": time.perf_counter() - start}

    def seconds(self, rows=()):
        """Return what a run takes: what finished ones took, else what measured steps say."""
        known = [row["seconds"] for row in rows if row["mark"] == self.mark]
        return fmean(known or [_estimates[self.mark]])


def compare(first, second, splits, *, minutes, rates=(0.1,), most=math.inf, path=None,
            progress=True, epochs=2, batch_size=64, **settings):
    """Train two arms in pairs, equal in seed, until the minutes are used; return the ``Pairs``.

    After a stop the same call goes on, and more minutes add pairs. The test split is not asked.

    Args:
        first, second: the arms.
        splits: pictures to train and to validate on.
        minutes: how long all runs of the comparison may take, finished ones included.
        rates: of several, runs with seed 0 choose each arm's best by validation error.
        most: pairs at most.
        path: where runs are kept; by default ``my_question.csv`` in the reader's folder.
        progress: show a bar of the seconds used.
        epochs, batch_size, **settings: of both arms, as in ``fit``.

    A ``ValueError`` says why arms cannot be compared, and how many minutes two pairs need.
    """
    settings |= {"epochs": epochs, "batch_size": batch_size}
    rates = [float(f"{Settings(lr=lr, **settings).lr:.6g}") for lr in rates]   # as a file holds it
    arms = [Arm(make, splits, settings) for make in (first, second)]
    names, marks = [arm.name for arm in arms], [arm.mark for arm in arms]
    if names[0] == names[1] or marks[0] == marks[1]:
        raise ValueError(f"“{names[0]}” and “{names[1]}” do the same, to the digit, or have the "
                         "same name; change one thing in one of them, and its name")
    path = path or Path(reader.place() or _shelf()) / "my_question.csv"
    rows = [row | {"arm": names[marks.index(row["mark"])]}
            for row in (table.read(path) if path.exists() else [])
            if row["mark"] in marks and row["lr"] in rates]
    used, runs = sum(row["seconds"] for row in rows), 2 + (len(rates) if len(rates) > 1 else 0)
    lack = sum(arm.seconds(rows) * max(runs - sum(row["mark"] == arm.mark for row in rows), 0)
               for arm in arms)
    if lack and used + lack > 60 * minutes:
        raise ValueError(f"minutes={minutes:g} is too short for {2 * runs} runs: two pairs, and "
                         "each arm at each rate where there are several; give minutes="
                         f"{math.ceil((used + lack) / 6 + 1e-6) / 10:g}, or fewer epochs")
    pair = sum(arm.seconds(rows) for arm in arms)
    bar = tqdm(total=max(min(60 * minutes, (runs - 2 + most) * pair), used), initial=used,
               file=sys.stdout, bar_format="{desc} |{bar}| {n:.0f} of {total:.0f} s",
               disable=not progress)

    def watch(_):
        bar.update(min(used + time.perf_counter() - start, bar.total) - bar.n)

    try:
        while left := _left(rows, arms, pairs(rows, names, rates), most):
            if used + sum(arm.seconds(rows) for arm, _, _ in left) > 60 * minutes:
                break
            for arm, lr, seed in left:
                bar.set_description(f"{arm.name}, rate {lr:g}, seed {seed}")
                start = time.perf_counter()
                rows.append(arm.row(lr, seed, watch))
                used += rows[-1]["seconds"]
                table.record(rows[-1:], path, ("mark", "lr", "seed"), list(rows[-1]))
    except KeyboardInterrupt:
        print("Stopped. What is finished is kept; the same call goes on from there.")
    finally:
        bar.close()
    return pairs(rows, names, rates)


def _left(rows, arms, found, most):
    """Return the runs that come next, (arm, rate, seed) each: to choose the rates, then a pair."""
    there = {(row["mark"], row["lr"], row["seed"]) for row in rows}
    seed = 0 if len(found.tried) > 1 else 1
    while seed <= most:
        runs = zip(arms, found.rates, strict=True) if seed else product(arms, found.tried)
        left = [(arm, lr, seed) for arm, lr in runs if (arm.mark, lr, seed) not in there]
        if left:
            return left
        seed += 1
    return []


# ---------------------------------------------------------------- the worked example


class StochasticDepth(nn.Module):
    """A block whose branch stays with some probability in training (Huang et al. 2016)."""

    def __init__(self, block, survival):
        super().__init__()
        self.block, self.survival = block, survival

    def forward(self, x):
        """Return relu(branch or nothing + shortcut)."""
        branch, shortcut = self.block.branch(x), self.block.shortcut(x)
        if not self.training:
            return F.relu(self.survival * branch + shortcut)
        kept = torch.rand(()) < self.survival
        return F.relu(kept * branch + shortcut)


def as_it_is():
    """Build the lesson's small ResNet of 20 layers."""
    return resnet.small_resnet(20, stem="small/2")


def stochastic_depth(last=0.5):
    """Build the same with stochastic depth: survival falls in equal steps, down to ``last``."""
    network = as_it_is()
    parts = network.blocks()
    for number, (name, block) in enumerate(parts, 1):
        survival = 1 - number / len(parts) * (1 - last)
        network.set_submodule(name, StochasticDepth(block, survival))
    return network


def main():
    """Record the worked example: two rates, six pairs, 12 epochs on the mini set."""
    torch.set_num_threads(1)
    compare(as_it_is, stochastic_depth, data.load_fashion_mnist("mini"), minutes=math.inf,
            rates=(0.03, 0.1), most=6, epochs=12, path=table.RESULTS / "your_question.csv",
            arrangement=Arrangement(channels_last=True))


if __name__ == "__main__":
    main()
