"""Exercises of notebook 03: the size formula, SimpleCNN's shapes, the wrong "same" rule."""

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises.base import Exercise, Mistake, call, is_number, shown, unsolved
from resnet_lesson.exercises.source import slip

# ---------------------------------------------------------------- the size formula


def size_after(n, k, s, p, d):
    """Return the output size for input n, kernel k, stride s, padding p, dilation d."""
    span = d * (k - 1) + 1
    return (n + 2 * p - span) // s + 1


def _layers(draw):
    """Return 200 settings (n, k, s, p, d) of which torch takes each; four of them plain."""
    layers = [(7, 3, 1, 0, 1), (7, 3, 1, 1, 1), (8, 3, 2, 0, 1), (9, 2, 1, 0, 3)]
    while len(layers) < 200:
        n, k, s, p, d = (draw.randint(*ends) for ends in
                         ((5, 40), (1, 6), (1, 4), (0, 3), (1, 3)))
        if n + 2 * p >= d * (k - 1) + 1:
            layers.append((n, k, s, p, d))
    return layers


def torch_size(n, k, s, p, d):
    """Return the size that torch makes of one row of n zeros."""
    return F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, k), stride=s, padding=p,
                    dilation=d).shape[-1]


def _a_size(given, case):
    if not is_number(given):
        return f"A size is a whole number, but you return {type(given).__name__}."
    if isinstance(given, float) and given == torch_size(*case):
        return (f"{given!r} is the right number but a {type(given).__name__}: a size counts "
                "cells. Python's // divides and floors in one step.")
    return None


def _half_windows(case, expected, given):
    if not float(given).is_integer():
        return "There are no half windows: round down, with // for example."
    return "How many steps of s fit into the room that the first window leaves?"


SIZE = Exercise(
    solve=size_after, cases=_layers, oracle=torch_size, form=_a_size, idea=_half_windows,
    part="output_size",
    mistakes=(
        Mistake(slip(size_after, (" // s + 1", " // s")),
                "One window fits even before the first step: add 1."),
        Mistake(slip(size_after, ("2 * p", "p")),
                "Padding is added at both ends, so it counts twice."),
        Mistake(slip(size_after, ("d * (k - 1) + 1", "k")),
                "With dilation the kernel reaches over d·(k − 1) + 1 cells."),
        Mistake(slip(size_after, (" // s", "")),
                "With stride s only every s-th window is kept: divide by s."),
        Mistake(slip(size_after, ("d * (k - 1) + 1", "d * k")),
                "k weights have k − 1 gaps: the span is d·(k − 1) + 1."),
        Mistake(slip(size_after, ("(n + 2 * p - span)", "-((span - n - 2 * p)"),
                     ("s + 1", "s) + 1")),
                "A window that sticks out does not count: round down."),
        Mistake(slip(size_after, (" + 2 * p", "")),
                "The padding is missing: the input is 2·p cells longer."),
        Mistake(slip(size_after, ("//", "/")),
                "a size counts cells. Python's // divides and floors in one step."),
    ),
    hints=("How many cells does the kernel reach over, from its first weight to its last? With "
           "dilation 1 it is k.",
           "The padded input has n + 2·p cells. After the first window, n + 2·p − span cells are "
           "left, and each step uses s of them.",
           "Steps: (n + 2·p − span) // s. Windows: one more than steps."),
    remark="Your formula agrees with torch on 200 random layers, floor and dilation included.",
    minutes=6, difficulty=2)

# ---------------------------------------------------------------- SimpleCNN's shapes


def simple_cnn_shapes():
    """Return the shape after each step of SimpleCNN for one picture of shape (3, 32, 32)."""
    return [(32, 32, 32), (32, 16, 16), (64, 16, 16), (64, 8, 8), (64 * 8 * 8,), (512,), (10,)]


STEPS = ("conv 3×3, 32 kernels, padding 1", "max-pool 2×2", "conv 3×3, 64 kernels, padding 1",
         "max-pool 2×2", "flatten", "linear to 512", "linear to 10")


def simple_cnn():
    """Return the network itself: the oracle for its shapes."""
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(64 * 8 * 8, 512), nn.Linear(512, 10))


def _list_of_shapes(answer, case):
    """Return the answer's shapes as tuples; a number stands for a shape of one number."""
    answer = answer() if callable(answer) else answer
    if not isinstance(answer, list | tuple):
        return answer
    return [(shape,) if is_number(shape) else shape if unsolved(shape) else tuple(shape)
            for shape in answer]


def _seven_shapes(given, case):
    if not isinstance(given, list) or len(given) != len(STEPS):
        return f"Expected a list of {len(STEPS)} shapes, one for each step, got {given!r:.80}."
    missing = [step for step, shape in zip(STEPS, given, strict=True) if unsolved(shape)]
    return f"The shape after {missing[0]} is still missing." if missing else None


def _first_wrong(expected, given):
    return next(i for i, (a, b) in enumerate(zip(expected, given, strict=True)) if a != b)


def _where_shapes(case, expected, given):
    i = _first_wrong(expected, given)
    before = expected[i - 1] if i else (3, 32, 32)
    return f"After {STEPS[i]}: {before} becomes {expected[i]}, you say {given[i]}."


IDEAS = {
    "order": "PyTorch puts channels first: (channels, height, width).",
    "kernels": "The number of output channels is the number of kernels.",
    "padding": "Padding 1 at both ends gives back the two cells that a 3×3 kernel costs.",
    "stride": "Pooling moves by its own size unless told otherwise, so 2×2 halves each side.",
    "channels": "Pooling works inside each channel: their number stays.",
    "flatten": "Flatten keeps every number: channels times height times width.",
    "else": "Work out one side with the size formula, and the channels from the kernels."}


def _shape_idea(case, expected, given):
    i = _first_wrong(expected, given)
    step, right, said = STEPS[i], expected[i], given[i]
    before = expected[i - 1] if i else (3, 32, 32)
    three, conv, pool = len(said) == 3, "conv" in step, "pool" in step
    fits = {"order": three and said[-1:] + said[:-1] == right,
            "kernels": three and conv and said[0] == before[0],
            "padding": three and conv and said[1:] == (before[1] - 2, before[2] - 2),
            "stride": pool and said == before,
            "channels": three and pool and said[0] != right[0],
            "flatten": step == "flatten", "else": True}
    return IDEAS[next(name for name, fit in fits.items() if fit)]


def _instead(position, shape):
    """Return a wrong answer: the right list with one other shape."""
    def answer():
        shapes = simple_cnn_shapes()
        shapes[position] = shape
        return shapes
    return answer


SIMPLE_CNN = Exercise(
    solve=simple_cnn_shapes, cases=lambda draw: [()], run=_list_of_shapes, form=_seven_shapes,
    where=_where_shapes, idea=_shape_idea,
    # a wrong shape can stand at any step; the idea sees which
    mistakes=tuple(Mistake(_instead(position, shape), IDEAS[idea]) for position, shape, idea in (
        (0, (32, 30, 30), "padding"), (0, (3, 32, 32), "kernels"), (0, (31, 32, 32), "else"),
        (1, (32, 32, 32), "stride"), (1, (16, 16, 16), "channels"), (1, (16, 16, 32), "order"),
        (4, (64,), "flatten"))),
    hints=("Write (channels, height, width) for the first four, then a single number in "
           "brackets, (n,).",
           "Convolution: channels = number of kernels, side = (n + 2·1 − 3) / 1 + 1. "
           "Pooling: channels stay, side = (n − 2) / 2 + 1.",
           "After the second pooling there are 64 maps of 8×8 numbers to flatten."),
    remark="Most of this network's weights sit in the first linear layer; you count them next.",
    minutes=5, difficulty=1)

# ---------------------------------------------------------------- the wrong "same" rule


def wrong_rule_counterexample():
    """Return (n, k, s) for which p = (k − 1)·s / 2 is whole and yet the size changes."""
    return 8, 3, 2


def _refutes(answer, case):
    """Return what an answer (n, k, s) shows: (a word for it, a sentence with its numbers)."""
    answer = answer() if callable(answer) else answer
    if unsolved(answer):
        return answer
    if not isinstance(answer, list | tuple) or len(answer) != 3:
        return "form", f"Expected three whole numbers (n, k, s), got {answer!r:.80}."
    if unsolved(*answer):
        return "form", "Not solved yet: replace every ... by a number."
    if not all(is_number(value) and not isinstance(value, float) and value > 0
               for value in answer):
        return "form", f"n, k and s must be whole numbers above 0, got {tuple(answer)}."
    n, k, s = map(int, answer)
    if max(n, k, s) > 10_000:
        return "large", f"A counterexample below 10,000 will do, got {(n, k, s)}."
    if (k - 1) * s % 2:
        return "half", (f"For k={k} and s={s} the rule asks for {(k - 1) * s / 2} cells of "
                        "padding, which is no whole number.")
    p = (k - 1) * s // 2
    if n + 2 * p < k or torch_size(n, k, s, p, 1) != n:
        return "refuted", ""
    return "stride" if s == 1 else "small", f"With p = {p}, torch keeps the size {n}."


COUNTEREXAMPLE = Exercise(
    solve=wrong_rule_counterexample, cases=lambda draw: [()], run=_refutes,
    same=lambda one, other: one[0] == other[0], where=lambda case, expected, given: given[1],
    mistakes=(
        Mistake(lambda: (7, 3, 1), "At stride 1 the rule is right. Change the stride."),
        Mistake(lambda: (2, 3, 2), "An input this small hides the mistake. Change n."),
        Mistake(lambda: (8, 2, 1), "Take one that the rule has an answer for."),
        Mistake(lambda: (20_001, 3, 2), "Small numbers are easier to check by hand."),
    ),
    hints=("Try the rule at stride 1 first. Why does it work there?",
           "At stride 2 the output has about half as many cells as the padded input. How much "
           "padding would be needed to make up for that, and does it depend on n?",
           "Keep k = 3, take s = 2 and any usual size, such as n = 8."),
    remark="The rule's padding does not depend on n. At stride s it would have to.",
    minutes=4, difficulty=2)


def same_padding(n, k, s):
    """Return how many cells of padding, both ends together, keep the size n at stride s."""
    return (n - 1) * s + k - n


def _strided(draw):
    return [(7, 3, 1), (6, 2, 1), (8, 3, 2), (9, 5, 3)] + [
        (draw.randint(1, 30), draw.randint(1, 7), draw.randint(1, 4)) for _ in range(100)]


def _cells(given, case):
    n, k, s = case
    if not is_number(given) or not float(given).is_integer() or given < 0:
        return (f"For n={n}, k={k}, s={s} you say {given!r:.40}: padding is a whole number "
                "of cells, 0 or more. Return the cells of both ends together.")
    return None


def _where_same(case, expected, given):
    n, k, s = case
    came = "nothing: no window fits"
    if n + int(given) >= k:
        came = torch_size(n + int(given), k, s, 0, 1)
    return (f"For n={n}, k={k}, s={s} you add {shown(given)} cells in all, and torch makes {came}; "
            f"wanted: {n}, from as few cells as possible.")


SAME = Exercise(
    solve=same_padding, cases=_strided, run=call, form=_cells, where=_where_same,
    idea=lambda case, expected, given: (
        "Fewer cells give the same size." if given > expected
        else "Ask from where to where n windows reach that are s cells apart."),
    mistakes=(
        Mistake(lambda n, k, s: ((n - 1) * s + k - n) // 2,
                "That is the padding of one end: return both ends together."),
        Mistake(lambda n, k, s: (k - 1) // 2,
                "That is the padding of one end: return both ends together."),
        Mistake(lambda n, k, s: (k - 1) * s,
                "That is the wrong rule again, for both ends: the n is missing from it."),
        Mistake(lambda n, k, s: k - 1,
                "That keeps the size at stride 1 only; each further cell of stride costs n − 1."),
        Mistake(lambda n, k, s: n * s + k - n - 1, "Fewer cells give the same size."),
    ),
    hints=("Set the formula equal to n and solve for the padding: (n + total − k) / s + 1 = n.",
           "n windows, s cells apart, the last one k cells long: they reach over (n − 1)·s + k "
           "cells in all.",
           "What the n input cells do not fill is padding: (n − 1)·s + k − n."),
    remark="It grows with n: at stride 2 about three quarters of what the windows read "
           "in a picture is padding. "
           "That is why nobody wants it, and why PyTorch refuses.",
    minutes=5, difficulty=2)
