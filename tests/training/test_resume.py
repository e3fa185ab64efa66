"""A training can be stopped anywhere, goes on as if it never had been, and loses nothing."""

import json
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch
from torch import nn

from resnet_lesson import training
from resnet_lesson.data.augment import Augment
from resnet_lesson.networks import resnet
from resnet_lesson.training.arrangement import Arrangement

RECIPE = {"epochs": 3, "batch_size": 100, "lr": 0.1, "nesterov": True, "label_smoothing": 0.1,
          "augment": Augment(shift=2, flip=True, erase=6)}
windows_is_different = pytest.mark.skipif(os.name == "nt", reason="it delivers Ctrl-C to the whole "
                                          "console, and has no limit for the size of files")


class Interrupting(nn.Module):
    """A network that presses Ctrl-C, once or twice, in the middle of its n-th step."""

    def __init__(self, inner, step, times=1):
        super().__init__()
        self.inner, self.left, self.times = inner, step, times

    def forward(self, X):
        if self.training:
            self.left -= 1
            if self.left == 0:
                for _ in range(self.times):
                    os.kill(os.getpid(), signal.SIGINT)
        return self.inner(X)


@pytest.fixture(scope="module")
def unbroken(splits):
    """Return a network after the whole recipe, and the history of that."""
    torch.manual_seed(0)
    model = resnet.small_resnet(8, widths=(4, 8, 8), stem="small/2")
    return model, training.fit(model, splits, **RECIPE)


@windows_is_different
@pytest.mark.parametrize("step", [4, 6, 9, 18])
def test_a_stopped_run_resumes_exactly(splits, network, equal, unbroken, tmp_path, capsys, step):
    history = training.fit(Interrupting(network(), step), splits, checkpoint=tmp_path, **RECIPE)
    assert history.interrupted == (step < 18)
    assert len(history.step_losses) == step and len(history.epochs) == step // 6
    assert ("resume=True" in capsys.readouterr().out) == history.interrupted
    fresh = Interrupting(network(9), 0)
    resumed = training.fit(fresh, splits, checkpoint=tmp_path, resume=True, **RECIPE)
    model, whole = unbroken
    assert equal(fresh.inner, model)
    assert resumed.step_losses == whole.step_losses and not resumed.interrupted
    for row, other in zip(resumed.epochs, whole.epochs, strict=True):
        assert {key: value for key, value in row.items() if "second" not in key} == {
            key: value for key, value in other.items() if "second" not in key}


@windows_is_different
def test_a_second_interrupt_stops_at_once_and_keeps_the_history(splits, network):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as error:
        training.fit(Interrupting(network(), 8, times=2), splits, epochs=3, batch_size=100)
    assert len(error.value.history.step_losses) == 7 and len(error.value.history.epochs) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_a_killed_process_loses_at_most_the_running_epoch(splits, network, equal, tmp_path,
                                                          monkeypatch):
    # equal to the bit only on equally many threads
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))
    settings = {"batch_size": 100, "lr": 0.1, "schedule": "constant"}
    process = multiprocessing.get_context("spawn").Process(
        target=training.fit, args=(network(), splits), kwargs=settings | {
            "epochs": 500, "checkpoint": tmp_path, "progress": False})
    process.start()
    path, deadline = tmp_path / "history.json", time.monotonic() + 120
    while not (path.exists() and len(json.loads(path.read_text())["epochs"]) >= 2):
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.join()
    stored, state = training.History.load(tmp_path), torch.load(tmp_path / "state.pt")
    assert state["epoch"] - len(stored.epochs) in (0, 1) and state["step"] == 0
    assert stored.interrupted, "a run that is going on counts as interrupted"
    resumed, whole, settings["epochs"] = network(5), network(), state["epoch"] + 1
    training.fit(resumed, splits, checkpoint=tmp_path, resume=True, **settings)
    training.fit(whole, splits, **settings)
    assert equal(resumed, whole)


def test_a_new_run_sets_aside_the_earlier_one_alone(splits, network, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    settings = {"epochs": 1, "batch_size": 200, "checkpoint": "~/run"}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    first = training.fit(network(), splits, **settings)
    training.fit(network(1), splits, **settings, watch=lambda progress: True)   # one step
    assert training.History.load("~/run.previous").epochs == first.epochs
    training.fit(network(2), splits, **settings)   # sets the stopped one aside
    previous = training.History.load(tmp_path / "run.previous")
    assert len(previous.step_losses) == 1 and previous.best_weights is None
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.previous"]


@pytest.fixture
def finished(splits, network, tmp_path):
    """Train for one epoch of one step; return the settings of that run."""
    settings = {"epochs": 1, "batch_size": np.int64(600), "lr": np.float64(0.1),
                "arrangement": Arrangement(channels_last=True)}
    training.fit(network(), splits, checkpoint=tmp_path, **settings)
    return settings | {"checkpoint": tmp_path, "resume": True}


@pytest.mark.parametrize(("change", "count", "words"), [
    ({"lr": 0.2}, 600, "lr=0.1, now lr=0.2"), ({"seed": 1}, 600, "seed=0, now seed=1"),
    ({"epochs": 3}, 600, "epochs=1, now epochs=3"), ({}, 400, "600 to train.*now .*400 to train")])
def test_resuming_with_other_settings_is_refused(splits, network, finished, change, count, words):
    model, part = network(), splits._replace(train=splits.train.take(slice(count)))
    with pytest.raises(ValueError, match=words):
        training.fit(model, part, **finished | change)
    assert all(p.is_contiguous() for p in model.parameters()), "and back in the usual layout"


def rewrite(folder, change):
    state = torch.load(folder / "state.pt", weights_only=True)
    change(state["history"]["settings"])
    torch.save(state | {"average": None, "random": None}, folder / "state.pt")
    (folder / "history.json").write_text(json.dumps(state["history"]))


def test_older_runs_can_be_loaded_and_resumed(splits, network, finished, tmp_path):
    assert not training.fit(network(), splits, **finished).interrupted
    rewrite(tmp_path, lambda settings: settings.update(average=None))
    assert "average" not in training.fit(network(), splits, **finished).settings
    rewrite(tmp_path, lambda settings: settings.pop("label_smoothing"))   # is then its default
    with pytest.raises(ValueError, match="label_smoothing=0.0, now label_smoothing=0.5"):
        training.fit(network(), splits, **finished | {"label_smoothing": 0.5})
    training.fit(network(), splits, **finished)
    rewrite(tmp_path, lambda settings: settings.update(average=0.9))
    with pytest.raises(ValueError, match="started with average=0.9"):
        training.fit(network(), splits, **finished)


def test_fewer_epochs_than_were_begun_are_refused(splits, network, tmp_path):
    settings = {"batch_size": 200, "schedule": "constant", "checkpoint": tmp_path}
    training.fit(network(), splits, epochs=4, **settings,
                 watch=lambda progress: len(progress.history.step_losses) == 7)
    with pytest.raises(ValueError, match="in epoch 3 already.* ask for 3 or more"):
        training.fit(network(), splits, epochs=2, resume=True, **settings)
    assert not training.fit(network(), splits, epochs=3, resume=True, **settings).interrupted


@pytest.mark.parametrize(("name", "spoil"), [
    ("state.pt", lambda path: path.unlink()),
    *((name, lambda path: path.write_bytes(b"broken"))
      for name in ("state.pt", "history.json", "best.safetensors")),
    ("state.pt", lambda path: path.write_bytes(path.read_bytes()[:1000])),
    ("history.json", lambda path: path.write_text('{"of": "another program"}')),
    ("best.safetensors", lambda path: path.write_bytes(path.read_bytes()[:1000]))])
def test_a_broken_file_is_named_with_a_remedy(splits, network, finished, tmp_path, name, spoil):
    spoil(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}.* cannot be read .*resume=False"):
        training.fit(network(), splits, **finished)


def compiled(network):
    return torch.compile(network, backend="eager")


@pytest.mark.parametrize("wrap", [
    nn.DataParallel, compiled, lambda net: nn.DataParallel(compiled(net)),
    lambda net: compiled(nn.DataParallel(net)), lambda net: nn.DataParallel(nn.DataParallel(net))])
def test_what_a_network_is_wrapped_in_leaves_no_trace(splits, network, equal, tmp_path, wrap):
    settings = {"epochs": 2, "batch_size": 200, "checkpoint": tmp_path, "schedule": "constant"}
    whole, wrapped, bare, again = network(), wrap(network()), network(1), wrap(network(2))
    expected = training.fit(whole, splits, **settings | {"checkpoint": None})
    training.fit(wrapped, splits, watch=lambda now: len(now.history.step_losses) == 2, **settings)
    training.fit(bare, splits, resume=True, watch=lambda now: now.epoch == 1, **settings)
    history = training.fit(again, splits, resume=True, **settings)
    assert equal(whole, again) and history.best_weights.keys() == whole.state_dict().keys()
    for run in (history, training.History.load(tmp_path)):
        for net in (network(3), wrap(network(3))):
            assert equal(run.load_best(net), expected.load_best(network(4)))
    named = training.History({}, best_weights=wrapped.state_dict())   # as earlier versions kept
    assert equal(named.load_best(network(5)), wrapped)
    with pytest.raises(ValueError, match="do not fit: .*norms$"):
        history.load_best(resnet.small_resnet(8))


def test_resuming_another_network_or_nothing_is_refused(splits, network, equal, finished, tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no training run"):
        training.fit(network(), splits, **finished | {"checkpoint": tmp_path / "none"})
    before = (tmp_path / "state.pt").read_bytes()
    models = [resnet.small_resnet(14) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    with pytest.raises(ValueError, match="another network"):
        training.fit(models[0], splits, **finished)
    assert equal(*models) and (tmp_path / "state.pt").read_bytes() == before


def test_a_run_that_cannot_begin_probes_nothing(splits, network, loop, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "fastest", lambda *arguments, **options: pytest.fail("probed"))
    (tmp_path / "file").write_text("not a folder")
    model, settings = network(), {"epochs": 1, "arrangement": "auto"}
    with pytest.raises(RuntimeError, match="cannot write the checkpoint to .*file"):
        training.fit(model, splits, checkpoint=tmp_path / "file" / "run", **settings)
    with pytest.raises(ValueError, match="needs checkpoint"):
        training.fit(model, splits, resume=True, **settings)


@windows_is_different
@pytest.mark.parametrize(("limit", "name"), [(2000, "best.safetensors"), (12_000, "state.pt")])
def test_a_disk_that_fills_up_leaves_the_history_reachable(splits, network, tmp_path, limit, name):
    import resource
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(RuntimeError, match="cannot write the checkpoint.*free some") as error:
            training.fit(network(), splits, epochs=2, batch_size=100, checkpoint=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert len(error.value.history.epochs) == 1 and error.value.history.best_weights
    assert not (tmp_path / name).exists() and not list(tmp_path.glob("*.partial"))
