"""What the sweep says, in sentences and tables: every word about results follows from the rows.

All functions take rows of the sweep, complete or not, and say in words what is missing.
"""

import math
import statistics
from contextlib import suppress

from resnet_lesson.experiments.studies import ARMS, STUDIES
from resnet_lesson.findings import comparison, gradient_flow
from resnet_lesson.findings.comparison import KINDS
from resnet_lesson.findings.intervals import LEVEL, t_interval
from resnet_lesson.words import listed, short, signed

DEEPER = {"above": "the deeper one fits its own training pictures worse",
          "below": "the deeper one fits its training pictures better",
          "tie": "no difference is shown, since 0 lies inside",
          "unknown": "nothing can be said from one seed"}
ERRORS = {"test_error_200": "error, first 200 test digits", "test_error": "error, all test digits"}
AFTER = {"depth": "", "full": " (full set)", "no-norm": " (no norm)"}  # what follows a depth


def span(interval):
    """Return an interval of a difference in words: +0.021 (+0.004 to +0.038, 5 seeds)."""
    if interval.count == 1:
        return f"{signed(interval.middle)} (one seed, no interval)"
    return (f"{signed(interval.middle)} ({signed(interval.low)} to {signed(interval.high)}, "
            f"{interval.count} seeds)")


def degradation(rows, study="depth", arm="plain", shallow=20, deep=56):
    """Say whether more layers raise an arm's training error, each depth at its own best rate.

    Returns:
        (verdict, sentence): the verdict of deep − shallow; ``"unknown"`` where runs are missing.
    """
    try:
        found = comparison.compare(rows, (study, arm, deep, None), (study, arm, shallow, None))
    except ValueError as missing:
        return "unknown", f"{arm.capitalize()}, {deep} against {shallow} layers: {missing}."
    verdict = found.interval.verdict
    return verdict, (f"{arm.capitalize()}, {deep} against {shallow} layers: training error "
                     f"{found.first.mean:.3f} against {found.second.mean:.3f}, difference "
                     f"{span(found.interval)}: {DEEPER[verdict]}.")


def conclusion(rows):
    """Say where the arms tie and where a gap opens on training error, and what was not shown.

    Returns:
        Lines, joined by line ends.
    """
    pairs = {study: comparison.all_paired(rows, study) for study in STUDIES}
    lines = [_headline(pairs["depth"]), *(_kind(pairs, "depth", kind) for kind in KINDS)]
    known = {study: set(comparison.depths(rows, study)) for study in STUDIES}
    lines += [degradation(rows, "depth", arm, *pair)[1] for arm in ARMS
              for pair in ((20, 56), (18, 34)) if known["depth"].issuperset(pair)]
    lines += [_like_he(pairs["depth"]), _kind(pairs, "full", "6n + 2")]
    if known["full"].issuperset((20, 56)):
        for arm in ARMS:
            words = degradation(rows, "full", arm)[1]
            lines.append(f"Full set, {words[0].lower()}{words[1:]}")
    lines += [_kind(pairs, "no-norm", kind) for kind in KINDS]
    intervals = sum(line.count(" seeds)") for line in lines)   # as ``span`` writes them
    lines += [*_remarks(pairs), *_not_shown(pairs, len(comparison.results(rows)), intervals)]
    return "\n".join(line for line in lines if line)


def _groups(words, cases):
    """Yield (words, listed texts) for each verdict that some of the (verdict, text) cases have."""
    for verdict, text in words.items():
        chosen = [case for found, case in cases if found == verdict]
        if chosen:
            yield text, listed(chosen)


def _headline(found):
    if not found:
        return ""
    words = {"above": "plain networks fit their training pictures worse than residual ones at",
             "tie": "the two tie at", "below": "residual networks fit theirs worse at",
             "unknown": "seeds are too few at", "guessing": "neither learns anything at"}
    cases = [(value.outcome, depth) for depth, value in found.items()]
    at = "; ".join(f"{text} {there}" for text, there in _groups(words, cases))
    return (f"In short, with batch norm and equally many steps: {at} layers. Below: training "
            "error, plain − residual, each arm at its own best rate, in brackets the 95 % "
            "interval over seeds.")


def _kind(pairs, study, kind):
    """Say for one kind of network in one study at which depths there is a gap, and which."""
    found = {depth: value for depth, value in pairs[study].items() if depth in KINDS[kind]}
    if not found:
        return ""
    words = {"above": "a gap for the shortcut at", "tie": "a tie at",
             "below": "a gap against the shortcut at", "unknown": "too few seeds at",
             "guessing": "nothing to compare, since both arms only guess, at"}
    cases = [(value.outcome, f"{depth} layers {span(value.interval)}")
             for depth, value in found.items()]
    run = next(iter(found.values())).first.runs[0]
    epochs = "1 epoch" if run.epochs == 1 else f"{run.epochs} epochs"
    norm = "no norm" if study == "no-norm" else "batch norm"
    narrow = ", narrow (16 to 128 channels) on 28×28 pixels" if kind == "ImageNet" else ""
    said = "; ".join(f"{text} {there}" for text, there in _groups(words, cases))
    line = f"{run.data} ({run.pictures:,} pictures, {epochs}), {norm}, {kind} kind{narrow}: {said}."
    if study == "full":
        line += (" Its rates are the best ones of the small set, not searched here, so arm and "
                 "rate may differ together.")
    return line


def _like_he(found):
    """Compare the verdicts at 18 and 34 layers with those of He et al. on ImageNet."""
    here = tuple(found[depth].interval.verdict for depth in (18, 34) if depth in found)
    if len(here) < 2 or "unknown" in here:
        return ""
    words = {"above": "a gap for the shortcut", "below": "a gap against it", "tie": "a tie"}
    same = "the same pattern" if here == ("tie", "above") else "another pattern"
    return ("On ImageNet: He et al. (2016, table 2) report 27.94 % error for the plain and 27.88 % "
            "for the residual network of 18 layers, a near tie, and 28.54 % and 25.03 % at 34, a "
            "gap; theirs is validation error, ours training error. Here it is "
            f"{same}: {words[here[0]]} at 18, {words[here[1]]} at 34.")


def _remarks(pairs):
    """Name grids that trained nothing, best rates at the end of theirs, and runs that diverged."""
    none, ends, lost, lines = {}, {}, [], []
    for study, after in (("depth", ""), ("no-norm", ", no norm,")):
        for depth, value in pairs[study].items():
            for side in (value.first, value.second):
                name = side.arm + after
                if side.guesses:
                    none.setdefault(name, []).append(depth)
                elif side.edge:
                    ends.setdefault((name, side.rate, side.edge), []).append(depth)
                if side.diverged:
                    lost.append(f"{name} at {depth} layers ({side.diverged} of {len(side.runs)})")
    if none:
        untrained = "; ".join(f"{name} at {listed(there)} layers" for name, there in none.items())
        lines.append(f"No rate that was tried trained: {untrained}. One outside the grid might.")
    if ends:
        named = "; ".join(f"{name} at {listed(there)} layers ({rate:g}, the {end})"
                          for (name, rate, end), there in ends.items())
        lines.append("Best rates at the end of their grid, so that better ones may lie beyond: "
                     f"{named}.")
    if lost:
        lines.append(f"Diverged at a best rate: {'; '.join(lost)}.")
    return lines


def _not_shown(pairs, recorded, intervals):
    """Say what so many recorded runs leave open, and what so many intervals mean for chance."""
    lines = []
    planned = sum(2 * max(len(study.rates_at(depth)), 1) * len(study.seeds)
                  for study in STUDIES.values() for depth in study.depths)
    if recorded < planned:
        lines.append(f"Not complete: {recorded} of {planned} planned runs are recorded.")
    absent = [study for study, found in pairs.items() if not found]
    if absent:
        lines.append(f"Not shown, since no pair of runs is recorded: {listed(absent)}.")
    if intervals > 1:
        lines.append(f"Chance: each interval is a 95 % one by itself; of {intervals}, about "
                     f"{intervals * (1 - LEVEL):.1f} would miss.")
    if pairs["depth"] or pairs["no-norm"] or pairs["full"]:
        lines.append("Not shown: what training for more epochs would do to these differences, or "
                     "other data, other optimisers and wider networks; and what causes them.")
    return [*lines, "Ties: a tie is not proof that two arms are equal. Anything inside its "
                    "interval remains possible."]


def gap_words(found):
    """Say where a figure of (study, depth, ``Comparison``) entries shows a gap, and which."""
    groups = []
    for verdict, words in (("above", "Right of 0, a gap for the shortcut (green, round)"),
                           ("tie", "0 inside, a tie (grey, diamond)"),
                           ("below", "left of 0, a gap against the shortcut (pink, square)"),
                           ("unknown", "one seed, no interval (cross)")):
        chosen = [f"{depth}{AFTER[study]}" for study, depth, value in found
                  if value.interval.verdict == verdict]
        if chosen or verdict != "unknown":
            groups.append(f"{words}: {listed(chosen) or 'nowhere'}")
    return (f"Bars are 95 % intervals over seeds, dots single seeds. {'; '.join(groups)}. Numbers "
            "are layers.")


def gap_table(rows, studies=("depth", "full")):
    """Return (headings, lines): both arms' best rates and errors, difference and interval."""
    lines = []
    for study in studies:
        for depth, value in comparison.all_paired(rows, study).items():
            interval, ends, cells = value.interval, "", []
            for side in (value.first, value.second):
                star = "*" if side.edge else ""
                cells.append(f"{side.mean:.3f} at {side.rate:g}{star}")
            if interval.count > 1:
                ends = f"{signed(interval.low)} to {signed(interval.high)}"
            lines.append([f"{depth}{AFTER[study]}", *cells, signed(interval.middle), ends,
                          interval.count])
    return ["layers", "plain", "residual", "difference", "95 % interval", "seeds"], lines


def norm_words(rows, arm, with_norm, without):
    """Say where batch norm lowers one arm's training error, and where it still only guesses.

    ``with_norm`` and ``without`` are ``{depth: Side}`` of that arm.
    """
    words = {"above": "lowers it at", "tie": "makes no clear difference at",
             "below": "raises it at", "unknown": "cannot be judged at"}
    cases = []
    for depth in without:
        if depth in with_norm:
            sides = [(study, arm, depth, None) for study in ("no-norm", "depth")]
            interval = comparison.compare(rows, *sides).interval
            cases.append((interval.verdict, f"{depth} ({signed(-interval.middle)})"))
    said = "; ".join(f"{text} {there} layers" for text, there in _groups(words, cases))
    text = f"{arm.capitalize()}: batch norm {said}."
    guessing = [depth for depth, side in without.items() if side.guesses]
    if guessing:
        text += (f" Without it, no better than guessing, at any rate tried, at {listed(guessing)} "
                 "layers.")
    lost = sum(side.diverged for side in without.values())
    if lost:
        text += f" {lost} of its runs at the best rates diverged."
    return text


def gradient_norms(rows, depth=56):
    """Say how large the gradient of the first layer's weights is at the first step and at last.

    The first one does not depend on the learning rate, since no step has been taken yet; the
    other is the mean over the last epoch, at each arm's best rate.
    """
    lines = []
    for study, name in (("depth", "batch norm"), ("no-norm", "no norm")):
        try:
            said = []
            for when, column in (("at the first step", "first_gradient_norm"),
                                 ("in the last epoch", "gradient_norm")):
                found = comparison.paired(rows, study, depth, column)
                plain, residual = found.first.mean, found.second.mean
                said.append(f"{when} {_norm(plain)} in plain and {_norm(residual)} in residual "
                            f"networks, {_ratio(plain, residual)}")
            lines.append(f"{depth} layers, {name}: {'; '.join(said)}.")
        except ValueError:
            lines.append(f"{depth} layers, {name}: not recorded yet.")
    return "\n".join(lines)


def _norm(value):
    return short(value) if math.isfinite(value) else "no number, since a run diverged,"


def _ratio(plain, residual):
    ratio = plain / residual if residual else math.nan
    if math.isnan(ratio):
        return "no ratio"
    words = {"vanishes": f"less than 1/{gradient_flow.FACTOR} of it",
             "holds": "smaller" if ratio < 1 else "no smaller",
             "explodes": f"more than {gradient_flow.FACTOR} times as large"}
    return f"plain ÷ residual {short(ratio)}: {words[gradient_flow.verdict(ratio)]}"


def published_words(parts, errors, column):
    """Say what the published contrast on digits is made of.

    ``parts`` is what ``comparison.decompose`` returned for the column; ``errors`` are of all runs.
    """
    found = {name: t_interval(values) for name, values in parts.items()}
    whole, arm, rate = found["as published"], found["arm"], found["rate"]
    if whole.count == 1:
        return (f"One seed has all four runs: as published {signed(whole.middle)}, of which the "
                f"arm makes {signed(arm.middle)} and the rate {signed(rate.middle)}.")
    told = comparison.PUBLISHED["residual"]["accuracy"] - comparison.PUBLISHED["plain"]["accuracy"]
    single = parts["as published"]
    here = {"above": "the shortcut helps on these digits",
            "below": "the shortcut hurts on these digits",
            "tie": "the arms tie on these digits, since 0 lies inside"}[arm.verdict]
    return (f"{ERRORS[column].capitalize()}, plain − residual with 95 % intervals over seeds. "
            f"The published settings (yellow) give {span(whole)}; their one run gave "
            f"{signed(told)}. Single seeds give {signed(min(single))} to {signed(max(single))}: "
            f"plain looks worse in {sum(value > 0 for value in single)} of {whole.count}, better "
            f"in {sum(value < 0 for value in single)}. Of the mean, {signed(arm.middle)} is the "
            f"arm ({signed(arm.low)} to {signed(arm.high)}) and {signed(rate.middle)} the rate "
            f"({signed(rate.low)} to {signed(rate.high)}). At equal rates {here}. The mean error "
            f"of all runs is {statistics.fmean(errors):.3f}.")


def causes(rows, column="test_error_200"):
    """Say which part of the published contrast is clear, its interval not containing 0.

    Returns:
        (answer, evidence): ``"neither"``, ``"the arm alone"``, ``"the rate alone"`` or ``"both"``,
        and the numbers; the answer is ``None`` where too few runs are recorded.
    """
    try:
        parts = comparison.decompose(rows, column)
    except ValueError as error:
        return None, f"{error}."
    found = {name: t_interval(values) for name, values in parts.items()}
    words = "; ".join(f"{name} {span(interval)}" for name, interval in found.items()) + "."
    verdicts = [found[name].verdict for name in ("arm", "rate")]
    if "unknown" in verdicts:
        return None, words
    answers = {(False, False): "neither", (True, False): "the arm alone",
               (False, True): "the rate alone", (True, True): "both"}
    return answers[verdicts[0] != "tie", verdicts[1] != "tie"], words


def part_table(rows):
    """Return (headings, lines): the parts on the first 200 and on all test digits."""
    lines = []
    for column, name in ERRORS.items():
        with suppress(ValueError):
            parts = comparison.decompose(rows, column).values()
            lines.append([name.removeprefix("error, "),
                          *(span(t_interval(values)) for values in parts)])
    return ["plain − residual", "as published", "of it the arm", "of it the rate"], lines


def scatter(rows):
    """Say how much seeds and the choice of pictures move one run's test error on digits."""
    groups = {}
    for run in comparison.results([row for row in rows if row["study"] == "digits"]):
        groups.setdefault((run.arm, run.lr), []).append(run)
    groups = [runs for runs in groups.values() if len(runs) > 1]
    if not groups:
        return "The study digits is not recorded yet, so nothing can be said about its scatter."
    seeds = math.sqrt(statistics.fmean(statistics.variance(run.test_error_200 for run in runs)
                                       for runs in groups))
    error = statistics.fmean(run.test_error for runs in groups for run in runs)
    first = statistics.fmean(run.test_error_200 for runs in groups for run in runs)
    chance = math.sqrt(error * (1 - error) / 200)
    return (f"One run's error on the same 200 digits moves by about {seeds:.3f} from seed to seed "
            f"(standard deviation). Another choice of 200 digits moves it by about {chance:.3f} "
            f"more (binomial, at an error of {error:.3f}). A difference of two runs moves about "
            "1.4 times as much where they make unrelated mistakes, less where they fail on the "
            f"same digits. On the first 200 the mean error is {first:.3f}, on all "
            f"{error:.3f}.")
