"""Figures of notebook 03: one window in digits, coverage of pixels, what an output pixel sees."""

import numpy as np

from resnet_lesson import figures
from resnet_lesson.figures.axes import image
from resnet_lesson.words import short


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
        ax.spines[:].set_visible(True)
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
def one_window(window, kernel):
    """Draw a window, a kernel and their products, number by number.

    Args:
        window, kernel: arrays of one shape (k, k).

    Raises:
        ValueError: arrays of different shapes.
    """
    maps = _of_one_shape({"window": window, "kernel": kernel})
    maps["products"] = maps["window"] * maps["kernel"] + 0.0   # no −0
    figure, axes = figures.new_figure(1, 3, size=(9, 3.2))
    most = max(abs(array).max() for array in maps.values()) or 1
    for ax, sign, (title, array) in zip(axes, ("", "×", "="), maps.items(), strict=True):
        image(ax, array, cmap="PuOr_r", vmin=-2 * most, vmax=2 * most)   # pale behind numbers
        ax.spines[:].set_visible(True)
        ax.set_title(title)
        ax.text(-0.16, 0.5, sign, transform=ax.transAxes, ha="center", va="center", fontsize=22)
        for (row, column), number in np.ndenumerate(array):
            ax.text(column, row, short(number).replace("-", "−"), ha="center", va="center",
                    fontsize=17)
    sums = " + ".join(short(number).replace("-", "−") for number in maps["products"].flat)
    figure.caption = (f"Window times kernel, number by number: {sums} = "
                      f"{short(maps['products'].sum())}.".replace("-", "−"))
    return figure


@figures.style()
def receptive_fields(maps):
    """Draw on which pixels one output pixel depends, and how much, after some layers.

    Args:
        maps: a dict of title → array (height, width) of gradients, 0 where a pixel is not seen.

    Raises:
        ValueError: no maps, or maps of different shapes.
    """
    maps = _of_one_shape(maps)
    figure, axes = figures.new_figure(1, len(maps), size=(9, 3.4), squeeze=False)
    words = []
    for ax, (title, array) in zip(axes[0], maps.items(), strict=True):
        array = abs(array) / (abs(array).sum() or 1)
        size = "×".join(str(np.ptp(places) + 1 if places.size else 0)
                        for places in np.nonzero(array))
        image(ax, np.where(array > 0, array, np.nan), vmin=0, cmap="cividis")
        ax.spines[:].set_visible(True)
        ax.set_facecolor("white")
        ax.set_title(f"{title}: {size}")
        middle = [length // 2 for length in array.shape]
        inner = array[middle[0] - 2:middle[0] + 3, middle[1] - 2:middle[1] + 3].sum()
        words.append(f"{title}: {size} pixels, {inner:.0%} of the gradient in the middle "
                     "5×5")
    figure.caption = f"What one output pixel sees. {'; '.join(words)}."
    return figure


def _of_one_shape(maps):
    arrays = {title: np.asarray(array, dtype=float) for title, array in maps.items()}
    shapes = {array.shape for array in arrays.values()}
    if len(shapes) != 1 or any(len(shape) != 2 or 0 in shape for shape in shapes):
        raise ValueError("the maps need one shape (height, width) for all, got "
                         f"{sorted(shapes)}")
    return arrays
