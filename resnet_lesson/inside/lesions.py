"""Lesions: how well a trained network does without some of its blocks, or with two swapped.

A block that is switched off keeps its shortcut and loses its branch: relu(0 + shortcut(x)).

- Where the shortcut is the identity, that is x itself, since x comes out of a ReLU. The block
  could as well be cut out of the network.
- Where the shortcut projects, relu(projection(x)) is left: without it the shapes that follow
  would not fit.
- A plain block has no shortcut. Where it keeps the shape, it can be cut out, and x goes on. Where
  it changes the shape, nothing is left that has the shape the next block needs: it cannot be
  switched off, and the sentence says so.

Source: Veit, Wilber, Belongie, "Residual Networks Behave Like Ensembles of Relatively Shallow
Networks" (2016), sections 4.1 (single blocks), 4.2 (several) and 4.3 (another order).
"""

import copy
import itertools
import math
import random
from collections import OrderedDict
from typing import NamedTuple

import torch

from resnet_lesson.networks.modes import evaluating
from resnet_lesson.words import whole


class Step(NamedTuple):
    """One block on the way through a network; not ``whole``: its shortcut alone."""

    name: str
    whole: bool


def passes_input_on(block):
    """Return whether a block that is switched off leaves its input as it is."""
    if block.residual:
        return block.downsample is None
    return block.stride == 1 and block.in_channels == block.out_channels


def obstacle(model, name):
    """Return why a block cannot be switched off, as a sentence; ``""`` where it can."""
    block = dict(model.blocks())[name]
    if block.residual or passes_input_on(block):
        return ""
    changes = []
    if block.in_channels != block.out_channels:
        changes.append(f"turns {block.in_channels} channels into {block.out_channels}")
    if block.stride != 1:
        changes.append(f"has stride {block.stride}")
    return (f"{name} {' and '.join(changes)}, and a plain block has no shortcut that could do "
            "this in its place, so it cannot be switched off")


def removable(*models):
    """Return the names of the blocks that can be cut out of each of these networks."""
    return [name for name, _ in models[0].blocks()
            if all(passes_input_on(dict(model.blocks())[name]) for model in models)]


def swappable(model):
    """Return all pairs of names of blocks that can stand in each other's place."""
    return [(first, second) for (first, one), (second, other)
            in itertools.combinations(model.blocks(), 2) if _shape(one) == _shape(other)]


def route(model, off=(), swap=()):
    """Return which blocks a picture goes through, in order, as a tuple of ``Step``.

    Args:
        model: a ``resnet.ResNet``.
        off: names of the blocks to switch off, as in the state_dict. One that passes its input
            on is not on the route at all; of a projecting one the shortcut is.
        swap: two names of blocks that change places (before anything is switched off).

    Raises:
        ValueError: an unknown block, one that cannot be switched off, or two that do not fit
            into each other's place; the sentence says why.
    """
    if not hasattr(model, "blocks"):
        raise ValueError(f"{type(model).__name__} has no blocks(); give a network of "
                         "resnet_lesson.networks.resnet")
    if isinstance(off, str):
        raise ValueError(f'off needs a list of names, got the name "{off}"; write ["{off}"]')
    blocks = dict(model.blocks())
    names, swap = list(blocks), tuple(swap)
    for name in (*off, *swap):
        if name not in blocks:
            raise ValueError(f"there is no block {name!r}; the blocks are {', '.join(names)}")
    if swap:
        _exchange(blocks, names, swap)
    for name in off:
        if trouble := obstacle(model, name):
            raise ValueError(trouble)
    return tuple(Step(name, name not in off) for name in names
                 if name not in off or not passes_input_on(blocks[name]))


def _shape(block):
    """Return what a block does to shapes, in words; equal words, equal shapes."""
    words = f"takes {block.in_channels} channels and gives {block.out_channels}"
    return words if block.stride == 1 else f"{words} with stride {block.stride}"


def _exchange(blocks, names, swap):
    if len(swap) != 2 or swap[0] == swap[1]:
        raise ValueError("a swap needs two different blocks, got "
                         f"{' and '.join(map(repr, swap))}")
    shapes = {name: _shape(blocks[name]) for name in names if name in swap}
    if len(set(shapes.values())) > 1:
        raise ValueError("only blocks of one shape can be swapped: "
                         + ", ".join(f"{name} {shape}" for name, shape in shapes.items()))
    i, j = map(names.index, swap)
    names[i], names[j] = names[j], names[i]


def deletions(names, draws, seed=0):
    """Return which blocks to delete together: ``{number: [set of names, …]}`` from 0 to all.

    Where there are at most ``draws`` ways to choose that many of the names, each is taken once;
    otherwise ``draws`` different ones are drawn, the same for the same seed.

    Raises:
        ValueError: ``draws`` is no whole number above 0.
    """
    draws = whole(draws, "draws")
    names, chance, sets = list(names), random.Random(seed), {}
    for count in range(len(names) + 1):
        if math.comb(len(names), count) <= draws:
            drawn = dict.fromkeys(map(frozenset, itertools.combinations(names, count)))
        else:
            drawn = {}  # a dict keeps the order of the draws
            while len(drawn) < draws:
                drawn[frozenset(chance.sample(names, count))] = None
        sets[count] = list(drawn)
    return sets


class Evaluator:
    """A network and pictures to measure lesions on, with a memory for what was computed before.

    The maps after every block are kept, by the route that led there; so a lesion costs only the
    blocks behind the first one that is new. Logits are kept for every route. The network is
    copied, evaluated in evaluation mode and never changed.

    Args:
        model: a ``resnet.ResNet``, residual or plain.
        split: labelled pictures.
        memory: bytes of maps to keep. For 1,000 pictures of 28×28 in the network of this lesson
            the default holds every way through the first stage and the intact rest.
        chunk: pictures that go through a block together; a few hundred stay in the processor's
            own memory, which is faster than all at once.

    Attributes:
        used: bytes of maps that are kept now.

    Raises:
        ValueError: a model without blocks, or an empty split.
    """

    def __init__(self, model, split, memory=260_000_000, chunk=250):
        route(model)  # refuses what has no blocks
        if len(split) == 0:
            raise ValueError(f"the {split.name} split is empty; there is nothing to evaluate")
        self.model = copy.deepcopy(model).to(memory_format=torch.channels_last)
        self.split, self.memory, self.chunk = split, memory, chunk
        self._maps, self._logits, self.used = OrderedDict(), {}, 0

    @property
    def names(self):
        """Return the names of the blocks from input to output."""
        return [name for name, _ in self.model.blocks()]

    def logits(self, off=(), swap=()):
        """Return the logits with a lesion, shape (N, classes); arguments as in ``route``."""
        way = route(self.model, off, swap)
        if way not in self._logits:
            with torch.inference_mode(), evaluating(self.model):
                maps = self._walk(way)
                self._logits[way] = torch.cat([self._head(part) for part in maps])
        return self._logits[way].clone()  # not in inference mode: an ordinary tensor

    def right(self, off=(), swap=()):
        """Return how many pictures are classified correctly; arguments as in ``route``."""
        answers = self.logits(off, swap).argmax(1)
        return int((answers == self.split.labels).sum())

    def accuracy(self, off=(), swap=()):
        """Return the share of pictures classified correctly; arguments as in ``route``."""
        return self.right(off, swap) / len(self.split)

    def _walk(self, way):
        """Return the maps after a route, in chunks, from the longest part of it that is kept."""
        if () not in self._maps:
            self._keep((), [self._stem(self.split.pixels(part)) for part in
                            torch.arange(len(self.split)).split(self.chunk)])
        kept = [n for n in range(len(way), -1, -1) if way[:n] in self._maps]
        for n in kept:  # what most ways begin with is forgotten last
            self._maps.move_to_end(way[:n])
        maps, blocks = self._maps[way[:kept[0]]], dict(self.model.blocks())
        for n in range(kept[0], len(way)):
            maps = [_through(blocks[way[n].name], way[n].whole, part) for part in maps]
            self._keep(way[:n + 1], maps)
        return maps

    def _keep(self, way, maps):
        self._maps[way] = maps
        self.used += _size(maps)
        while self.used > self.memory and len(self._maps) > 1:
            _, old = self._maps.popitem(last=False)
            self.used -= _size(old)

    def _stem(self, x):
        model, x = self.model, x.contiguous(memory_format=torch.channels_last)
        x = model.conv1(x)
        return model.maxpool(x if model.preactivation else model.relu(model.bn1(x)))

    def _head(self, x):
        model = self.model
        x = model.relu(model.bn2(x)) if model.preactivation else x
        return model.fc(model.avgpool(x).flatten(1))


def _through(block, whole, x):
    """Return what a block makes of its input: the whole block, or its shortcut alone."""
    if whole:
        return block(x)
    x = block.shortcut(x)
    return x if block.preactivation else block.relu(x)


def _size(maps):
    return sum(part.numel() * part.element_size() for part in maps)
