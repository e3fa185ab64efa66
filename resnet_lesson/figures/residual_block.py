"""Figures of notebook 05: blocks drawn layer by layer, and what a block costs."""

import time

import torch
from matplotlib.patches import FancyBboxPatch
from torch import nn

from resnet_lesson import figures
from resnet_lesson.networks.modes import evaluating

FILLS = {"conv": "#D6ECF8", "norm": "#E9E9E9", "ReLU": "#FBE3B0"}
KINDS = {nn.Conv2d: "conv", nn.BatchNorm2d: "norm", nn.ReLU: "ReLU"}


def layer_order(block):
    """Return ``(branch, shortcut, after)``: the layers on both paths and after the addition.

    Each layer is its words, in the order in which they run: ``conv 3×3, 64 → 64``, ``norm``,
    ``ReLU``. ``block`` is a ``BasicBlock`` or ``Bottleneck``.
    """
    seen, parts = [], []
    hooks = [layer.register_forward_hook(lambda layer, *_: seen.append(_words(layer)))
             for layer in block.modules() if type(layer) in KINDS]
    x = torch.zeros(2, block.in_channels, 4, 4)
    try:
        with evaluating(block), torch.no_grad():
            for run in (block.branch, block.shortcut, block):
                seen.clear()
                run(x)
                parts.append(list(seen))
    finally:
        for hook in hooks:
            hook.remove()
    branch, shortcut, whole = parts
    return branch, shortcut, whole[len(branch) + len(shortcut):]


def _words(layer):
    kind = KINDS[type(layer)]
    if kind != "conv":
        return kind
    side = layer.kernel_size[0]
    stride = "" if layer.stride == (1, 1) else f", stride {layer.stride[0]}"
    return f"conv {side}×{side}, {layer.in_channels} → {layer.out_channels}{stride}"


@figures.style()
def drawn(blocks):
    """Draw the layers of blocks, ``{name: block}``: the branch below, the shortcut above it."""
    figure, axes = figures.new_figure(len(blocks), 1, size=(9.8, 2.4 * len(blocks)), squeeze=False)
    orders, words = [layer_order(block) for block in blocks.values()], []
    end = max(len(branch) + len(after) for branch, _, after in orders) + 1.3
    for ax, name, (branch, shortcut, after) in zip(axes[:, 0], blocks, orders, strict=True):
        _draw(ax, branch, shortcut, after)
        ax.set(xlim=(-0.9, end), ylim=(-0.8, 1.5))
        ax.axis("off")
        ax.set_title(name, loc="left")
        words.append(f"{name[0].upper()}{name[1:]}: the branch is {'; '.join(branch)}. The "
                     f"shortcut is {'; '.join(shortcut) or 'x itself'}. After the sum comes "
                     f"{', '.join(after) or 'nothing'}.")
    figure.caption = " ".join(words)
    return figure


def _draw(ax, branch, shortcut, after):
    plus = len(branch) + 0.2
    color, dash = (figures.ORANGE, (0, (2, 1))) if shortcut else (figures.BLUE, "-")
    ax.annotate("", (plus + 0.95 * len(after) + 0.85, 0), (-0.6, 0),
                arrowprops={"arrowstyle": "-|>", "lw": 2.5, "color": "k"})
    ax.plot([-0.3, -0.3, plus, plus], [0, 1.1, 1.1, 0.2], color=color, lw=3.5, ls=dash)
    ax.text(-0.65, 0, "x", ha="right", va="center", fontsize=16, fontweight="bold")
    ax.text(-0.2, 1.2, "shortcut", ha="left", va="bottom", color=color)
    ax.text(1.6, -0.36, "branch g(x)", ha="center", va="top", color=figures.GREY)
    middle = (plus - len(shortcut)) / 2
    for i, words in enumerate(branch):
        _box(ax, i, 0, words)
    for i, words in enumerate(shortcut):
        _box(ax, middle + i, 1.1, words, ", ")
    for i, words in enumerate(after):
        _box(ax, plus + 0.35 + i, 0, words)
    ax.scatter([plus], [0], s=420, color=figures.GREEN, edgecolors="black", lw=1.5, zorder=3)
    ax.text(plus, -0.01, "+", ha="center", va="center", fontsize=18, color="white",
            fontweight="bold", zorder=4)


def _box(ax, left, y, words, between="\n"):
    """Draw a layer: its kind, and of a convolution also the kernel, channels and stride."""
    kind, _, more = words.partition(" ")
    kernel, _, channels = more.partition(", ")
    ax.add_patch(FancyBboxPatch((left, y - 0.31), 0.86, 0.62, facecolor=FILLS[kind], lw=1.5,
                                boxstyle="round,pad=0,rounding_size=0.08", edgecolor="black",
                                zorder=3))
    ax.text(left + 0.43, y, f"{kind}\n{kernel}".strip(), ha="center", va="center", fontsize=13,
            zorder=4)
    if channels:
        ax.text(left + 0.43, y - 0.36, channels.replace(", ", between), ha="center", va="top",
                fontsize=12)


@figures.style()
def costs(rows):
    """Draw what blocks cost, ``{name: {measure: number}}``, each as a multiple of the first.

    Raises:
        ValueError: fewer than two blocks.
    """
    if len(rows) < 2:
        raise ValueError(f"costs compares at least two blocks, got {len(rows)}")
    (first, unit), *_ = rows.items()
    figure, axes = figures.new_figure(1, len(unit), size=(9.8, 1.2 + 0.7 * len(rows)), sharey=True)
    shares = {name: [row[measure] / unit[measure] for measure in unit]
              for name, row in rows.items()}
    for i, (ax, measure) in enumerate(zip(axes, unit, strict=True)):
        values = [share[i] for share in shares.values()]
        bars = ax.barh(list(rows), values, height=0.6, edgecolor="white",
                       color=figures.PALETTE[:len(rows)], hatch=["", "//", "..", "xx"][:len(rows)])
        ax.bar_label(bars, [f"× {value:.2g}" for value in values], padding=4, fontsize=13)
        ax.set(xlim=(0, 1.75 * max(values)), xticks=[])
        ax.set_title(measure, fontsize=13)
        ax.spines["bottom"].set_visible(False)
        ax.grid(False)
    axes[0].invert_yaxis()
    words = [f"{name} " + ", ".join(f"{value:.2g} times the {measure}"
                                    for value, measure in zip(share, unit, strict=True))
             for name, share in shares.items() if name != first]
    figure.caption = f"Beside {first}: {'; '.join(words)}."
    return figure


def written(block, size):
    """Return how many numbers the convolutions of a block put out for one picture, at stride 1."""
    return size**2 * sum(layer.out_channels for layer in block.modules()
                         if isinstance(layer, nn.Conv2d))


def fastest_steps(blocks, size, repeats=7):
    """Return ``{name: seconds}`` of a step, forward and backward, on one picture.

    The blocks take turns, so that a slow moment of the machine meets all of them.
    """
    times = {name: [] for name in blocks}
    for _ in range(repeats):
        for name, block in blocks.items():
            x = torch.randn(1, block.in_channels, size, size)
            begun = time.perf_counter()
            block(x).sum().backward()
            times[name].append(time.perf_counter() - begun)
    return {name: min(seconds) for name, seconds in times.items()}
