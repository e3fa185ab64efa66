"""A training can be stopped anywhere, goes on as if it never had been, and loses nothing."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from resnet_lesson import data, training
from resnet_lesson.data.augment import Augment
from resnet_lesson.networks import resnet
from resnet_lesson.training.arrangement import Arrangement
from tests.training.test_fit import equal, network

LOOP = importlib.import_module("resnet_lesson.training.fit")  # the name is also the function's


def dropping(seed=0):
    """Return a network that draws random numbers in every step."""
    inner = network(seed)
    torch.manual_seed(seed)
    return nn.Sequential(nn.Dropout(0.2), inner)


class Interrupting(nn.Module):
    """A network that presses Ctrl-C in the middle of its n-th step."""

    def __init__(self, inner, step):
        super().__init__()
        self.inner, self.left = inner, step

    def forward(self, X):
        if self.training:
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGINT)
        return self.inner(X)


@pytest.mark.skipif(os.name == "nt", reason="Windows delivers Ctrl-C to the whole console")
@pytest.mark.parametrize("step", [1, 4, 6, 9, 18])
def test_an_interrupted_run_loses_nothing_and_resumes_exactly(splits, tmp_path, capsys, step):
    settings = {"epochs": 3, "batch_size": 100, "lr": 0.1, "average": 0.9, "nesterov": True,
                "augment": Augment(shift=2, flip=True, erase=6), "label_smoothing": 0.1}
    unbroken = Interrupting(dropping(), 0)
    whole = training.fit(unbroken, splits, **settings)
    model = Interrupting(dropping(), step)
    history = training.fit(model, splits, checkpoint=tmp_path, **settings)
    assert history.interrupted == (step < 18)
    assert len(history.step_losses) == step and len(history.epochs) == step // 6
    assert ("resume=True" in capsys.readouterr().out) == history.interrupted
    fresh = Interrupting(dropping(9), 0)
    resumed = training.fit(fresh, splits, checkpoint=tmp_path, resume=True, **settings)
    assert equal(fresh, unbroken)
    assert resumed.step_losses == whole.step_losses and not resumed.interrupted
    same = [{key: value for key, value in row.items() if "second" not in key}
            for row in whole.epochs]
    assert same == [{key: value for key, value in row.items() if "second" not in key}
                    for row in resumed.epochs]


def test_a_killed_process_loses_at_most_the_running_epoch(tmp_path):
    code = f"""
import torch, sys
sys.path.insert(0, {str(Path.cwd())!r})
from resnet_lesson import data, training
from resnet_lesson.networks import resnet
mini = data.load_fashion_mnist("mini", quiet=True)
splits = data.Splits(mini.train.take(slice(600)), mini.validation.take(slice(200)), mini.test)
torch.manual_seed(0)
model = resnet.small_resnet(8, widths=(4, 8, 8), stem="small/2")
training.fit(model, splits, epochs=500, batch_size=100, lr=0.1, schedule="constant",
             checkpoint={str(tmp_path)!r})
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            time.sleep(0.05)
            path = tmp_path / "history.json"
            if path.exists() and len(json.loads(path.read_text())["epochs"]) >= 2:
                break
    finally:
        process.kill()
        process.wait()
    done = len(training.History.load(tmp_path).epochs)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert done >= 2 and state["epoch"] in (done, done + 1) and state["step"] == 0
    mini = data.load_fashion_mnist("mini", quiet=True)
    splits = data.Splits(mini.train.take(slice(600)), mini.validation.take(slice(200)), mini.test)
    epochs = state["epoch"] + 1
    settings = {"epochs": epochs, "batch_size": 100, "lr": 0.1, "schedule": "constant"}
    resumed, unbroken = network(5), network()
    training.fit(resumed, splits, checkpoint=tmp_path, resume=True, **settings)
    training.fit(unbroken, splits, **settings)
    assert equal(resumed, unbroken)


def test_a_new_run_sets_the_earlier_one_aside(splits, tmp_path):
    folder = tmp_path / "run"
    first = training.fit(network(), splits, epochs=1, batch_size=200, checkpoint=folder)
    training.fit(network(1), splits, epochs=1, batch_size=200, checkpoint=folder)
    assert training.History.load(tmp_path / "run.previous").epochs == first.epochs


def test_what_was_set_aside_is_of_one_run(splits, tmp_path):
    settings = {"epochs": 1, "batch_size": 200, "checkpoint": tmp_path / "run"}
    training.fit(network(), splits, **settings)
    training.fit(network(1), splits, **settings, watch=lambda progress: True)   # one step
    training.fit(network(2), splits, **settings)   # sets the stopped one aside
    previous = training.History.load(tmp_path / "run.previous")
    assert len(previous.step_losses) == 1 and previous.best_weights is None


@pytest.mark.parametrize(("change", "words"), [
    ({"lr": 0.2}, "lr=0.1, now lr=0.2"),
    ({"seed": 1}, "seed=0, now seed=1"),
    ({"epochs": 3}, "epochs=1, now epochs=3"),
    ({"momentum": 0.5}, "momentum=0.9, now momentum=0.5"),
])
def test_resuming_with_other_settings_is_refused(splits, tmp_path, change, words):
    settings = {"epochs": 1, "batch_size": 200, "lr": 0.1}
    training.fit(network(), splits, checkpoint=tmp_path, **settings)
    with pytest.raises(ValueError, match=words):
        training.fit(network(), splits, checkpoint=tmp_path, resume=True, **settings | change)


def test_resuming_with_other_data_is_refused(splits, tmp_path):
    settings = {"epochs": 1, "batch_size": 200, "checkpoint": tmp_path}
    training.fit(network(), splits, **settings)
    fewer = splits._replace(train=splits.train.take(slice(400)))
    with pytest.raises(ValueError, match="600 to train.*now data=.*400 to train"):
        training.fit(network(), fewer, resume=True, **settings)


def test_fewer_epochs_than_were_begun_are_refused(splits, tmp_path):
    settings = {"batch_size": 200, "schedule": "constant", "checkpoint": tmp_path}
    training.fit(network(), splits, epochs=4, **settings,
                 watch=lambda progress: len(progress.history.step_losses) == 7)
    with pytest.raises(ValueError, match="in epoch 3 already.* ask for 3 or more"):
        training.fit(network(), splits, epochs=2, resume=True, **settings)
    assert not training.fit(network(), splits, epochs=3, resume=True, **settings).interrupted


def test_a_run_that_is_going_on_counts_as_interrupted(splits, tmp_path):
    def watch(progress):
        if not progress.step:
            seen.append(training.History.load(tmp_path).interrupted)
    seen = []
    history = training.fit(network(), splits, epochs=2, batch_size=300, checkpoint=tmp_path,
                           watch=watch)
    assert seen == [True, True] and not history.interrupted
    assert not training.History.load(tmp_path).interrupted


def test_a_rate_from_numpy_can_be_resumed(splits, tmp_path):
    settings = {"epochs": 1, "batch_size": 200, "lr": np.float64(0.1), "checkpoint": tmp_path}
    training.fit(network(), splits, **settings)
    assert not training.fit(network(), splits, resume=True, **settings).interrupted


@pytest.mark.parametrize(("name", "spoil"), [
    ("state.pt", lambda path: path.unlink()),
    *((name, lambda path: path.write_bytes(b"broken"))
      for name in ("state.pt", "history.json", "best.safetensors")),
    ("state.pt", lambda path: path.write_bytes(path.read_bytes()[:1000])),
    ("history.json", lambda path: path.write_bytes(path.read_bytes()[:100])),
    ("history.json", lambda path: path.write_text('{"of": "another program"}')),
    ("best.safetensors", lambda path: path.write_bytes(path.read_bytes()[:1000]))])
def test_a_broken_file_is_named_with_a_remedy(splits, tmp_path, name, spoil):
    settings = {"epochs": 1, "batch_size": 600, "checkpoint": tmp_path}
    training.fit(network(), splits, **settings)
    spoil(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}.* cannot be read .*resume=False"):
        training.fit(network(), splits, resume=True, **settings)


def test_resuming_another_network_or_nothing_is_refused(splits, tmp_path):
    settings = {"epochs": 1, "batch_size": 200, "resume": True}
    with pytest.raises(FileNotFoundError, match="holds no training run"):
        training.fit(network(), splits, checkpoint=tmp_path / "none", **settings)
    with pytest.raises(ValueError, match="needs checkpoint"):
        training.fit(network(), splits, **settings)
    training.fit(network(), splits, epochs=1, batch_size=200, checkpoint=tmp_path)
    before = (tmp_path / "state.pt").read_bytes()
    other = resnet.small_resnet(14)
    before_weights = {key: value.clone() for key, value in other.state_dict().items()}
    with pytest.raises(ValueError, match="another network"):
        training.fit(other, splits, checkpoint=tmp_path, **settings)
    assert all(torch.equal(value, before_weights[key])
               for key, value in other.state_dict().items())
    assert (tmp_path / "state.pt").read_bytes() == before


def test_an_unwritable_checkpoint_is_named_before_the_first_step(splits, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    model = network()
    with pytest.raises(RuntimeError, match="cannot write the checkpoint to .*file") as error:
        training.fit(model, splits, epochs=1, batch_size=100,
                     checkpoint=tmp_path / "file" / "run")
    assert equal(model, network()) and not hasattr(error.value, "history")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit for the size of files")
@pytest.mark.parametrize(("limit", "name"), [(2000, "best.safetensors"), (12_000, "state.pt")])
def test_a_disk_that_fills_up_leaves_the_history_reachable(splits, tmp_path, limit, name):
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


def test_nothing_is_probed_for_a_run_that_cannot_begin(splits, tmp_path, monkeypatch):
    def probe(*arguments, **options):
        raise AssertionError("probed")
    monkeypatch.setattr(LOOP, "fastest", probe)
    (tmp_path / "file").write_text("not a folder")
    settings = {"epochs": 1, "arrangement": "auto"}
    with pytest.raises(RuntimeError, match="cannot write the checkpoint"):
        training.fit(network(), splits, checkpoint=tmp_path / "file" / "run", **settings)
    with pytest.raises(ValueError, match="needs checkpoint"):
        training.fit(network(), splits, resume=True, **settings)


def test_a_refused_resume_leaves_the_model_in_the_usual_layout(splits, tmp_path):
    settings = {"epochs": 1, "batch_size": 200, "checkpoint": tmp_path,
                "arrangement": Arrangement(channels_last=True)}
    training.fit(network(), splits, **settings)
    model = network()
    with pytest.raises(ValueError, match="lr"):
        training.fit(model, splits, lr=0.5, resume=True, **settings)
    assert all(p.is_contiguous() for p in model.parameters())


def test_an_earlier_runs_folder_loses_nothing_else(splits, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    for _ in range(3):
        training.fit(network(), splits, epochs=1, batch_size=600, checkpoint=tmp_path / "run")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "run.previous"]


class Stubborn(Interrupting):
    """A network that presses Ctrl-C twice within one step."""

    def forward(self, X):
        if self.training and self.left == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return super().forward(X)


@pytest.mark.skipif(os.name == "nt", reason="Windows delivers Ctrl-C to the whole console")
def test_a_second_interrupt_stops_at_once_and_keeps_the_history(splits):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as error:
        training.fit(Stubborn(network(), 8), splits, epochs=3, batch_size=100)
    assert len(error.value.history.step_losses) == 7 and len(error.value.history.epochs) == 1
    assert signal.getsignal(signal.SIGINT) is before
