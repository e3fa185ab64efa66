"""Exercises of notebook 11: the rule of stochastic depth, and what an interval decides."""

import torch

from resnet_lesson.exercises.base import Exercise, Mistake
from resnet_lesson.exercises.source import slip

BATCHES = 400   # in which a rule that draws at random is watched

# ---------------------------------------------------------------- stochastic depth


def keep_or_drop(branch, survival, training):
    """Return what is added to the shortcut, a branch (N, channels, height, width) or nothing."""
    if training:
        return branch * (torch.rand(()) < survival)
    return branch * survival


def _branches(draw):
    for survival in (0.8, 0.5, 0.3):
        yield torch.rand(3, 2, 2, 2) + draw.uniform(0.5, 1), survival


def _watched(answer, case):
    """Return what a rule does in many batches: which factors, how often, for whom at once."""
    branch, survival = case
    modes = {"training": (True, BATCHES), "evaluation": (False, 5)}
    found, outs = {}, {mode: [answer(branch * 1, survival, training) for _ in range(times)]
                       for mode, (training, times) in modes.items()}
    try:
        factors = {mode: torch.stack([torch.as_tensor(out).expand_as(branch) for out in several])
                   / branch for mode, several in outs.items()}
    except (TypeError, ValueError, RuntimeError):   # no tensor of that shape
        return outs["training"][0]
    for mode, values in factors.items():
        found[mode] = sorted({round(value, 3) for value in values.flatten().tolist()})[:4]
    drawn = factors["training"]
    found["whole"] = torch.allclose(drawn, drawn[:, :, :1, :1, :1])
    share, error = (drawn != 0).double().mean().item(), 5 * (0.25 / BATCHES) ** 0.5
    shares = {"survival": survival, "1 − survival": 1 - survival, "all": 1, "none": 0}
    found["kept"] = next((name for name, value in shares.items() if abs(share - value) <= error),
                         "another share")
    scaled = [0, 1], [round(survival, 3)]
    at_once = [0, round(1 / survival, 3)], [1]   # in training already, as torchvision does
    if ((found["training"], found["evaluation"]) in (scaled, at_once) and found["whole"]
            and found["kept"] == "survival"):
        return "right"
    return found


def _times(values):
    return "0" if values == [0] else " or ".join(f"{value:g}" for value in values)


STOCHASTIC_DEPTH = Exercise(
    solve=keep_or_drop, cases=_branches, run=_watched,
    form=lambda given, case: None if given == "right" or isinstance(given, dict) else (
        "Expected a tensor of the branch's shape, (N, channels, height, width), got "
        f"{type(given).__name__}."),
    where=lambda case, expected, given: (
        f"With survival {case[1]}, the branch came back times {_times(given['training'])} in "
        f"training (share kept: {given['kept']}), and times {_times(given['evaluation'])} "
        "in evaluation."),
    idea="In training a branch is there or not, with the probability that is asked for; in "
         "evaluation it is always there. On average both modes should add equally much.",
    mistakes=(
        Mistake(lambda branch, survival, training: branch if not training else
                keep_or_drop(branch, survival, True),
                "In evaluation more is added than in training on average, and the layers after "
                "it have never met so much. Which factor makes both equal?"),
        Mistake(slip(keep_or_drop, ("if training", "if True")),
                "In evaluation nothing is left to chance: the same picture should get the same "
                "answer twice. Ask what training says."),
        *(Mistake(slip(keep_or_drop, ("torch.rand(())", drawn)),
                  "Parts of a branch were dropped and others kept: that is dropout. Here the "
                  "whole branch of a picture goes or stays: how many draws is that?")
          for drawn in ("torch.rand_like(branch)", "torch.rand(*branch.shape[:2], 1, 1)")),
        Mistake(slip(keep_or_drop, ("< survival", "> survival")),
                "survival is the probability that the branch stays, not that it goes."),
        Mistake(slip(keep_or_drop, ("if training", "if not training")),
                "The two modes are exchanged: chance belongs to training."),
        Mistake(slip(keep_or_drop, ("(torch.rand(()) < survival)",
                                    "(torch.rand(()) < survival) / survival")),
                "Scaled twice: divide by survival in training, or multiply by it in evaluation, "
                "one of the two."),
    ),
    hints=("One number decides for the whole branch: torch.rand(()) lies between 0 and 1, evenly.",
           "It lies below survival with just that probability, and True counts as 1 in a product.",
           "A branch that is there in 8 of 10 batches adds 0.8 of itself on average. Add as much "
           "in evaluation."),
    remark="torchvision.ops.stochastic_depth divides by survival in training instead, and leaves "
           "evaluation as it is; it can draw for every picture on its own, too.",
    minutes=8, difficulty=2)

# ---------------------------------------------------------------- a rule that is written before


def decide(low, mean, high):
    """Return the arm with the lower error: "first", "second" or "not decided"."""
    if high < 0:
        return "first"
    if low > 0:
        return "second"
    return "not decided"


def _intervals(draw):
    for low, high in ((-0.01, 0.03), (-0.03, -0.01), (0.01, 0.03), (-0.03, 0.01), (0.0, 0.02),
                      (-0.02, 0.0), (0.0, 0.0)):
        yield low, (low + high) / 2, high
    for _ in range(6):
        mean, half = draw.uniform(-0.02, 0.02), draw.uniform(0.001, 0.03)
        yield mean - half, mean, mean + half


DECIDE = Exercise(
    solve=decide, cases=_intervals,
    form=lambda given, case: None if isinstance(given, str) else (
        f'Expected one of the texts "first", "second" and "not decided", got {given!r:.40}.'),
    idea="Is the whole interval on one side of 0? And on that side, whose error is the lower one?",
    mistakes=(
        Mistake(slip(decide, ("high < 0", "low > 0"), ("if low > 0:\n        return \"sec",
                                                       "if high < 0:\n        return \"sec")),
                "Mind the sign: it is first − second, and of two errors the lower one is better."),
        Mistake(lambda low, mean, high: "first" if mean < 0 else "second",
                "The mean always lies on some side of 0. It decides nothing: look at the ends."),
        Mistake(slip(decide, ("< 0", "<= 0"), ("> 0", ">= 0")),
                "An interval that touches 0 holds it: not decided."),
        Mistake(slip(decide, ("if high < 0", "if low < 0"), ("if low > 0", "if high > 0")),
                "One end on that side is not enough: the whole interval has to lie there."),
    ),
    hints=("There are three cases: the interval lies below 0, above 0, or holds 0.",
           "Below 0 as a whole means that its upper end does: high < 0.",
           "first − second below 0 means that the first has the lower error."),
    remark="“Not decided” does not mean equal: the difference may be anything that the interval "
           "holds.", minutes=3, difficulty=1)
