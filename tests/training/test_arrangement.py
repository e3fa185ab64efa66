"""The choice of an arrangement: measured, compared with float32, and never trusted."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from resnet_lesson.networks import resnet
from resnet_lesson.training import arrangement as speed
from resnet_lesson.training.arrangement import ARRANGEMENTS, PLAIN, Arrangement

BF16 = Arrangement("bfloat16", True)


@pytest.fixture
def batch(mini):
    return mini.train.pixels(slice(32), 14), mini.train.labels[:32]


@pytest.fixture
def wide():
    """Return a network whose convolutions are wide enough for gradients as matrix products."""
    torch.manual_seed(0)
    return resnet.small_resnet(8, widths=(128, 128, 16), stem="small/2")


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
    with speed.arranged(model, Arrangement("bfloat16", True, True)):
        assert ["forward" in vars(layer) for layer in model] == [True, False, False, False]
        assert list(model.state_dict()) == names
    assert not any("forward" in vars(layer) for layer in model)
    with speed.arranged(model, BF16):
        assert not any("forward" in vars(layer) for layer in model)


def test_an_unknown_precision_is_refused_in_words():
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, got 'int8'"):
        Arrangement("int8")


def test_a_step_is_torchs_and_stops_before_it_would_spoil_the_weights(batch, network, equal):
    ours, theirs = network(), network()
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (ours, theirs)]
    logits, loss = speed.step(ours, optimizers[0], *batch, label_smoothing=0.2, classes=10)
    expected = F.cross_entropy(theirs(batch[0]), batch[1], label_smoothing=0.2)
    expected.backward()
    optimizers[1].step()
    assert logits.shape == (32, 10) and loss == expected and equal(ours, theirs)
    with pytest.raises(ValueError, match="num_classes=11"):
        speed.step(ours, optimizers[0], *batch, classes=11)
    with pytest.raises(speed.DivergedError, match="the training loss became nan"):
        speed.step(ours, optimizers[0], batch[0] * math.nan, batch[1])
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_every_arrangement_takes_nearly_the_same_step(batch, wide):
    before = {key: value.clone() for key, value in wide.state_dict().items()}
    timings = speed.probe(wide, *batch, repeats=1, progress=False)
    assert [timing.arrangement for timing in timings] == list(ARRANGEMENTS)
    for timing in timings:
        assert timing.why_not == "" and 0 < timing.seconds < math.inf
        assert timing.logits_difference < 0.05 and timing.gradient_cosine > 0.95
    assert timings[0].logits_difference == 0 and timings[4].gradient_cosine > 0.98
    assert all(torch.equal(value, before[key]) for key, value in wide.state_dict().items())


@pytest.mark.parametrize("spoil", [lambda y: y * torch.randn_like(y), lambda y: y * 0,
                                   lambda y: y * math.nan, lambda y: y.roll(1, 0)])
def test_a_bfloat16_that_computes_wrongly_never_wins(batch, network, monkeypatch, spoil):
    clock = itertools.count()
    # bfloat16 would win every race: each of its steps takes no time, the others one second
    fast = [False]
    monkeypatch.setattr(speed.time, "perf_counter", lambda: 0 if fast[0] else next(clock))
    step, conv2d = speed.step, F.conv2d

    def timed(model, optimizer, X, y, arrangement, **options):
        fast[0] = arrangement.precision == "bfloat16"
        try:
            return step(model, optimizer, X, y, arrangement, **options)
        finally:
            fast[0] = False

    def broken(x, weight, *args, **options):   # as PyTorch issue 163347 reports
        y = conv2d(x, weight, *args, **options)
        return spoil(y) if torch.is_autocast_enabled("cpu") else y

    monkeypatch.setattr(speed, "step", timed)
    monkeypatch.setattr(F, "conv2d", broken)
    timings = speed.probe(network(), *batch, progress=False)
    assert all(bool(timing.why_not) == (timing.arrangement.precision == "bfloat16")
               for timing in timings), timings
    assert speed.fastest(network(), *batch, progress=False).precision == "float32"


def test_a_wrong_gradient_is_caught_though_the_logits_agree(batch, wide, monkeypatch):
    backward = speed.MatmulGradient.backward

    def broken(ctx, gradient):
        of_x, of_weight, *rest = backward(ctx, gradient)
        return of_x, of_weight.flip(0), *rest
    monkeypatch.setattr(speed.MatmulGradient, "backward", staticmethod(broken))
    timings = speed.probe(wide, *batch, repeats=1, progress=False)
    assert [bool(timing.why_not) for timing in timings] == [False] * 4 + [True]
    assert "gradient" in timings[4].why_not


def test_the_fastest_that_agrees_is_chosen(batch, network, monkeypatch):
    with pytest.raises(ValueError, match="at least one picture"):
        speed.fastest(network(), batch[0][:0], batch[1][:0])
    timings = [speed.Timing(PLAIN, 3.0, 0, 1, ""), speed.Timing(BF16, 1.0, 0.5, 1, "differs"),
               speed.Timing(Arrangement(channels_last=True), 2.0, 0, 1, "")]
    monkeypatch.setattr(speed, "probe", lambda *args, **options: timings)
    assert speed.fastest(network(), *batch) == Arrangement(channels_last=True)


def test_a_type_that_the_device_lacks_is_reported_not_raised(batch, network, monkeypatch):
    step, lacking = speed.step, ["bfloat16"]

    def picky(model, optimizer, X, y, arrangement, **options):
        if arrangement.precision in lacking:
            raise RuntimeError(f"no {arrangement.precision} here\nmore")
        return step(model, optimizer, X, y, arrangement, **options)
    monkeypatch.setattr(speed, "step", picky)
    timings = speed.probe(network(), *batch, repeats=1, progress=False)
    assert [timing.why_not for timing in timings] == ["", ""] + ["no bfloat16 here"] * 3
    assert speed.fastest(network(), *batch, repeats=1, progress=False).precision == "float32"
    lacking.append("float32")   # nothing is left to compare with
    with pytest.raises(RuntimeError, match="no float32 here"):
        speed.probe(network(), *batch, progress=False)
