"""Figures of notebook 05: the order of a block's layers, its cost, solid and dashed shortcuts."""

import torch
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from torch import nn

from resnet_lesson import figures
from resnet_lesson.networks.modes import evaluating

FILLS = {"conv": "#D6ECF8", "norm": "#E9E9E9", "ReLU": "#FBE3B0"}
STAGES = ("#FFFFFF", "#D6ECF8", "#9CCFEE", "#56B4E9")


def layer_order(block):
    """Return ``(branch, after)``: kinds of layers before and after the addition, as they run.

    Args:
        block: a ``BasicBlock`` or ``Bottleneck`` with an identity shortcut.

    Raises:
        ValueError: a block that projects; its shortcut would be counted as branch.
    """
    if block.downsample is not None:
        raise ValueError("layer_order needs a block with an identity shortcut, this one projects; "
                         "take stride=1 and equal channels")
    kinds = {nn.Conv2d: "conv", nn.BatchNorm2d: "norm", nn.ReLU: "ReLU"}
    seen = []
    hooks = [layer.register_forward_hook(lambda layer, *_: seen.append(kinds[type(layer)]))
             for layer in block.children() if type(layer) in kinds]
    x = torch.zeros(2, block.in_channels, 4, 4)
    try:
        with evaluating(block), torch.no_grad():
            block.branch(x)
            steps = len(seen)
            block(x)
    finally:
        for hook in hooks:
            hook.remove()
    return seen[:steps], seen[2 * steps:]


@figures.style()
def orders(blocks):
    """Draw the layers of blocks, ``{name: block}``, each with its identity shortcut over them."""
    figure, axes = figures.new_figure(len(blocks), 1, size=(9, 1.9 * len(blocks)), squeeze=False)
    words = []
    for ax, (name, block) in zip(axes[:, 0], blocks.items(), strict=True):
        branch, after = layer_order(block)
        _draw_order(ax, branch, after)
        ax.set_title(name, loc="left")
        words.append(f"{name[0].upper()}{name[1:]}: the branch is {', '.join(branch)}; on the path "
                     f"of x lies {', '.join(after) or 'nothing'}.")
    figure.caption = " ".join(words)
    return figure


def _draw_order(ax, branch, after):
    ax.set(xlim=(-0.9, 9.2), ylim=(-0.4, 1.0), aspect="equal")
    ax.axis("off")
    plus = len(branch) + 0.15
    end = plus + 0.85 * len(after) + 0.9
    ax.annotate("", (end, 0), (-0.55, 0), arrowprops={"arrowstyle": "-|>", "lw": 2.5, "color": "k"})
    ax.plot([-0.3, -0.3, plus, plus], [0, 0.8, 0.8, 0.2], color=figures.BLUE, lw=3.5)
    ax.text(-0.6, 0, "x", ha="right", va="center", fontsize=16, fontweight="bold")
    places = [*range(len(branch)), *(plus + 0.35 + i for i in range(len(after)))]
    for left, kind in zip(places, [*branch, *after], strict=True):
        _box(ax, (left, -0.31), 0.84, 0.1, FILLS[kind], zorder=3)
        ax.text(left + 0.42, 0, kind, ha="center", va="center", fontsize=14, zorder=4)
    ax.add_patch(Circle((plus, 0), 0.2, facecolor=figures.GREEN, edgecolor="black", lw=1.5,
                        zorder=3))
    ax.text(plus, -0.02, "+", ha="center", va="center", fontsize=18, color="white",
            fontweight="bold", zorder=4)


def _box(ax, corner, width, rounding, color, **options):
    ax.add_patch(FancyBboxPatch(corner, width, 0.62, facecolor=color, edgecolor="black", lw=1.5,
                                boxstyle=f"round,pad=0,rounding_size={rounding}", **options))


@figures.style()
def costs(rows):
    """Draw ``parameters`` and ``multiply_adds`` of blocks, dicts that also have a ``name``.

    Raises:
        ValueError: fewer than two rows.
    """
    if len(rows) < 2:
        raise ValueError(f"costs compares at least two blocks, got {len(rows)}")
    figure, axes = figures.new_figure(1, 2, size=(9, 1.2 + 0.75 * len(rows)), sharey=True)
    for ax, key, title, unit, digits in (
            (axes[0], "parameters", "parameters", 1, 0),
            (axes[1], "multiply_adds", "multiply-adds in millions", 1e6, 1)):
        values = [row[key] for row in rows]
        bars = ax.barh([row["name"] for row in rows], values, height=0.6, edgecolor="white",
                       color=figures.PALETTE[:len(rows)], hatch=["", "//", "..", "xx"][:len(rows)])
        ax.bar_label(bars, [f"{value / unit:,.{digits}f}" for value in values], padding=4,
                     fontsize=13)
        ax.set(title=title, xlim=(0, 1.45 * max(values)), xticks=[])
        ax.spines["bottom"].set_visible(False)
        ax.grid(False)
    axes[0].invert_yaxis()
    first, *others = rows
    parts = [f"{row['name']} has {first['parameters'] / row['parameters']:.1f} times fewer "
             f"parameters and takes {first['multiply_adds'] / row['multiply_adds']:.1f} times "
             "fewer multiply-adds" for row in others]
    figure.caption = f"Compared with {first['name']}: {'; '.join(parts)}."
    return figure


@figures.style()
def shortcuts(networks):
    """Draw the blocks of networks, ``{name: ResNet}``: identities solid, projections dashed.

    Raises:
        ValueError: a network without shortcuts.
    """
    figure, axes = figures.new_figure(len(networks), 1, size=(9.8, 1.45 * len(networks)),
                                      squeeze=False)
    words = []
    for ax, (name, network) in zip(axes[:, 0], networks.items(), strict=True):
        blocks = network.blocks()
        if not all(block.residual for _, block in blocks):
            raise ValueError(f"{name} has blocks without shortcuts; give a network with "
                             "residual=True")
        ax.set(xlim=(-0.1, 16.1), ylim=(-0.45, 0.72))
        ax.axis("off")
        ax.set_title(name, loc="left", pad=2)
        projected = [place for place, block in blocks if block.downsample is not None]
        for i, (place, block) in enumerate(blocks):
            stage = int(place.removeprefix("layer").split(".")[0])
            color, dash = figures.BLUE, "-"
            if place in projected:
                color, dash = figures.ORANGE, (0, (2, 1.2))
            _box(ax, (i + 0.03, -0.4), 0.94, 0.08, STAGES[(stage - 1) % len(STAGES)])
            ax.text(i + 0.5, -0.09, block.out_channels, ha="center", va="center", fontsize=12)
            ax.add_patch(FancyArrowPatch(
                (i + 0.06, 0.2), (i + 0.94, 0.2), connectionstyle="arc3,rad=-0.75", lw=2.5,
                arrowstyle="-|>", mutation_scale=12, linestyle=dash, color=color))
        words.append(f"{name}: {len(blocks) - len(projected)} solid, {len(projected)} dashed "
                     f"({', '.join(projected)})")
    figure.caption = "Each box is a block with its output channels. " + "; ".join(words) + "."
    return figure
