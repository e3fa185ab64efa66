"""Figures of notebook 03: coverage of each pixel, borders, order of layers, walks of sizes."""

import numpy as np

from resnet_lesson import figures
from resnet_lesson.figures.axes import image


@figures.style()
def coverage_maps(maps, kernel_size):
    """Draw how many windows read each pixel, the number written in each cell.

    Args:
        maps: a dict of title → array of whole numbers, all of one shape (height, width).
        kernel_size: of the convolution, for the caption.

    Raises:
        ValueError: no maps, or maps of different shapes.
    """
    maps = _of_one_shape(maps)
    figure, axes = figures.new_figure(1, len(maps), size=(9, 3.6), squeeze=False)
    most = max(array.max() for array in maps.values())
    for ax, (title, array) in zip(axes[0], maps.items(), strict=True):
        image(ax, array, vmin=0, vmax=most)
        ax.set_title(title)
        for (row, column), count in np.ndenumerate(array):
            ax.text(column, row, f"{count:.0f}", ha="center", va="center", fontsize=13,
                    color="white" if count < 0.55 * most else "black")
    middle = array.shape[0] // 2
    listed = "; ".join(f"{title}: corner {array[0, 0]:.0f}, centre {array[middle, middle]:.0f}"
                       for title, array in maps.items())
    figure.caption = (f"How many windows of a {kernel_size}×{kernel_size} kernel read each pixel. "
                      f"{listed}.")
    return figure


@figures.style()
def borders(picture, outputs):
    """Draw a picture and what one layer makes of it under different paddings, on one scale.

    Args:
        picture: array (height, width) of values from 0 to 1.
        outputs: a dict of title → array of the same shape.

    Raises:
        ValueError: no outputs, or one of another shape.
    """
    if not outputs:
        raise ValueError("borders needs at least one output, got none")
    maps = _of_one_shape({"input": picture, **outputs})
    figure, axes = figures.new_figure(1, len(maps), size=(9, 2.6))
    for ax, (title, array) in zip(axes, maps.items(), strict=True):
        shown = image(ax, array, vmin=0, vmax=1, cmap="gray")
        ax.set_title(title)
    figure.colorbar(shown, ax=list(axes), shrink=0.7, label="value")
    given = maps.pop("input")
    edge = np.ones(given.shape, bool)
    edge[1:-1, 1:-1] = False
    moves = {title: abs(array - given) for title, array in maps.items()}
    listed = ", ".join(f"{title} {move[edge].mean():.2f}" for title, move in moves.items())
    inside = max(move[~edge].mean() for move in moves.values())
    figure.caption = (f"How far the outermost pixels move on average: {listed}. The pixels "
                      f"inside move by {inside:.2f} at most.")
    return figure


@figures.style()
def orders(pairs):
    """Draw values of one order of layers against the other: {title: (ReLU first, pooling first)}.

    Raises:
        ValueError: no pairs, or a pair of arrays of different sizes.
    """
    if not pairs:
        raise ValueError("orders needs at least one pair of arrays, got none")
    figure, axes = figures.new_figure(1, len(pairs), size=(9, 4), squeeze=False)
    words = []
    for ax, (title, pair) in zip(axes[0], pairs.items(), strict=True):
        first, second = (np.asarray(array, dtype=float).ravel() for array in pair)
        if first.shape != second.shape:
            raise ValueError(f"{title}: both orders need as many values, got {first.size} "
                             f"and {second.size}")
        ends = [min(first.min(), second.min()), max(first.max(), second.max())]
        ax.plot(ends, ends, ":", color=figures.GREY, label="equal")
        ax.plot(second, first, "o", color=figures.BLUE, alpha=0.5, markersize=4)
        ax.set(title=title, xlabel="pool, then ReLU", ylabel="ReLU, then pool", aspect="equal")
        ax.legend()
        apart = abs(first - second)[first != second]
        if apart.size:
            words.append(f"{title}: {apart.size / first.size:.0%} of {first.size} values differ, "
                         f"these by {apart.mean():.2f} on average")
        else:
            words.append(f"{title}: none of {first.size} values differ")
    figure.caption = f"Both orders, value by value. {'; '.join(words)}."
    return figure


@figures.style()
def walks(sizes):
    """Draw the sizes of pictures through a network, a line for each: {name: [(layer, size), …]}.

    Raises:
        ValueError: no lines, or lines through different layers.
    """
    names = [[layer for layer, _ in line] for line in sizes.values()]
    if not names or any(name != names[0] for name in names) or not names[0]:
        raise ValueError("walks needs at least one line, and all through the same layers, got "
                         f"{names}")
    figure, ax = figures.new_figure(size=(9, 4.6))
    for i, (name, line) in enumerate(sizes.items()):
        values = [size for _, size in line]
        ax.plot(values, label=name, **figures.line_look(i))
        for place, size in enumerate(values):
            ax.annotate(str(size), (place, size), xytext=(0, 7), ha="center",
                        textcoords="offset points", fontsize=13)
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_formatter("{x:.0f}")
    ax.set_xticks(range(len(names[0])), names[0])
    ax.set(xlabel="after this layer", ylabel="size along one side")
    ax.margins(y=0.15)
    ax.legend(title="input")
    ways = "; ".join(" → ".join(str(size) for _, size in line) for line in sizes.values())
    figure.caption = f"Size along one side after each layer: {ways}."
    return figure


def _of_one_shape(maps):
    arrays = {title: np.asarray(array, dtype=float) for title, array in maps.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or any(len(shape) != 2 or 0 in shape for shape in shapes):
        raise ValueError("the maps need one shape (height, width) for all, got "
                         f"{sorted(shapes)}")
    return arrays
