"""Exercises of notebook 03: the size formula, SimpleCNN's shapes, the wrong "same" rule."""

import numbers
import random

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, unsolved

# ---------------------------------------------------------------- the size formula


def size_after(n, k, s, p, d):
    """Return the output size for input n, kernel k, stride s, padding p, dilation d."""
    span = d * (k - 1) + 1
    return (n + 2 * p - span) // s + 1


def _layers(count, seed):
    """Return random settings (n, k, s, p, d) of which torch takes each."""
    draw = random.Random(seed)
    layers = [(7, 3, 1, 0, 1), (7, 3, 1, 1, 1), (8, 3, 2, 0, 1), (9, 2, 1, 0, 3)]
    while len(layers) < count:
        n, k, s, p, d = (draw.randint(*ends) for ends in
                         ((5, 40), (1, 6), (1, 4), (0, 3), (1, 3)))
        if n + 2 * p >= d * (k - 1) + 1:
            layers.append((n, k, s, p, d))
    return layers


def _torch_size(n, k, s, p, d):
    # On the "meta" device torch works out shapes without computing anything.
    x, weight = torch.empty(1, 1, n, n, device="meta"), torch.empty(1, 1, k, k, device="meta")
    return F.conv2d(x, weight, stride=s, padding=p, dilation=d).shape[-1]


def _judge_size(answer):
    for layer in _layers(200, seed=1):
        given, expected = answer(*layer), _torch_size(*layer)
        if unsolved(given):
            return NOT_SOLVED
        if not _is_number(given):
            return f"A size is a whole number, but you return {type(given).__name__}."
        if given != expected:
            n, k, s, p, d = layer
            return (f"For n={n}, k={k}, s={s}, p={p}, d={d} torch makes {expected}, you say "
                    f"{given:g}. {_size_idea(layer, given, expected)}")
        if not isinstance(given, int):
            return (f"{given!r} is the right number but a {type(given).__name__}: a size counts "
                    "cells. Python's // divides and floors in one step.")
    return None


def _size_idea(layer, given, expected):
    n, k, s, p, d = layer
    span = d * (k - 1) + 1
    ideas = {
        (n + 2 * p - span) // s: "One window fits even before the first step: add 1.",
        (n + p - span) // s + 1: "Padding is added at both ends, so it counts twice.",
        (n + 2 * p - k) // s + 1: "With dilation the kernel reaches over d·(k − 1) + 1 cells.",
        n + 2 * p - span + 1: "With stride s only every s-th window is kept: divide by s.",
        (n + 2 * p - d * k) // s + 1: "k weights have k − 1 gaps: the span is d·(k − 1) + 1.",
        -((span - n - 2 * p) // s) + 1: "A window that sticks out does not count: round down.",
        (n - span) // s + 1: "The padding is missing: the input is 2·p cells longer.",
    }
    if not float(given).is_integer():
        return "There are no half windows: round down, with // for example."
    return ideas.get(given, "How many steps of s fit into the room that the first window leaves?")


SIZE = Exercise(
    judge=_judge_size, solve=size_after,
    hints=("How many cells does the kernel reach over, from its first weight to its last? With "
           "dilation 1 it is k.",
           "The padded input has n + 2·p cells. After the first window, n + 2·p − span cells are "
           "left, and each step uses s of them.",
           "Steps: (n + 2·p − span) // s. Windows: one more than steps."),
    remark="Your formula agrees with torch on 200 random layers, floor and dilation included.")

# ---------------------------------------------------------------- SimpleCNN's shapes


def simple_cnn_shapes():
    """Return the shape after each step of SimpleCNN for one picture of shape (3, 32, 32)."""
    return [(32, 32, 32), (32, 16, 16), (64, 16, 16), (64, 8, 8), (64 * 8 * 8,), (512,), (10,)]


STEPS = ("conv 3×3, 32 kernels, padding 1", "max-pool 2×2", "conv 3×3, 64 kernels, padding 1",
         "max-pool 2×2", "flatten", "linear to 512", "linear to 10")


def _simple_cnn():
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(64 * 8 * 8, 512), nn.Linear(512, 10))


def _judge_simple_cnn(answer):
    answer = answer() if callable(answer) else answer
    if unsolved(answer):
        return NOT_SOLVED
    if not isinstance(answer, list | tuple) or len(answer) != len(STEPS):
        return f"Expected a list of {len(STEPS)} shapes, one for each step, got {answer!r:.80}."
    x = torch.rand(1, 3, 32, 32)
    for step, given, layer in zip(STEPS, answer, _simple_cnn(), strict=True):
        before, x = tuple(x.shape[1:]), layer(x)
        expected = tuple(x.shape[1:])
        if unsolved(given):
            return f"The shape after {step} is still missing."
        given = (given,) if _is_number(given) else tuple(given)
        if given != expected:
            return (f"After {step}: {before} becomes {expected}, you say {given}. "
                    f"{_shape_idea(step, before, given, expected)}")
    return None


def _shape_idea(step, before, given, expected):
    if given[-1:] + given[:-1] == expected and len(given) == 3:
        return "PyTorch puts channels first: (channels, height, width)."
    if "conv" in step and len(given) == 3:
        if given[0] == before[0]:
            return "The number of output channels is the number of kernels."
        if given[1:] == (before[1] - 2, before[2] - 2):
            return "Padding 1 at both ends gives back the two cells that a 3×3 kernel costs."
    if "pool" in step and given == before:
        return "Pooling moves by its own size unless told otherwise, so 2×2 halves each side."
    if "pool" in step and len(given) == 3 and given[0] != expected[0]:
        return "Pooling works inside each channel: their number stays."
    if step == "flatten":
        return "Flatten keeps every number: channels times height times width."
    return "Work out one side with the size formula, and the channels from the kernels."


SIMPLE_CNN = Exercise(
    judge=_judge_simple_cnn, solve=simple_cnn_shapes,
    hints=("Write (channels, height, width) for the first four, then a single number in "
           "brackets, (n,).",
           "Convolution: channels = number of kernels, side = (n + 2·1 − 3) / 1 + 1. "
           "Pooling: channels stay, side = (n − 2) / 2 + 1.",
           "After the second pooling there are 64 maps of 8×8 numbers to flatten."),
    remark="Most of this network's weights sit in the first linear layer; you count them next.")

# ---------------------------------------------------------------- the wrong "same" rule


def wrong_rule_counterexample():
    """Return (n, k, s) for which p = (k − 1)·s / 2 is whole and yet the size changes."""
    return 8, 3, 2


def _judge_counterexample(answer):
    answer = answer() if callable(answer) else answer
    if unsolved(answer):
        return NOT_SOLVED
    if not isinstance(answer, list | tuple) or len(answer) != 3:
        return f"Expected three whole numbers (n, k, s), got {answer!r:.80}."
    if unsolved(*answer):
        return "Not solved yet: replace every ... by a number."
    if not all(isinstance(value, int) and not isinstance(value, bool) and value > 0
               for value in answer):
        return f"n, k and s must be whole numbers above 0, got {tuple(answer)}."
    n, k, s = answer
    if max(answer) > 10_000:
        return f"A counterexample below 10,000 will do, got {tuple(answer)}."
    if (k - 1) * s % 2:
        return (f"For k={k} and s={s} the rule asks for {(k - 1) * s / 2} cells of padding, which "
                "is no whole number. Take one that the rule has an answer for.")
    p = (k - 1) * s // 2
    if _fits(n, k, p) and _torch_size(n, k, s, p, 1) == n:
        why = ("at stride 1 the rule is right" if s == 1 else
               "an input this small hides the mistake")
        return (f"With p = {p}, torch keeps the size {n}: {why}. Change "
                f"{'the stride' if s == 1 else 'n'}.")
    return None


def _fits(n, k, p):
    return n + 2 * p >= k


COUNTEREXAMPLE = Exercise(
    judge=_judge_counterexample, solve=wrong_rule_counterexample,
    hints=("Try the rule at stride 1 first. Why does it work there?",
           "At stride 2 the output has about half as many cells as the padded input. How much "
           "padding would be needed to make up for that, and does it depend on n?",
           "Keep k = 3, take s = 2 and any usual size, such as n = 8."),
    remark="The rule's padding does not depend on n. At stride s it would have to.")


def same_padding(n, k, s):
    """Return how many cells of padding, both ends together, keep the size n at stride s."""
    return (n - 1) * s + k - n


def _judge_same(answer):
    draw = random.Random(2)
    settings = [(7, 3, 1), (6, 2, 1), (8, 3, 2), (9, 5, 3)] + [
        (draw.randint(1, 30), draw.randint(1, 7), draw.randint(1, 4)) for _ in range(100)]
    for n, k, s in settings:
        total = answer(n, k, s)
        if unsolved(total):
            return NOT_SOLVED
        if not _is_number(total) or not float(total).is_integer() or total < 0:
            return (f"For n={n}, k={k}, s={s} you say {total!r:.40}: padding is a whole number "
                    "of cells, 0 or more. Return the cells of both ends together.")
        total, needed = int(total), (n - 1) * s + k - n
        came = _size_with(n, k, s, total)
        if came != n or total != needed:
            return (f"For n={n}, k={k}, s={s} you add {total} cells in all, and torch makes "
                    f"{came if came else 'nothing: no window fits'}; wanted: {n}, from as few "
                    f"cells as possible. {_same_idea(n, k, s, total, needed)}")
    return None


def _size_with(n, k, s, total):
    if n + total < k:
        return 0
    x = torch.empty(1, 1, 1, n + total, device="meta")
    return F.conv2d(x, torch.empty(1, 1, 1, k, device="meta"), stride=s).shape[-1]


def _same_idea(n, k, s, total, needed):
    if 2 * total == needed or (s == 1 and total == (k - 1) // 2):
        return "That is the padding of one end: return both ends together."
    if total == (k - 1) * s:
        return "That is the wrong rule again, for both ends: the n is missing from it."
    if total == k - 1:
        return "That keeps the size at stride 1 only; each further cell of stride costs n − 1."
    if total > needed:
        return "Fewer cells give the same size."
    return "Ask from where to where n windows reach that are s cells apart."


SAME = Exercise(
    judge=_judge_same, solve=same_padding,
    hints=("Set the formula equal to n and solve for the padding: (n + total − k) / s + 1 = n.",
           "n windows, s cells apart, the last one k cells long: they reach over (n − 1)·s + k "
           "cells in all.",
           "What the n input cells do not fill is padding: (n − 1)·s + k − n."),
    remark="It grows with n: at stride 2 about three quarters of what the windows read "
           "in a picture is padding. "
           "That is why nobody wants it, and why PyTorch refuses.")


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
