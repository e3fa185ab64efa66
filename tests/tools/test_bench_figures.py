"""The benchmark compares what it says it compares, and says what is missing."""

import copy
import json
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from resnet_lesson import data
from resnet_lesson.data.augment import Augment
from resnet_lesson.networks import resnet
from resnet_lesson.tools.bench import figures, paired
from resnet_lesson.training import arrangement as speed
from resnet_lesson.training import book, recipes
from tests.tools.test_paired import Clock


def tiny():
    return resnet.small_resnet(8, widths=(4, 4, 4))


@pytest.fixture(scope="module")
def mini():
    return data.load_fashion_mnist("mini", quiet=True)


@pytest.fixture
def options(mini):
    part = mini._replace(train=mini.train.take(slice(80)),
                         validation=mini.validation.take(slice(10)),
                         test=mini.test.take(slice(10)))
    settings = {"epochs": 5, "batch_size": 16, "lr": 0.1, "nesterov": True,
                "augment": Augment(shift=2), "arrangement": "auto"}
    return figures.Options(part, batch_size=16, size=32, network=tiny, copies=1, steps=3,
                         recipe=recipes.Recipe("tiny", tiny, settings))


def test_operations_of_a_step_are_those_of_the_formula():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(),
                          nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.AdaptiveAvgPool2d(1),
                          nn.Flatten(), nn.Linear(6, 10))
    X, y = torch.rand(5, 1, 8, 8), torch.randint(0, 10, (5,))
    first, second, last = 4 * 9 * 8 * 8, 6 * 4 * 9 * 4 * 4, 6 * 10   # multiply-adds of a picture
    # each layer forward and for its weights; for its input as well, except the first
    assert figures.step_flops(model, X, y) == 2 * 5 * (2 * first + 3 * second + 3 * last)
    assert model[0].weight.grad is None


def test_both_steps_reach_the_weights_of_the_books_own_loop(options, monkeypatch, capsys):
    d2l = book.load()
    monkeypatch.setattr(d2l.display, "display", lambda figure: None)
    batches = list(options.splits.train.batches(16, 32))
    torch.manual_seed(1)
    theirs = tiny()
    before = copy.deepcopy(theirs)
    torch.manual_seed(2)
    d2l.train_ch6(theirs, batches, batches[:1], 2, book.LEARNING_RATE, torch.device("cpu"))
    torch.manual_seed(2)
    before.apply(lambda m: type(m) in (nn.Linear, nn.Conv2d)
                 and nn.init.xavier_uniform_(m.weight))
    ours = partial(figures.engine_step, arrangement=speed.PLAIN)
    for make in (figures.d2l_step, ours, partial(ours, counting=True)):
        model = copy.deepcopy(before)
        take = make(model)
        assert all(isinstance(take(X, y), float) for X, y in 2 * batches)
        for name, value in model.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[name]), name


def test_steps_that_compute_something_else_are_not_compared(options, monkeypatch):
    monkeypatch.setattr(figures, "engine_step", lambda *a, **k: lambda X, y: 7.0)
    with pytest.raises(RuntimeError, match="first loss is 7.000, in d2l's loop 2"):
        next(figures.step(options, []))


def test_the_probe_is_asked_as_the_engine_asks_it_and_refusals_are_noted(monkeypatch):
    quick = speed.Arrangement("bfloat16", True)
    found = [speed.Timing(speed.PLAIN, 2.0, 0, 1, ""),
             speed.Timing(speed.Arrangement(channels_last=True), 1.0, 0, 1, ""),
             speed.Timing(quick, 0.1, 9, 0, "logits differ by 900%")]
    monkeypatch.setattr(speed, "probe", lambda *a, **k: found)
    notes = []
    assert figures.fastest(None, [], [], notes) == speed.fastest(None, [], []) == found[1][0]
    assert "channels last" in notes[0] and f"{quick} (logits differ by 900%)" in notes[1]


def fake_fit(clock, steps, interrupted=False):
    def fit(model, splits, *, watch, **settings):
        start = clock()
        for i in range(steps):
            clock.work(5)()
            watch(SimpleNamespace(step=i + 1))
        seconds = clock() - start
        clock.work(100)()                         # validation is not training
        watch(SimpleNamespace(step=0))
        return SimpleNamespace(epochs=[{"seconds": seconds}], interrupted=interrupted)
    return fit


@pytest.mark.parametrize("steps", [1, 4, 7])
def test_what_is_measured_beside_fit_is_not_counted_as_fits(monkeypatch, steps):
    clock, calls = Clock(), []
    monkeypatch.setattr(figures, "perf_counter", clock)
    monkeypatch.setattr(figures.training, "fit", fake_fit(clock, steps))
    splits = SimpleNamespace(train=range(steps * 4))

    def other():
        calls.append(clock())
        return clock.work(2)()

    assert figures.fit_beside(None, {"batch_size": 4}, splits, other) == (5, 2)
    assert len(calls) in (steps, steps + 1)


def test_a_stop_inside_fit_stops_the_benchmark(monkeypatch):
    monkeypatch.setattr(figures.training, "fit", fake_fit(Clock(), 2, interrupted=True))
    with pytest.raises(KeyboardInterrupt):
        figures.fit_beside(None, {"batch_size": 4}, SimpleNamespace(train=range(8)),
                                 lambda: 1)


def test_beside_the_real_fit_the_network_stays_as_it_is(options):
    model, settings, splits = figures.fast(options, [])
    before = copy.deepcopy(model.state_dict())
    ours, other = figures.fit_beside(model, settings, splits, lambda: 0.25)
    assert ours > 0 and other == 0.25 and len(splits.train) == 3 * 16
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_optimizer_alone_is_fits_own():
    assert figures.sgd_of({"lr": 0.3, "epochs": 5}) == {
        "lr": 0.3, "momentum": 0.9, "weight_decay": 5e-4, "nesterov": False}


def test_a_loader_that_leaves_pictures_out_is_not_compared(options, monkeypatch):
    @contextmanager
    def short(splits, batch_size, size, workers):
        yield list(splits.train.batches(batch_size, size))[1:], []

    monkeypatch.setattr(book, "loaders", short)
    with pytest.raises(RuntimeError, match="64 pictures of 28 pixels instead of 80"):
        next(figures.loader(options, [], None))


def test_a_loader_that_does_not_resize_is_not_compared(options, monkeypatch):
    @contextmanager
    def small(splits, batch_size, size, workers):
        yield list(splits.train.batches(batch_size)), []

    monkeypatch.setattr(book, "loaders", small)
    with pytest.raises(RuntimeError, match="0 pictures of 32 pixels instead of 80"):
        next(figures.loader(options, [], 32))


def test_the_best_number_of_workers_is_the_reference(options, monkeypatch):
    clock = Clock()
    cost = {0: 9, 2: 4, 4: 6}

    @contextmanager
    def loaders(splits, batch_size, size, workers):
        class Batches:
            def __iter__(self):
                clock.work(cost[workers])()
                return splits.train.batches(batch_size, size)
        yield Batches(), []

    monkeypatch.setattr(book, "loaders", loaders)
    monkeypatch.setattr(paired, "perf_counter", clock)
    notes = []
    pairs = figures.loader(options, notes, None)
    assert next(pairs) == (4, 0) and "2 are used" in notes[0]


def recorded(**columns):
    """Rows as ``experiments.recipes`` writes them: the test accuracy in the last row of a run."""
    return [{"recipe": "quick", "data": "Fashion-MNIST full", "seed": seed, "epoch": epoch,
             "steps": 430, "seconds": 10.0 + seed, "batch_size": 128,
             "validation_accuracy": 0.88 + 0.01 * (epoch - seed),
             "test_accuracy": accuracy if epoch == 3 else "", **columns}
            for seed, accuracy in enumerate([0.92, 0.893]) for epoch in (1, 2, 3)]


def test_a_recorded_run_counts_whole_and_the_slowest_of_all():
    assert figures.recorded_run(recorded()) == (3 * 430, 33.0, 2)
    one = recorded()[:3] + recorded(recipe="book")
    assert figures.recorded_run(one) == (3 * 430, 30.0, 1)


def test_the_book_gets_there_in_the_first_epoch_that_had_it_on_validation():
    rows = recorded() + recorded(recipe="book")
    assert figures.first_reached(rows) == (2, 2 * 430 * 128)
    late = [row for row in rows if row["recipe"] != "book" or row["seed"] == 1]
    assert figures.first_reached(late) == (3, 3 * 430 * 128)
    for none in (recorded(), recorded(recipe="book", validation_accuracy=0.89),
                 recorded(recipe="book", data="Fashion-MNIST mini")):
        with pytest.raises(ValueError, match="no epoch of the recipe 'book'.*0.893"):
            figures.first_reached(none)


@pytest.mark.parametrize(("rows", "words"), [
    ([{**row, "test_accuracy": row["test_accuracy"] and 0.89} for row in recorded()],
     "seed 0 has a test accuracy of 0.89, not 0.893"),
    (recorded()[:-1], "seed 1 has a test accuracy of nothing"),
    (recorded(recipe="book"), "no run of the recipe 'quick' on the full set"),
    (recorded(data="Fashion-MNIST mini"), "no run of the recipe 'quick' on the full set"),
])
def test_runs_that_do_not_answer_are_refused_in_words(rows, words):
    with pytest.raises(ValueError, match=words):
        figures.recorded_run(rows)


def test_missing_records_say_how_to_make_them(options, monkeypatch):
    monkeypatch.setattr(figures.table, "RESULTS", Path("no/such/folder"))
    with pytest.raises(ValueError, match="called 'recipes'.*experiments.recipes quick 0 1 2.*book"):
        next(figures.time_to_accuracy(options, []))


def test_the_books_time_is_its_steps_and_ours_the_recorded_ones(options, monkeypatch):
    monkeypatch.setattr(figures.table, "read", lambda name: recorded() + recorded(
        recipe="book"))
    monkeypatch.setattr(figures, "fit_beside", lambda *a: (0.5, 0.0))
    monkeypatch.setattr(figures, "timed", lambda function: lambda: (function(), 3.0)[1])
    notes = []
    pairs = figures.time_to_accuracy(options, notes)
    theirs, ours = next(pairs)
    assert theirs == 3.0 * 2 * 430 * 128 / 16
    assert ours == 0.5 * 3 * 430
    assert "1,290 steps, then in 33 s" in notes[-1]()
    assert "after epoch 2 of 10" in notes[-1]()
    pairs.close()


def test_aims_lie_beyond_what_is_asked():
    for figure in figures.FIGURES.values():
        assert figure.aim is None or (figure.aim > figure.at_least) == figure.more


def test_an_import_is_timed_in_a_fresh_interpreter(monkeypatch):
    asked = []

    def run(command, **options):
        asked.append(command)
        return SimpleNamespace(returncode=0, stdout="0.5\n" if "resnet" in command[-1] else "2\n")

    monkeypatch.setattr(figures.subprocess, "run", run)
    assert next(figures.imports(None, [])) == (2.0, 0.5)
    assert len(asked) == 4


def test_an_import_that_fails_is_said_in_words(monkeypatch):
    monkeypatch.setattr(figures.subprocess, "run", lambda *a, **k: SimpleNamespace(
        returncode=1, stderr="Traceback\nModuleNotFoundError: No module named 'torch'\n"))
    with pytest.raises(RuntimeError, match="import torch failed: ModuleNotFoundError"):
        next(figures.imports(None, []))


def test_the_package_really_is_imported_in_the_child():
    code = figures.subprocess.run  # the real one, once, on the cheap side
    done = code([figures.sys.executable, "-c", "import resnet_lesson, sys; "
                 "print('torch' in sys.modules)"], capture_output=True, text=True)
    assert done.stdout.strip() == "False"


def test_real_figures_run_with_tiny_sizes(options):
    results = [paired.Result(name, figures.FIGURES[name])
               for name in ("step", "loader-28", "epoch", "peak")]
    paired.measure(results, options, 1, progress=False,
                  peak=lambda: paired.peak(side=64, seconds=0.001))
    for found in results:
        assert found.problem == "" and len(found.rounds) == 1, found
        assert found.ratios[0] > 0 and "–" not in found.row()[4]
    text = paired.report(results)
    assert "pictures a second" in text and "with 4 workers" in text
    json.dumps([found.as_dict() for found in results])
