"""What a network says of a split of pictures, and how good that is."""

import math
import sys
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch.nn import functional as F
from tqdm import tqdm

from resnet_lesson.speed import PLAIN, pick_device


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
            progress=True):
    """Return the logits for every picture of a split, shape (N, classes), in evaluation mode.

    With ``progress``, a bar appears where it takes longer than two seconds.
    """
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
                X = X.to(device, memory_format=arrangement.memory_format)
                with arrangement.autocast(device):
                    logits.append(model(X).float().cpu())
    finally:
        model.to(home)
    logits = torch.cat(logits)
    check_logits(logits, split)
    return logits


@contextmanager
def evaluating(model):
    """Put every module of a model into evaluation mode, and afterwards back into its own."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def evaluate(model, split, **options):
    """Return ``Score(loss, accuracy)`` of a model on a split; ``options`` as in ``predict``."""
    logits = predict(model, split, **options)
    return Score(F.cross_entropy(logits, split.labels).item(),
                 (logits.argmax(1) == split.labels).float().mean().item())


def device_of(model):
    """Return the device of a model's first parameter; the CPU for one without parameters."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def check_logits(logits, split):
    """Refuse a network that cannot name every class of a split."""
    if logits.ndim != 2 or logits.shape[1] < len(split.classes):
        raise ValueError(f"the network returns {tuple(logits.shape)} for {len(logits)} pictures; "
                         f"{len(split.classes)} classes need logits of shape "
                         f"(N, {len(split.classes)}): build it with "
                         f"num_classes={len(split.classes)}")
