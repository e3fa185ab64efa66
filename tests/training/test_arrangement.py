"""The choice of an arrangement: measured, compared with float32, and never trusted."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from resnet_lesson import data
from resnet_lesson.networks import resnet
from resnet_lesson.training import arrangement as speed
from resnet_lesson.training import pace
from resnet_lesson.training.arrangement import ARRANGEMENTS, PLAIN, Arrangement
from resnet_lesson.words import duration

BF16 = Arrangement("bfloat16", True)


@pytest.fixture(scope="module")
def batch():
    split = data.load_fashion_mnist("mini", quiet=True).train
    return split.pixels(slice(32)), split.labels[:32]


def network():
    torch.manual_seed(0)
    return resnet.small_resnet(8, widths=(8, 16, 16), stem="small/2")


@settings(max_examples=40, deadline=None, derandomize=True)
@given(n=st.integers(1, 4), channels=st.integers(1, 5), out=st.integers(1, 5),
       height=st.integers(3, 9), width=st.integers(3, 9), k=st.sampled_from([1, 2, 3]),
       stride=st.integers(1, 3), padding=st.integers(0, 2), seed=st.integers(0, 99))
def test_the_gradient_by_matrix_products_is_autograds(n, channels, out, height, width, k, stride,
                                                      padding, seed):
    torch.manual_seed(seed)
    x = torch.randn(n, channels, height, width, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(out, channels, k, k, dtype=torch.float64, requires_grad=True)
    theirs = F.conv2d(x, weight, None, stride, padding)
    upstream = torch.randn_like(theirs)
    expected = torch.autograd.grad(theirs, (x, weight), upstream)
    ours = speed.MatmulGradient.apply(x, weight, (stride, stride), (padding, padding))
    assert torch.equal(ours, theirs)
    for a, b in zip(torch.autograd.grad(ours, (x, weight), upstream), expected, strict=True):
        torch.testing.assert_close(a, b)


def test_arranging_changes_wide_layers_for_a_while_and_keeps_every_name():
    model = nn.Sequential(nn.Conv2d(speed.WIDE, 4, 3, padding=1, bias=False), nn.ReLU(),
                          nn.Conv2d(4, 4, 3, bias=False), nn.Conv2d(speed.WIDE, 4, 3))
    names = list(model.state_dict())
    with speed.arranged(model, BF16._replace(matmul_gradients=True)):
        assert ["forward" in vars(layer) for layer in model] == [True, False, False, False]
        assert list(model.state_dict()) == names
    assert not any("forward" in vars(layer) for layer in model)
    with speed.arranged(model, BF16):
        assert not any("forward" in vars(layer) for layer in model)


def test_every_arrangement_takes_nearly_the_same_step(batch):
    torch.manual_seed(0)
    model = resnet.small_resnet(8, widths=(128, 128, 16), stem="small/2")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    timings = speed.probe(model, *batch, repeats=1, progress=False)
    assert [timing.arrangement for timing in timings] == list(ARRANGEMENTS)
    for timing in timings:
        assert timing.why_not == "" and 0 < timing.seconds < math.inf
        assert timing.logits_difference < 0.05 and timing.gradient_cosine > 0.95
    assert timings[0].logits_difference == 0 and timings[4].gradient_cosine > 0.98
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def break_bfloat16(monkeypatch, spoil):
    """Let convolutions answer wrongly in bfloat16, as PyTorch issue 163347 reports."""
    conv2d = F.conv2d

    def broken(x, weight, *args, **options):
        y = conv2d(x, weight, *args, **options)
        return spoil(y) if torch.is_autocast_enabled("cpu") else y
    monkeypatch.setattr(F, "conv2d", broken)


@pytest.mark.parametrize("spoil", [lambda y: y * torch.randn_like(y), lambda y: y * 0,
                                   lambda y: y * math.nan, lambda y: y.roll(1, 0)])
def test_a_bfloat16_that_computes_wrongly_never_wins(batch, monkeypatch, spoil):
    clock = itertools.count()
    # bfloat16 would win every race: each of its steps takes no time, the others one second
    fast = [False]
    monkeypatch.setattr(speed.time, "perf_counter",
                        lambda: next(clock) if not fast[0] else 0)
    original = speed.step

    def step(model, optimizer, X, y, arrangement=PLAIN):
        fast[0] = arrangement.precision == "bfloat16"
        result = original(model, optimizer, X, y, arrangement)
        fast[0] = False
        return result
    monkeypatch.setattr(speed, "step", step)
    break_bfloat16(monkeypatch, spoil)
    timings = speed.probe(network(), *batch, progress=False)
    assert all(bool(timing.why_not) == (timing.arrangement.precision == "bfloat16")
               for timing in timings), timings
    assert speed.fastest(network(), *batch, progress=False).precision == "float32"


def test_a_wrong_gradient_is_caught_though_the_logits_agree(batch, monkeypatch):
    backward = speed.MatmulGradient.backward

    def broken(ctx, gradient):
        of_x, of_weight, *rest = backward(ctx, gradient)
        return of_x, of_weight.flip(0), *rest
    monkeypatch.setattr(speed.MatmulGradient, "backward", staticmethod(broken))
    torch.manual_seed(0)
    model = resnet.small_resnet(8, widths=(128, 128, 16), stem="small/2")
    timings = speed.probe(model, *batch, repeats=1, progress=False)
    assert [bool(timing.why_not) for timing in timings] == [False] * 4 + [True]
    assert "gradient" in timings[4].why_not


def test_the_fastest_that_agrees_is_chosen(batch, monkeypatch):
    timings = [speed.Timing(PLAIN, 3.0, 0, 1, ""), speed.Timing(BF16, 1.0, 0.5, 1, "differs"),
               speed.Timing(Arrangement(channels_last=True), 2.0, 0, 1, "")]
    monkeypatch.setattr(speed, "probe", lambda *args, **options: timings)
    assert speed.fastest(network(), *batch) == Arrangement(channels_last=True)


def test_a_type_that_the_device_lacks_is_reported_not_raised(batch, monkeypatch):
    original = speed.step

    def step(model, optimizer, X, y, arrangement=PLAIN):
        if arrangement.precision == "bfloat16":
            raise RuntimeError("no bfloat16 here\nmore")
        return original(model, optimizer, X, y, arrangement)
    monkeypatch.setattr(speed, "step", step)
    timings = speed.probe(network(), *batch, repeats=1, progress=False)
    assert [timing.why_not for timing in timings] == ["", ""] + ["no bfloat16 here"] * 3
    assert speed.fastest(network(), *batch, repeats=1, progress=False).precision == "float32"


def test_nothing_wins_without_a_float32_to_compare_it_with(batch, monkeypatch):
    step = speed.step

    def small_memory(model, optimizer, X, y, arrangement=PLAIN):
        if arrangement == PLAIN:
            raise RuntimeError("out of memory")
        return step(model, optimizer, X, y, arrangement)

    monkeypatch.setattr(speed, "step", small_memory)
    timings = speed.probe(network(), *batch, progress=False)
    assert all("out of memory" in one.why_not if one.arrangement == PLAIN else
               "nothing to compare it with: float32 failed" in one.why_not for one in timings)
    assert speed.fastest(network(), *batch, progress=False) == PLAIN


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None])
def test_a_step_of_no_pictures_is_refused_in_words(batch_size):
    split = data.load_fashion_mnist("mini", quiet=True).train
    for measure in (pace.step_seconds, lambda *arguments, **options: pace.estimate(
            *arguments, epochs=2, **options)):
        with pytest.raises(ValueError, match="batch_size must be a whole number"):
            measure(network(), split, batch_size=batch_size)


def test_a_probe_needs_pictures():
    with pytest.raises(ValueError, match="at least one picture"):
        speed.probe(network(), torch.zeros(0, 1, 28, 28), torch.zeros(0).long())


def test_an_estimate_is_steps_times_the_measured_step(monkeypatch):
    split = data.load_fashion_mnist("mini", quiet=True).train
    monkeypatch.setattr(pace, "step_seconds", lambda *args, **options: 0.5)
    estimate = pace.estimate(network(), split, epochs=3, batch_size=64)
    assert estimate.steps == 3 * math.ceil(len(split) / 64)
    assert estimate.seconds == pytest.approx(0.5 * estimate.steps)
    assert estimate.within(10) == 20 and estimate.within(0) == 1
    assert estimate.within(1e9) == estimate.within(math.inf) == estimate.steps
    assert "2 minutes on this machine (237 steps of 0.5 s)" in repr(estimate)


@pytest.mark.parametrize(("seconds", "words"), [(0.213, "0.21 s"), (40.4, "40 s"),
                                                (300, "5 minutes"), (11160, "3.1 hours")])
def test_times_are_said_in_the_unit_people_use(seconds, words):
    assert duration(seconds) == words


def test_measuring_a_step_leaves_the_model_as_it_is():
    split, model = data.load_fashion_mnist("mini", quiet=True).train, network()
    assert pace.step_seconds(model, split, batch_size=50, size=32, arrangement=BF16) > 0
    assert all(torch.equal(a, b) for a, b in zip(
        model.state_dict().values(), network().state_dict().values(), strict=True))


def test_logits_and_gradients_are_each_compared():
    logits, gradient = torch.randn(8, 10), torch.randn(50)
    assert speed._compare(logits, gradient, logits, gradient)[2] == ""
    assert "logits" in speed._compare(logits * 1.2, gradient, logits, gradient)[2]
    assert "logits" in speed._compare(logits * math.nan, gradient, logits, gradient)[2]
    assert "gradients" in speed._compare(logits, -gradient, logits, gradient)[2]
