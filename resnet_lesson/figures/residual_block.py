"""Figures of notebook 05: the order of a block's layers, its cost, solid and dashed shortcuts."""

from contextlib import ExitStack

import torch
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from torch import nn

from resnet_lesson import figures

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
    x = torch.zeros(2, block.in_channels, 4, 4)
    training = block.training
    with ExitStack() as stack, torch.no_grad():
        for part in block.children():
            if type(part) in kinds:
                hook = part.register_forward_hook(
                    lambda module, *_: seen.append(kinds[type(module)]))
                stack.callback(hook.remove)
        block.eval()
        block.branch(x)
        steps = len(seen)
        block(x)
    block.train(training)
    return seen[:steps], seen[2 * steps:]


@figures.style()
def orders(blocks):
    """Draw the layers of blocks from input to output, each with its shortcut over them.

    Args:
        blocks: blocks with identity shortcuts, by name.
    """
    figure, axes = figures.new_figure(len(blocks), 1, size=(9, 1.9 * len(blocks)), squeeze=False)
    words = []
    for ax, (name, block) in zip(axes[:, 0], blocks.items(), strict=True):
        branch, after = layer_order(block)
        _draw_order(ax, branch, after)
        ax.set_title(name, loc="left")
        path = ", ".join(after) if after else "nothing"
        words.append(f"{name}: the branch is {', '.join(branch)}; on the path of x lies {path}")
    figure.caption = ". ".join(word[0].upper() + word[1:] for word in words) + "."
    return figure


def _draw_order(ax, branch, after):
    ax.set(xlim=(-0.9, 9.2), ylim=(-0.4, 1.0), xticks=[], yticks=[])
    ax.axis("off")
    places = {"width": 0.84, "height": 0.62}
    plus = len(branch) + 0.15
    end = plus + 0.85 * len(after) + 0.9
    ax.annotate("", (end, 0), (-0.55, 0), arrowprops={"arrowstyle": "-|>", "lw": 2.5, "color": "k"})
    ax.plot([-0.3, -0.3, plus, plus], [0, 0.8, 0.8, 0.2], color=figures.BLUE, lw=3.5)
    ax.text(-0.6, 0, "x", ha="right", va="center", fontsize=16, fontweight="bold")
    for left, kind in [*enumerate(branch), *((plus + 0.35 + i, kind)
                                             for i, kind in enumerate(after))]:
        ax.add_patch(FancyBboxPatch((left, -0.31), boxstyle="round,pad=0,rounding_size=0.1",
                                    facecolor=FILLS[kind], edgecolor="black", lw=1.5, zorder=3,
                                    **places))
        ax.text(left + 0.42, 0, kind, ha="center", va="center", fontsize=14, zorder=4)
    ax.add_patch(Circle((plus, 0), 0.2, facecolor=figures.GREEN, edgecolor="black", lw=1.5,
                        zorder=3))
    ax.text(plus, -0.02, "+", ha="center", va="center", fontsize=18, color="white",
            fontweight="bold", zorder=4)
    ax.set_aspect("equal")


@figures.style()
def costs(rows):
    """Draw parameters and multiply-adds of blocks as bars.

    Args:
        rows: dicts with ``name``, ``parameters`` and ``multiply_adds``; ratios in the caption
            are to the first row.

    Raises:
        ValueError: fewer than two rows.
    """
    if len(rows) < 2:
        raise ValueError(f"costs compares at least two blocks, got {len(rows)}")
    figure, axes = figures.new_figure(1, 2, size=(9, 1.2 + 0.75 * len(rows)), sharey=True)
    titles = {"parameters": "parameters", "multiply_adds": "multiply-adds in millions"}
    for ax, (key, title) in zip(axes, titles.items(), strict=True):
        values = [row[key] for row in rows]
        bars = ax.barh([row["name"] for row in rows], values,
                       color=[figures.PALETTE[i] for i in range(len(rows))], height=0.6,
                       hatch=["", "//", "..", "xx"][:len(rows)], edgecolor="white")
        texts = [f"{value / 1e6:,.1f}" if key == "multiply_adds" else f"{value:,}"
                 for value in values]
        ax.bar_label(bars, texts, padding=4, fontsize=13)
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
    """Draw the blocks of networks in rows: identity shortcuts solid, projections dashed.

    Args:
        networks: ``ResNet`` objects by name.

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
        ax.set(xlim=(-0.1, 16.1), ylim=(-0.45, 0.72), xticks=[], yticks=[])
        ax.axis("off")
        ax.set_title(name, loc="left", pad=2)
        for i, (place, block) in enumerate(blocks):
            dashed = block.downsample is not None
            ax.add_patch(FancyBboxPatch(
                (i + 0.03, -0.4), 0.94, 0.62, boxstyle="round,pad=0,rounding_size=0.08",
                facecolor=STAGES[(int(place[5]) - 1) % len(STAGES)], edgecolor="black", lw=1.5))
            ax.text(i + 0.5, -0.09, block.out_channels, ha="center", va="center", fontsize=12)
            ax.add_patch(FancyArrowPatch(
                (i + 0.06, 0.2), (i + 0.94, 0.2), connectionstyle="arc3,rad=-0.75",
                arrowstyle="-|>", mutation_scale=12, lw=2.5,
                linestyle=(0, (2, 1.2)) if dashed else "-",
                color=figures.ORANGE if dashed else figures.BLUE))
        projected = [place for place, block in blocks if block.downsample is not None]
        words.append(f"{name}: {len(blocks) - len(projected)} solid, {len(projected)} dashed "
                     f"({', '.join(projected)})")
    figure.caption = ("Each box is a block with its output channels. " + "; ".join(words) + ".")
    return figure
