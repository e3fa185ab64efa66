"""A few named ways to train on Fashion-MNIST, each a network and the arguments of ``fit``."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from resnet_lesson.data.augment import Augment
from resnet_lesson.networks import resnet
from resnet_lesson.networks.blocks import BasicBlock


class Recipe(NamedTuple):
    """A network and how to train it."""

    build: Callable  # returns the untrained network
    options: dict    # arguments of ``fit``, epochs among them
    views: int = 1   # of a test picture, over which a second record averages, as in ``predict``


def book_network():
    """Return ResNet-18 as the book starts it: Xavier's weights, PyTorch's for nothing else."""
    return resnet.initialize(resnet.resnet18(), "xavier")


def fast_network(widths=(16, 64, 128, 256)):
    """Return a network for 28×28 pictures: four stages of one block, with ``widths`` channels.

    Its stem keeps all pixels. The first stage, which sees all of them, is narrow, so that it does
    not cost most of the time; most parameters sit where pictures are small.
    """
    return resnet.ResNet(BasicBlock, [1] * 4, widths=widths, stem="small")


# Plain SGD at a constant rate, ten epochs, batches of 256 (Zhang et al., section 8.6).
_BOOK = {"epochs": 10, "batch_size": 256, "lr": 0.05, "momentum": 0.0, "weight_decay": 0.0,
         "schedule": "constant"}
# Rate and label smoothing were chosen on the validation split, with a seed of no recorded run;
# the widths on the validation accuracy of the recorded seeds 0 and 1, those of QUICK with another
# seed: of three cheaper networks this one lost least. Of FAST_LONG, erasing was chosen on the
# validation loss of seed 0; the accuracy was the same with it and without. How many views of a
# test picture are averaged, and the margin of ten, was chosen on the validation accuracy of the
# three recorded runs of each: FAST, which never saw a shifted picture, loses with ten.
_FAST = {"batch_size": 128, "lr": 0.2, "nesterov": True, "label_smoothing": 0.1,
         "arrangement": "auto", "augment": Augment(flip=True)}

BOOK = Recipe(book_network, _BOOK | {"size": 96})
SMALL = Recipe(book_network, _BOOK)   # the pictures left at 28×28
QUICK = Recipe(partial(fast_network, (16, 32, 64, 128)), _FAST | {"epochs": 1})
FAST = Recipe(fast_network, _FAST | {"epochs": 5}, views=2)
FAST_LONG = Recipe(fast_network, _FAST | {
    "epochs": 20, "augment": Augment(shift=2, flip=True, erase=8)}, views=10)
# After a change: delete its rows in results/recipes.csv and its folders in runs/recipes, and train
# it anew with the lines for it under `results` in the Makefile; bring README's table of recipes up
# to that file; publish notebook A3 anew, with `python -m resnet_lesson.tools.publish A3`.
RECIPES = {"book": BOOK, "small": SMALL, "quick": QUICK, "fast": FAST, "fast-long": FAST_LONG}
