"""Figures of notebook 04: who shares a mean, the price of a forgotten ``eval()``, and growth."""

import numpy as np

from resnet_lesson import figures
from resnet_lesson.figures.axes import band, image


@figures.style()
def shared_statistics(x, channel):
    """Draw feature maps, pictures down and channels across, and frame those that share a mean.

    Args:
        x: tensor (N, C, H, W); the first 3 pictures and 6 channels are drawn.
        channel: the channel to frame.

    Raises:
        ValueError: no such channel among those drawn, or a tensor of another shape.
    """
    if x.ndim != 4:
        raise ValueError(f"x needs the shape (N, C, H, W), got {tuple(x.shape)}")
    rows, columns = min(len(x), 3), min(x.shape[1], 6)
    if not 0 <= channel < columns:
        raise ValueError(f"channel must lie between 0 and {columns - 1}, got {channel}")
    figure, axes = figures.new_figure(rows, columns, size=(9, 1.6 * rows + 0.5), squeeze=False)
    for (i, j), ax in np.ndenumerate(axes):
        image(ax, x[i, j].detach().numpy())
        ax.spines[:].set(visible=j == channel, linewidth=6, color=figures.ORANGE)
        if i == 0:
            ax.set_title(f"channel {j}", pad=10)
        if j == 0:
            ax.set_ylabel(f"picture {i}")
    n, _, height, width = x.shape
    own = x[:, channel]
    figure.caption = (
        f"All {n} pictures of a batch share one mean and one variance per channel. In channel "
        f"{channel} (framed) they are computed from {n}·{height}·{width} = {own.numel():,} "
        f"values: mean {own.mean():.2f}, variance {own.var(correction=0):.2f}.")
    return figure


@figures.style()
def forgotten_eval(evaluation, mixed, single, single_size):
    """Draw accuracies in training mode by batch size, beside the one in evaluation mode.

    Args:
        evaluation: accuracy in evaluation mode, 0 … 1, as all of them.
        mixed: accuracies in training mode by batch size, for batches of mixed classes.
        single: accuracy in training mode where each batch holds one class only.
        single_size: pictures in such a batch.

    Raises:
        ValueError: no batch size, or an accuracy outside 0 … 1.
    """
    values = [evaluation, single, *mixed.values()]
    if not mixed or not all(0 <= value <= 1 for value in values):
        raise ValueError("give accuracies between 0 and 1 for at least one batch size, "
                         f"got {mixed or 'no batch size'}")
    figure, ax = figures.new_figure(size=(9, 4.2))
    sizes, percents = list(mixed), [100 * accuracy for accuracy in mixed.values()]
    places = range(len(sizes))
    ax.axhline(100 * evaluation, color="black", linestyle="--", label="evaluation mode")
    ax.plot(places, percents, "o-", color=figures.BLUE, label="training mode, mixed classes")
    ax.plot(len(sizes), 100 * single, "D", color=figures.ORANGE, markersize=13,
            label="training mode, one class per batch")
    ax.set(xticks=[*places, len(sizes)], xticklabels=[*sizes, f"{single_size}\none class"],
           xlabel="pictures in a batch", ylabel="test accuracy in percent", ylim=(0, 100))
    ax.legend(loc="lower center")
    figure.caption = (
        f"The same weights: {100 * evaluation:.0f} % right in evaluation mode. In training mode "
        f"{percents[-1]:.0f} % in mixed batches of {sizes[-1]}, {percents[0]:.0f} % in batches of "
        f"{sizes[0]}, and {100 * single:.0f} % in batches of {single_size} that hold one class "
        "each.")
    return figure


@figures.style()
def variance_growth(without, with_norm):
    """Draw the variance after each residual addition on a log axis, with the two laws.

    Args:
        without: one list of variances per seed: at the input, then after each block.
        with_norm: the same for blocks with batch norm.

    Raises:
        ValueError: the curves are not all of one length, or shorter than two values.
    """
    lengths = {len(curve) for curves in (without, with_norm) for curve in curves}
    if not without or not with_norm or len(lengths) != 1 or lengths == {1}:
        raise ValueError("both arms need curves of one length, of two values or more; "
                         f"got lengths {sorted(lengths)}")
    blocks = np.arange(lengths.pop())
    figure, ax = figures.new_figure(size=(9, 4.4))
    ends = []
    for name, curves, color, marker in (("without norm", without, figures.ORANGE, "o"),
                                        ("with batch norm", with_norm, figures.BLUE, "s")):
        curves = np.asarray(curves, dtype=float)
        middle = np.median(curves, axis=0)
        band(ax, blocks, curves.min(0), middle, curves.max(0), color=color, marker=marker,
             label=name)
        ends.append(middle[-1])
    ax.plot(blocks, 2.0 ** blocks, ":", color="black", label="$2^k$")
    ax.plot(blocks, 1 + blocks, "--", color="black", label="$1 + k$")
    ax.set(yscale="log", xlabel="residual blocks passed, $k$", ylabel="variance of the sum")
    ax.legend(loc="upper left")
    large = float(f"{ends[0]:.2g}")  # two digits are all that two machines share
    figure.caption = (
        f"Variance after {blocks[-1]} residual additions, median of {len(without)} draws of the "
        f"weights (band: smallest to largest): {large:,.0f} without norm, {ends[1]:.1f} with "
        "batch norm on the branch. Dotted: doubling. Dashed: plus one per block.")
    return figure
