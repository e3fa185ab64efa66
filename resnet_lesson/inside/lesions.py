"""Lesions: how well a trained network does without some of its blocks.

A block that is switched off keeps its shortcut and loses its branch: relu(0 + shortcut(x)).

- Where the shortcut is the identity, that is x itself, since x comes out of a ReLU. The block
  could as well be cut out of the network.
- Where the shortcut projects, relu(projection(x)) is left: without it the shapes that follow
  would not fit.
- A plain block has no shortcut. Where it keeps the shape, it can be cut out, and x goes on. Where
  it changes the shape, nothing is left that has the shape the next block needs: it cannot be
  switched off, and the sentence says so.

Every norm behind a cut still holds the mean and the variance of the network with all its blocks.
They can be used as stored, or be measured again; no weight changes.

Source: Veit, Wilber, Belongie, "Residual Networks Behave Like Ensembles of Relatively Shallow
Networks" (2016), sections 4.1 (single blocks) and 4.2 (several).
"""

import copy
from typing import NamedTuple

import torch
from torch import nn


class Step(NamedTuple):
    """One block on the way through a network; not ``whole``: its shortcut alone."""

    name: str
    whole: bool


class Maps(NamedTuple):
    """What has come of the pictures so far: of those that are tested, of those that are measured.

    The first are a list of parts, the second one tensor, or ``None`` where nothing is measured.
    """

    tested: list
    sample: torch.Tensor | None


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


def removable(model):
    """Return the names of the blocks that can be switched off, from input to output."""
    return [name for name, _ in model.blocks() if not obstacle(model, name)]


def route(model, off=()):
    """Return which blocks a picture goes through, in order, as a tuple of ``Step``.

    Args:
        model: a ``resnet.ResNet``.
        off: names of the blocks to switch off, as in the state_dict. One that passes its input
            on is not on the route at all; of a projecting one the shortcut is.

    Raises:
        ValueError: an unknown block, or one that cannot be switched off; the sentence says why.
    """
    if not hasattr(model, "blocks"):
        raise ValueError(f"{type(model).__name__} has no blocks(); give a network of "
                         "resnet_lesson.networks.resnet")
    if isinstance(off, str):
        raise ValueError(f'off needs a list of names, got the name "{off}"; write ["{off}"]')
    blocks = dict(model.blocks())
    for name in off:
        if name not in blocks:
            raise ValueError(f"there is no block {name!r}; the blocks are {', '.join(blocks)}")
        if trouble := obstacle(model, name):
            raise ValueError(trouble)
    return tuple(Step(name, name not in off) for name, block in blocks.items()
                 if name not in off or not passes_input_on(block))


class Evaluator:
    """A network and pictures to measure lesions on.

    The maps after every block of the last route are kept; so the next lesion costs only the
    blocks behind the first one that is new. The network is copied and never changed.

    Args:
        model: a ``resnet.ResNet``, residual or plain.
        split: labelled pictures.
        sample: pictures (N, channels, H, W), other ones. Mean and variance of every norm on the
            route are measured again on them, all in one batch and in training mode, before the
            pictures of the split go through. ``None`` leaves them as they are stored.
        chunk: pictures of the split that go through a block together; a few hundred stay in the
            processor's own memory, which is faster than all at once.

    Raises:
        ValueError: a model without blocks, or an empty split.
    """

    def __init__(self, model, split, sample=None, chunk=250):
        route(model)  # refuses what has no blocks
        if len(split) == 0:
            raise ValueError(f"the {split.name} split is empty; there is nothing to evaluate")
        self.model = copy.deepcopy(model).eval().to(memory_format=torch.channels_last)
        self.split, self.sample, self.chunk = split, sample, chunk
        self._way, self._maps = (), []   # of the last route: after the stem and after each step

    @torch.no_grad()
    def logits(self, off=()):
        """Return the logits without these blocks, shape (N, classes); ``off`` as in ``route``."""
        way, blocks, model = route(self.model, off), dict(self.model.blocks()), self.model
        if not self._maps:
            tested = [_ordered(self.split.pixels(part))
                      for part in torch.arange(len(self.split)).split(self.chunk)]
            sample = None if self.sample is None else _ordered(self.sample)
            self._maps = [self._through(model.bn1, self._stem, Maps(tested, sample))]
        same = 0
        while same < min(len(way), len(self._way)) and way[same] == self._way[same]:
            same += 1
        del self._maps[same + 1:]
        for name, whole in way[same:]:
            step = blocks[name] if whole else _without_branch(blocks[name])
            self._maps.append(self._through(blocks[name], step, self._maps[-1]))
        self._way = way
        norm = model.bn2 if model.preactivation else model.fc
        return torch.cat(self._through(norm, self._head, self._maps[-1]).tested)

    def right(self, off=()):
        """Return how many pictures are classified correctly; ``off`` as in ``route``."""
        return int((self.logits(off).argmax(1) == self.split.labels).sum())

    def _through(self, part, step, maps):
        """Return what one step makes of the maps; the norms of that part are measured first."""
        sample = maps.sample
        if sample is not None:
            for module in part.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 1   # nothing of what was stored stays
            part.train()
            sample = step(sample)
            part.eval()
        return Maps([step(chunk) for chunk in maps.tested], sample)

    def _stem(self, x):
        model, x = self.model, self.model.conv1(x)
        return model.maxpool(x if model.preactivation else model.relu(model.bn1(x)))

    def _head(self, x):
        model = self.model
        x = model.relu(model.bn2(x)) if model.preactivation else x
        return model.fc(model.avgpool(x).flatten(1))


def _ordered(x):
    return x.contiguous(memory_format=torch.channels_last)


def _without_branch(block):
    """Return what a block computes whose branch says nothing."""
    return block.shortcut if block.preactivation else lambda x: block.relu(block.shortcut(x))
