"""The figures of the benchmark: each yields two wall times taken in turns, round after round."""

import copy
import inspect
import math
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import chain, cycle, repeat
from time import perf_counter
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from resnet_lesson import data, training
from resnet_lesson.experiments import table
from resnet_lesson.networks import resnet
from resnet_lesson.tools.bench.paired import SIDE, Figure, alternate, timed
from resnet_lesson.training import arrangement as speed
from resnet_lesson.training import book, recipes

COPIES = 3                    # of the mini set in a loader's pass: thins out the workers' start
TARGET = 0.893                # test accuracy that the book reports for its recipe


class Options(NamedTuple):
    """What is measured with; the defaults are what the figures are defined for."""

    splits: data.Splits
    batch_size: int = book.BATCH_SIZE
    size: int = book.SIZE
    network: Callable = resnet.resnet18
    copies: int = COPIES
    steps: int = 24               # of the fast recipe in a round
    recipe: recipes.Recipe = recipes.FAST
    quick: recipes.Recipe = recipes.QUICK   # what reaches the book's accuracy soonest


def step(options, notes):
    """Yield (d2l's, our) seconds of a training step on the same weights and pictures."""
    X = options.splits.train.pixels(slice(options.batch_size), options.size)
    y = options.splits.train.labels[:options.batch_size]
    torch.manual_seed(0)
    model = options.network()
    chosen = fastest(model, X, y, notes)
    book_step = d2l_step(copy.deepcopy(model))
    our_step = engine_step(model, chosen, counting=True)
    first, second = book_step(X, y), our_step(X, y)
    if not abs(first - second) <= 0.1 * abs(first):
        raise RuntimeError(f"the first loss is {second:.3f}, in d2l's loop {first:.3f}; the two "
                           "steps do not compute the same, so their times are not compared")
    yield from alternate(timed(partial(book_step, X, y)), timed(partial(our_step, X, y)),
                         warm_up=False)


def fastest(model, X, y, notes):
    """Return what ``speed.fastest`` would choose, and note what it was chosen from."""
    found = speed.probe(model, X, y, progress=False)
    agree = [timing for timing in found if not timing.why_not]
    chosen = min(agree, key=lambda timing: timing.seconds).arrangement if agree else speed.PLAIN
    notes.append(f"Chosen by the probe: {chosen}.")
    refused = [f"{timing.arrangement} ({timing.why_not})" for timing in found if timing.why_not]
    if refused:
        notes.append(f"Refused by it: {'; '.join(refused)}.")
    return chosen


def d2l_step(model):
    """Return one step of the loop in ``d2l.train_ch6`` as a function: (X, y) → loss.

    It trains ``model`` in place, as ``engine_step`` does.
    """
    d2l, net, device = book.load(), model.train(), torch.device("cpu")
    optimizer = torch.optim.SGD(net.parameters(), lr=book.LEARNING_RATE)
    loss = torch.nn.CrossEntropyLoss()
    metric = d2l.Accumulator(3)

    def take(X, y):
        optimizer.zero_grad()
        X, y = X.to(device), y.to(device)
        y_hat = net(X)
        value = loss(y_hat, y)
        value.backward()
        optimizer.step()
        with torch.no_grad():
            metric.add(value * X.shape[0], d2l.accuracy(y_hat, y), X.shape[0])
        return value.item()

    return take


def engine_step(model, arrangement, counting=False, **sgd):
    """Return one step of our engine as a function: (X, y) → loss.

    ``counting`` adds what d2l's loop does as well, the count of right answers; ``sgd`` holds
    arguments of torch's SGD.
    """
    model = model.to(memory_format=arrangement.memory_format).train()
    optimizer = torch.optim.SGD(model.parameters(), **{"lr": book.LEARNING_RATE, **sgd})

    def take(X, y):
        X = X.contiguous(memory_format=arrangement.memory_format)
        with speed.arranged(model, arrangement):
            logits, loss = speed.step(model, optimizer, X, y, arrangement)
        if counting:
            (logits.argmax(1) == y).sum().item()
        return loss.item()

    return take


def loader(options, notes, size):
    """Yield (d2l's, our) seconds of a pass over the same pictures."""
    split = options.splits.train
    split = split.take(torch.arange(len(split)).repeat(options.copies))
    splits = options.splits._replace(train=split)
    side = size or split.images.shape[-1]
    generator = torch.Generator().manual_seed(0)

    def run(batches):
        seen = sum(len(y) * (X.shape[-1] == side) for X, y in batches)
        if seen != len(split):
            raise RuntimeError(f"a loader gave {seen} pictures of {side} pixels instead of "
                               f"{len(split)}; its time is not compared")

    with ExitStack() as stack, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # more workers than processors: that is what is tried
        passes = {workers: timed(partial(run, stack.enter_context(
            book.loaders(splits, options.batch_size, size, workers))[0])) for workers in (0, 2, 4)}
        seconds = {workers: once() for workers, once in passes.items()}
        best = min(seconds, key=seconds.get)
        notes.append(f"A pass over {len(split):,} pictures took d2l's loader "
                     + ", ".join(f"{taken:.2f} s with {workers} workers"
                                 for workers, taken in seconds.items()) + f"; {best} are used.")
        yield from alternate(passes[best], timed(
            lambda: run(split.batches(options.batch_size, size, generator))))


def fast(options, notes, recipe=None):
    """Return (network, arguments of fit, splits for one round) of the fast, or another, recipe."""
    recipe = recipe or options.recipe
    torch.manual_seed(0)
    model, settings = recipe.build(), recipe.options
    whole = options.steps * settings["batch_size"]
    train = options.splits.train
    train = train.take(torch.arange(whole) % len(train))
    X, y = train.pixels(slice(speed.PROBE_BATCH), settings.get("size")), train.labels
    chosen = fastest(model, X, y[:len(X)], notes)
    settings = {**settings, "epochs": 1, "arrangement": chosen, "progress": False}
    few = options.splits.validation.take(slice(64))
    return model, settings, options.splits._replace(train=train, validation=few)


def fit_beside(model, settings, splits, other):
    """Train one epoch with ``fit`` and call ``other`` () → seconds in between.

    After the steps 1, 3, 5 … ``other`` is called twice, so that each comes as often before the
    other as after it.

    Returns:
        (mean seconds of a step of fit, with everything that fit does in it; mean of ``other``).
    """
    beside, away = [], 0.0

    def watch(progress):
        nonlocal away
        start = perf_counter()
        if progress.step % 2:
            beside.extend((other(), other()))
        away += perf_counter() - start

    history = training.fit(copy.deepcopy(model), splits, watch=watch, **settings)
    if history.interrupted:
        raise KeyboardInterrupt  # fit turns the first Ctrl-C into a quiet end
    steps = math.ceil(len(splits.train) / settings["batch_size"])
    return (history.epochs[-1]["seconds"] - away) / steps, statistics.fmean(beside)


def sgd_of(settings):
    """Return what ``fit`` gives to SGD, its own defaults included."""
    defaults = inspect.signature(training.fit).parameters
    return {key: settings.get(key, defaults[key].default)
            for key in ("lr", "momentum", "weight_decay", "nesterov")}


def epoch(options, notes):
    """Yield seconds a step: (computing alone, on ready-made tensors; all of fit)."""
    model, settings, splits = fast(options, notes)
    arrangement = settings["arrangement"]
    ready = cycle([(X.contiguous(memory_format=arrangement.memory_format), y) for X, y in
                   splits.train.take(slice(4 * settings["batch_size"])).batches(
                       settings["batch_size"], settings.get("size"))])
    bare = engine_step(copy.deepcopy(model), arrangement, **sgd_of(settings))
    bare(*next(ready))
    while True:
        whole, alone = fit_beside(model, settings, splits, timed(lambda: bare(*next(ready))))
        yield alone, whole


def step_flops(model, X, y):
    """Count the floating-point operations of one training step in float32: 2 a multiply-add."""
    take = engine_step(copy.deepcopy(model), speed.PLAIN)
    with FlopCounterMode(display=False) as counter:
        take(X, y)
    return counter.get_total_flops()


def peak_share(options, notes):
    """Yield seconds an operation: (float32 product of matrices, all of the fast recipe)."""
    model, settings, splits = fast(options, notes)
    X = splits.train.pixels(slice(settings["batch_size"]), settings.get("size"))
    flops = step_flops(model, X, splits.train.labels[:len(X)])
    a, b = torch.randn(2, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    rates = []
    notes.append(lambda: f"{flops / len(X) / 1e6:.0f} million operations for a picture, forward "
                 f"and backward; {statistics.median(rates):,.0f} pictures a second.")
    while True:
        seconds, product = fit_beside(model, settings, splits, timed(lambda: a @ b))
        rates.append(len(X) / seconds)
        yield product / (2 * SIDE ** 3), seconds / flops


def imports(options, notes):
    """Yield seconds of (import torch, import resnet_lesson), each in a fresh interpreter."""
    def fresh(name):
        code = f"import time; t = time.perf_counter(); import {name}; print(time.perf_counter()-t)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"import {name} failed: {done.stderr.strip().splitlines()[-1]}")
        return float(done.stdout.split()[-1])

    yield from alternate(partial(fresh, "torch"), partial(fresh, "resnet_lesson"))


def recorded_run(rows, recipe="quick", target=TARGET):
    """Return (steps, seconds, seeds) of a recorded recipe; of the seed that took longest.

    The test split is used once, when a run has ended, so all of its epochs count.

    Raises:
        ValueError: nothing is recorded on the full set, or a seed missed the target.
    """
    found = {}
    for row in rows:
        if row["recipe"] == recipe and row["data"] == "Fashion-MNIST full":
            found.setdefault(row["seed"], []).append(row)
    if not found:
        raise ValueError(f"results/recipes.csv has no run of the recipe {recipe!r} on the full set")
    for seed, run in found.items():
        accuracy = run[-1]["test_accuracy"]
        if accuracy == "" or accuracy < target:
            raise ValueError(f"the recorded run of {recipe!r} with seed {seed} has a test accuracy "
                             f"of {accuracy or 'nothing'}, not {target}")
    seconds = max(sum(row["seconds"] for row in run) for run in found.values())
    return max(sum(row["steps"] for row in run) for run in found.values()), seconds, len(found)


def first_reached(rows, recipe="book", target=TARGET):
    """Return (epoch, pictures) when a recorded recipe first had the target, on validation.

    Of several seeds the soonest. Validation, since no epoch but the chosen one is ever tested.

    Raises:
        ValueError: nothing is recorded on the full set, or no epoch had the target.
    """
    found = [row for row in rows if row["recipe"] == recipe and row["data"] == "Fashion-MNIST full"
             and row["validation_accuracy"] >= target]
    if not found:
        raise ValueError(f"results/recipes.csv has no epoch of the recipe {recipe!r} on the full "
                         f"set with a validation accuracy of {target}")
    first = min(found, key=lambda row: row["epoch"])
    return first["epoch"], first["epoch"] * first["steps"] * first["batch_size"]


def time_to_accuracy(options, notes):
    """Yield seconds to 0.893 by steps of this moment: (the book's recipe, the quick one).

    The number of steps of each is what was recorded: the whole of the quick recipe, and the book's
    up to the epoch that first had 0.893.
    """
    try:
        rows = table.read("recipes")
        our_steps, recorded, seeds = recorded_run(rows)
        epoch, pictures = first_reached(rows)
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(f"{error}; `python -m resnet_lesson.experiments.recipes quick 0 1 2` and "
                         "`… book 0` train and record the two recipes") from None
    model, settings, splits = fast(options, notes, options.quick)
    steps = math.ceil(pictures / options.batch_size)
    torch.manual_seed(0)
    take, books = d2l_step(options.network()), []
    with book.loaders(options.splits, options.batch_size, options.size, 0) as (batches, _):
        endless = (batch for batch in chain.from_iterable(repeat(batches))
                   if len(batch[1]) == options.batch_size)
        book_step = timed(lambda: take(*next(endless)))
        book_step()
        notes.append(lambda: f"All of the recorded seeds ({seeds}) got there, with {our_steps:,} "
                     f"steps, then in {recorded:,.0f} s at most; the book's recipe had it on "
                     f"validation after epoch {epoch} of {book.EPOCHS}: those {steps:,} steps "
                     f"would now take {statistics.median(books) / 3600:.1f} hours.")
        while True:
            before = book_step()
            ours = fit_beside(model, settings, splits, lambda: 0.0)[0]
            books.append(steps * (before + book_step()) / 2)
            yield books[-1], our_steps * ours


FIGURES = {
    "step": Figure("training step, ResNet-18, 96 px, plain SGD", "d2l's loop", 1.5, 2.5, step,
                   seconds=75, without_bfloat16=1.0),
    "loader-28": Figure("loader, 28 px", "d2l's loader", 50, 200, partial(loader, size=None),
                        unit="s a pass", seconds=25),
    "loader-96": Figure("loader, 96 px", "d2l's loader", 10, 30,
                        partial(loader, size=book.SIZE), unit="s a pass", seconds=40),
    "epoch": Figure("epoch of the fast recipe", "its computing alone", 1.05, 1.01, epoch,
                    more=False, words="the time of", unit="s a step", seconds=40),
    "peak": Figure("operations a second of the fast recipe", "the fp32 peak", 0.35, 0.6,
                   peak_share, words="those of", unit="s an operation", seconds=25),
    "import": Figure("import resnet_lesson", "import torch", 0.1, None, imports, more=False,
                     words="the time of", seconds=20),
    "accuracy": Figure(f"time to {TARGET} test accuracy", "the book's recipe", 30, 100,
                       time_to_accuracy, seconds=45),
}
