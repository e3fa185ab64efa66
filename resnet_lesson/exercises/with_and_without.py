"""Exercises of notebook 08: steps to an error, a fair pair, and the interval over seeds."""

import math
import statistics

import torch

from resnet_lesson.exercises.base import Exercise, Mistake, is_number, same, unsolved
from resnet_lesson.exercises.source import slip
from resnet_lesson.findings.intervals import quantile
from resnet_lesson.networks import resnet

# ---------------------------------------------------------------- steps to an error


def steps_to(steps, errors, target):
    """Return the first of the steps at which the error is the target or less, inf if none is."""
    for step, error in zip(steps, errors, strict=True):
        if error <= target:
            return step
    return math.inf


def _curves(draw):
    """Yield curves that come back above the target, hit it exactly, or never reach it."""
    for epochs in (6, 9, 12):
        steps = [79 * epoch for epoch in range(1, epochs + 1)]
        falling = sorted((round(draw.uniform(0.1, 0.9), 3) for _ in steps), reverse=True)
        back = list(falling)
        back[-3], back[-2] = back[-2], back[-3]   # the last but two is lower than the next one
        yield steps, back, back[-3]
        yield steps, falling, round(falling[-1] - 0.05, 3)
        yield steps, back, round((back[1] + back[2]) / 2, 4)


def _or_never(answer, case):
    steps, errors, target = case
    given = answer(*case)
    return "None" if given is None and min(errors) > target else given   # it may be solved


def _number(given, case):
    if isinstance(given, str) and given == "None":
        return "Where no error is low enough, your function returns None. Return math.inf there."
    return None if is_number(given) else (
        f"Expected one number of steps, got {type(given).__name__}.")


STEPS_TO = Exercise(
    solve=steps_to, cases=_curves, run=_or_never, form=_number,
    same=lambda one, other: is_number(one) and float(one) == float(other),
    idea="Go through steps and errors together, from the start, and return at the first error "
         "that is low enough.",
    mistakes=(
        Mistake(slip(steps_to, ("<=", "<")),
                "An error that equals the target has reached it: <=."),
        Mistake(slip(steps_to, ("math.inf", "steps[-1]")),
                "This curve never reaches the target; the last step would look like a success. "
                "Return math.inf."),
        Mistake(lambda steps, errors, target: next(
                    (i for i, error in enumerate(errors) if error <= target), math.inf),
                "This is the position in the list. What was asked is the number of steps there."),
        Mistake(lambda steps, errors, target: steps[errors.index(min(errors))],
                "This is where the error is lowest. What was asked is where it first is low "
                "enough."),
        Mistake(lambda steps, errors, target: max(
                    (step for step, error in zip(steps, errors, strict=True) if error <= target),
                    default=math.inf), "This is the last such step. The first one was asked for."),
    ),
    hints=("zip(steps, errors) gives one step and its error at a time.",
           "Return the step as soon as error <= target.",
           "After the loop nothing was low enough: return math.inf."),
    remark="A run that never gets there has no number of steps. Count such runs; a mean over the "
           "others would hide them.", minutes=4, difficulty=1)

# ---------------------------------------------------------------- a fair pair


def fair_pair(depth, seed, train):
    """Train a plain and a residual network that differ in nothing but the shortcuts."""
    torch.manual_seed(seed)
    residual = resnet.small_resnet(depth, stem="small/2")
    plain = resnet.small_resnet(depth, stem="small/2", residual=False)
    start = residual.state_dict()
    plain.load_state_dict({name: start[name] for name in plain.state_dict()})
    return {"plain": train(plain, lr=0.03, seed=seed),
            "residual": train(residual, lr=0.03, seed=seed)}


UNFAIR = (("    torch.manual_seed(seed)\n", ""),
          ("    plain = ", "    torch.manual_seed(1)\n    plain = "),
          ("    start = residual.state_dict()\n", ""),
          ("    plain.load_state_dict({name: start[name] for name in plain.state_dict()})\n", ""),
          ("plain, lr=0.03, seed=seed", "plain, lr=0.005, seed=1"),
          ("residual, lr=0.03", "residual, lr=0.01"))   # what the notebook hands out


def _trained(answer, depth, seed):
    """Return what an answer returns, and how it had each arm trained."""
    runs = {}

    def train(network, lr, seed):
        arm = "residual" if network.blocks()[0][1].residual else "plain"
        runs[arm] = {"start": {name: value.clone() for name, value in network.state_dict().items()},
                     "lr": lr, "seed": seed}
        with torch.no_grad():
            for value in network.parameters():
                value.add_(1)   # as training would, it changes the weights
        return {"plain": 0.5, "residual": 0.25}[arm]

    return answer(depth, seed, train), runs


def _first_fault(answer, case):
    """Return (kind, sentence) of what is unfair first: weights, rate, order; or ("none", "")."""
    depth, seed = case
    given, runs = _trained(answer, depth, seed)
    if unsolved(given):
        return given
    if set(runs) != {"plain", "residual"}:
        return "arms", f"train was called for {' and '.join(runs) or 'no network'}."
    plain, residual = runs["plain"], runs["residual"]
    common = plain["start"].keys() & residual["start"].keys()
    apart = sum(not torch.equal(plain["start"][name], residual["start"][name]) for name in common)
    if apart:
        return "weights", (f"{depth} layers, seed {seed}: of {len(common)} tensors that both "
                           f"networks have, {apart} differ before training.")
    if plain["lr"] != residual["lr"]:
        return "rate", f"The rates are {plain['lr']:g} and {residual['lr']:g}."
    if plain["seed"] != residual["seed"]:
        return "order", (f"For seed {seed}, the order of the pictures comes from "
                         f"{plain['seed']} and from {residual['seed']}.")
    again, other = (_trained(answer, depth, value)[1]["residual"] for value in (seed, seed + 1))
    if not same(again["start"], residual["start"]):
        return "chance", "Called twice with one seed, it gave two sets of first weights."
    if same(other["start"], residual["start"]) or other["seed"] == residual["seed"]:
        return "one seed", "Seeds that differ gave equal weights, or an equal order of pictures."
    if not isinstance(given, dict) or given != {"plain": 0.5, "residual": 0.25}:
        return "result", "Expected a dict of both errors, as train returned them, by arm."
    return "none", ""


def _a_fault(given, case):
    return None if isinstance(given, tuple) and len(given) == 2 else "Give a function."


FAIR_PAIR = Exercise(
    solve=fair_pair, cases=lambda draw: [(8, draw.randrange(100)), (14, draw.randrange(100))],
    run=_first_fault, form=_a_fault, same=lambda one, other: one[0] == other[0],
    where=lambda case, expected, given: given[1],
    idea="Train one plain and one residual network with the given train, and return both errors.",
    mistakes=(
        Mistake(slip(fair_pair, *UNFAIR),
                "Which weights does each network start from? Where do they come from?"),
        Mistake(slip(fair_pair, ("    plain = ", "    torch.manual_seed(seed)\n    plain = "),
                     *UNFAIR[2:4]),
                "Which weights does each network start from? Where do they come from?"),
        Mistake(slip(fair_pair, ("plain, lr=0.03", "plain, lr=0.005")),
                "If the errors differ, was it the shortcut or the rate?"),
        Mistake(slip(fair_pair, ("residual, lr=0.03, seed=seed", "residual, lr=0.03, seed=1")),
                "If the errors differ, was it the shortcut or the order?"),
        Mistake(slip(fair_pair, UNFAIR[0]),
                "What must be set before the weights are drawn, so that a pair can be had again?"),
        Mistake(slip(fair_pair, ("manual_seed(seed)", "manual_seed(0)")),
                "Several seeds should be several draws, of the weights and of the order."),
        Mistake(slip(fair_pair, ('{"plain"', '{"residual"'), ('"residual": t', '"plain": t')),
                "Which error belongs to which arm?"),
    ),
    hints=("torch.manual_seed(seed), then build the residual network: it has all tensors.",
           "plain.state_dict() names the tensors of the plain one. Take each of them from the "
           "residual one's state_dict, and load them with load_state_dict.",
           "Call train twice with the same lr and with seed=seed."),
    remark="Only the projections have no partner. Whatever is found now comes from the "
           "shortcuts, or from chance; for that there are seeds.", minutes=8, difficulty=3)

# ---------------------------------------------------------------- the interval over seeds


def paired_interval(plain, residual):
    """Return (low, mean, high): the 95 % t interval of plain − residual, seed by seed."""
    differences = [p - r for p, r in zip(plain, residual, strict=True)]
    n = len(differences)
    mean = statistics.fmean(differences)
    half = quantile(n) * statistics.stdev(differences) / math.sqrt(n)
    return mean - half, mean, mean + half


def by_scipy(plain, residual):
    """Return the same interval from ``scipy.stats.ttest_rel``."""
    from scipy import stats  # slow to import
    test = stats.ttest_rel(plain, residual)
    low, high = test.confidence_interval(0.95)
    return low, statistics.fmean(plain) - statistics.fmean(residual), high


def _errors(draw):
    for n in (5, 3, 8):
        luck = [draw.gauss(0.4, 0.1) for _ in range(n)]  # shared by both arms of a seed
        yield ([value + draw.gauss(0.1, 0.03) for value in luck],
               [value + draw.gauss(0, 0.03) for value in luck])


def _three_numbers(given, case):
    if not hasattr(given, "__len__") or not all(map(is_number, given)):
        return (f"Expected three numbers (low, mean, high), got {type(given).__name__}. "
                "Return both ends of the interval and its middle.")
    if len(given) != 3:
        return f"Expected three numbers (low, mean, high), got {len(given)}."
    return None


def _where(case, expected, given):
    written = ["(" + ", ".join(f"{float(value):.4f}" for value in values) + ")"
               for values in (expected, given)]
    return f"For {len(case[0])} seeds: expected {written[0]}, got {written[1]}."


def _idea(case, expected, given):
    low, mean, high = map(float, given)
    if not math.isclose(mean, expected[1], rel_tol=1e-4, abs_tol=1e-9):
        return "The middle should be the mean of the differences."
    if not math.isclose(mean - low, high - mean, rel_tol=1e-4):
        return "The interval should reach equally far down and up from its mean."
    factor = (high - mean) / (expected[2] - expected[1])
    return (f"The middle is right, but the interval is {factor:.2f} times as wide as it should "
            "be: quantile(n) times the standard deviation of the differences, divided by the "
            "square root of n.")


def _unpaired(t):
    """Return a wrong answer: the arms as if they had nothing in common."""
    def answer(plain, residual):
        n, mean = len(plain), statistics.fmean(plain) - statistics.fmean(residual)
        half = t(n) * math.hypot(statistics.stdev(plain), statistics.stdev(residual)) / n**0.5
        return mean - half, mean, mean + half
    return answer


_TWO_ARMS = ("Your interval treats the arms as if they had nothing in common. Both share a seed: "
             "take the difference within each seed first, and the standard deviation of these "
             "differences.")
_NORMAL = ("The number of standard errors is not 1.96 where seeds are few: the standard deviation "
           "itself is uncertain. quantile(n) gives it.")
_ONE_SIDED = ("The quantile is not that of a two-sided 95 % interval with n − 1 degrees of "
              "freedom. quantile(n) gives it.")

PAIRED_INTERVAL = Exercise(
    solve=paired_interval, cases=_errors, oracle=by_scipy, form=_three_numbers, where=_where,
    idea=_idea, part="paired_interval",
    same=lambda one, other: same(list(map(float, one)), list(map(float, other)), 1e-4, 1e-9),
    mistakes=(
        Mistake(lambda plain, residual: paired_interval(residual, plain),
                "The sign is reversed: this is residual − plain. With plain − residual a positive "
                "difference means that the shortcut helps."),
        Mistake(lambda plain, residual: paired_interval(plain, residual)[::-1],
                "The right three numbers in another order: expected (low, mean, high)."),
        *(Mistake(_unpaired(t), _TWO_ARMS) for t in (
            quantile, lambda n: quantile(2 * n - 1), lambda n: 1.96)),
        *(Mistake(slip(paired_interval, ("quantile(n)", t)), _NORMAL) for t in ("1.96", "2")),
        Mistake(slip(paired_interval, ("stdev", "pstdev")),
                "The standard deviation divides by n; for a sample it divides by n − 1 "
                "(statistics.stdev)."),
        Mistake(slip(paired_interval, (" / math.sqrt(n)", "")),
                "You have the spread of single seeds. The mean of n seeds is surer than one of "
                "them: divide by the square root of n."),
        Mistake(slip(paired_interval, ("quantile(n) * ", "")),
                "This is one standard error to either side. A 95 % interval reaches further: "
                "quantile(n) of them."),
        *(Mistake(slip(paired_interval, ("quantile(n)", f"quantile({t})")), _ONE_SIDED)
          for t in ("n, 0.9", "n + 1", "n + 1, 0.9", "n - 1")),
    ),
    hints=("First one difference per seed: plain − residual.",
           "Then their mean, and their standard deviation with statistics.stdev.",
           "The mean of n differences scatters by stdev ÷ √n. The interval reaches quantile(n) "
           "times as far, down and up."),
    remark="Pairing removes what both arms share, such as an easy or unlucky order of pictures; "
           "it helps as far as the two errors rise and fall together.", minutes=7, difficulty=3)
