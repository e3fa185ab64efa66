"""Figures of notebooks 00, 07 and 09: pictures, steps, intervals, the confusion matrix."""

import numpy as np
import torch

from resnet_lesson import figures
from resnet_lesson.figures import COLORS, SKY, line_look, new_figure
from resnet_lesson.figures.axes import dots_and_bars, image
from resnet_lesson.findings.intervals import wilson
from resnet_lesson.words import short


@figures.style()
def examples(split, per_class=6):
    """Show the first pictures of each class, one class a column."""
    classes = split.classes
    figure, axes = new_figure(per_class, len(classes), size=(11, 0.95 * per_class + 0.5),
                              squeeze=False)
    for i, (column, name) in enumerate(zip(axes.T, classes, strict=True)):
        column[0].set_title(name, fontsize=13)
        found = split.images[split.labels == i][:per_class]
        for ax in column:
            ax.axis("off")
        for ax, picture in zip(column, found, strict=False):
            ax.imshow(picture[0].numpy(), cmap="gray_r")
    counts = torch.bincount(split.labels, minlength=len(classes))
    low, high = int(counts.min()), int(counts.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    figure.caption = (f"{split.source}, {split.name} split: {len(split):,} pictures of "
                      f"{split.images.shape[-2]}×{split.images.shape[-1]} grey values in "
                      f"{len(classes)} classes, {each} of each.")
    return figure


@figures.style()
def changed(rows):
    """Show pictures (N, 1, H, W) in rows with names, and say how many differ from the first row."""
    first, *others = rows
    figure, axes = new_figure(len(rows), len(rows[first]), size=(11, 1.3 * len(rows) + 0.4),
                              squeeze=False)
    for line, (name, shown) in zip(axes, rows.items(), strict=True):
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for ax, picture in zip(line, shown, strict=True):
            image(ax, picture[0].numpy(), cmap="gray_r")
    differ = {name: (rows[name] != rows[first]).flatten(1).any(1).sum() for name in others}
    words = [f"{name} {count} of {len(rows[name])}" for name, count in differ.items()]
    figure.caption = f"Pictures that are not as they were {first}: {', '.join(words)}."
    return figure


def one_weight(gradients, **options):
    """Return a weight that starts at 1 after each step of torch's SGD, given its gradients."""
    weight = torch.nn.Parameter(torch.tensor(1.0))
    optimizer, way = torch.optim.SGD([weight], **options), [1.0]
    for gradient in gradients:
        weight.grad = torch.tensor(gradient)
        optimizer.step()
        way.append(weight.item())
    return way


@figures.style()
def by_step(curves, quantity):
    """Draw numbers by step, one line a name, the start at step 0."""
    figure, ax = new_figure(size=(9.5, 4))
    ends = []
    for i, (name, values) in enumerate(curves.items()):
        look = line_look(i) | ({"marker": ""} if len(values) > 20 else {})
        ax.plot(values, label=name, **look)
        high = max(values)
        most = f", at most {short(high)}" if high > max(values[0], values[-1]) else ""
        ends.append(f"{name} from {short(values[0])} to {short(values[-1])}{most}")
    ax.set(xlabel="step", ylabel=quantity)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.caption = f"{quantity[0].upper()}{quantity[1:]}: {'; '.join(ends)}."
    return figure


def coverage(interval, truth, total):
    """Return in which share of all test sets ``interval(right, total)`` holds the truth."""
    results = torch.arange(total + 1, dtype=torch.float64)
    chances = torch.distributions.Binomial(total, torch.tensor(truth).double()).log_prob(results)
    held = 0.0
    for right, chance in enumerate(chances.exp().tolist()):
        low, _, high, *_ = interval(right, total)
        held += chance * (low <= truth <= high)
    return held


@figures.style()
def hundred(low, high, truth):
    """Draw intervals beside the truth, and mark those that miss it."""
    low, high = (np.asarray(ends, dtype=float) for ends in (low, high))
    held = (low <= truth) & (truth <= high)
    figure, ax = new_figure(size=(11, 4))
    places = np.arange(1, len(low) + 1)
    for kept, color, width, name in ((held, COLORS["identity"], 2, "holds the truth"),
                                     (~held, COLORS["plain"], 4, "misses it")):
        ax.vlines(places[kept], low[kept], high[kept], color=color, linewidth=width, label=name)
    ax.axhline(truth, color=COLORS["residual"], linestyle=":", label="the truth")
    ax.set(xlabel="test set", ylabel="share of right answers")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.caption = (f"{held.sum()} of {len(low)} intervals hold the truth, {truth}; "
                      f"above it: {(low > truth).sum()}, below it: {(high < truth).sum()}.")
    return figure


@figures.style()
def confusion(counts, classes):
    """Draw a confusion matrix of counts, shape (classes, classes), true class by row.

    The scale is that of the mistakes; the diagonal, which is right, has a colour of its own.
    """
    figure, ax = new_figure(size=(9.5, 7.5))
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    wrong = counts.clone().fill_diagonal_(0)
    missed = np.ma.array(shares.numpy(), mask=np.eye(len(classes), dtype=bool))
    top = max(missed.max(), 0.01)
    ax.set_facecolor(SKY)
    shown = image(ax, missed, cmap="Greys", vmin=0, vmax=top)
    figure.colorbar(shown, ax=ax, shrink=0.8, label="share of the true class")
    ax.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    ax.set_yticks(range(len(classes)), classes)
    ax.set(xlabel="predicted class", ylabel="true class")
    for row, column in counts.nonzero().tolist():
        dark = row != column and shares[row, column] > 0.6 * top
        ax.text(column, row, int(counts[row, column]), ha="center", va="center", fontsize=12,
                color="white" if dark else "black")
    row, column = divmod(int(wrong.argmax()), len(classes))
    figure.caption = (
        f"{int(wrong.sum()):,} of {int(counts.sum()):,} pictures are classified wrongly. The most "
        f"frequent mistake: {classes[row]} taken for {classes[column]}, "
        f"{int(wrong[row, column])} times. The blue diagonal is right.")
    return figure


@figures.style()
def per_class(counts, classes):
    """Draw the accuracy of each class with its 95 % interval (Wilson 1927).

    Arguments as in ``confusion``.
    """
    found = {name: wilson(int(right), int(total)) for name, right, total in
             zip(classes, counts.diagonal(), counts.sum(1), strict=True)}
    order = sorted(found, key=lambda name: (found[name].count > 0, found[name].middle))
    figure, ax = new_figure(size=(9.5, 5))
    dots_and_bars(ax, range(len(order)), [found[name] for name in order], color=COLORS["test"],
                  upright=False)
    ax.set_yticks(range(len(order)), order)
    ax.set_xlabel("share of the class that is right")
    ends = [(name, *found[name]) for name in (order[0], order[-1])]
    words = [f"{name}: {middle:.2f} ({low:.2f} to {high:.2f})" if count else f"{name}: no picture"
             for name, low, middle, high, count in ends]
    figure.caption = (f"Dots are measured, bars are 95 % intervals. {'; '.join(words)}. Both "
                      "were picked after looking: by chance alone some class is worst.")
    return figure
