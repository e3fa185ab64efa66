"""Training: its steps are torch's, its settings do what they say, and it learns."""

import importlib
import math

import pytest
import torch
from torch import nn

from resnet_lesson import data, training
from resnet_lesson.data.augment import Augment
from resnet_lesson.networks import resnet
from resnet_lesson.training.arrangement import Arrangement
from resnet_lesson.training.fit import learning_rate

LOOP = importlib.import_module("resnet_lesson.training.fit")  # the name is also the function's


def network(seed=0):
    torch.manual_seed(seed)
    return resnet.small_resnet(8, widths=(4, 8, 8), stem="small/2")


def equal(first, second):
    return all(torch.equal(a, b) for a, b in zip(
        first.state_dict().values(), second.state_dict().values(), strict=True))


def test_fit_learns_real_pictures(splits):
    model = network()
    before = training.evaluate(model, splits.validation)
    history = training.fit(model, splits, epochs=4, batch_size=50, lr=0.1)
    assert history.column("epoch") == [1, 2, 3, 4]
    assert history.best["validation_accuracy"] > max(0.4, before.accuracy + 0.2)
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"] / 1.5
    assert len(history.step_losses) == 4 * 12 and not history.interrupted


def test_fit_takes_the_step_that_torch_takes(splits):
    ours, theirs = network(), network()
    part = splits._replace(train=splits.train.take(slice(64)))
    training.fit(ours, part, epochs=1, batch_size=64, lr=0.1, momentum=0.0, weight_decay=0.0,
                 schedule="constant", seed=5)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(5 * 1_000_003))
    X, y = part.train.pixels(order), part.train.labels[order]
    nn.functional.cross_entropy(theirs(X), y).backward()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter -= 0.1 * parameter.grad
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_history_reports_what_a_second_evaluation_finds(splits, tmp_path):
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


def test_the_test_split_is_never_looked_at_in_training(splits):
    poisoned = splits._replace(test=None)
    training.fit(network(), poisoned, epochs=1, batch_size=200)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(splits):
    models_ = []
    for seed in (7, 7, 8):
        model = network()
        training.fit(model, splits, epochs=1, batch_size=100, seed=seed)
        models_.append(model)
    assert equal(models_[0], models_[1]) and not equal(models_[0], models_[2])


def test_a_diverging_run_says_what_to_do_and_keeps_what_it_had(splits):
    model = network()
    with pytest.raises(RuntimeError, match="lower lr than 1e[+]?30") as error:
        training.fit(model, splits, epochs=2, batch_size=100, lr=1e30, schedule="constant")
    losses = error.value.history.step_losses
    assert losses and all(math.isfinite(loss) for loss in losses)


def test_a_network_with_too_few_outputs_is_refused_in_words(splits):
    few = resnet.small_resnet(8, num_classes=4, widths=(2, 2, 2))
    with pytest.raises(ValueError, match="num_classes=10"):
        training.fit(few, splits, epochs=1, batch_size=100)
    with pytest.raises(ValueError, match="num_classes=10"):
        training.evaluate(few, splits.test)


def test_the_model_goes_to_the_device_and_comes_home(splits, monkeypatch):
    model, visited = network(), []
    to = model.to
    monkeypatch.setattr(model, "to", lambda *args, **kwargs: visited.append(args[0]) or to(
        *args, **kwargs))
    training.fit(model, splits, epochs=1, batch_size=600, device="cpu")
    assert visited[0] == visited[-1] == torch.device("cpu") and len(visited) == 5


@pytest.mark.parametrize(("setting", "words"), [
    ({"epochs": 0}, "epochs must be"), ({"epochs": 1.5}, "epochs must be"),
    ({"batch_size": -3}, "batch_size must be"), ({"lr": 0}, "lr must be"),
    ({"schedule": "cosine"}, "one-cycle"),
    ({"arrangement": Arrangement("int8")}, "float32, bfloat16"),
    ({"lr": "0.1"}, "lr must be"), ({"lr": None}, "lr must be"), ({"lr": math.nan}, "lr must be"),
    ({"momentum": None}, "momentum must be"), ({"weight_decay": -1}, "weight_decay must be"),
    ({"seed": None}, "seed must be"), ({"seed": 1.5}, "seed must be"),
    ({"label_smoothing": 1}, "label_smoothing must be"), ({"average": -0.1}, "average must be"),
    ({"average": "0.9"}, "average must be"), ({"nesterov": True, "momentum": 0}, "needs momentum"),
    ({"augment": 2}, "Augment"), ({"augment": Augment(shift=29)}, "from 0 to 28"),
    ({"augment": Augment(erase=-1)}, "erase must be"), ({"arrangement": "fast"}, '"auto"'),
    ({"size": -1}, "size must be"), ({"epochs": True}, "epochs must be"),
])
def test_senseless_settings_are_refused(splits, setting, words):
    with pytest.raises(ValueError, match=words):
        training.fit(network(), splits, **{"epochs": 1} | setting)


@pytest.mark.parametrize(("count", "batch_size", "better"), [(600, 599, 600), (600, 1, 2),
                                                             (7, 2, 4), (2, 1, 2)])
def test_a_last_batch_of_one_is_refused_before_the_first_step(splits, count, batch_size, better):
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


def test_one_split_instead_of_three_is_refused_in_words(splits):
    with pytest.raises(ValueError, match="splits must hold train and validation.*got a Split"):
        training.fit(network(), splits.train, epochs=1)


@pytest.mark.parametrize("device", ["cuda:9", "gpu", "nothing", 3.5])
def test_a_device_that_is_not_there_is_refused_in_words(splits, device):
    with pytest.raises(ValueError, match='cannot be used here.*use device="auto"'):
        training.fit(network(), splits, epochs=1, device=device)


def test_pictures_of_the_wrong_shape_are_refused_in_words(splits):
    colour = data.Split(splits.train.images.repeat(1, 3, 1, 1), splits.train.labels)
    with pytest.raises(ValueError, match=r"\(N, 1, height, width\), got \(128, 3, 28, 28\)"):
        training.fit(network(), splits._replace(train=colour), epochs=1)
    with pytest.raises(ValueError, match=r"\(N, 1, height, width\), got \(28, 28\)"):
        network()(torch.zeros(28, 28))
    with pytest.raises(ValueError, match="is empty"):
        training.evaluate(network(), splits.test.take([]))


def test_bfloat16_and_channels_last_train_too(splits):
    history = training.fit(network(), splits, epochs=2, batch_size=100, 
                           arrangement=Arrangement("bfloat16", channels_last=True))
    assert all(math.isfinite(loss) for loss in history.step_losses)
    assert history.epochs[-1]["train_loss"] < history.epochs[0]["train_loss"]


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


def test_a_watcher_sees_every_step_and_every_epoch_and_may_stop(splits, tmp_path):
    seen = []

    def watch(progress):
        gradient = progress.model.conv1.weight.grad
        assert progress.step == 0 or gradient.abs().sum() > 0
        seen.append((progress.epoch, progress.step, len(progress.history.step_losses)))
        return len(seen) == 9

    settings = {"epochs": 3, "batch_size": 100, "checkpoint": tmp_path}
    stopped = network()
    history = training.fit(stopped, splits, watch=watch, progress=False, **settings)
    assert seen == [(0, step, step) for step in range(1, 7)] + [(1, 0, 6), (1, 1, 7), (1, 2, 8)]
    assert history.interrupted and len(history.step_losses) == 8
    unbroken = network()
    training.fit(unbroken, splits, epochs=3, batch_size=100)
    training.fit(stopped, splits, resume=True, **settings)
    assert equal(stopped, unbroken)


def test_without_progress_nothing_is_printed(splits, capsys):
    training.fit(network(), splits, epochs=1, batch_size=300, progress=False,
                 watch=lambda progress: True)
    assert capsys.readouterr().out == ""


def test_the_model_keeps_the_usual_memory_layout(splits):
    model = network()
    training.fit(model, splits, epochs=1, batch_size=300, progress=False,
                 arrangement=Arrangement("bfloat16", channels_last=True))
    assert all(p.is_contiguous() for p in model.parameters())


def test_label_smoothing_and_nesterov_are_torchs(splits):
    ours, theirs = network(), network()
    part = splits._replace(train=splits.train.take(slice(64)))
    training.fit(ours, part, epochs=2, batch_size=64, lr=0.1, momentum=0.8, weight_decay=0.01,
                 schedule="constant", nesterov=True, label_smoothing=0.2)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=0.8, weight_decay=0.01,
                                nesterov=True)
    for epoch in range(2):
        order = torch.randperm(64, generator=torch.Generator().manual_seed(epoch))
        optimizer.zero_grad()
        nn.functional.cross_entropy(theirs(part.train.pixels(order)), part.train.labels[order],
                                    label_smoothing=0.2).backward()
        optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_the_average_is_validated_kept_and_left_in_the_model(splits):
    steps, model = [], network()
    history = training.fit(
        model, splits, epochs=2, batch_size=100, average=0.8, schedule="constant",
        watch=lambda progress: progress.step and steps.append(
            {key: value.clone() for key, value in progress.model.state_dict().items()}) or None)
    mean = {key: value.clone() for key, value in steps[0].items()}
    for count, state in enumerate(steps[1:], 1):
        decay = min(0.8, (1 + count) / (10 + count))
        mean = {key: decay * mean[key] + (1 - decay) * value if value.is_floating_point()
                else value for key, value in state.items()}
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, mean[key])
    assert not torch.allclose(model.conv1.weight, steps[-1]["conv1.weight"])
    last = history.epochs[-1]["validation_accuracy"]
    assert training.evaluate(model, splits.validation).accuracy == pytest.approx(last)


def test_auto_takes_the_fastest_and_a_resumed_run_keeps_it(splits, tmp_path, monkeypatch, capsys):
    chosen = Arrangement("bfloat16", True)
    monkeypatch.setattr(LOOP, "fastest", lambda *args, **options: chosen)
    settings = {"epochs": 2, "batch_size": 100, "checkpoint": tmp_path, "arrangement": "auto"}
    history = training.fit(network(), splits, watch=lambda progress: progress.epoch == 1,
                           **settings)
    assert history.settings["arrangement"] == chosen._asdict() and history.interrupted
    assert f"fastest on this machine: {chosen}" in capsys.readouterr().out
    monkeypatch.setattr(LOOP, "fastest", lambda *args, **options: Arrangement())
    resumed, unbroken = network(3), network()
    training.fit(resumed, splits, resume=True, **settings)
    training.fit(unbroken, splits, epochs=2, batch_size=100, arrangement=chosen)
    assert equal(resumed, unbroken)
