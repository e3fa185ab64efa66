"""The exercises of notebook 05: right answers pass, plausible wrong ones get their own words."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises import residual_block as tasks
from resnet_lesson.networks import blocks

EXERCISES = {"residual": tasks.residual, "projection": tasks.projection,
             "bottleneck": tasks.bottleneck}


@pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
@pytest.mark.parametrize("nonsense", [..., None, 3, "x", lambda *values: None, lambda: 1,
                                      nn.Identity, nn.Linear])
def test_nonsense_never_raises_and_never_passes(exercise, nonsense):
    assert not exercise.check(nonsense).right


class Stub(nn.Module):
    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        ...

    def forward(self, X):
        ...


def test_the_stub_is_told_that_it_is_not_solved():
    assert "Not solved yet" in tasks.residual.check(Stub).words
    assert "Not solved yet" in tasks.projection.check(lambda a, b, c: ...).words
    assert "Not solved yet" in tasks.bottleneck.check(lambda channels: ...).words


def test_the_packages_own_block_passes():
    assert tasks.residual.check(blocks.Residual).right


def test_the_solution_is_the_packages_block_without_its_words():
    for arguments, shape in tasks.SETTINGS:
        mine, right = tasks.Residual(*arguments), blocks.Residual(*arguments)
        assert set(mine.state_dict()) == set(right.state_dict())
        mine.load_state_dict(right.state_dict())
        x = torch.randn(shape)
        assert torch.equal(mine(x), right(x))


def with_forward(forward):
    """Return the solution's class with another forward."""
    return type("Mine", (tasks.Residual,), {"forward": forward})


def g(self, X):
    return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(X)))))


def side(self, X):
    return X if self.conv3 is None else self.conv3(X)


def in_place(self, X):
    Y = g(self, X)
    if self.conv3 is not None:
        X = self.conv3(X)
    X += Y
    return F.relu(X)


@pytest.mark.parametrize(("forward", "words"), [
    (lambda self, X: F.relu(g(self, X)), "There is no shortcut"),
    (lambda self, X: g(self, X), "neither shortcut nor last ReLU"),
    (lambda self, X: g(self, X) + side(self, X), "The last ReLU is missing"),
    (lambda self, X: F.relu(g(self, X)) + side(self, X), "The ReLU stands before the addition"),
    (lambda self, X: F.relu(F.relu(g(self, X)) + side(self, X)),
     "a ReLU before the addition as well as after"),
    (lambda self, X: F.relu(self.bn2(self.conv2(self.bn1(self.conv1(X)))) + side(self, X)),
     "The ReLU between the two convolutions is missing"),
    (lambda self, X: F.relu(self.bn2(self.conv2(self.bn1(F.relu(self.conv1(X))))) + side(self, X)),
     "the ReLU stands before bn1"),
    (lambda self, X: F.relu(self.bn2(self.conv2(F.relu(self.conv1(X)))) + side(self, X)),
     "bn1 is never used"),
    (lambda self, X: F.relu(self.conv2(F.relu(self.bn1(self.conv1(X)))) + side(self, X)),
     "bn2 is never used"),
    (lambda self, X: F.relu(self.bn1(self.conv2(F.relu(self.bn1(self.conv1(X))))) + side(self, X)),
     "bn1 is used twice"),
    (lambda self, X: F.relu(
        self.bn2(self.conv2(F.relu(self.bn1(self.conv1(X)))) + side(self, X))),
     "The addition stands before bn2"),
    (lambda self, X: F.relu(g(self, X) + X), "conv3 is never used in forward"),
    (lambda self, X: F.relu(g(self, X) + 2 * side(self, X)), "the largest difference is"),
    (in_place, "changes its input"),
    (lambda self, X: None, "forward still returns nothing"),
    (lambda self, X: F.relu(g(self, X) + side(self, X)).flatten(1), "expected a tensor of shape"),
    (lambda self, X: g(self, X).tolist(), "gives list"),
    (lambda self, X: F.relu(g(self, X) + self.conv3(X)), "raised TypeError"),
    (lambda self, X: F.relu(g(self, X)[:, :, 1:] + X), "raised in forward"),
])
def test_a_wrong_forward_gets_its_own_diagnosis(forward, words):
    verdict = tasks.residual.check(with_forward(forward))
    assert not verdict.right and words in verdict.words, verdict


def with_layers(change):
    """Return the solution's class with changed layers."""
    class Mine(tasks.Residual):
        def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
            super().__init__(input_channels, num_channels, use_1x1conv, strides)
            change(self, input_channels, num_channels, use_1x1conv, strides)
    return Mine


def conv(name, *arguments, **options):
    def change(self, i, o, use_1x1conv, strides):
        if getattr(self, name) is not None:
            values = {"i": i, "o": o, "s": strides}
            setattr(self, name, nn.Conv2d(*(values.get(value, value) for value in arguments),
                                          **{key: values.get(value, value)
                                             for key, value in options.items()}))
    return change


@pytest.mark.parametrize(("change", "words"), [
    (conv("conv2", "o", "o", 3, padding=1, stride="s"), "or the map shrinks twice"),
    (conv("conv1", "i", "o", 3, padding=1), "takes the step that shrinks the map"),
    (conv("conv3", "i", "o", 1), "The shortcut needs the branch's stride"),
    (conv("conv3", "i", "o", 1, padding=1, stride="s"), "a 1×1 kernel loses none"),
    (conv("conv1", "i", "o", 3, stride="s"), "conv1 of Mine(3, 3) has padding (0, 0)"),
    (conv("conv2", "o", "o", 3), "padding 1 gives it back"),
    (conv("conv2", "i", "o", 3, padding=1), "conv2.weight of Mine(3, 6"),
    (conv("conv1", "i", "o", 5, padding=2, stride="s"), "have 3×3 kernels"),
    (conv("conv1", "i", "o", 3, padding=1, stride="s", bias=False), "has no conv1.bias"),
    (lambda self, i, o, use, s: setattr(self, "conv3", None), "has no conv3"),
    (lambda self, i, o, use, s: setattr(self, "conv3", nn.Conv2d(i, o, 1, s)),
     "has a conv3 though use_1x1conv is False"),
    (lambda self, i, o, use, s: delattr(self, "bn2"), "has no bn2"),
    (lambda self, i, o, use, s: setattr(self, "norm", nn.BatchNorm2d(o)),
     "not expected: norm.bias"),
])
def test_wrong_layers_get_their_own_diagnosis(change, words):
    verdict = tasks.residual.check(with_layers(change))
    assert not verdict.right and words in verdict.words, verdict


@pytest.mark.parametrize(("answer", "words"), [
    (tasks.Residual(3, 3), "Give the class itself"),
    (tasks.Residual.forward, "Give the class itself"),
    (type("Mine", (nn.Module,), {"__init__": lambda self, a, b: None}), "raised TypeError"),
])
def test_what_is_no_class_is_told_so(answer, words):
    verdict = tasks.residual.check(answer)
    assert not verdict.right and words in verdict.words, verdict


@pytest.mark.parametrize(("answer", "words"), [
    (lambda i, o, s: i != o, "look at height and width"),
    (lambda i, o, s: s != 1, "look at the channels"),
    (lambda i, o, s: True, "both can be added as they are"),
    (lambda i, o, s: i != o and s != 1, "you say no projection is needed"),
    (lambda i, o, s: not (i != o or s != 1), "you say"),
    (lambda i, o, s: i < o or s != 1, "look at the channels"),
])
def test_a_wrong_rule_of_projection_gets_its_own_diagnosis(answer, words):
    verdict = tasks.projection.check(answer)
    assert not verdict.right and words in verdict.words, verdict


@pytest.mark.parametrize(("answer", "words"), [
    (lambda c: c * (c // 4) + 9 * (c // 4)**2, "back to all channels, is missing"),
    (lambda c: 9 * (c // 4)**2, "both 1×1 convolutions are missing"),
    (lambda c: 2 * c * (c // 4) + (c // 4)**2, "instead of nine"),
    (lambda c: 2 * c * (c // 4) + 3 * (c // 4)**2, "has 3 · 3 weights"),
    (lambda c: 9 * (2 * c * (c // 4) + (c // 4)**2), "outer two convolutions are 1×1"),
    (lambda c: 2 * c * (c // 4) + 9 * c**2, "the point of a bottleneck"),
    (lambda c: 18 * c**2, "That is a basic block"),
    (lambda c: tasks.bottleneck_weights(c) + 2 * (c // 4) + c, "No biases are asked for"),
    (lambda c: c, "Add up in · out · kernel area"),
])
def test_a_wrong_count_of_a_bottleneck_gets_its_own_diagnosis(answer, words):
    verdict = tasks.bottleneck.check(answer)
    assert not verdict.right and words in verdict.words, verdict
