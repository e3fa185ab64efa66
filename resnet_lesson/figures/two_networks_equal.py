"""Figures of A2: which check of parity refuses which network."""

from matplotlib.colors import ListedColormap

from resnet_lesson import figures
from resnet_lesson.figures.axes import image
from resnet_lesson.words import count, listed


@figures.style()
def survey(found, kind="mistake"):
    """Draw what ``mutants.survey`` found: candidates against checks.

    Args:
        found: findings by candidate.
        kind: what a row is, for the caption; with an s it is the plural.
    """
    rows, checks = list(found), [finding.check for finding in next(iter(found.values()))]
    passed = [[finding.passed for finding in found[row]] for row in rows]
    figure, ax = figures.new_figure(size=(11, 0.42 * len(rows) + 1.3))
    image(ax, passed, aspect="auto", vmin=0, vmax=1,
          cmap=ListedColormap([figures.BLUE, "#F0F0F0"]))
    ax.set_xticks(range(len(checks)), [check.replace(" ", "\n") for check in checks])
    ax.set_yticks(range(len(rows)), rows)
    ax.set(xlabel="check (– : it sees no difference)")
    ax.xaxis.set_label_position("top")
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.tick_params(axis="x", labelsize=12)
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    for y, row in enumerate(passed):
        ax.axhline(y + 0.5, color="white", linewidth=2)
        for x, well in enumerate(row):
            look = {"color": "black"} if well else {"color": "white", "fontweight": "bold"}
            ax.text(x, y, "–" if well else "says no", ha="center", va="center", fontsize=12, **look)
    for x in range(len(checks)):
        ax.axvline(x + 0.5, color="white", linewidth=2)
    refused = {check: sum(not row[x] for row in passed) for x, check in enumerate(checks)}
    loud = [f"“{check}” says no to {number}" for check, number in refused.items() if number]
    silent = [f"“{check}”" for check, number in refused.items() if not number]
    of = f"Of {count(len(rows), kind)}: {listed(loud or ['no check says no to any'])}."
    figure.caption = of + (f" No difference for {listed(silent)}." if silent else "")
    return figure
