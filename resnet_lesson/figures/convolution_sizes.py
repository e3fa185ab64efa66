"""Figures of notebook 03: coverage of each pixel, borders, order of layers, walks of sizes."""

import numpy as np

from resnet_lesson import figures


@figures.style()
def coverage_maps(maps, kernel_size):
    """Return heat maps of how many windows read each pixel, the number written in each cell.

    Args:
        maps: a dict of title → square array of whole numbers, all of one shape.
        kernel_size: of the convolution, for the caption.

    Raises:
        ValueError: no maps, or maps of different shapes.
    """
    maps = _squares(maps)
    figure, axes = figures.new_figure(1, len(maps), size=(9, 3.6), squeeze=False)
    most = max(array.max() for array in maps.values())
    for axis, (title, array) in zip(axes[0], maps.items(), strict=True):
        axis.imshow(array, vmin=0, vmax=most, cmap="cividis")
        axis.set_title(title)
        _plain(axis)
        for (row, column), count in np.ndenumerate(array):
            axis.text(column, row, f"{count:.0f}", ha="center", va="center", fontsize=13,
                      color="white" if count < 0.55 * most else "black")
    middle = next(iter(maps.values())).shape[0] // 2
    listed = "; ".join(f"{title}: corner {array[0, 0]:.0f}, centre {array[middle, middle]:.0f}"
                       for title, array in maps.items())
    figure.caption = (f"How many windows of a {kernel_size}×{kernel_size} kernel read each pixel. "
                      f"{listed}.")
    return figure


@figures.style()
def borders(picture, outputs):
    """Return a picture and what one layer makes of it under different paddings, on one scale.

    Args:
        picture: a square array of values from 0 to 1.
        outputs: a dict of title → array of the same shape.

    Raises:
        ValueError: no outputs, or one of another shape.
    """
    if not outputs:
        raise ValueError("borders needs at least one output, got none")
    maps = _squares({"input": picture, **outputs})
    figure, axes = figures.new_figure(1, len(maps), size=(9, 2.6))
    for axis, (title, array) in zip(axes, maps.items(), strict=True):
        shown = axis.imshow(array, vmin=0, vmax=1, cmap="gray")
        axis.set_title(title)
        _plain(axis)
    figure.colorbar(shown, ax=list(axes), shrink=0.7, label="value")
    given = maps.pop("input")
    inner = (slice(1, -1), slice(1, -1))
    edge = np.ones(given.shape, bool)
    edge[inner] = False
    listed = ", ".join(f"{title} {abs(array - given)[edge].mean():.2f}"
                       for title, array in maps.items())
    inside = max(abs(array - given)[inner].mean() for array in maps.values())
    figure.caption = (f"How far the outermost pixels move on average: {listed}. The pixels "
                      f"inside move by {inside:.2f} at most.")
    return figure


@figures.style()
def orders(pairs):
    """Return scatter plots of one order of two layers against the other.

    Args:
        pairs: a dict of title → (activation first, pooling first), two arrays of equal size.

    Raises:
        ValueError: no pairs, or a pair of arrays of different sizes.
    """
    if not pairs:
        raise ValueError("orders needs at least one pair of arrays, got none")
    figure, axes = figures.new_figure(1, len(pairs), size=(9, 4), squeeze=False)
    listed = []
    for axis, (title, pair) in zip(axes[0], pairs.items(), strict=True):
        first, second = (np.asarray(array, dtype=float).ravel() for array in pair)
        if first.shape != second.shape:
            raise ValueError(f"{title}: both orders need as many values, got {first.size} "
                             f"and {second.size}")
        ends = [min(first.min(), second.min()), max(first.max(), second.max())]
        axis.plot(ends, ends, ":", color=figures.GREY, label="equal")
        axis.plot(second, first, "o", color=figures.BLUE, alpha=0.5, markersize=4)
        axis.set_title(title)
        axis.set_xlabel("pool, then ReLU")
        axis.set_ylabel("ReLU, then pool")
        axis.set_aspect("equal")
        axis.legend()
        differ = first != second
        listed.append(f"{title}: {'none' if not differ.any() else f'{differ.mean():.0%}'} of "
                      f"{first.size} values differ" + (
                          f", these by {abs(first - second)[differ].mean():.2f} on average"
                          if differ.any() else ""))
    figure.caption = f"Both orders, value by value. {'; '.join(listed)}."
    return figure


@figures.style()
def walks(sizes):
    """Return the sizes of pictures on their way through a network, one line for each input.

    Args:
        sizes: a dict of line name → list of (layer, size), the layers the same in all.

    Raises:
        ValueError: no lines, or lines through different layers.
    """
    names = [[layer for layer, _ in line] for line in sizes.values()]
    if not names or any(name != names[0] for name in names) or not names[0]:
        raise ValueError("walks needs at least one line, and all through the same layers, got "
                         f"{names}")
    figure, axis = figures.new_figure(size=(9, 4.6))
    markers = "osD^v"
    for i, (name, line) in enumerate(sizes.items()):
        values = [size for _, size in line]
        axis.plot(range(len(line)), values, marker=markers[i % len(markers)],
                  color=figures.PALETTE[i % len(figures.PALETTE)],
                  linestyle=("-", "--", "-.")[i % 3], label=name)
        for place, size in enumerate(values):
            axis.annotate(str(size), (place, size), xytext=(0, 7), ha="center",
                          textcoords="offset points", fontsize=13)
    axis.set_yscale("log", base=2)
    axis.yaxis.set_major_formatter("{x:.0f}")
    axis.set_xticks(range(len(names[0])), names[0])
    axis.set_xlabel("after this layer")
    axis.set_ylabel("size along one side")
    axis.margins(y=0.15)
    axis.legend(title="input")
    ways = "; ".join(" → ".join(str(size) for _, size in line) for line in sizes.values())
    figure.caption = f"Size along one side after each layer: {ways}."
    return figure


def _squares(maps):
    arrays = {title: np.asarray(array, dtype=float) for title, array in maps.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or any(len(shape) != 2 or 0 in shape for shape in shapes):
        raise ValueError("the maps need one shape (height, width) for all, got "
                         f"{sorted(shapes)}")
    return arrays


def _plain(axis):
    """Take away ticks and grid: the cells are the picture."""
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(False)
