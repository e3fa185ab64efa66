"""Make the mini data set from the full one: ``python -m resnet_lesson.data.make_mini``.

The first pictures of each class, 500 to train, 100 to validate, 100 to test, as contact sheets of
100 pictures a row, classes in turn, so that picture i shows class i mod 10.
"""

import sys

import torch
from PIL import Image

from resnet_lesson.data.splits import MINI, load_fashion_mnist

PER_CLASS = {"train": 500, "validation": 100, "test": 100}


def choose(labels, per_class):
    """Return the positions of the first ``per_class`` pictures of each class, classes in turn."""
    first = [(labels == label).nonzero().squeeze(1)[:per_class] for label in labels.unique()]
    return torch.stack(first, dim=1).flatten()


def main(root=None):
    """Write the three contact sheets into the package's assets."""
    for split in load_fashion_mnist("full", root):
        part = split.take(choose(split.labels, PER_CLASS[split.name]))
        sheet = part.images.view(-1, 100, 28, 28).transpose(1, 2).reshape(-1, 2800)
        Image.fromarray(sheet.numpy()).save(MINI / f"{split.name}.png", optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:2])
