"""Pairs, intervals and verdicts are right, and a wrong way to pair is caught."""

import itertools
import statistics

import pytest
import torch

from resnet_lesson.tools.bench import paired


class Clock:
    """A clock that work moves on, on a machine that grows slower and slower."""

    def __init__(self, drift=0.0):
        self.now, self.drift = 0.0, drift

    def __call__(self):
        return self.now

    def work(self, seconds):
        """Return a function that takes so many seconds at the start, and more later."""
        def call():
            before = self.now
            self.now += seconds * (1 + self.drift * (self.now + seconds / 2))
            return self.now - before
        return call


def unpaired(reference, ours):
    """Take all times of the reference first: what the benchmark must not do."""
    yield from zip([reference() for _ in range(20)], [ours() for _ in range(20)], strict=True)


def never_swapped(reference, ours):
    """Ask the reference first in every round: what the benchmark must not do either."""
    while True:
        yield reference(), ours()


def error_on_a_machine_that_slows_down(pairing):
    clock = Clock(drift=0.005)
    pairs = itertools.islice(pairing(clock.work(3), clock.work(1)), 20)
    return abs(statistics.median(reference / ours for reference, ours in pairs) - 3) / 3


def test_pairs_give_the_true_ratio_though_the_machine_slows_down():
    assert error_on_a_machine_that_slows_down(paired.alternate) < 0.002


@pytest.mark.parametrize("broken", [unpaired, never_swapped])
def test_a_broken_pairing_is_caught(broken):
    assert error_on_a_machine_that_slows_down(broken) > 0.01


def test_the_order_is_swapped_every_round_and_the_first_calls_do_not_count():
    calls = []

    def cost(name):
        return lambda: (calls.append(name), f"{name}{len(calls)}")[1]

    pairs = list(itertools.islice(paired.alternate(cost("R"), cost("O")), 3))
    assert "".join(calls) == "RO" + "RO" + "OR" + "RO"
    assert pairs == [("R3", "O4"), ("R6", "O5"), ("R7", "O8")]


def test_the_same_function_on_both_sides_gives_one():
    clock = Clock()
    work = clock.work(2)
    assert next(paired.alternate(work, work)) == (2, 2)


def test_wall_time_is_measured(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(paired, "perf_counter", clock)
    assert paired.timed(clock.work(7))() == 7


def true_coverage(interval, n):
    """Return how often an interval holds the median 0, over all patterns of signs of n values."""
    covered = 0
    for signs in itertools.product((-1, 1), repeat=n):
        low, high, _ = interval([sign * (i + 1) for i, sign in enumerate(signs)])
        covered += low < 0 < high
    return covered / 2 ** n


@pytest.mark.parametrize("n", [2, 5, 6, 9, 12])
def test_the_interval_covers_the_median_as_often_as_it_says(n):
    _, _, said = paired.median_interval(range(n))
    assert true_coverage(paired.median_interval, n) == pytest.approx(said)
    assert said >= 0.95 or n < 6


def test_a_narrower_interval_is_caught():
    def narrower(values):
        return *sorted(values)[2:-1:len(values) - 4], paired.median_interval(values)[2]

    assert true_coverage(narrower, 9) < narrower(range(9))[2] - 0.05


def test_the_interval_is_the_narrowest_that_suffices():
    assert paired.median_interval([6, 1, 5, 2, 4, 3]) == (1, 6, 1 - 2 / 64)
    assert paired.median_interval(range(20))[:2] == (5, 14)   # tables of the sign test: k = 6
    assert paired.median_interval([3.0]) == (3.0, 3.0, 0)


def test_the_peak_is_a_rate_of_both_types():
    found = paired.peak(side=64, seconds=0.001)
    assert found.float32 > 0 and (found.bfloat16 is None or found.bfloat16 > 0)


@pytest.mark.parametrize("broken", ["wrong values", "an error"])
def test_a_broken_bfloat16_has_no_peak(monkeypatch, broken):
    def bfloat16(tensor):
        if broken == "an error":
            raise RuntimeError("not implemented for this type")
        return tensor * 0.8

    monkeypatch.setattr(torch.Tensor, "bfloat16", bfloat16)
    found = paired.peak(side=64, seconds=0.001)
    assert found.float32 > 0 and found.bfloat16 is None


def result(pairs, **figure):
    made = paired.Figure("what", "d2l's loop", **{"at_least": 1.5, "aim": 2.5, "rounds": None,
                                                **figure})
    return paired.Result("name", made, list(pairs), [paired.Peak(100, 400)] * len(pairs))


@pytest.mark.parametrize(("ratios", "more", "goals", "verdict"), [
    ([3.0] * 6, True, (1.5, 2.5), "aim reached"),
    ([2.0] * 6, True, (1.5, 2.5), "reached"),
    ([2.0, 2.1, 2.2, 2.0, 2.1, 1.0], True, (1.5, 2.5), "reached, not sure"),
    ([1.0] * 6, True, (1.5, 2.5), "not reached"),
    ([1.0] * 6, False, (1.05, 1.01), "aim reached"),
    ([1.03] * 6, False, (1.05, 1.01), "reached"),
    ([1.2] * 6, False, (1.05, 1.01), "not reached"),
    ([0.05] * 6, False, (0.1, None), "reached"),
    ([], True, (1.5, 2.5), "not measured"),
])
def test_the_verdict_compares_median_and_interval_with_the_goals(ratios, more, goals, verdict):
    pairs = [(ratio, 1) if more else (1, ratio) for ratio in ratios]
    found = result(pairs, more=more, at_least=goals[0], aim=goals[1])
    assert found.verdict == verdict and found.ratios == pytest.approx(ratios)
    assert found.row()[-1] == verdict


def test_one_round_has_no_interval():
    found = result([(3.0, 1.0)])
    assert found.row()[5] == "–" and "(one round, medians 1 against 3 s)" in found.sentence()


@pytest.mark.parametrize(("peak", "at_least"), [
    (paired.Peak(100, 400), 1.5), (paired.Peak(100, 90), 1.0), (paired.Peak(100, None), 1.0)])
def test_more_is_asked_where_the_hardware_has_bfloat16(peak, at_least):
    found = result([(1.2, 1)], without_bfloat16=1.0)
    found.peaks = [peak]
    assert found.at_least == at_least
    assert found.verdict == ("reached" if at_least == 1.0 else "not reached")
    assert found.row()[6] == ("100 / –" if peak.bfloat16 is None else f"100 / {peak.bfloat16}")


@pytest.mark.parametrize(("value", "text"), [
    (1.0124, "1.012"), (1.5, "1.5"), (2.345, "2.35"), (0.0142, "0.014"), (12345.6, "12,346")])
def test_ratios_are_written_with_the_digits_that_matter(value, text):
    assert paired._number(value) == text


def figures(**rounds):
    return [paired.Result(name, paired.Figure(f"what {name} is", "d2l's loop", 1.5, 2.5, function))
            for name, function in rounds.items()]


def steady(options, notes):
    notes.append("Steady.")
    yield from paired.alternate(lambda: 4.0, lambda: 2.0)


def failing(options, notes):
    raise RuntimeError("no such processor\nsecond line")
    yield


def flat():
    return paired.Peak(100.0, None)


def test_one_failing_figure_does_not_take_the_others_along():
    results = figures(bad=failing, good=steady)
    paired.measure(results, None, 4, progress=False, peak=flat)
    assert results[0].verdict == "not measured" and len(results[1].rounds) == 4
    text = paired.report(results)
    assert "not measured. No such processor." in text and "second line" not in text
    assert "2 times as fast as d2l's loop, between 2 and 2 with 88% confidence (4 rounds" in text


@pytest.mark.parametrize(("rounds", "limit", "done"), [
    (None, 1000, paired.ROUNDS), (None, 50, 5), (None, 1, paired.LEAST_ROUNDS), (8, 1, 8)])
def test_time_is_shared_out_but_three_rounds_are_taken(rounds, limit, done):
    clock = Clock()

    def slow(options, notes):
        yield from paired.alternate(clock.work(8), clock.work(2), warm_up=False)

    found = figures(slow=slow)
    paired.measure(found, None, rounds, limit, progress=False, peak=flat, clock=clock)
    assert len(found[0].rounds) == len(found[0].peaks) == done
