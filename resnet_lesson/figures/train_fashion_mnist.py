"""Figures about data and training: pictures, curves, the confusion matrix, mistakes."""

import torch

from resnet_lesson.figures import COLORS, DASHES, new_figure, style
from resnet_lesson.findings.intervals import t_interval, wilson


def examples(split, per_class=6):
    """Show the first pictures of each class, one class a column."""
    classes = split.classes
    figure, axes = new_figure(per_class, len(classes), size=(11, 0.95 * per_class + 0.5),
                              squeeze=False)
    for column, name in enumerate(classes):
        found = (split.labels == column).nonzero().squeeze(1)[:per_class]
        for row in range(per_class):
            axis = axes[row, column]
            axis.axis("off")
            if row < len(found):
                axis.imshow(split.images[found[row], 0].numpy(), cmap="gray_r")
            if row == 0:
                axis.set_title(name, fontsize=13)
    counts = torch.bincount(split.labels, minlength=len(classes))
    low, high = int(counts.min()), int(counts.max())
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    figure.caption = (f"{split.source}, {split.name} split: {len(split):,} pictures of "
                      f"{split.images.shape[-2]}×{split.images.shape[-1]} grey values in "
                      f"{len(classes)} classes, {each} of each.")
    return figure


def curves(history):
    """Draw loss and accuracy by epoch, training and validation, with the best epoch marked."""
    figure, (left, right) = new_figure(1, 2, size=(11, 4.2))
    epochs = history.column("epoch")
    with style():
        for axis, quantity in ((left, "loss"), (right, "accuracy")):
            for split in ("train", "validation"):
                axis.plot(epochs, history.column(f"{split}_{quantity}"), DASHES[split],
                          marker="o", color=COLORS[split], label=split)
            axis.set_xlabel("epoch")
            axis.set_ylabel(quantity)
            axis.set_xticks(epochs if len(epochs) <= 12 else epochs[:: len(epochs) // 6])
        left.set_ylim(bottom=0)
        if not epochs:
            figure.caption = ("No epoch has finished yet; "
                              f"{len(history.step_losses)} steps were taken.")
            return figure
        left.set_ylim(top=1.1 * max(history.column("train_loss")
                                    + [min(history.column("validation_loss"))]))
        best = history.best
        right.axvline(best["epoch"], color=COLORS["test"], linestyle=":", label="best epoch")
        right.legend(loc="lower right")
        left.legend(loc="upper right")
    figure.caption = (
        f"Training loss fell from {epochs and history.epochs[0]['train_loss']:.2f} to "
        f"{history.epochs[-1]['train_loss']:.2f} in {len(epochs)} epochs. Validation accuracy was "
        f"best after epoch {best['epoch']}: {best['validation_accuracy']:.3f}. "
        "Losses above the top of the picture are cut off.")
    return figure


def ladder(rungs):
    """Draw how many pictures a second each rung trains on, and what it gained over the last.

    Args:
        rungs: (name, pictures per second) from the bottom up; each rung is one change.
    """
    names, speeds = zip(*rungs, strict=True)
    figure, axis = new_figure(size=(11, 0.75 * len(rungs) + 1.3))
    gains = [speed / before for before, speed in zip(speeds, speeds[1:], strict=False)]
    with style():
        axis.barh(range(len(rungs)), speeds, color=COLORS["validation"], height=0.6)
        axis.set_yticks(range(len(rungs)), names)
        axis.set_xscale("log")
        axis.set_xlabel("pictures a second in training (logarithmic)")
        axis.set_xlim(right=3 * max(speeds))
        for place, speed in enumerate(speeds):
            gain = f"  × {gains[place - 1]:.2g}" if place else ""
            axis.text(speed, place, f" {speed:,.0f}{gain}", va="center", fontsize=13)
    if gains:
        most = max(range(len(gains)), key=gains.__getitem__)
        least = min(range(len(gains)), key=gains.__getitem__)
        figure.caption = (
            f"From {speeds[0]:,.0f} to {speeds[-1]:,.0f} pictures a second on this machine, "
            f"{speeds[-1] / speeds[0]:.2g} times as many. The largest step: {names[most + 1]} "
            f"(× {gains[most]:.2g}); the smallest: {names[least + 1]} (× {gains[least]:.2g}).")
    else:
        figure.caption = f"{names[0]}: {speeds[0]:,.0f} pictures a second on this machine."
    return figure


def recipe_table(rows):
    """Return (headings, lines) for ``show_table``: what the recorded recipes reach, one a line.

    A recipe that also averaged over several views of each test picture has a second line for that.

    Args:
        rows: of ``experiments.read("recipes")``; the last row of a run holds its test accuracy.
    """
    runs = {}
    for row in rows:
        if row["test_accuracy"] != "":
            runs.setdefault((row["recipe"], row["data"]), []).append(row)
    lines = []
    for (recipe, source), last in runs.items():
        for column, name in (("test_accuracy", recipe),
                             ("views_accuracy", f"{recipe}, {last[0].get('views')} views")):
            if last[0].get(column, "") == "":
                continue
            spread = t_interval([row[column] for row in last])
            between = (f"{spread.low:.3f} to {spread.high:.3f}" if len(last) > 1
                       else "unknown from one seed")
            lines.append([name, source, f"{last[0]['parameters']:,}", last[0]["epochs"],
                          f"{last[0]['epochs'] * last[0]['steps']:,}",
                          len(last), f"{spread.middle:.4f}", between])
    return (["recipe", "pictures from", "parameters", "epochs", "steps", "seeds",
             "test accuracy", "95 % interval over seeds"], lines)


def optimism(chosen, fresh):
    """Draw accuracy on the pictures that chose the epoch beside accuracy on others.

    Args:
        chosen: accuracy of the best epoch on the pictures by which it was called best, per run.
        fresh: accuracy of the same weights on as many pictures that had no say, per run.
    """
    chosen, fresh = (torch.as_tensor(values, dtype=torch.float64) for values in (chosen, fresh))
    gap = chosen - fresh
    low, mean, high, _ = t_interval(gap.tolist())
    figure, axis = new_figure(size=(9.5, 4))
    with style():
        axis.axvline(0, color=COLORS["identity"], linestyle=":")
        axis.plot(gap.tolist(), range(1, len(gap) + 1), "o", color=COLORS["validation"],
                  label="one seed")
        axis.errorbar([mean], [0], xerr=[[mean - low], [high - mean]], fmt="D", capsize=6,
                      color=COLORS["plain"], label="mean and 95 % interval")
        axis.set_yticks([])
        axis.set_ylim(-0.8, len(gap) + 0.8)
        axis.set_xlabel("accuracy where the epoch was chosen − accuracy elsewhere")
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    verdict = ("so choosing on the reported pictures flatters" if low > 0 else
               "so these runs alone do not show a bias; more of them would narrow the interval")
    figure.caption = (
        f"Over {len(gap)} seeds the best epoch looks better by {mean:+.3f} on the pictures "
        f"that chose it (95 % interval {low:+.3f} to {high:+.3f}), {verdict}.")
    return figure


def confusion(counts, classes):
    """Draw a confusion matrix of counts, shape (classes, classes), true class by row."""
    figure, axis = new_figure(size=(9.5, 8))
    total = counts.sum(1, keepdim=True).clamp(min=1)
    share = counts / total
    with style():
        axis.imshow(share.numpy(), cmap="Blues", vmin=0, vmax=1)
        axis.grid(False)
        axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
        axis.set_yticks(range(len(classes)), classes)
        axis.set_xlabel("predicted class")
        axis.set_ylabel("true class")
        for row in range(len(classes)):
            for column in range(len(classes)):
                count = int(counts[row, column])
                if count:
                    axis.text(column, row, count, ha="center", va="center", fontsize=12,
                              color="white" if share[row, column] > 0.5 else "black")
    wrong = counts.clone().fill_diagonal_(0)
    row, column = divmod(int(wrong.argmax()), len(classes))
    right = counts.diagonal() / total.squeeze(1)
    figure.caption = (
        f"{int(wrong.sum()):,} of {int(counts.sum()):,} pictures are classified wrongly. The most "
        f"frequent mistake: {classes[row]} taken for {classes[column]}, "
        f"{int(wrong[row, column])} times. Best recognised: {classes[int(right.argmax())]} "
        f"({right.max():.2f} right); worst: {classes[int(right.argmin())]} ({right.min():.2f}).")
    return figure


def mistakes(split, logits, count=10):
    """Show the wrong answers that the network is surest of, with what it said and the truth."""
    confidence, answers = logits.softmax(1).max(1)
    wrong = (answers != split.labels).nonzero().squeeze(1)
    order = wrong[confidence[wrong].argsort(descending=True)][:count]
    figure, axes = new_figure(2, 5, size=(11, 6))
    for axis in axes.flat:
        axis.axis("off")
    for axis, index in zip(axes.flat, order.tolist(), strict=False):
        axis.imshow(split.images[index, 0].numpy(), cmap="gray_r")
        axis.set_title(f"said {split.classes[int(answers[index])]} {confidence[index]:.2f}\n"
                       f"is {split.classes[int(split.labels[index])]}", fontsize=13)
    if len(order):
        figure.caption = (
            f"The network is wrong on {len(wrong):,} of {len(split):,} pictures; these "
            f"{len(order)} are the ones it is surest of, at a probability of "
            f"{confidence[order].min():.2f} or more.")
    else:
        figure.caption = f"The network is right on all {len(split):,} pictures."
    return figure


def per_class(counts, classes):
    """Draw the accuracy of each class with its 95 % interval (Wilson 1927).

    Args:
        counts: the confusion matrix, shape (classes, classes), true class by row.
        classes: their names.
    """
    found = [wilson(int(right), int(total))
             for right, total in zip(counts.diagonal(), counts.sum(1), strict=True)]
    order = sorted(range(len(found)), key=lambda i: (found[i].count > 0, found[i].middle))
    low, middle, high, _ = zip(*(found[i] for i in order), strict=True)
    figure, axis = new_figure(size=(9.5, 5))
    with style():
        axis.hlines(range(len(order)), low, high, color=COLORS["test"])
        axis.plot(middle, range(len(order)), "o", color=COLORS["test"])
        axis.set_yticks(range(len(order)), [classes[i] for i in order])
        axis.set_xlabel("share of the class that is right")
    apart = "do not overlap" if low[-1] > high[0] else "overlap"
    worst, best = (
        f"{classes[i]}: {found[i].middle:.2f} ({found[i].low:.2f} to {found[i].high:.2f})"
        if found[i].count else f"{classes[i]}: no picture" for i in (order[0], order[-1]))
    figure.caption = (f"Dots are measured, bars are 95 % intervals. {worst}; {best}. "
                      f"These two intervals {apart}.")
    return figure
