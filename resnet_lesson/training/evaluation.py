"""What a network says of a split of pictures, and how good that is."""

import math
import sys
from typing import NamedTuple

import torch
from torch.nn import functional as F
from tqdm import tqdm

from resnet_lesson.networks.modes import device_of, evaluating
from resnet_lesson.training.arrangement import PLAIN, check_logits
from resnet_lesson.training.device import pick_device
from resnet_lesson.words import whole

BATCH = 512   # pictures at a time where nothing else is asked for


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
def predict(model, split, *, batch_size=BATCH, size=None, device="auto", arrangement=PLAIN,
            views=1, progress=True):
    """Return the logits for every picture of a split, shape (N, classes), in evaluation mode.

    Args:
        model, size, device, arrangement: as in ``fit``.
        split: its pictures are asked for, in their order.
        batch_size: pictures at a time.
        views: of each picture; 1 is the picture itself, 2 it and its mirror image, 10 the
            ``ten_crops``. Of several, the logarithm of the average probability is returned.
        progress: show a bar where it takes longer than two seconds.

    Raises:
        ValueError: an empty split, logits for too few classes, a number that makes no sense.
    """
    batch_size = whole(batch_size, "batch_size")
    if views not in tuple(VIEWS):
        raise ValueError("views must be 1 (the picture itself), 2 (it and its mirror image) or 10 "
                         f"(ten_crops), got {views!r}")
    if len(split) == 0:
        raise ValueError(f"the {split.name} split is empty; there is nothing to evaluate")
    device, home, logits = pick_device(device), device_of(model), []
    batches = tqdm(split.batches(batch_size, size), total=math.ceil(len(split) / batch_size),
                   file=sys.stdout, delay=2, desc=f"evaluating on {split.name}", unit="batch",
                   leave=False, disable=not progress)
    try:
        with evaluating(model.to(device)):
            for X, _ in batches:
                answers = []
                for view in VIEWS[views](X):
                    view = view.to(device, memory_format=arrangement.memory_format)
                    with arrangement.autocast(device):
                        answer = model(view)
                    check_logits(answer, len(view), len(split.classes))
                    answers.append(answer.float().cpu())
                if views > 1:
                    mean = torch.stack(answers).log_softmax(-1).logsumexp(0) - math.log(views)
                    answers = [mean]
                logits += answers
    finally:
        model.to(home)
    return torch.cat(logits)


def ten_crops(X):
    """Return ten views of a batch, each (N, C, H, W): four corners, centre, their mirror images.

    They are cut from the pictures with a black margin of one pixel, so that a corner is the picture
    moved by a pixel both ways. (He et al. 2016, section 3.4, cut theirs from a larger picture.)
    """
    from torchvision.transforms.functional import ten_crop  # takes a second to import

    return ten_crop(F.pad(X, (1, 1, 1, 1)), X.shape[-2:])


VIEWS = {1: lambda X: [X], 2: lambda X: [X, X.flip(-1)], 10: ten_crops}


def evaluate(model, split, **options):
    """Return ``Score(loss, accuracy)`` of a model on a split; ``options`` as in ``predict``."""
    logits = predict(model, split, **options)
    return Score(F.cross_entropy(logits, split.labels).item(),
                 (logits.argmax(1) == split.labels).float().mean().item())
