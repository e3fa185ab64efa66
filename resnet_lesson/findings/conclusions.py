"""What the sweep says, in sentences: every word about results follows from the rows."""

from resnet_lesson.experiments.studies import ARMS, STUDIES
from resnet_lesson.findings.comparison import KINDS, all_paired, compare, depths, guesses, results
from resnet_lesson.findings.intervals import LEVEL
from resnet_lesson.words import listed, signed


def span(interval):
    """Return an interval of a difference in words: +0.021 (+0.004 to +0.038, 5 seeds)."""
    if interval.count == 1:
        return f"{signed(interval.middle)} (one seed, no interval)"
    return (f"{signed(interval.middle)} ({signed(interval.low)} to {signed(interval.high)}, "
            f"{interval.count} seeds)")


DEEPER = {"above": "the deeper one fits its own training pictures worse",
          "below": "the deeper one fits its training pictures better",
          "tie": "no difference is shown, since 0 lies inside",
          "unknown": "nothing can be said from one seed"}


def degradation(rows, study="depth", arm="plain", shallow=20, deep=56):
    """Say whether more layers raise an arm's training error, each depth at its own best rate.

    Returns:
        (verdict, sentence): the verdict of deep − shallow; ``"unknown"`` where runs are missing.
    """
    try:
        found = compare(rows, (study, arm, deep, None), (study, arm, shallow, None))
    except ValueError as missing:
        return "unknown", f"{arm.capitalize()}, {deep} against {shallow} layers: {missing}."
    verdict = found.interval.verdict
    return verdict, (f"{arm.capitalize()}, {deep} against {shallow} layers: training error "
                     f"{found.first.mean:.3f} against {found.second.mean:.3f}, difference "
                     f"{span(found.interval)}: {DEEPER[verdict]}.")


def conclusion(rows):
    """Say where the arms tie and where a gap opens on training error, and what was not shown.

    Args:
        rows: of the sweep, complete or not.

    Returns:
        Lines, joined by line ends; every word about results follows from the rows.
    """
    lines = [_headline(rows), *(_kind(rows, "depth", kind) for kind in KINDS)]
    for arm in ARMS:
        lines += [degradation(rows, "depth", arm, *pair)[1]
                  for pair in ((20, 56), (18, 34)) if set(pair) <= set(depths(rows, "depth"))]
    lines += [_like_he(rows), _kind(rows, "full", "6n + 2")]
    if set(depths(rows, "full")) >= {20, 56}:
        for arm in ARMS:
            words = degradation(rows, "full", arm)[1]
            lines.append(f"Full set, {words[0].lower()}{words[1:]}")
    lines += [_kind(rows, "no-norm", kind) for kind in KINDS]
    intervals = sum(line.count(" seeds)") for line in lines)   # as ``span`` writes them
    return "\n".join(line for line in [*lines, *_remarks(rows), *_not_shown(rows, intervals)]
                     if line)


def _by_verdict(found, words, write):
    """Return ``{depth: Comparison}`` in words, grouped by outcome: "a tie at 8; …"."""
    return "; ".join(f"{text} {listed(chosen)}" for outcome, text in words.items() if (chosen := [
        write(depth, value) for depth, value in found.items() if value.outcome == outcome]))


def _headline(rows):
    found = all_paired(rows, "depth")
    words = {"above": "plain networks fit their training pictures worse than residual ones at",
             "tie": "the two tie at", "below": "residual networks fit theirs worse at",
             "unknown": "seeds are too few at", "guessing": "neither learns anything at"}
    at = _by_verdict(found, words, lambda depth, _: depth)
    return at and (f"In short, with batch norm and equally many steps: {at} layers. Below: "
                   "training error, plain − residual, each arm at its own best rate, in brackets "
                   "the 95 % interval over seeds.")


def _kind(rows, study, kind):
    """Say for one kind of network in one study at which depths there is a gap, and which."""
    found = {depth: value for depth, value in all_paired(rows, study).items()
             if depth in KINDS[kind]}
    if not found:
        return ""
    run = next(iter(found.values())).first.runs[0]
    words = {"above": "a gap for the shortcut at", "tie": "a tie at",
             "below": "a gap against the shortcut at", "unknown": "too few seeds at",
             "guessing": "nothing to compare, since both arms only guess, at"}
    narrow = ", narrow (16 to 128 channels) on 28×28 pixels" * (kind == "ImageNet")
    unsearched = (" Its rates are the best ones of the small set, not searched here, so arm and "
                  "rate may differ together." * (study == "full"))
    parts = _by_verdict(found, words, lambda depth, value: f"{depth} layers {span(value.interval)}")
    return (f"{run.data} ({run.pictures:,} pictures, {run.epochs} epoch{'s' * (run.epochs > 1)}), "
            f"{'no norm' if study == 'no-norm' else 'batch norm'}, {kind} kind{narrow}: {parts}."
            + unsearched)


def _like_he(rows):
    """Compare the verdicts at 18 and 34 layers with those of He et al. on ImageNet."""
    found = all_paired(rows, "depth")
    here = tuple(found[depth].interval.verdict for depth in (18, 34) if depth in found)
    if len(here) < 2 or "unknown" in here:
        return ""
    words = {"above": "a gap for the shortcut", "below": "a gap against it", "tie": "a tie"}
    same = "the same pattern" if here == ("tie", "above") else "another pattern"
    return ("On ImageNet: He et al. (2016, table 2) report 27.94 % error for the plain and 27.88 % "
            "for the residual network of 18 layers, a near tie, and 28.54 % and 25.03 % at 34, a "
            "gap; theirs is validation error, ours training error. Here it is "
            f"{same}: {words[here[0]]} at 18, {words[here[1]]} at 34.")


def _remarks(rows):
    """Name grids that trained nothing, best rates at the end of theirs, and runs that diverged."""
    ends, none, lost = {}, {}, []
    for study in ("depth", "no-norm"):
        for depth, value in all_paired(rows, study).items():
            for side in value[:2]:
                name = side.arm + ", no norm," * (study == "no-norm")
                if guesses(side):
                    none.setdefault(name, []).append(depth)
                elif side.edge:
                    ends.setdefault((name, side.rate, side.edge), []).append(depth)
                if side.diverged:
                    lost.append(f"{name} at {depth} layers ({side.diverged} of {len(side.runs)})")
    named = [f"{name} at {listed(there)} layers ({rate:g}, the {end})"
             for (name, rate, end), there in ends.items()]
    untrained = [f"{name} at {listed(there)} layers" for name, there in none.items()]
    return ([f"No rate that was tried trained: {'; '.join(untrained)}. One outside the grid might."]
            * bool(untrained)
            + [f"Best rates at the end of their grid, so that better ones may lie beyond: "
             f"{'; '.join(named)}."] * bool(named)
            + [f"Diverged at a best rate: {'; '.join(lost)}."] * bool(lost))


def _not_shown(rows, intervals):
    """Say what these rows leave open, and what so many intervals mean for chance."""
    lines, everything = [], results(rows)
    planned = sum(2 * max(len(study.rates_at(depth)), 1) * len(study.seeds)
                  for study in STUDIES.values() for depth in study.depths)
    if len(everything) < planned:
        lines.append(f"Not complete: {len(everything)} of {planned} planned runs are recorded.")
    absent = [study for study in STUDIES if not all_paired(rows, study)]
    if absent:
        lines.append(f"Not shown, since no pair of runs is recorded: {listed(absent)}.")
    if intervals > 1:
        lines.append(f"Chance: each interval is a 95 % one by itself; of {intervals}, about "
                     f"{intervals * (1 - LEVEL):.1f} would miss.")
    if any(all_paired(rows, study) for study in ("depth", "no-norm", "full")):
        lines.append("Not shown: what training for more epochs would do to these differences, or "
                     "other data, other optimisers and wider networks; and what causes them.")
    return [*lines, "Ties: a tie is not proof that two arms are equal. Anything inside its "
                    "interval remains possible."]
