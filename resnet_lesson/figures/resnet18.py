"""Figures of notebook 06: the size of whole networks, and what the checks of parity say."""

import math

from matplotlib.colors import ListedColormap

from resnet_lesson import figures
from resnet_lesson.figures.axes import image

FLOOR = 1e-17      # where "no difference" is drawn on a logarithmic axis
TOLERANCE = 1e-8


@figures.style()
def survey(found):
    """Draw what ``mutants.survey`` found: mistakes, after the correct network, against checks."""
    rows, checks = list(found), [finding.check for finding in next(iter(found.values()))]
    passed = [[finding.passed for finding in found[row]] for row in rows]
    figure, ax = figures.new_figure(size=(11, 0.42 * len(rows) + 1.1))
    image(ax, passed, aspect="auto", vmin=0, vmax=1,
          cmap=ListedColormap([figures.BLUE, "#F0F0F0"]))
    ax.set_xticks(range(len(checks)), [check.replace(" ", "\n") for check in checks])
    ax.set_yticks(range(len(rows)), rows)
    ax.set(ylabel="mistake", xlabel="check (– : it sees nothing wrong)")
    ax.xaxis.set_label_position("top")
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.tick_params(axis="x", labelsize=12)
    ax.spines[:].set_visible(False)
    for y, row in enumerate(passed):
        ax.axhline(y + 0.5, color="white", linewidth=2)
        for x, well in enumerate(row):
            words, color, weight = ("–", "black", "normal") if well else ("caught", "white", "bold")
            ax.text(x, y, words, ha="center", va="center", fontsize=12, color=color,
                    fontweight=weight)
    for x in range(len(checks)):
        ax.axvline(x + 0.5, color="white", linewidth=2)
    figure.caption = _describe(rows, checks, passed)
    return figure


def _describe(rows, checks, passed):
    wrong = dict(zip(rows[1:], passed[1:], strict=True))
    counts = [f"“{check}” catches {sum(not row[x] for row in wrong.values())}"
              for x, check in enumerate(checks)]
    words = [f"Of {len(wrong)} mistakes: {', '.join(counts)}."]
    for x, check in enumerate(checks):
        alone = [name for name, row in wrong.items() if row.count(False) == 1 and not row[x]]
        if alone:
            words.append(f"Only “{check}” catches: {', '.join(alone)}.")
    missed = [name for name, row in wrong.items() if all(row)]
    words.append(f"Nothing catches: {', '.join(missed)}." if missed else
                 "Each is caught by one check at least.")
    words.append("The correct network passes every check." if all(passed[0]) else
                 "The correct network fails a check.")
    return " ".join(words)


@figures.style()
def first_differences(gaps):
    """Draw relative differences to the reference by stage, ``{network: {stage: gap}}``."""
    figure, ax = figures.new_figure(size=(9.5, 4.6))
    sentences = []
    for i, (name, by_stage) in enumerate(gaps.items()):
        values = [10 if math.isnan(gap) else min(max(gap, FLOOR), 10) for gap in by_stage.values()]
        ax.plot(list(by_stage), values, label=name, **figures.line_look(i))
        first = next((stage for stage, gap in by_stage.items() if not gap <= TOLERANCE), None)
        where = f"first different at {first}" if first else "no difference anywhere"
        sentences.append(f"{name}: {where}")
    ax.axhline(TOLERANCE, color=figures.GREY, linestyle=":", linewidth=1.5)
    ax.set(yscale="log", ylim=(FLOOR / 5, 30), xlabel="where the outputs are compared",
           ylabel="relative difference")
    ax.set_yticks([FLOOR, 1e-12, 1e-8, 1e-4, 1],
                  ["0", "$10^{-12}$", "$10^{-8}$", "$10^{-4}$", "1"])
    figure.legend(loc="outside lower center", ncols=2)
    figure.caption = "; ".join(sentences) + ". The dotted line is the tolerance."
    return figure


@figures.style()
def family(rows):
    """Draw parameters and multiply-adds by depth, computed beside published.

    Args:
        rows: dicts with depth, parameters, multiply_adds, published_parameters and
            published_multiply_adds; the last two in units, not millions.
    """
    figure, axes = figures.new_figure(columns=2, size=(10, 4))
    depths = [str(row["depth"]) for row in rows]
    for ax, key, unit, label in ((axes[0], "parameters", 1e6, "parameters, millions"),
                                 (axes[1], "multiply_adds", 1e9, "multiply-adds, billions")):
        values = [row[key] / unit for row in rows]
        ax.bar(depths, values, color=figures.SKY, label="ours, counted")
        ax.plot(depths, [row[f"published_{key}"] / unit for row in rows], "D",
                color=figures.ORANGE, label="torchvision, published")
        for x, value in enumerate(values):
            ax.text(x, value + max(values) * 0.05, f"{value:.1f}", ha="center", fontsize=13)
        ax.set(ylim=(0, max(values) * 1.15), xlabel="depth", ylabel=label)
        ax.grid(axis="x", visible=False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    worst = max(abs(row["multiply_adds"] / row["published_multiply_adds"] - 1) for row in rows)
    equal = all(row["parameters"] == row["published_parameters"] for row in rows)
    agree = "agree with the published ones to the last digit" if equal else (
        "differ from the published ones")
    more, work = (rows[-1][key] / rows[0][key] for key in ("parameters", "multiply_adds"))
    figure.caption = (
        f"Parameters {agree}; multiply-adds at 224×224 agree within {worst:.2%}. From depth "
        f"{rows[0]['depth']} to {rows[-1]['depth']}, parameters grow {more:.1f} times and "
        f"multiply-adds {work:.1f} times.")
    return figure
