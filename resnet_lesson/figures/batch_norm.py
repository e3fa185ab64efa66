"""Figures of notebook 04: what the norm is for, who shares a mean, a forgotten ``eval()``."""

import numpy as np

from resnet_lesson import figures
from resnet_lesson.figures.axes import image
from resnet_lesson.words import listed


@figures.style()
def three_rates(with_norm, without):
    """Draw accuracies by learning rate, with and without batch norm.

    Args:
        with_norm, without: dicts from learning rate to accuracy, 0 … 1, with the same rates.

    Raises:
        ValueError: no rates, or not the same ones.
    """
    if not with_norm or list(with_norm) != list(without):
        raise ValueError("both need accuracies for the same learning rates, got "
                         f"{list(with_norm)} and {list(without)}")
    figure, ax = figures.new_figure(size=(8, 3.8))
    rates, told = list(with_norm), []
    for i, (name, found) in enumerate((("with batch norm", with_norm), ("without", without))):
        percents = [100 * accuracy for accuracy in found.values()]
        ax.plot(range(len(rates)), percents, label=name, **figures.line_look(i))
        told.append(f"{name} {listed([f'{value:.0f} %' for value in percents])}")
    ax.axhline(10, color=figures.GREY, linestyle=":", label="guessing among 10 classes")
    ax.set(xticks=range(len(rates)), xticklabels=rates, xlabel="learning rate", ylim=(0, 100),
           ylabel="validation accuracy, %")
    figure.legend(loc="outside right upper")
    figure.caption = (f"Validation accuracy at learning rates {listed(rates)}: "
                      f"{'; '.join(told)}.")
    return figure


@figures.style()
def shared_statistics(x, y, channel):
    """Draw each channel as one column of pictures, and its values before and after the norm.

    Args:
        x: tensor (N, C, H, W); the first 3 pictures and 6 channels are drawn.
        y: the same, normalised.
        channel: the channel to frame.

    Raises:
        ValueError: no such channel among those drawn, or tensors of other shapes.
    """
    if x.ndim != 4 or x.shape != y.shape:
        raise ValueError("x and y need one shape (N, C, H, W), got "
                         f"{tuple(x.shape)} and {tuple(y.shape)}")
    pictures, columns = min(len(x), 3), min(x.shape[1], 6)
    if not 0 <= channel < columns:
        raise ValueError(f"channel must lie between 0 and {columns - 1}, got {channel}")
    x, y = x.detach().numpy(), y.detach().numpy()
    figure, axes = figures.new_figure(2, columns, size=(9, 1.4 * pictures + 2.4), squeeze=False,
                                      height_ratios=[1.4 * pictures, 2])
    bins = np.linspace(-3.5, 3.5, 36)
    for j, (above, below) in enumerate(axes.T):
        gap = np.full((1, x.shape[3]), np.nan)
        column = [part for i in range(pictures) for part in (x[i, j], gap)][:-1]
        image(above, np.concatenate(column), vmin=x[:, j].min(), vmax=x[:, j].max())
        above.spines[:].set(visible=j == channel, linewidth=6, color=figures.ORANGE)
        above.set_title(f"channel {j}", pad=10)
        for values, color, name in ((x, figures.AMBER, "before"), (y, figures.BLUE, "after")):
            below.hist(values[:, j].ravel().clip(-3.5, 3.5), bins, color=color, alpha=0.65,
                       density=True, label=name if j == 0 else None)
        below.set(yticks=[], xlim=(-3.5, 3.5), xticks=[-2, 0, 2])
    axes[0, 0].set_ylabel(f"{pictures} of {len(x)} pictures" if pictures > 1 else "1 picture")
    axes[1, 0].set_ylabel("how often")
    figure.legend(loc="outside lower center", ncols=2)
    n, _, height, width = x.shape
    own, out = x[:, channel], y[:, channel]
    figure.caption = (
        f"Top: each channel in its own scale of colours. All {n} pictures of the batch share one "
        f"mean and variance per channel. Channel {channel} (framed): {n}·{height}·{width} = "
        f"{own.size:,} values, mean {own.mean():.2f}, variance {own.var():.2f}; after the norm "
        f"{abs(out.mean()):.2f} and {out.var():.2f}.")
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
    figure, (left, right) = figures.new_figure(1, 2, size=(9, 4.4), width_ratios=[4, 1],
                                               sharey=True)
    sizes, percents = list(mixed), [100 * accuracy for accuracy in mixed.values()]
    for ax in (left, right):
        ax.axhline(100 * evaluation, color="black", linestyle="--", label="evaluation mode")
    left.plot(sizes, percents, "o-", color=figures.BLUE, label="training mode, classes mixed")
    right.bar([0], [100 * single], width=0.5, color=figures.ORANGE)
    left.set_xscale("log", base=2)
    left.set(xticks=sizes, xticklabels=sizes, xlabel="pictures in a batch of mixed classes",
             ylabel="test accuracy, %", ylim=(0, 100))
    left.minorticks_off()
    right.set(xticks=[0], xticklabels=[f"{single_size} pictures\nof one class"], xlim=(-0.6, 0.6),
              xlabel="training mode")
    left.legend(loc="lower right")
    figure.caption = (
        f"The same weights: {100 * evaluation:.0f} % right in evaluation mode. In training mode "
        f"{percents[-1]:.0f} % in mixed batches of {sizes[-1]}, {percents[0]:.0f} % in batches of "
        f"{sizes[0]}, and {100 * single:.0f} % in batches of {single_size} that hold one class "
        "each.")
    return figure
