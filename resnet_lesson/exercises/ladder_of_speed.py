"""Exercises of notebook A3: a ratio measured in turns, Amdahl's law, a paired difference."""

from itertools import cycle

import torch

from resnet_lesson.exercises.base import Exercise, Mistake, is_number, same, shown
from resnet_lesson.exercises.source import slip

# ---------------------------------------------------------------- a ratio, measured in turns


def in_turns(before, after, rounds=range(6)):
    """Return one ratio a round: seconds of before() by those of after(), in turning order."""
    ratios = []
    for number in rounds:
        if number % 2 == 0:
            old, new = before(), after()
        else:
            new, old = after(), before()
        ratios.append(old / new)
    return ratios


def _machines(draw):
    """Return (seconds of each side, how slow the machine is at each call, number of rounds)."""
    drifting = [1 + 0.2 * i for i in range(20)]
    return [(draw.uniform(2, 4), draw.uniform(0.5, 1), slowness, rounds) for slowness, rounds in (
        (drifting, 5), ([draw.uniform(1, 2) for _ in range(20)], 8), (drifting[::-1], 4))]


def _on_that_machine(answer, case):
    old, new, slowness, rounds = case
    now = cycle(slowness)
    return answer(lambda: old * next(now), lambda: new * next(now), range(rounds))


def _a_list(given, case):
    if is_number(given) or not hasattr(given, "__len__") or len(given) != case[-1]:
        return (f"Expected a list of {case[-1]} ratios for {case[-1]} rounds, got {shown(given)}. "
                "A single number would hide how much the rounds differ.")
    return None


IN_TURNS = Exercise(
    solve=in_turns, cases=_machines, run=_on_that_machine, form=_a_list, part="in_turns",
    where=lambda case, expected, given: (
        f"On a machine that changes its speed: expected {shown(list(expected))}, got "
        f"{shown(list(given))}."),
    idea="Each round calls before() once and after() once; each call returns its seconds.",
    mistakes=(
        Mistake(slip(in_turns, ("number % 2 == 0", "True")),
                "In every round before() goes first. If the machine slows down steadily, that "
                "always hurts after(). Change the order in every second round."),
        Mistake(slip(in_turns, ("% 2 == 0", "% 2 == 1")),
                "The order changes, as it should; now let before() go first in round 0."),
        Mistake(slip(in_turns, ("old / new", "new / old")),
                "That is after by before. How many times as fast? The old seconds by the new."),
        Mistake(slip(in_turns, ("old / new", "old - new")),
                "A difference in seconds changes with the machine; divide."),
        Mistake(lambda before, after, rounds: [old / new for old, new in zip(
            [before() for _ in rounds], [after() for _ in rounds], strict=True)],
                "All of before() ran first, then all of after(). What the machine did in between "
                "is in your ratios. Take both in each round."),
    ),
    hints=("for number in rounds: one call of before(), one of after(), one ratio.",
           "number % 2 == 0 is true in every second round.",
           "In one branch: old, new = before(), after(). In the other: new, old = after(), "
           "before()."),
    remark="A steady drift now helps one side in even rounds, and the other in odd ones.",
    minutes=6, difficulty=2)

# ---------------------------------------------------------------- a part that gets faster


def amdahl(share, factor):
    """Return how many times as fast the whole is, if a share of its time takes 1/factor of it."""
    return 1 / ((1 - share) + share / factor)


def _parts(draw):
    return [(0.5, 2), (0.01, 10), (1, 3), (0, 7),
            *((draw.random(), draw.uniform(1.5, 50)) for _ in range(5))]


AMDAHL = Exercise(
    solve=amdahl, cases=_parts,
    form=lambda given, case: None if is_number(given) else (
        f"Expected one number, how many times as fast, got {type(given).__name__}."),
    idea="Let the whole take 1 second, then add up what its two parts take afterwards.",
    mistakes=(
        Mistake(slip(amdahl, ("1 / ((", "((")),
                "That is the new time. How many times as fast? The old time, 1, by the new."),
        Mistake(slip(amdahl, ("1 / ((1 - share) + share / factor)", "1 - share + share * factor")),
                "That averages speeds. What adds up is time: the rest as before, the part by its "
                "factor."),
        Mistake(slip(amdahl, ("(1 - share) + share / factor", "1 - share / factor")),
                "share / factor is what the part still takes, not what is saved."),
        Mistake(slip(amdahl, ("(1 - share) + ", "1 - share and ")),
                "The rest is missing: it takes as long as before."),
        Mistake(slip(amdahl, ("1 - share) + share /", "share) + (1 - share) /")),
                "You made the rest faster, not the part."),
    ),
    hints=("Let the whole take 1 second: the part takes share, the rest 1 - share.",
           "Afterwards the part takes share / factor; the rest takes what it took.",
           "How many times as fast: 1 second by the new sum."),
    remark="However large the factor, the whole never gets faster than 1 / (1 - share) times.",
    minutes=4, difficulty=1)

# ---------------------------------------------------------------- the same pictures, asked twice


def paired_pictures(one, other):
    """Return (mean, half): by how much other is right more often, and its 95 % interval's half."""
    difference = other.float() - one.float()
    return difference.mean(), 1.96 * difference.std() / len(difference) ** 0.5


def _answers(draw):
    """Return pairs of tensors: which pictures were answered rightly, mostly the same ones."""
    for n, change in ((400, 0.05), (1000, 0.02), (300, 0.3)):
        one = torch.rand(n) < 0.85
        yield one, torch.where(torch.rand(n) < change, torch.rand(n) < 0.9, one)


def _two_numbers(given, case):
    if not hasattr(given, "__len__") or len(given) != 2 or not all(map(is_number, given)):
        return "Expected two numbers: the mean difference, and half the width of its interval."
    return None


def _unpaired(one, other):
    spread = (one.float().var() + other.float().var()) ** 0.5
    return paired_pictures(one, other)[0], 1.96 * spread / len(one) ** 0.5


PAIRED_PICTURES = Exercise(
    solve=paired_pictures, cases=_answers, form=_two_numbers,
    where=lambda case, expected, given: (
        f"For {len(case[0])} pictures: expected {shown(expected)}, got {shown(tuple(given))}."),
    # n or n - 1 below the spread is no matter here: it changes the half by less than 0.2 %
    same=lambda one, other: same(list(map(float, one)), list(map(float, other)), 4e-3, 1e-7),
    idea="One difference a picture: +1, 0 or -1. Take their mean and their standard deviation.",
    mistakes=(
        Mistake(_unpaired,
                "Your interval treats them as answers to different pictures. Subtract picture by "
                "picture first, then take the standard deviation of the differences."),
        Mistake(lambda one, other: paired_pictures(other, one),
                "The sign is reversed: asked is other − one, so that plus means other is better."),
        Mistake(slip(paired_pictures, (" / len(difference) ** 0.5", "")),
                "That is the spread of single pictures. Their mean is surer: divide by √n."),
        Mistake(slip(paired_pictures, ("len(difference) ** 0.5", "len(difference)")),
                "Divide by √n, not by n."),
        Mistake(slip(paired_pictures, ("1.96 * ", "")),
                "That is one standard error; the interval reaches 1.96 of them to either side."),
        Mistake(lambda one, other: paired_pictures(one[one != other], other[one != other]),
                "Pictures answered alike count too: their difference is 0, and n is all of them."),
    ),
    hints=("Turn both into numbers, .float(), and subtract: +1 where only other is right.",
           "The mean of n differences scatters by their standard deviation divided by √n.",
           "Half the interval is 1.96 times that."),
    remark="Only pictures on which the two disagree move the mean. The rest makes it surer.",
    minutes=6, difficulty=2)
