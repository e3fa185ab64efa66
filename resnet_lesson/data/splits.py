"""Pictures and labels, split once, cut into batches; Fashion-MNIST and handwritten digits.

Pictures stay in memory as ``uint8``; a batch is cut, scaled and resized when it is asked for.
Fashion-MNIST: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking
Machine Learning Algorithms" (2017), MIT licence.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from resnet_lesson import advice
from resnet_lesson.data import idx
from resnet_lesson.words import whole

FASHION_CLASSES = ("t-shirt", "trouser", "pullover", "dress", "coat",
                   "sandal", "shirt", "sneaker", "bag", "ankle boot")
DIGITS = tuple(str(digit) for digit in range(10))
VALIDATION_PER_CLASS = 500
MINI = Path(__file__).parents[1] / "assets" / "fashion_mnist_mini"


@dataclass(frozen=True, eq=False)
class Split:
    """Pictures, uint8 (N, channels, height, width), and labels, int64 (N,), in memory."""

    images: torch.Tensor
    labels: torch.Tensor               # values 0 … len(classes) − 1
    name: str = "train"                # or "validation", or "test"
    source: str = "your own pictures"  # which data these are, in words
    classes: tuple = field(default=FASHION_CLASSES, repr=False)  # the name of each label

    def __post_init__(self):
        """Refuse, in a ``ValueError``, what would only fail later, inside a layer."""
        for name, value in (("images", self.images), ("labels", self.labels)):
            if not isinstance(value, torch.Tensor):
                raise ValueError(f"{name} must be a tensor, got {type(value).__name__}; "
                                 + advice.to_tensor(name, value))
        complaint = (advice.about_images(self.images, self.labels.shape[:1])
                     or advice.about_labels(self.labels, len(self.images), len(self.classes)))
        if complaint:
            raise ValueError(complaint)

    def __len__(self):
        """Count the pictures."""
        return len(self.labels)

    def __repr__(self):
        """Say how many pictures of which size, and whose."""
        size = "×".join(map(str, self.images.shape[1:]))
        return f"{self.name}: {len(self):,} pictures of {size} ({self.source})"

    def take(self, indices):
        """Return the split that holds only ``indices`` (a slice, list or tensor)."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def pixels(self, indices, size=None):
        """Return pictures as floats between 0 and 1, shape (n, channels, size, size).

        ``size`` is the side in pixels to resize to (bilinear); ``None`` keeps the stored one.
        """
        return _scaled(self.images[indices], size)

    def batches(self, batch_size, size=None, generator=None, skip=0, augment=None):
        """Yield (pictures as in ``pixels``, labels) batch by batch; the last may be smaller.

        Args:
            batch_size: pictures in a batch.
            size: side in pixels to resize to.
            generator: a ``torch.Generator`` to shuffle with; ``None`` keeps the stored order.
            skip: batches to leave out at the start, to resume in the middle of an epoch; nothing
                else depends on it.
            augment: an ``Augment``, whose chance depends on the generator's seed and the batch.
        """
        batch_size = whole(batch_size, "batch_size")
        if augment is not None and generator is None:
            raise ValueError("augment needs a generator, which fixes its chance; give "
                             "torch.Generator().manual_seed(0)")
        order = (torch.arange(len(self)) if generator is None
                 else torch.randperm(len(self), generator=generator))
        for position, indices in enumerate(order.split(batch_size)):
            if position < skip:
                continue
            images = self.images.index_select(0, indices)  # many times as fast as [indices]
            if augment is not None:
                seed = (generator.initial_seed() + position) % 2 ** 64
                images = augment(images, torch.Generator().manual_seed(seed))
            yield _scaled(images, size), self.labels.index_select(0, indices)


def _scaled(images, size):
    """Return uint8 pictures as floats between 0 and 1, resized where they have another size."""
    batch = images.float().div_(255)
    if size is None or batch.shape[-2:] == (size, size):
        return batch
    size = whole(size, "size")
    down, across = (_resizing(side, size) for side in batch.shape[-2:])
    wide = batch.flatten(0, 1) @ across.t()
    return torch.bmm(down.expand(len(wide), -1, -1), wide).unflatten(0, batch.shape[:2])


@lru_cache(maxsize=16)
def _resizing(side, size):
    """Return the matrix (size, side) that resizes a column of pixels, as ``interpolate`` does.

    As two matrix products, for rows and columns, it is several times faster for a whole batch.
    """
    column = torch.eye(side)[None, None]
    return torch.nn.functional.interpolate(column, size=(size, side), mode="bilinear",
                                           align_corners=False, antialias=True)[0, 0]


class Splits(NamedTuple):
    """The three splits of one data set."""

    train: Split
    validation: Split
    test: Split

    def __str__(self):
        """Say in one line which data these are."""
        return (f"{self.train.source}: {len(self.train):,} pictures to train, "
                f"{len(self.validation):,} to validate, {len(self.test):,} to test")


def load_fashion_mnist(source="auto", root=None, *, download=False, quiet=False):
    """Return Fashion-MNIST as ``Splits``, each of which says where its pictures come from.

    Args:
        source: ``"full"`` (55,000 / 5,000 / 10,000 pictures), ``"mini"`` (5,000 / 1,000 / 1,000
            of them, shipped with this package), or ``"auto"``: full where it is found, else mini.
        root: a folder with the full set's four IDX files, packed or not, in it or, torchvision's
            layout, in ``root/FashionMNIST/raw``; else the project's ``data/`` and the system's.
        download: fetch the full set into ``root``, or ``data/``, if it is not there.
        quiet: do not print the line that says which data these are.

    Raises:
        ValueError: unknown source, or a data file that is not what it should be.
        FileNotFoundError: the full set was asked for and is not there.
        RuntimeError: the download failed.
    """
    if source not in ("auto", "mini", "full"):
        raise ValueError(f'source must be "auto", "mini" or "full", got {source!r}')
    root = None if root is None else Path(root).expanduser()
    folder = None
    if source != "mini":
        folder = idx.find_full(root)
        if folder is None and download:
            folder = idx.download(root or idx.project_data())
    if folder is not None:
        splits = _load_full(folder)
    elif source == "mini" or (source == "auto" and root is None):
        splits = Splits(*(_read_sheet(name) for name in Splits._fields))
    else:
        places = ", ".join(str(place) for place in idx.candidates(root))
        raise FileNotFoundError(
            f"no Fashion-MNIST in {places}; name the folder that holds FashionMNIST/raw, "
            'or add download=True, or use source="mini", which needs no files')
    if not quiet:
        print(splits)
    return splits


def load_digits(*, quiet=False):
    """Return train, validation and test splits of scikit-learn's 1,797 handwritten digits.

    8×8 pictures, in scikit-learn's order: 1,000 to train, 200 to validate, 597 to test. They are
    the test part of Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI (1998).
    """
    from sklearn.datasets import load_digits as load  # takes a second to import

    images, labels = load(return_X_y=True)
    images = torch.from_numpy(images).mul(255 / 16).round().to(torch.uint8).view(-1, 1, 8, 8)
    labels = torch.from_numpy(labels).long()
    parts = {"train": slice(1000), "validation": slice(1000, 1200), "test": slice(1200, None)}
    splits = Splits(*(Split(images[part], labels[part], name, "handwritten digits", DIGITS)
                      for name, part in parts.items()))
    if not quiet:
        print(splits)
    return splits


def _load_full(folder):
    images, labels, test_images, test_labels = (idx.read_idx(folder, name)
                                                for name in idx.CHECKSUMS)
    whole_set = Split(images.unsqueeze(1), labels.long(), source="Fashion-MNIST full")
    train, validation = split_indices(whole_set.labels)
    return Splits(whole_set.take(train), replace(whole_set.take(validation), name="validation"),
                  Split(test_images.unsqueeze(1), test_labels.long(), "test", whole_set.source))


def split_indices(labels, validation_per_class=VALIDATION_PER_CLASS):
    """Return (train, validation) positions: the last pictures of each class validate.

    The rule needs no random numbers, so every machine and version cuts the same way.
    """
    held_out = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        held_out[(labels == label).nonzero().squeeze(1)[-validation_per_class:]] = True
    return (~held_out).nonzero().squeeze(1), held_out.nonzero().squeeze(1)


def _read_sheet(name):
    """Read a split of the mini set: 100 pictures a row, picture i shows class i mod 10."""
    with Image.open(MINI / f"{name}.png") as sheet:
        pixels = torch.from_numpy(np.array(sheet))
    images = pixels.view(-1, 28, 100, 28).transpose(1, 2).reshape(-1, 1, 28, 28)
    labels = torch.arange(len(images)) % len(FASHION_CLASSES)
    return Split(images.contiguous(), labels, name, "Fashion-MNIST mini")
