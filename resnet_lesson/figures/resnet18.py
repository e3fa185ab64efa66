"""Pictures of whole networks: the family's size, and what the checks of parity say."""

import math

from matplotlib.colors import ListedColormap

from resnet_lesson import figures

FLOOR = 1e-17  # where "no difference" is drawn on a logarithmic axis


@figures.style()
def survey(found):
    """Return the table of mutants against checks.

    Args:
        found: what ``mutants.survey`` returns: findings by name; the first row is the correct
            network.
    """
    rows, checks = list(found), [finding.check for finding in next(iter(found.values()))]
    passed = [[finding.passed for finding in found[row]] for row in rows]
    figure, axes = figures.new_figure(size=(11, 0.42 * len(rows) + 1.1))
    axes.imshow(passed, aspect="auto", vmin=0, vmax=1,
                cmap=ListedColormap([figures.BLUE, "#F0F0F0"]))
    axes.set_xticks(range(len(checks)), [check.replace(" ", "\n") for check in checks])
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylabel("mistake")
    axes.set_xlabel("check (– : it sees nothing wrong)")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.tick_params(axis="x", labelsize=12)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    for y, row in enumerate(passed):
        for x, well in enumerate(row):
            axes.text(x, y, "–" if well else "caught", ha="center", va="center",
                      fontsize=12, color="black" if well else "white",
                      fontweight="normal" if well else "bold")
    for y in range(len(rows)):
        axes.axhline(y + 0.5, color="white", linewidth=2)
    for x in range(len(checks)):
        axes.axvline(x + 0.5, color="white", linewidth=2)
    figure.caption = _describe(rows, checks, passed)
    return figure


def _describe(rows, checks, passed):
    wrong = list(zip(rows[1:], passed[1:], strict=True))
    counts = [sum(not row[x] for _, row in wrong) for x in range(len(checks))]
    words = (f"Of {len(wrong)} mistakes: " + ", ".join(
        f"“{check}” catches {count}" for check, count in zip(checks, counts, strict=True)) + ".")
    for x, check in enumerate(checks):
        alone = [name for name, row in wrong if row.count(False) == 1 and not row[x]]
        if alone:
            words += f" Only “{check}” catches: {', '.join(alone)}."
    missed = [name for name, row in wrong if all(row)]
    words += (f" Nothing catches: {', '.join(missed)}." if missed else
              " Each is caught by one check at least.")
    return words + (" The correct network passes every check." if all(passed[0]) else
                    " The correct network fails a check.")


@figures.style()
def first_differences(gaps):
    """Return the difference to the reference after each stage, one line per network.

    Args:
        gaps: relative differences by stage, by name of the network: ``{name: {stage: gap}}``.
    """
    figure, axes = figures.new_figure(size=(9.5, 4.6))
    markers, dashes = "osD^vPX", ("-", "--", "-.", ":")
    sentences = []
    for i, (name, by_stage) in enumerate(gaps.items()):
        values = [min(max(gap, FLOOR), 10) if not math.isnan(gap) else 10
                  for gap in by_stage.values()]
        axes.plot(list(by_stage), values, marker=markers[i % len(markers)],
                  linestyle=dashes[i % len(dashes)], label=name)
        first = next((stage for stage, gap in by_stage.items() if not gap <= 1e-8), None)
        sentences.append(f"{name}: " + (f"first different at {first}" if first else
                                        "no difference anywhere"))
    axes.axhline(1e-8, color=figures.GREY, linestyle=":", linewidth=1.5)
    axes.set_yscale("log")
    axes.set_ylim(FLOOR / 5, 30)
    axes.set_yticks([FLOOR, 1e-12, 1e-8, 1e-4, 1], ["0", "$10^{-12}$", "$10^{-8}$", "$10^{-4}$",
                                                   "1"])
    axes.set_xlabel("where the outputs are compared")
    axes.set_ylabel("relative difference")
    figure.legend(loc="outside lower center", ncols=2)
    figure.caption = "; ".join(sentences) + ". The dotted line is the tolerance."
    return figure


@figures.style()
def family(rows):
    """Return parameters and multiply-adds by depth, computed beside published.

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
        ax.set_ylim(0, max(values) * 1.15)
        ax.set_xlabel("depth")
        ax.set_ylabel(label)
        ax.grid(axis="x", visible=False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    worst = max(abs(row["multiply_adds"] - row["published_multiply_adds"])
                / row["published_multiply_adds"] for row in rows)
    equal = all(row["parameters"] == row["published_parameters"] for row in rows)
    more, work = (rows[-1][key] / rows[0][key] for key in ("parameters", "multiply_adds"))
    figure.caption = (
        "Parameters " + ("agree with the published ones to the last digit" if equal else
                         "differ from the published ones")
        + f"; multiply-adds at 224×224 agree within {worst:.2%}. From depth {rows[0]['depth']} to "
        f"{rows[-1]['depth']}, parameters grow {more:.1f} times and multiply-adds {work:.1f} "
        "times.")
    return figure
