"""What a network says of a split of pictures, and how good that is."""

import math
import sys
from typing import NamedTuple

import torch
from torch.nn import functional as F
from tqdm import tqdm

from resnet_lesson.data.splits import check_batch_size
from resnet_lesson.networks.modes import device_of, evaluating
from resnet_lesson.training.arrangement import PLAIN
from resnet_lesson.training.device import pick_device


class Score(NamedTuple):
    """Mean loss and share of correct answers over a split."""

    loss: float
    accuracy: float


def confusion(logits, labels):
    """Count pictures by true class (row) and predicted class (column); (N, classes) → (C, C)."""
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(1),
                          minlength=classes ** 2).view(classes, classes)


@torch.no_grad()
def predict(model, split, *, batch_size=512, size=None, device="auto", arrangement=PLAIN,
            views=1, progress=True):
    """Return the logits for every picture of a split, shape (N, classes), in evaluation mode.

    With ``progress``, a bar appears where it takes longer than two seconds.

    Args:
        model: any module that maps (N, channels, H, W) to logits (N, classes).
        split: its pictures are asked for, in their order.
        batch_size: pictures at a time.
        size: side in pixels to resize the pictures to; ``None`` keeps them as they are.
        device: ``"auto"``, or what ``torch.device`` takes.
        arrangement: how it is computed, a ``speed.Arrangement``.
        views: of each picture; 1 is the picture itself, 2 it and its mirror image, 10 the
            ``ten_crops``. Of several, the probabilities are averaged, and what is returned is the
            logarithm of the average.
        progress: show a bar.

    Raises:
        ValueError: an empty split, logits for fewer classes than it has, a ``batch_size`` that is
            no whole number above 0, or another number of ``views``.
    """
    check_batch_size(batch_size)
    if views not in tuple(VIEWS):
        raise ValueError("views must be 1 (the picture itself), 2 (it and its mirror image) or 10 "
                         f"(ten_crops), got {views!r}")
    if len(split) == 0:
        raise ValueError(f"the {split.name} split is empty; there is nothing to evaluate")
    device, home = pick_device(device), device_of(model)
    logits = []
    steps = math.ceil(len(split) / batch_size)
    batches = tqdm(split.batches(batch_size, size), total=steps, file=sys.stdout, delay=2,
                   desc=f"evaluating on {split.name}", unit="batch", leave=False,
                   disable=not progress)
    try:
        with evaluating(model.to(device)):
            for X, _ in batches:
                answers = []
                for view in VIEWS[views](X):
                    view = view.to(device, memory_format=arrangement.memory_format)
                    with arrangement.autocast(device):
                        answers.append(model(view).float().cpu())
                logits.append(_averaged(answers))
    finally:
        model.to(home)
    logits = torch.cat(logits)
    check_logits(logits, split)
    return logits


def ten_crops(X, margin=1):
    """Return ten views of a batch: four corners and centre of the pictures with a black margin.

    Each view is as large as the picture, so a corner is the picture moved by ``margin`` pixels
    both ways; the last five views are the mirror images of the first five. Each view has the
    shape of X, (N, C, H, W).

    Raises:
        ValueError: ``margin`` is below 0.

    Source:
        Krizhevsky et al. 2012, section 4.1; He et al. 2016, section 4.1 ("10-crop testing").
    """
    if margin < 0:
        raise ValueError(f"margin must be at least 0 pixels, got {margin}")
    height, width = X.shape[-2:]
    wide = F.pad(X, [margin] * 4)
    far = 2 * margin
    corners = [(0, 0), (0, far), (far, 0), (far, far), (margin, margin)]
    views = [wide[..., top:top + height, left:left + width] for top, left in corners]
    return views + [view.flip(-1) for view in views]


VIEWS = {1: lambda X: [X], 2: lambda X: [X, X.flip(-1)], 10: ten_crops}


def _averaged(logits):
    """Return the logarithm of the mean probability of several answers; one answer as it is."""
    if len(logits) == 1:
        return logits[0]
    return torch.stack(logits).log_softmax(-1).logsumexp(0) - math.log(len(logits))


def evaluate(model, split, **options):
    """Return ``Score(loss, accuracy)`` of a model on a split; ``options`` as in ``predict``."""
    logits = predict(model, split, **options)
    return Score(F.cross_entropy(logits, split.labels).item(),
                 (logits.argmax(1) == split.labels).float().mean().item())


def check_logits(logits, split):
    """Refuse a network that cannot name every class of a split."""
    if logits.ndim != 2 or logits.shape[1] < len(split.classes):
        raise ValueError(f"the network returns {tuple(logits.shape)} for {len(logits)} pictures; "
                         f"{len(split.classes)} classes need logits of shape "
                         f"(N, {len(split.classes)}): build it with "
                         f"num_classes={len(split.classes)}")
