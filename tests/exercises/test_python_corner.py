"""The exercises of notebook A1: right answers pass, plausible wrong ones get their own words."""

import pytest
import torch
from torch import nn

from resnet_lesson.exercises import python_corner as tasks

EXERCISES = {"diary": tasks.diary_exercise, "gain": tasks.gain_exercise,
             "peek": tasks.peek_exercise, "tower": tasks.tower_exercise}


class Shared:
    losses = []

    def note(self, loss):
        self.losses.append(loss)


class SharedDefault:
    def __init__(self, losses=[]):  # noqa: B006 - this is the mistake
        self.losses = losses

    def note(self, loss):
        self.losses.append(loss)


class LocalVariable:
    def __init__(self):
        losses = []  # noqa: F841 - this is the mistake

    def note(self, loss):
        self.losses.append(loss)


class NoNote:
    def __init__(self):
        self.losses = []


class Replacing:
    def __init__(self):
        self.losses = []

    def note(self, loss):
        self.losses = [loss]


class Empty:
    ...


def gain(first=True, value=0.0, size=1, kind=nn.Parameter, name="forward", use=lambda g, x: g * x):
    """Return a module like ``Gain`` with something wrong."""
    class Wrong(nn.Module):
        def __init__(self):
            if first:
                super().__init__()
            self.gain = kind(torch.full((size,), value))

    setattr(Wrong, name, lambda self, x: use(self.gain, x))
    return Wrong


class NoInit(nn.Module):
    def __init__(self):
        self.number = 0.0

    def forward(self, x):
        return self.number * x


class EmptyModule(nn.Module):
    ...


def hooked(keep=lambda inputs, output: output, remove=True, call=lambda net, x: net(x),
           result=lambda seen: seen[0], on=lambda net, layer: layer):
    """Return a ``peek`` with something wrong."""
    def peek(net, layer, x):
        seen = []
        handle = on(net, layer).register_forward_hook(
            lambda module, inputs, output: seen.append(keep(inputs, output)))
        call(net, x)
        if remove:
            handle.remove()
        return result(seen)
    return peek


def layers(depth, width):
    return [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())]


CASES = {
    "diary": [
        (Shared, "exists once"), (SharedDefault, "default argument"),
        (LocalVariable, "local variable"), (NoNote, "needs a method note"),
        (Replacing, "should be [0.7, 0.5]"), (Empty, "Not solved yet"),
        (tasks.MyDiary(), "Expected a class"), (lambda: None, "Expected a class"),
    ],
    "gain": [
        (gain(first=False), "has to come first"), (NoInit, "super().__init__() is missing"),
        (gain(kind=lambda tensor: tensor), "wrap it in nn.Parameter"),
        (gain(size=3), "this module has 3"), (gain(value=1.0), "it starts at 1"),
        (gain(use=lambda g, x: g + x), "should be 3·x"),
        (gain(use=lambda g, x: g.item() * x), "RuntimeError"),
        (gain(use=lambda g, x: g.item() * x + 0 * g.detach() + x * 0 * g), "No gradient"),
        (gain(use=lambda g, x: None), "forward returns nothing"),
        (gain(name="__call__"), "replaced what runs the hooks"),
        (EmptyModule, "Not solved yet"), (Empty, "derived from nn.Module"),
    ],
    "peek": [
        (hooked(remove=False), ".remove()"),
        (hooked(keep=lambda i, o: i[0]), "This is what goes in"),
        (hooked(result=lambda seen: seen), "Expected the output itself"),
        (lambda net, layer, x: net(x), "whole network"),
        (lambda net, layer, x: torch.zeros(5, 4), "other numbers"),
        (hooked(call=lambda net, x: net.forward(x), on=lambda net, layer: net), "raised Index"),
        (hooked(result=lambda seen: 3), "Expected a tensor"),
        (lambda net, layer, x: None, "Not solved yet"),
    ],
    "tower": [
        (lambda d, w: layers(d, w), "plain list"),
        (lambda d, w: nn.Sequential(layers(d, w)), "raised TypeError"),
        (lambda d, w: nn.Sequential(*[nn.Linear(w, w), nn.ReLU()] * d), "shares its weights"),
        (lambda d, w: nn.Sequential(*layers(d, w)[:-1]), "the layers should be"),
        (lambda d, w: nn.Sequential(*layers(d, w + 1)), "should map"),
        (lambda d, w: nn.ModuleList(layers(d, w)), "Expected an nn.Sequential"),
        (lambda d, w: ..., "Not solved yet"),
    ],
}
WRONG = [pytest.param(name, answer, words, id=f"{name}-{i}-{words}")
         for name, cases in CASES.items() for i, (answer, words) in enumerate(cases)]


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_wrong_answer_gets_its_own_diagnosis(name, answer, words):
    verdict = EXERCISES[name].check(answer)
    assert not verdict.right
    assert words in verdict.words


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [..., None, 3, "text", lambda: None, int, dict])
def test_nothing_that_is_handed_in_raises(name, answer):
    assert not EXERCISES[name].check(answer)


def test_other_right_ways_are_accepted():
    class ScalarGain(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_parameter("number", nn.Parameter(torch.tensor(0.0)))

        def forward(self, x):
            return x * self.number

    def appended(depth, width):
        net = nn.Sequential()
        for _ in range(depth):
            net.append(nn.Linear(width, width)).append(nn.ReLU())
        return net

    assert tasks.gain_exercise.check(ScalarGain)
    assert tasks.tower_exercise.check(appended)


def test_a_checked_diary_starts_afresh():
    assert tasks.diary_exercise.check(tasks.MyDiary)
    assert tasks.diary_exercise.check(tasks.MyDiary)
    assert not tasks.diary_exercise.check(Shared)
