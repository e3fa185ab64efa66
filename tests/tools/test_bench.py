"""The benchmark compares what it says it compares, in turns; wrong ways to do it are caught."""

import copy
import itertools
import statistics
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from scipy.stats import binom
from torch import nn

from resnet_lesson.data.augment import Augment
from resnet_lesson.networks import resnet
from resnet_lesson.tools.bench import __main__ as command
from resnet_lesson.tools.bench import measures, turns
from resnet_lesson.training import book, recipes
from resnet_lesson.training.arrangement import PLAIN
from resnet_lesson.training.fit import fit


class Clock:
    """A clock that work moves on, on a machine that grows slower with ``drift``."""

    def __init__(self, drift=0.0):
        self.now, self.drift = 0.0, drift

    def __call__(self):
        return self.now

    def work(self, seconds):
        """Return a function that takes so many seconds at the start, and more later."""
        def call():
            before = self.now
            self.now += seconds * (1 + self.drift * (self.now + seconds / 2))
            return self.now - before
        return call


# ---- turns

def unpaired(reference, ours):
    """Take all times of the reference first: what the benchmark must not do."""
    yield from zip([reference() for _ in range(20)], [ours() for _ in range(20)], strict=True)


def never_swapped(reference, ours):
    """Ask the reference first in every round: what the benchmark must not do either."""
    while True:
        yield reference(), ours()


def error_on_a_machine_that_slows_down(pairing):
    clock = Clock(drift=0.005)
    pairs = itertools.islice(pairing(clock.work(3), clock.work(1)), 20)
    return abs(statistics.median(reference / ours for reference, ours in pairs) - 3) / 3


def test_pairs_give_the_true_ratio_though_the_machine_slows_down():
    assert error_on_a_machine_that_slows_down(turns.alternate) < 0.002


@pytest.mark.parametrize("broken", [unpaired, never_swapped])
def test_a_broken_pairing_is_caught(broken):
    assert error_on_a_machine_that_slows_down(broken) > 0.01


@pytest.mark.parametrize("n", [6, 8, 12, 20])
def test_the_interval_is_the_narrowest_of_the_sign_test_that_suffices(n):
    low, high = turns.median_interval(list(range(n))[::-1])
    k = int(low)                     # so many values lie below the interval, and above it
    assert high == n - 1 - k
    assert 1 - 2 * binom.cdf(k, n, 0.5) >= 0.95 > 1 - 2 * binom.cdf(k + 1, n, 0.5)


def test_the_peak_counts_the_operations_of_a_wall_time(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(turns, "perf_counter", clock)
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: clock.work(0.5)())
    assert turns.peak(side=8) == 2 * 8 ** 3 / 0.5


def steady(options, notes):
    notes.append("Steady.")
    yield from turns.alternate(lambda: 4.0, lambda: 2.0)


def failing(options, notes):
    raise RuntimeError("no such processor\nsecond line")
    yield


@pytest.mark.parametrize(("rounds", "interval"), [(6, "2 … 2"), (5, "–")])
def test_one_failing_measure_does_not_take_the_others_along(monkeypatch, rounds, interval):
    monkeypatch.setattr(turns, "peak", lambda: 100e9)
    results = [turns.Result("bad", "times as bad", failing),
               turns.Result("good", "times as good", steady)]
    bar = SimpleNamespace(update=lambda n=1: None, set_description_str=lambda text: None)
    for result in results:
        result.fill(None, rounds, bar)
    text = turns.report(results)
    assert "bad: Stopped by an error: no such processor\ngood: Steady." in text
    bad, good = ([cell.strip() for cell in line.split("  ") if cell]
                 for line in text.splitlines()[1:3])
    assert good == ["good", "2", interval, "4 s : 2 s", "100", "times as good"]
    assert bad == ["bad", *"––––", "times as bad"]


# ---- measures

def tiny():
    return resnet.small_resnet(8, widths=(4, 4, 4))


@pytest.fixture
def options(mini, monkeypatch):
    for module in (measures, turns):
        monkeypatch.setattr(module, "peak", partial(turns.peak, side=64))
    part = mini._replace(train=mini.train.take(slice(80)),
                         validation=mini.validation.take(slice(10)))
    recipe = recipes.Recipe(tiny, {
        "epochs": 5, "batch_size": 16, "lr": 0.1, "nesterov": True, "arrangement": "auto",
        "augment": Augment(shift=2)})
    return measures.Options(part, batch_size=16, size=32, network=tiny, pictures=80, steps=3,
                            fast=recipe, quick=recipe)


def test_operations_of_a_step_are_those_of_the_formula():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(),
                          nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.AdaptiveAvgPool2d(1),
                          nn.Flatten(), nn.Linear(6, 10))
    X, y = torch.rand(5, 1, 8, 8), torch.randint(0, 10, (5,))
    first, second, last = 4 * 9 * 8 * 8, 6 * 4 * 9 * 4 * 4, 6 * 10   # multiply-adds of a picture
    # each layer forward and for its weights; for its input as well, except the first
    assert measures.step_flops(model, X, y) == 2 * 5 * (2 * first + 3 * second + 3 * last)
    assert model[0].weight.grad is None


def test_both_steps_reach_the_weights_of_the_books_own_loop(options, monkeypatch, capsys):
    d2l = book.load()
    monkeypatch.setattr(d2l.display, "display", lambda figure: None)
    batches = list(options.splits.train.batches(16, 32))
    theirs = tiny()
    torch.manual_seed(2)
    before = copy.deepcopy(theirs).apply(lambda m: type(m) in (nn.Linear, nn.Conv2d)
                                         and nn.init.xavier_uniform_(m.weight))
    torch.manual_seed(2)
    d2l.train_ch6(theirs, batches, batches[:1], 2, book.LEARNING_RATE, torch.device("cpu"))
    for make in (measures.d2l_step, partial(measures.our_step, arrangement=PLAIN)):
        model = copy.deepcopy(before)
        take = make(model)
        for X, y in 2 * batches:
            take(X, y)
        torch.testing.assert_close(model.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_our_step_alone_is_fits_step(options):
    splits = options.splits._replace(train=options.splits.train.take(slice(32)))
    theirs = tiny()
    ours = copy.deepcopy(theirs)
    fit(theirs, splits, epochs=1, batch_size=16, lr=0.05, schedule="constant", progress=False,
        device="cpu")
    take = measures.our_step(ours, PLAIN, **measures.SGD)
    for X, y in splits.train.batches(16, generator=torch.Generator().manual_seed(0)):
        take(X, y)
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_steps_that_compute_something_else_are_not_compared(options, monkeypatch):
    monkeypatch.setattr(measures, "our_step", lambda *a, **k: lambda X, y: 7.0)
    with pytest.raises(RuntimeError, match="first loss is 7.000, in d2l's loop 2"):
        next(measures.training_step(options, []))


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_what_is_measured_beside_fit_is_not_counted_as_fits(monkeypatch, steps):
    clock, calls, stopped = Clock(), [], []

    def fake_fit(model, splits, *, watch, **settings):
        for i in range(steps):
            clock.work(5)()
            watch(SimpleNamespace(step=i + 1))
        seconds = clock()
        clock.work(100)()                         # validation is not training
        watch(SimpleNamespace(step=0))
        return SimpleNamespace(epochs=[{"seconds": seconds}], interrupted=bool(stopped))

    def other():
        calls.append(clock())
        return clock.work(2)()

    monkeypatch.setattr(measures, "perf_counter", clock)
    monkeypatch.setattr(measures, "fit", fake_fit)
    beside = partial(measures.fit_beside, None, {"batch_size": 4},
                     SimpleNamespace(train=range(steps * 4)), other)
    assert beside() == (5, 2)
    assert len(calls) in (steps, steps + 1)
    stopped.append(True)
    with pytest.raises(KeyboardInterrupt):
        beside()


@pytest.mark.parametrize(("size", "first", "seen"), [
    (None, 1, "64 pictures of 28 pixels instead of 80"),
    (32, 0, "0 pictures of 32 pixels instead of 80"),
], ids=["pictures left out", "not resized"])
def test_a_loader_that_does_less_is_not_compared(options, monkeypatch, size, first, seen):
    class Batches(list):
        num_workers = 0

    @contextmanager
    def loaders(splits, batch_size, size):
        yield Batches(list(splits.train.batches(batch_size))[first:]), []

    monkeypatch.setattr(book, "loaders", loaders)
    with pytest.raises(RuntimeError, match=seen):
        next(measures.loader(options, [], size))


def test_the_books_steps_are_those_to_its_first_epoch_with_the_target():
    rows = [{"recipe": recipe, "data": data, "seed": seed, "epoch": epoch, "steps": 430,
             "batch_size": 128, "validation_accuracy": 0.88 + 0.01 * (epoch - seed)}
            for recipe in ("quick", "book") for data in ("Fashion-MNIST mini", "Fashion-MNIST full")
            for seed in (0, 1) for epoch in (1, 2, 3)]
    assert measures.recorded(rows) == (3 * 430, 2, 2 * 430 * 128)
    late = [row for row in rows if row["recipe"] != "book" or row["seed"] == 1]
    assert measures.recorded(late) == (3 * 430, 3, 3 * 430 * 128)


# ---- the command

def test_real_measures_run_with_tiny_sizes(options, capsys, monkeypatch):
    monkeypatch.setattr(command, "Options", lambda splits: options)
    names = ["step", "loader-28", "epoch", "peak", "accuracy"]
    assert command.main([*names, "step", "--rounds", "1"]) == 0
    table, _, notes = capsys.readouterr().out.rpartition("what it is\n")[2].partition("\n\n")
    shown = [line.split() for line in table.splitlines()]
    assert [cells[0] for cells in shown] == names, "each once, in the order given"
    assert all(float(cells[1]) > 0 for cells in shown)
    assert "Chosen by the probe" in notes and "error" not in notes


def test_a_stop_prints_what_was_measured_so_far(monkeypatch, capsys):
    def stopped(options, notes):
        yield 3.0, 1.0
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "MEASURES", {
        "first": ("times", steady), "second": ("times", stopped), "third": ("times", stopped)})
    assert command.main(["--rounds", "2"]) == 130
    printed = capsys.readouterr().out
    assert "Stopped; this is what was measured so far." in printed
    rows = [line.split()[:2] for line in printed.splitlines()]
    assert all(row in rows for row in (["first", "2"], ["second", "3"], ["third", "–"]))


@pytest.mark.parametrize(("arguments", "words"), [
    (["nothing"], "no measure 'nothing'; there are step, loader-28"),
    (["--rounds", "0"], "--rounds must be a whole number above 0, got 0"),
])
def test_bad_arguments_are_refused(arguments, words, capsys):
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    assert words in capsys.readouterr().err
