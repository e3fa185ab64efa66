"""Figures of notebooks 00, 07 and 09: pictures, curves, the confusion matrix, mistakes."""

import numpy as np
import torch

from resnet_lesson import figures
from resnet_lesson.figures import COLORS, DASHES, new_figure
from resnet_lesson.figures.axes import dots_and_bars, image
from resnet_lesson.findings.intervals import t_interval, wilson


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
def curves(history):
    """Draw loss and accuracy by epoch, training and validation, with the best epoch marked."""
    figure, (left, right) = new_figure(1, 2, size=(11, 4.2))
    epochs = history.column("epoch")
    for ax, quantity in ((left, "loss"), (right, "accuracy")):
        for split in ("train", "validation"):
            ax.plot(epochs, history.column(f"{split}_{quantity}"), DASHES[split], marker="o",
                    color=COLORS[split], label=split)
        ax.set(xlabel="epoch", ylabel=quantity,
               xticks=epochs if len(epochs) <= 12 else epochs[:: len(epochs) // 6])
    left.set_ylim(bottom=0)
    if not epochs:
        figure.caption = ("No epoch has finished yet; "
                          f"{len(history.step_losses)} steps were taken.")
        return figure
    losses, best = history.column("train_loss"), history.best
    left.set_ylim(top=1.1 * max([*losses, min(history.column("validation_loss"))]))
    right.axvline(best["epoch"], color=COLORS["test"], linestyle=":", label="best epoch")
    right.legend(loc="lower right")
    left.legend(loc="upper right")
    figure.caption = (
        f"Training loss fell from {losses[0]:.2f} to {losses[-1]:.2f} in {len(epochs)} epochs. "
        f"Validation accuracy was best after epoch {best['epoch']}: "
        f"{best['validation_accuracy']:.3f}. Losses above the top of the picture are cut off.")
    return figure


@figures.style()
def optimism(chosen, fresh):
    """Draw accuracy on the pictures that chose the epoch beside accuracy on others.

    Args:
        chosen: accuracy of the best epoch on the pictures by which it was called best, per run.
        fresh: accuracy of the same weights on as many pictures that had no say, per run.
    """
    gap = np.asarray(chosen, dtype=float) - np.asarray(fresh, dtype=float)
    low, mean, high, count = t_interval(gap)
    figure, ax = new_figure(size=(9.5, 4))
    ax.axvline(0, color=COLORS["identity"], linestyle=":")
    ax.plot(gap, range(1, count + 1), "o", color=COLORS["validation"], label="one seed")
    ax.errorbar([mean], [0], xerr=[[mean - low], [high - mean]], fmt="D", capsize=6,
                color=COLORS["plain"], label="mean and 95 % interval")
    ax.set(yticks=[], ylim=(-0.8, count + 0.8),
           xlabel="accuracy where the epoch was chosen − accuracy elsewhere")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    verdict = ("so choosing on the reported pictures flatters" if low > 0 else
               "so these runs alone do not show a bias; more of them would narrow the interval")
    figure.caption = (
        f"Over {count} seeds the best epoch looks better by {mean:+.3f} on the pictures "
        f"that chose it (95 % interval {low:+.3f} to {high:+.3f}), {verdict}.")
    return figure


@figures.style()
def confusion(counts, classes):
    """Draw a confusion matrix of counts, shape (classes, classes), true class by row."""
    figure, ax = new_figure(size=(9.5, 8))
    totals = counts.sum(1, keepdim=True).clamp(min=1)
    shares = counts / totals
    image(ax, shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    ax.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    ax.set_yticks(range(len(classes)), classes)
    ax.set(xlabel="predicted class", ylabel="true class")
    for row, column in counts.nonzero().tolist():
        ax.text(column, row, int(counts[row, column]), ha="center", va="center", fontsize=12,
                color="white" if shares[row, column] > 0.5 else "black")
    wrong = counts.clone().fill_diagonal_(0)
    row, column = divmod(int(wrong.argmax()), len(classes))
    right = shares.diagonal()
    figure.caption = (
        f"{int(wrong.sum()):,} of {int(counts.sum()):,} pictures are classified wrongly. The most "
        f"frequent mistake: {classes[row]} taken for {classes[column]}, "
        f"{int(wrong[row, column])} times. Best recognised: {classes[int(right.argmax())]} "
        f"({right.max():.2f} right); worst: {classes[int(right.argmin())]} ({right.min():.2f}).")
    return figure


@figures.style()
def mistakes(split, logits, count=10):
    """Show the wrong answers that the network is surest of, with what it said and the truth.

    ``logits`` are the network's for the split, (N, classes); at most 10 mistakes are shown.
    """
    confidence, answers = logits.softmax(1).max(1)
    wrong = (answers != split.labels).nonzero().squeeze(1)
    order = wrong[confidence[wrong].argsort(descending=True)][:count]
    figure, axes = new_figure(2, 5, size=(11, 6))
    for ax in axes.flat:
        ax.axis("off")
    for ax, i in zip(axes.flat, order.tolist(), strict=False):
        ax.imshow(split.images[i, 0].numpy(), cmap="gray_r")
        ax.set_title(f"said {split.classes[answers[i]]} {confidence[i]:.2f}\n"
                     f"is {split.classes[split.labels[i]]}", fontsize=13)
    if len(order):
        figure.caption = (
            f"The network is wrong on {len(wrong):,} of {len(split):,} pictures; these "
            f"{len(order)} are the ones it is surest of, at a probability of "
            f"{confidence[order].min():.2f} or more.")
    else:
        figure.caption = f"The network is right on all {len(split):,} pictures."
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
    worst, best = (found[name] for name in (order[0], order[-1]))
    apart = "do not overlap" if best.low > worst.high else "overlap"
    figure.caption = (f"Dots are measured, bars are 95 % intervals. {'; '.join(words)}. "
                      f"These two intervals {apart}.")
    return figure
