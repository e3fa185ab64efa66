"""Training: its steps are torch's, its settings do what they say, and it learns."""

import inspect
import math

import numpy as np
import pytest
import torch
from torch import nn

from resnet_lesson import data, training
from resnet_lesson.data.augment import Augment
from resnet_lesson.networks import resnet
from resnet_lesson.training.arrangement import Arrangement
from resnet_lesson.training.fit import learning_rate
from resnet_lesson.training.settings import Settings


def test_fit_learns_real_pictures(splits, network):
    model = network()
    before = training.evaluate(model, splits.validation)
    history = training.fit(model, splits, epochs=4, batch_size=50, lr=0.1)
    assert history.column("epoch") == [1, 2, 3, 4]
    assert history.best["validation_accuracy"] > max(0.4, before.accuracy + 0.2)
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"] / 1.5
    assert len(history.step_losses) == 4 * 12 and not history.interrupted


@pytest.mark.parametrize("settings", [
    {"momentum": 0.0, "weight_decay": 0.0},
    {"momentum": 0.8, "weight_decay": 0.01, "nesterov": True, "label_smoothing": 0.2},
], ids=["plain", "all"])
def test_fit_takes_the_steps_that_torch_takes(splits, network, settings):
    ours, theirs = network(), network()
    part = splits._replace(train=splits.train.take(slice(64)))
    training.fit(ours, part, epochs=2, batch_size=64, lr=0.1, schedule="constant", seed=5,
                 **settings)
    smoothing = settings.pop("label_smoothing", 0.0)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, **settings)
    for epoch in range(2):
        order = torch.randperm(64, generator=torch.Generator().manual_seed(5 * 1_000_003 + epoch))
        optimizer.zero_grad()
        nn.functional.cross_entropy(theirs(part.train.pixels(order)), part.train.labels[order],
                                    label_smoothing=smoothing).backward()
        optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_history_reports_what_a_second_evaluation_finds(splits, network, equal, tmp_path):
    model = network()
    history = training.fit(model, splits, epochs=3, batch_size=100, lr=0.3, checkpoint=tmp_path)
    last = history.epochs[-1]
    score = training.evaluate(model, splits.validation)
    assert score.accuracy == pytest.approx(last["validation_accuracy"])
    best = training.evaluate(history.load_best(network(1)), splits.validation)
    assert best.accuracy == pytest.approx(max(history.column("validation_accuracy")))
    stored = training.History.load(tmp_path)
    assert stored.epochs == history.epochs and stored.step_losses == history.step_losses
    assert equal(stored.load_best(network(1)), history.load_best(network(2)))


def test_the_test_split_is_never_looked_at_in_training(splits, network):
    training.fit(network(), splits._replace(test=None), epochs=1, batch_size=200)


@pytest.mark.parametrize(("batch_size", "largest"), [(50, 50), (600, 512)])
def test_validation_takes_no_larger_batches_than_training(mini, network, batch_size, largest):
    model, seen = network(), {True: set(), False: set()}
    model.register_forward_pre_hook(lambda module, args: seen[module.training].add(len(args[0])))
    part = mini._replace(train=mini.train.take(slice(600)))
    training.fit(model, part, epochs=1, batch_size=batch_size)
    assert seen[True] == {batch_size} and max(seen[False]) == largest


def test_the_same_seed_gives_the_same_weights_and_another_does_not(splits, network, equal):
    models = [network() for _ in range(3)]
    for model, seed in zip(models, (7, np.int64(7), 8), strict=True):
        training.fit(model, splits, epochs=1, batch_size=np.int64(100), seed=seed)
    assert equal(models[0], models[1]) and not equal(models[0], models[2])


@pytest.mark.parametrize("seed", [-2 ** 63, -1, 2 ** 64 - 1])
def test_what_torch_takes_as_a_seed_is_one(splits, network, equal, tmp_path, seed):
    torch.manual_seed(seed)
    settings = {"epochs": 1, "batch_size": 300, "augment": Augment(shift=1), "seed": seed}
    whole, stopped = network(), network()
    training.fit(whole, splits, **settings)
    training.fit(stopped, splits, checkpoint=tmp_path, watch=lambda progress: True, **settings)
    training.fit(stopped, splits, checkpoint=tmp_path, resume=True, **settings)
    assert equal(whole, stopped)


def test_a_diverging_run_says_what_to_do_and_keeps_what_it_had(splits, network):
    with pytest.raises(RuntimeError, match="at step [2-9]; a lower lr than 1e[+]?30") as error:
        training.fit(network(), splits, epochs=2, batch_size=100, lr=1e30, schedule="constant")
    losses = error.value.history.step_losses
    assert losses and all(math.isfinite(loss) for loss in losses)


@pytest.mark.parametrize("arrangement", [Arrangement(), "auto"])
def test_a_network_with_too_few_outputs_is_refused_in_words(splits, arrangement):
    few = resnet.small_resnet(8, num_classes=4, widths=(2, 2, 2))
    with pytest.raises(ValueError, match="num_classes=10"):
        training.fit(few, splits, epochs=1, batch_size=100, arrangement=arrangement)
    with pytest.raises(ValueError, match="num_classes=10"):
        training.evaluate(few, splits.test)


def test_the_model_goes_to_the_device_and_comes_home(splits, network, monkeypatch):
    model, visited = network(), []
    to = model.to
    monkeypatch.setattr(model, "to", lambda *args, **kwargs: visited.append(args[0]) or to(
        *args, **kwargs))
    training.fit(model, splits, epochs=1, batch_size=600, device="cpu:0")
    assert visited[0] == torch.device("cpu:0") and visited[-1] == torch.device("cpu")


@pytest.mark.parametrize(("setting", "words"), [
    ({"epochs": 0}, "epochs must be"), ({"epochs": 1.5}, "epochs must be"),
    ({"batch_size": -3}, "batch_size must be"), ({"epochs": True}, "epochs must be"),
    ({"size": -1}, "size must be"), ({"seed": None}, "seed must be"),
    ({"lr": 0}, "lr must be a number above 0"), ({"lr": "0.1"}, "lr must be"),
    ({"lr": math.nan}, "lr must be"), ({"weight_decay": -1}, "weight_decay must be"),
    ({"momentum": None}, "momentum must be a number, at least 0"),
    ({"label_smoothing": 1}, "label_smoothing must be a number from 0 to below 1"),
    ({"schedule": "cosine"}, '"constant" or "one-cycle"'),
    ({"nesterov": True, "momentum": 0}, "needs momentum"), ({"arrangement": "fast"}, '"auto"'),
    ({"augment": 2}, "an Augment"), ({"augment": Augment(shift=29)}, "at most 28 pixels"),
    ({"device": "gpu"}, 'cannot be used here.*use device="auto"'),
    ({"device": 3.5}, 'cannot be used here.*use device="auto"'),
])
def test_senseless_settings_are_refused(splits, network, setting, words):
    with pytest.raises(ValueError, match=words):
        training.fit(network(), splits, **{"epochs": 1} | setting)


def test_fit_shows_its_settings_and_takes_no_other(splits, network):
    shown = inspect.signature(training.fit).parameters
    assert {"model", "splits", "checkpoint", "epochs", "lr", "arrangement"} <= set(shown)
    assert shown["lr"].default == Settings(epochs=1).lr
    with pytest.raises(TypeError, match="learning_rate"):
        training.fit(network(), splits, epochs=1, learning_rate=0.1)


@pytest.mark.parametrize(("count", "batch_size", "better"), [(600, 599, 600), (7, 2, 4), (2, 1, 2)])
def test_a_last_batch_of_one_is_refused_at_once(splits, network, count, batch_size, better):
    few = splits._replace(train=splits.train.take(slice(count)))
    four = splits._replace(**{name: data.Split(getattr(few, name).images[:, :, ::7, ::7],
                                               getattr(few, name).labels)
                              for name in ("train", "validation")})   # 4×4, in the end 1×1 pixels
    model = resnet.small_resnet(8, widths=(4, 8, 8))
    with pytest.raises(ValueError, match=f"last batch of one.*batch_size={better}"):
        training.fit(model, four, epochs=1, batch_size=batch_size)
    assert training.fit(model, four, epochs=1, batch_size=better).epochs
    if batch_size > 1:   # a map of several pixels has a variance
        assert training.fit(network(), few, epochs=1, batch_size=batch_size).epochs


def test_pictures_that_do_not_fit_are_refused_in_words(splits, network):
    with pytest.raises(ValueError, match="splits must hold train and validation.*got a Split"):
        training.fit(network(), splits.train, epochs=1)
    with pytest.raises(ValueError, match="the validation split is empty"):
        training.fit(network(), splits._replace(validation=splits.validation.take([])), epochs=1)
    colour = data.Split(splits.train.images.repeat(1, 3, 1, 1), splits.train.labels)
    with pytest.raises(ValueError, match=r"\(N, 1, height, width\), got \(128, 3, 28, 28\)"):
        training.fit(network(), splits._replace(train=colour), epochs=1)


@pytest.mark.parametrize("steps", [8, 37, 400])
def test_one_cycle_equals_torchs(steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=steps,
                                                 pct_start=0.25, cycle_momentum=False)
    for step in range(steps):
        ours = learning_rate("one-cycle", 0.3, step, steps)
        assert ours == pytest.approx(theirs.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        if step < steps - 1:
            theirs.step()
    assert learning_rate("constant", 0.3, 17, steps) == 0.3


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_one_cycle_of_very_few_steps_stays_within_its_peak(steps):
    rates = [learning_rate("one-cycle", 0.3, step, steps) for step in range(steps)]
    assert all(0 <= rate <= 0.3 + 1e-12 for rate in rates) and max(rates) > 0.1


def test_a_watcher_sees_every_step_and_every_epoch_and_may_stop(splits, network, capsys):
    seen = []

    def watch(progress):
        gradient = progress.model.conv1.weight.grad
        assert progress.step == 0 or gradient.abs().sum() > 0
        seen.append((progress.epoch, progress.step, len(progress.history.step_losses)))
        return len(seen) == 9

    history = training.fit(network(), splits, epochs=3, batch_size=100, watch=watch,
                           progress=False)
    assert seen == [(0, step, step) for step in range(1, 7)] + [(1, 0, 6), (1, 1, 7), (1, 2, 8)]
    assert history.interrupted and len(history.step_losses) == 8
    assert capsys.readouterr().out == "", "nothing is printed without progress"


def test_bfloat16_and_channels_last_train_too_and_the_model_keeps_the_usual_layout(splits, network):
    model = network()
    history = training.fit(model, splits, epochs=2, batch_size=100,
                           arrangement=Arrangement("bfloat16", channels_last=True))
    assert all(math.isfinite(loss) for loss in history.step_losses)
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"]
    assert all(p.is_contiguous() for p in model.parameters())


def test_auto_is_chosen_once(splits, network, equal, loop, tmp_path, monkeypatch, capsys):
    chosen = Arrangement("bfloat16", True)
    monkeypatch.setattr(loop, "fastest", lambda *args, **options: chosen)
    settings = {"epochs": 2, "batch_size": 100, "checkpoint": tmp_path, "arrangement": "auto"}
    history = training.fit(network(), splits, watch=lambda progress: progress.epoch == 1,
                           **settings)
    assert Arrangement(**history.settings["arrangement"]) == chosen and history.interrupted
    assert f"fastest on this machine: {chosen}" in capsys.readouterr().out
    monkeypatch.setattr(loop, "fastest", lambda *args, **options: Arrangement())
    resumed, unbroken = network(3), network()
    training.fit(resumed, splits, resume=True, **settings)
    training.fit(unbroken, splits, epochs=2, batch_size=100, arrangement=chosen)
    assert equal(resumed, unbroken)
