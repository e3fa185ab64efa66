"""What is measured: each function yields pairs of seconds, taken in turns, round after round."""

import copy
import math
import statistics
from collections.abc import Callable
from functools import partial
from itertools import cycle
from time import perf_counter
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from resnet_lesson.data.splits import Splits
from resnet_lesson.experiments import table
from resnet_lesson.networks import resnet
from resnet_lesson.tools.bench.turns import alternate, peak, timed
from resnet_lesson.training import book, recipes
from resnet_lesson.training.arrangement import PLAIN, PROBE_BATCH, arranged, fastest, step
from resnet_lesson.training.fit import fit

TARGET = 0.893   # test accuracy that the book reports for its recipe
SGD = {"momentum": 0.9, "weight_decay": 5e-4, "nesterov": False}   # where a recipe says nothing


class Options(NamedTuple):
    """What is measured with; the defaults are what the measures are defined for."""

    splits: Splits
    batch_size: int = book.BATCH_SIZE
    size: int = book.SIZE
    network: Callable = resnet.resnet18
    pictures: int = 15_000                  # in a loader's pass, at least: its workers take a start
    steps: int = 24                         # of a recipe in a round
    fast: recipes.Recipe = recipes.FAST
    quick: recipes.Recipe = recipes.QUICK   # what reaches the book's accuracy soonest


def chosen(model, X, y, notes):
    """Return the arrangement that the engine's own probe finds fastest, and note it."""
    found = fastest(model, X, y, progress=False)
    notes.append(f"Chosen by the probe: {found}.")
    return found


def d2l_step(model):
    """Return the book's step as a function: (X, y) → loss; it trains ``model`` in place."""
    d2l, loss = book.load(), torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=book.LEARNING_RATE)
    return lambda X, y: d2l.train_batch_ch13(model, X, y, loss, optimizer,
                                             [torch.device("cpu")])[0].item()


def our_step(model, arrangement, **sgd):
    """Return the step of ``fit`` in the same way; ``sgd`` goes to the optimizer."""
    model = model.to(memory_format=arrangement.memory_format).train()
    optimizer = torch.optim.SGD(model.parameters(), **{"lr": book.LEARNING_RATE, **sgd})

    def take(X, y):
        X = X.contiguous(memory_format=arrangement.memory_format)
        with arranged(model, arrangement):
            logits, loss = step(model, optimizer, X, y, arrangement)
        (logits.argmax(1) == y).sum().item()   # d2l's step and fit count as well
        return loss.item()

    return take


def book_batch(options):
    """Return (untrained network, pictures, labels) of the book's recipe."""
    torch.manual_seed(0)
    train = options.splits.train
    return (options.network(), train.pixels(slice(options.batch_size), options.size),
            train.labels[:options.batch_size])


def training_step(options, notes):
    """Yield the seconds of a step on the same weights and pictures: (d2l's, ours)."""
    model, X, y = book_batch(options)
    theirs = d2l_step(copy.deepcopy(model))
    ours = our_step(model, chosen(model, X, y, notes))
    first, second = theirs(X, y), ours(X, y)
    if not abs(first - second) <= 0.1 * abs(first):
        raise RuntimeError(f"the first loss is {second:.3f}, in d2l's loop {first:.3f}; the two "
                           "steps do not compute the same, so their times are not compared")
    yield from alternate(timed(partial(theirs, X, y)), timed(partial(ours, X, y)))


def loader(options, notes, size=None):
    """Yield the seconds of a pass over the same pictures: (d2l's, ours)."""
    split = options.splits.train
    split = split.take(torch.arange(max(len(split), options.pictures)) % len(split))
    side, generator = size or split.images.shape[-1], torch.Generator().manual_seed(0)

    def run(batches):
        seen = sum(len(y) * (X.shape[-1] == side) for X, y in batches)
        if seen != len(split):
            raise RuntimeError(f"a loader gave {seen} pictures of {side} pixels instead of "
                               f"{len(split)}; its time is not compared")

    ours = timed(lambda: run(split.batches(options.batch_size, size, generator)))
    with book.loaders(options.splits._replace(train=split), options.batch_size, size) as (them, _):
        notes.append(f"d2l's loader has {them.num_workers} workers.")
        theirs = timed(lambda: run(them))
        theirs()
        ours()
        yield from alternate(theirs, ours)


def prepared(options, recipe, notes):
    """Return (network, arguments of fit, splits) for one round of a recipe's steps."""
    torch.manual_seed(0)
    model, train = recipe.build(), options.splits.train
    train = train.take(torch.arange(options.steps * recipe.options["batch_size"]) % len(train))
    X = train.pixels(slice(PROBE_BATCH), recipe.options.get("size"))
    settings = {**recipe.options, "epochs": 1, "progress": False,
                "arrangement": chosen(model, X, train.labels[:len(X)], notes)}
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

    history = fit(copy.deepcopy(model), splits, watch=watch, **settings)
    if history.interrupted:
        raise KeyboardInterrupt  # fit turns the first Ctrl-C into a quiet end
    steps = math.ceil(len(splits.train) / settings["batch_size"])
    return (history.epochs[-1]["seconds"] - away) / steps, statistics.fmean(beside)


def epoch(options, notes):
    """Yield seconds a step: (all of fit, computing alone, on ready-made tensors)."""
    model, settings, splits = prepared(options, options.fast, notes)
    few = splits.train.take(slice(4 * settings["batch_size"]))
    ready = cycle(list(few.batches(settings["batch_size"], settings.get("size"))))
    take = our_step(copy.deepcopy(model), settings["arrangement"],
                    **{key: settings.get(key, SGD[key]) for key in SGD})
    alone = timed(lambda: take(*next(ready)))
    alone()
    while True:
        yield fit_beside(model, settings, splits, alone)


def step_flops(model, X, y):
    """Count the floating-point operations of one training step in float32: 2 a multiply-add."""
    take = our_step(copy.deepcopy(model), PLAIN)
    with FlopCounterMode(display=False) as counter:
        take(X, y)
    return counter.get_total_flops()


def peak_share(options, notes):
    """Yield seconds a step: (as many operations in products of matrices, the fast recipe)."""
    model, settings, splits = prepared(options, options.fast, notes)
    X = splits.train.pixels(slice(settings["batch_size"]), settings.get("size"))
    flops = step_flops(model, X, splits.train.labels[:len(X)])
    notes.append(f"A step has {len(X)} pictures, each of {flops / len(X) / 1e6:.0f} million "
                 "operations, forward and backward.")
    while True:
        seconds, at_peak = fit_beside(model, settings, splits, lambda: flops / peak())
        yield at_peak, seconds


def recorded(rows):
    """Return (steps of a quick run, epochs and pictures until the book's recipe had the target).

    The test split is used once, when a run has ended. So the quick recipe, each of whose seeds
    reaches the target, counts whole, and the book's up to its first epoch with it on validation.
    """
    rows = [row for row in rows if row["data"] == "Fashion-MNIST full"]
    steps = sum(row["steps"] for row in rows if row["recipe"] == "quick" and row["seed"] == 0)
    first = min((row for row in rows if row["recipe"] == "book"
                 and row["validation_accuracy"] >= TARGET), key=lambda row: row["epoch"])
    return steps, first["epoch"], first["epoch"] * first["steps"] * first["batch_size"]


def time_to_accuracy(options, notes):
    """Yield seconds of the recorded steps to 0.893 at today's speed: (the book's, ours).

    The loading of the book's pictures is not counted.
    """
    our_steps, epochs, pictures = recorded(table.read("recipes"))
    steps = math.ceil(pictures / options.batch_size)
    settings = prepared(options, options.quick, notes)
    model, X, y = book_batch(options)
    theirs = timed(partial(d2l_step(model), X, y))
    notes.append(f"Recorded: {our_steps:,} steps with every seed; the book's recipe had it on "
                 f"validation after {epochs} of {book.EPOCHS} epochs, {steps:,} steps.")
    theirs()
    while True:
        before = theirs()
        ours, _ = fit_beside(*settings, lambda: 0.0)
        yield steps * (before + theirs()) / 2, our_steps * ours


MEASURES = {   # what each ratio says, and what yields it: (options, notes) → pairs of seconds
    "step": ("times as fast as d2l's: a training step of ResNet-18, 96 pixels, plain SGD",
             training_step),
    "loader-28": ("times as fast as d2l's: a pass of the loader, 28 pixels", loader),
    "loader-96": ("times as fast as d2l's: a pass of the loader, 96 pixels",
                  partial(loader, size=book.SIZE)),
    "epoch": ("times its computing alone: the time of an epoch of the fast recipe", epoch),
    "peak": ("times the float32 peak: operations a second of the fast recipe", peak_share),
    "accuracy": (f"times as fast as the book's recipe: the quick one, to {TARGET} test accuracy",
                 time_to_accuracy),
}
