"""Figures of notebook 06: the whole network, what depth costs and buys, and what is published."""

import textwrap

from matplotlib.lines import Line2D
from matplotlib.patches import Circle, FancyArrowPatch, Patch, Rectangle
from torch import nn
from torchvision import models

from resnet_lesson import figures
from resnet_lesson.networks import parity
from resnet_lesson.networks.resnet import FAMILY

CONV, NORM, RELU = (figures.SKY, 0.35), (figures.GREY, 0.45), (figures.AMBER, 0.75)
WIDE, THIN, TALL = 1.95, 0.24, 0.62   # of a box for a convolution, of one for a norm, of both
IDENTITY = {"color": figures.BLUE, "linestyle": "-", "lw": 2.5}
PROJECTION = {"color": figures.ORANGE, "linestyle": (0, (2, 1.2)), "lw": 2.5}
DOWN, END, OVER = 1.75, 14.2, 0.72   # from row to row; where rows end; how high shortcuts run
KINDS = {"basic": {"color": figures.BLUE, "marker": "o"},
         "bottleneck": {"color": figures.ORANGE, "marker": "s"}}


@figures.style()
def drawn(network):
    """Draw a ResNet of basic blocks from its layers: a row for each stage, shortcuts over them.

    Args:
        network: anything with torchvision's names: ``conv1``, ``layer1`` …, ``fc``.
    """
    stages = [list(getattr(network, f"layer{i}")) for i in range(1, 5)]
    figure, ax = figures.new_figure(size=(10, 7.2))
    ax.set(xlim=(-0.1, END + 0.1), ylim=(-5 * DOWN - 0.4, 0.4), aspect="equal")
    ax.axis("off")
    _path(ax, 0, 0)
    x = _layers(ax, 2.1, 0, network.conv1, NORM, RELU)
    _box(ax, x + 0.3, 0, WIDE + 1.2, (figures.PINK, 0.35), "max-pool 3×3, /2")
    projected = []
    for number, blocks in enumerate(stages, 1):
        x = 2.1
        _path(ax, -DOWN * number, number)
        for place, block in enumerate(blocks):
            projections = [part for name, part in block.named_modules()
                           if "downsample" in name and isinstance(part, nn.Conv2d)]
            projected += [f"layer{number}.{place}" for _ in projections]
            x = _block(ax, x, -DOWN * number, block, projections)
    _path(ax, -5 * DOWN, 5)
    _box(ax, 2.1, -5 * DOWN, 3.4, (figures.PINK, 0.35), "mean of each map")
    _box(ax, 5.9, -5 * DOWN, 3.4, CONV, f"linear, {network.fc.out_features:,}")
    count = sum(map(len, stages))
    figure.legend(handles=[
        Patch(facecolor=CONV, edgecolor="black", label="convolution: kernel, channels, stride"),
        Patch(facecolor=NORM, edgecolor="black", label="norm"),
        Patch(facecolor=RELU, edgecolor="black", label="ReLU"),
        Line2D([], [], label="shortcut: x as it is", **IDENTITY),
        Line2D([], [], label="shortcut: x projected", **PROJECTION)],
        loc="outside lower center", ncols=3)
    figure.caption = (
        f"{count} blocks of two convolutions each. {count - len(projected)} shortcuts, solid, hand "
        f"x on as it is; {len(projected)}, dashed, project it ({', '.join(projected)}). “/2” means "
        "stride 2.")
    return figure


def _path(ax, y, row):
    """Draw a row's name and its main path, from the row above where there is one."""
    name = "stem" if row == 0 else "head" if row == 5 else f"stage {row}"
    ax.text(0, y, name, va="center", fontsize=14, fontweight="bold")
    look = {"color": "black", "lw": 1.8, "zorder": 1}
    ax.plot([1.55, END if row < 5 else 9.9], [y, y], **look)
    if row:
        ax.plot([END, END, 1.55, 1.55], [y + DOWN, y + 1.22, y + 1.22, y], **look)


def _box(ax, x, y, width, color, words=""):
    for fill in ("white", color):   # so that the line behind does not shine through
        ax.add_patch(Rectangle((x, y - TALL / 2), width, TALL, facecolor=fill, edgecolor="black",
                               lw=1.3, zorder=2))
    ax.text(x + width / 2, y, words, ha="center", va="center", fontsize=12, zorder=3)
    return x + width


def _layers(ax, x, y, conv, *strips):
    """Draw a convolution and thin strips behind it; return where they end."""
    stride = ", /2" if conv.stride[0] == 2 else ""
    words = "{}×{}, {}".format(*conv.kernel_size, conv.out_channels) + stride
    x = _box(ax, x, y, WIDE, CONV, words)
    for strip in strips:
        x = _box(ax, x, y, THIN, strip)
    return x


def _block(ax, x, y, block, projections):
    start = x - 0.3
    x = _layers(ax, x, y, block.conv1, NORM, RELU)
    plus = _layers(ax, x + 0.15, y, block.conv2, NORM) + 0.42
    look = PROJECTION if projections else IDENTITY
    ax.plot([start, start, plus], [y, y + OVER, y + OVER], zorder=1.5, **look)
    ax.add_patch(FancyArrowPatch((plus, y + OVER), (plus, y + 0.16), arrowstyle="-|>", zorder=1.5,
                                 mutation_scale=14, shrinkA=0, shrinkB=0,
                                 **look | {"linestyle": "-"}))
    ax.add_patch(Circle((plus, y), 0.19, facecolor=figures.GREEN, edgecolor="black", lw=1.3,
                        zorder=2))
    ax.text(plus, y - 0.02, "+", ha="center", va="center", fontsize=15, color="white",
            fontweight="bold", zorder=3)
    for conv in projections:
        middle = (start + plus - WIDE) / 2
        _box(ax, middle, y + OVER, WIDE, CONV, "{}×{}, {}, /{}".format(
            *conv.kernel_size, conv.out_channels, conv.stride[0]))
        _box(ax, middle + WIDE, y + OVER, THIN, NORM)
    return _box(ax, plus + 0.28, y, THIN, RELU) + 0.55


@figures.style()
def bought(rows):
    """Draw published accuracy against parameters and against multiply-adds, by depth.

    Args:
        rows: dicts with depth, kind ("basic" or "bottleneck"), parameters, multiply_adds, top1
            and again: the accuracy of the same network trained by a later recipe, or ``None``.
    """
    figure, axes = figures.new_figure(columns=2, size=(10, 4.4), sharey=True)
    for ax, key, unit, label in ((axes[0], "parameters", 1e6, "parameters, millions"),
                                 (axes[1], "multiply_adds", 1e9, "multiply-adds, billions")):
        places = [row[key] / unit for row in rows]
        ax.plot(places, [row["top1"] for row in rows], color=figures.GREY, lw=1.2, zorder=1)
        for row, x in zip(rows, places, strict=True):
            look = {"markersize": 10, **KINDS[row["kind"]]}
            ax.plot(x, row["top1"], ls="", **look)
            ax.annotate(row["depth"], (x, row["top1"]), (8, -15), textcoords="offset points",
                        fontsize=13)
            if row["again"]:
                ax.plot(x, row["again"], ls="", markerfacecolor="white", markeredgewidth=2, **look)
        ax.set(xlabel=label, xlim=(0, 1.15 * max(places)),
               ylim=(min(row["top1"] for row in rows) - 1.5, None))
    axes[0].set(ylabel="top-1 accuracy, %")
    figure.legend(handles=[
        Line2D([], [], ls="", markersize=10, label=f"{kind} blocks", **look)
        for kind, look in KINDS.items()] + [
        Line2D([], [], ls="", marker="s", markersize=10, color=figures.ORANGE, markeredgewidth=2,
               markerfacecolor="white", label="trained by a later recipe")],
        loc="outside lower center", ncols=3)
    steps = [f"from {one['depth']} to {other['depth']} {other['top1'] - one['top1']:+.1f} points "
             f"for {(other['multiply_adds'] - one['multiply_adds']) / 1e9:+.1f} billion"
             for one, other in zip(rows, rows[1:], strict=False)]
    later = [f"{row['again'] - row['top1']:+.1f} (depth {row['depth']})"
             for row in rows if row["again"]]
    figure.caption = f"Published top-1 accuracy: {'; '.join(steps)}." + (
        f" A later recipe: {', '.join(later)}." if later else "")
    return figure


def published(depth):
    """Return what torchvision publishes with its weights of a depth: a row for ``bought``."""
    metas = [weights.meta for weights in models.get_model_weights(f"resnet{depth}")]
    first, *later = (meta["_metrics"]["ImageNet-1K"]["acc@1"] for meta in metas)
    return {"depth": depth, "kind": "basic" if depth < 50 else "bottleneck",
            "parameters": metas[0]["num_params"], "multiply_adds": metas[0]["_ops"] * 1e9,
            "top1": first, "again": max(later, default=None)}


def as_in_the_paper(depth):
    """Build the network that He et al. (2016) count in table 1: cheaper than torchvision's.

    Basic blocks project nowhere (option A); bottlenecks have their stride on the first 1×1.
    """
    if depth < 50:
        return FAMILY[depth](1000, 3, shortcut="A")
    network = FAMILY[depth](1000, 3)
    for _, block in network.blocks():
        block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)
    return network


def trained(download=False):
    """Return trained weights of ResNet-18; where there are none, say why and return ``None``."""
    try:
        return parity.pretrained(18, download)
    except (FileNotFoundError, RuntimeError) as problem:
        print(textwrap.fill(f"Not here: {problem}.", 96))
        return None
