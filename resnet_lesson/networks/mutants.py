"""Networks that are wrong on purpose, and which check of parity catches which.

A ``Candidate`` is a network together with the way its author compares it. A check takes a
``parity.Reference`` and a ``Subject``, which is a candidate at work, and gives a ``Finding``.
``MUTANTS`` are candidates with one mistake each; ``survey`` runs every check on every one.
"""

import copy
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MethodType
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from resnet_lesson.networks.parity import (
    TOLERANCE,
    Reference,
    difference,
    differences,
    freshen,
    mismatches,
    ours,
    stage_outputs,
    training_step,
)

# What is compared, and how ----------------------------------------------------------------------

def load_strictly(network, state):
    """Load a state_dict as it should be: every name, or an error."""
    network.load_state_dict(state)


def load_what_fits(network, state):
    """Load a state_dict as hurried people do: what has no place is left out in silence."""
    network.load_state_dict(state, strict=False)


def load_parameters_only(network, state):
    """Load weights, scales and shifts, and forget the running statistics."""
    parameters = {name for name, _ in network.named_parameters()}
    load_what_fits(network, {name: value for name, value in state.items() if name in parameters})


@dataclass(frozen=True)
class Candidate:
    """A network to compare with torchvision's, and how its author goes about it.

    Attributes:
        name: a few words.
        change: takes the correct network and makes the mistake in it, in place.
        load: takes the network and a state_dict, and loads it.
        prepare: takes the network and makes it ready to predict.
        depth: the depth at which to look.
    """

    name: str
    change: Callable = lambda network: None
    load: Callable = load_strictly
    prepare: Callable = nn.Module.eval
    depth: int = 18

    def build(self):
        """Return the network in float64, with random weights of its own."""
        network = copy.deepcopy(_correct(self.depth))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.change(network)
        return network.double()

    def port(self, network, state):
        """Return a copy of ``network`` with the weights of ``state``, loaded its author's way.

        What cannot be loaded strictly is loaded as far as it fits, so that the checks of
        numbers have something to look at; the check of names has told by then.
        """
        network = copy.deepcopy(network)
        try:
            self.load(network, state)
        except RuntimeError:
            load_what_fits(network, state)
        self.prepare(network)
        return network


@lru_cache(maxsize=2)
def _correct(depth):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ours(depth).double()


class Subject:
    """A candidate under examination: its network, and what several checks want to know of it."""

    def __init__(self, candidate, reference):
        self.candidate, self.reference = candidate, reference
        self.network = candidate.build()

    def port(self):
        """Return the network with the reference's weights, see ``Candidate.port``."""
        return self.candidate.port(self.network, self.reference.network.state_dict())

    @cached_property
    def stages(self):
        """Return the output of every stage, as the candidate's author predicts."""
        return stage_outputs(self.port(), self.reference.x)


class Finding(NamedTuple):
    """What a check says of a candidate: whether it ``passed``, and in ``words`` what it saw."""

    check: str
    passed: bool
    words: str


def _judge(check, gaps):
    """Return the finding of a check that measured ``gaps``: differences by name, in order."""
    wrong = [name for name, gap in gaps.items() if not gap <= TOLERANCE]
    if not wrong:
        return Finding(check, True, f"no difference above {TOLERANCE:.0e}")
    gap = gaps[wrong[0]]
    size = f"differs by {gap:.0e}" if math.isfinite(gap) else "has another shape, or is missing"
    return Finding(check, False, f"{wrong[0]} {size}")


# The checks, from the weakest to the strictest --------------------------------------------------

def mangle(state):
    """Return a state_dict whose shortcut norms have names that our networks do not know.

    This is the slip of a published port: one wrong line of renaming, and a silent loader.
    """
    return {name.replace("downsample.1.", "shortcut_norm."): value
            for name, value in state.items()}


def published(reference, subject):
    """Check as published (C7): mangled names, training mode, the library against itself."""
    _load_as_published(reference, subject)
    with torch.no_grad():
        output = reference.fresh(reference.x)  # the slip, copied faithfully: not our network
    return _judge("as published", {"output": difference(output, reference.fresh_logits)})


def output_shape(reference, subject):
    """Check that one logit per class comes out."""
    shape, expected = (tuple(stages["logits"].shape)
                       for stages in (subject.stages, reference.stages))
    return Finding("output shape", shape == expected, f"logits {shape}, torchvision's {expected}")


def parameter_count(reference, subject):
    """Check that both have the same number of parameters."""
    mine, expected = (sum(weight.numel() for weight in net.parameters())
                      for net in (subject.network, reference.network))
    return Finding("parameter count", mine == expected,
                   f"{mine:,} parameters, torchvision's {expected:,}")


def half_repaired(reference, subject):
    """Check the logits of ours against theirs, everything else as published."""
    network = _load_as_published(reference, subject)
    with torch.no_grad():
        gap = difference(network(reference.x), reference.fresh_logits)
    return _judge("half repaired", {"logits": gap})


def _load_as_published(reference, subject):
    network = freshen(copy.deepcopy(subject.network)).train()
    load_what_fits(network, mangle(freshen(reference.fresh).state_dict()))
    return network


def names(reference, subject):
    """Check that names, order and shapes are equal, so that loading is strict both ways."""
    found = mismatches(reference.network, subject.network)
    return Finding("names, strictly", not found,
                   f"{len(found)} differ, first: {found[0]}" if found else "all equal, in order")


def logits(reference, subject):
    """Check the logits in evaluation mode, with random weights and statistics."""
    gap = difference(subject.stages["logits"], reference.stages["logits"])
    return _judge("logits", {"logits": gap})


def every_stage(reference, subject):
    """Check the output of every stage in the same way; the words name the first that differs."""
    return _judge("every stage", differences(subject.stages, reference.stages))


def one_step(reference, subject):
    """Check gradients, new weights and running statistics of one training step."""
    found, gaps = training_step(subject.port(), reference.x, reference.y), {}
    for kind, mine, expected in zip(("gradient", "weight", "statistic"), found, reference.step,
                                    strict=True):
        gaps.update({f"{kind} of {name}": gap
                     for name, gap in differences(mine, expected).items()})
    return _judge("training step", gaps)


CHECKS = (published, output_shape, parameter_count, half_repaired, names, logits, every_stage,
          one_step)


def examine(candidate, reference=None, checks=CHECKS):
    """Run checks on a candidate; return one ``Finding`` each.

    Args:
        candidate: a ``Candidate``.
        reference: a ``parity.Reference`` of the candidate's depth; ``None`` makes one.
        checks: functions like those in ``CHECKS``.

    Raises:
        ValueError: the reference has another depth than the candidate.
    """
    reference = reference or Reference(candidate.depth)
    if reference.depth != candidate.depth:
        raise ValueError(f"“{candidate.name}” is a ResNet-{candidate.depth}, the reference a "
                         f"ResNet-{reference.depth}; give a reference of the same depth")
    subject = Subject(candidate, reference)
    return [check(reference, subject) for check in checks]


def survey(candidates=None, checks=CHECKS, progress=True):
    """Run every check on every candidate.

    Args:
        candidates: a sequence of ``Candidate``; ``None`` takes the correct one and ``MUTANTS``.
        checks: functions like those in ``CHECKS``.
        progress: show a bar with the time left.

    Returns:
        A dict from the candidate's name to its findings, in order.
    """
    candidates = (Candidate("none: the correct network"), *MUTANTS) if candidates is None else (
        candidates)
    references, found = {}, {}
    for candidate in tqdm(candidates, desc="networks examined", file=sys.stdout,
                          disable=not progress):
        depth = candidate.depth
        references[depth] = references.get(depth) or Reference(depth)
        found[candidate.name] = examine(candidate, references[depth], checks)
    return found


# The mutants: one mistake each ------------------------------------------------------------------

def _blocks(network):
    return [block for _, block in network.blocks()]


def _norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def _replace_forward(module, forward):
    module.forward = MethodType(forward, module)


def drop_shortcut_norm(network):
    """Leave out the batch norm behind the projections, as the book's block does."""
    for block in _blocks(network):
        if block.downsample is not None:
            block.downsample[1] = nn.Identity()


def add_biases(network):
    """Give every convolution a bias, as ``nn.Conv2d`` does unless told otherwise."""
    for conv in (module for module in network.modules() if isinstance(module, nn.Conv2d)):
        bound = 1 / math.sqrt(conv.weight[0].numel())
        conv.bias = nn.Parameter(torch.empty(conv.out_channels).uniform_(-bound, bound))


def swap_blocks(network):
    """Run the blocks of stage 1 in the wrong order; all shapes fit, since they are alike."""
    def forward(stage, x):
        for block in reversed(stage):
            x = block(x)
        return x
    _replace_forward(network.layer1, forward)


def forget_last_relu(network):
    """Leave out the ReLU after each addition."""
    def forward(block, x):
        return block.branch(x) + block.shortcut(x)
    for block in _blocks(network):
        _replace_forward(block, forward)


def relu_before_addition(network):
    """Put the last ReLU of each block on the branch, before the addition."""
    def forward(block, x):
        return F.relu(block.branch(x)) + block.shortcut(x)
    for block in _blocks(network):
        _replace_forward(block, forward)


def stride_on_first(network):
    """Put a bottleneck's stride on its first 1×1 convolution: the paper's ResNet, "v1"."""
    for block in _blocks(network):
        block.conv1.stride, block.conv2.stride = block.conv2.stride, (1, 1)


def pool_without_padding(network):
    """Leave out the padding of the max-pool."""
    network.maxpool.padding = 0


def other_eps(network):
    """Use eps = 10⁻³ in every batch norm, the default of other libraries, for PyTorch's 10⁻⁵."""
    for norm in _norms(network):
        norm.eps = 1e-3


def other_momentum(network):
    """Use momentum 0.9 in every batch norm: other libraries count from the other end."""
    for norm in _norms(network):
        norm.momentum = 0.9


def ignore_running_mean(network):
    """Divide by the running deviation in evaluation mode, but subtract no running mean."""
    def forward(norm, x):
        if norm.training:
            return nn.BatchNorm2d.forward(norm, x)
        return F.batch_norm(x, torch.zeros_like(norm.running_mean), norm.running_var,
                            norm.weight, norm.bias, eps=norm.eps)
    for norm in _norms(network):
        _replace_forward(norm, forward)


def always_batch_statistics(network):
    """Normalise by the batch in evaluation mode too."""
    def forward(norm, x):
        return F.batch_norm(x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
    for norm in _norms(network):
        _replace_forward(norm, forward)


def cut_shortcut_gradient(network):
    """Let the shortcut carry the numbers forward, but no gradient back."""
    def forward(block, x):
        return F.relu(block.branch(x) + block.shortcut(x).detach())
    for block in _blocks(network):
        _replace_forward(block, forward)


def late_relu(network):
    """Apply the very last ReLU behind stage 4 instead of in it."""
    def forward(block, x):
        return block.branch(x) + block.shortcut(x)
    _replace_forward(network.layer4[-1], forward)
    network.avgpool = _ReluFirst(network.avgpool)


class _ReluFirst(nn.Module):
    """ReLU, then a pooling."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x):
        return self.pool(F.relu(x))


MUTANTS = (
    Candidate("bias in every convolution", add_biases),
    Candidate("no norm on the shortcut", drop_shortcut_norm),
    Candidate("max-pool without padding", pool_without_padding),
    Candidate("blocks of stage 1 swapped", swap_blocks),
    Candidate("last ReLU of each block forgotten", forget_last_relu),
    Candidate("ReLU before the addition", relu_before_addition),
    Candidate("stride on the first 1×1 (ResNet-50)", stride_on_first, depth=50),
    Candidate("eps 10⁻³ for 10⁻⁵", other_eps),
    Candidate("running statistics not copied", load=load_parameters_only),
    Candidate("running mean ignored", ignore_running_mean),
    Candidate("compared in training mode", prepare=nn.Module.train),
    Candidate("last ReLU behind stage 4", late_relu),
    Candidate("no gradient through the shortcut", cut_shortcut_gradient),
    Candidate("momentum 0.9 for 0.1", other_momentum),
)
