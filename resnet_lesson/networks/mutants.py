"""Networks that are wrong on purpose, and which check of parity catches which.

A ``Candidate`` is a network together with the way its author compares it; a ``Subject`` is a
candidate beside a ``parity.Reference``. ``CHECKS`` are functions by name that look at a subject.
``MUTANTS`` are networks with one mistake each, ``COMPARISONS`` right networks compared wrongly;
``EQUIVALENT`` is another way to write the right one, and ``OTHER_START`` differs where nobody
looks. ``survey`` runs every check on each of them.
"""

import copy
import math
import sys
from collections.abc import Callable
from functools import cached_property
from types import MethodType
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from resnet_lesson.networks import parity
from resnet_lesson.networks.parity import difference, differences
from resnet_lesson.networks.weights import mismatches

# What is compared, and how ----------------------------------------------------------------------

def load_what_fits(network, state):
    """Load a state_dict as hurried people do: what has no place is left out in silence."""
    network.load_state_dict(state, strict=False)


def load_parameters_only(network, state):
    """Load weights, scales and shifts, and forget the running statistics."""
    parameters = {name for name, _ in network.named_parameters()}
    load_what_fits(network, {name: value for name, value in state.items() if name in parameters})


def load_renamed(network, state):
    """Load as the published check does: a renaming that loses norms, and nobody is told."""
    load_what_fits(network, mangle(state))


class Candidate(NamedTuple):
    """A network to compare with torchvision's, and how its author goes about it.

    Attributes:
        name: a few words.
        change: makes the mistake in the correct network, in place; ``None`` makes none.
        load: loads a state_dict into the network.
        prepare: makes the network ready to predict.
        depth: the depth at which to look.
    """

    name: str
    change: Callable | None = None
    load: Callable = nn.Module.load_state_dict
    prepare: Callable = nn.Module.eval
    depth: int = 18


class Subject:
    """A candidate beside a ``parity.Reference`` of its depth: the network with its mistake.

    The network is in float64 and has random weights of its own. Raises ``ValueError`` where the
    reference has another depth.
    """

    def __init__(self, candidate, reference):
        if reference.depth != candidate.depth:
            raise ValueError(f"“{candidate.name}” is a ResNet-{candidate.depth}, the reference a "
                             f"ResNet-{reference.depth}; give a reference of the same depth")
        self.candidate, self.reference = candidate, reference
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.network = parity.ours(candidate.depth)
            if candidate.change:
                candidate.change(self.network)
        self.network.double()

    def port(self):
        """Return a copy of the network with the reference's weights, loaded its author's way.

        What cannot be loaded strictly is loaded as far as it fits, so that the checks of
        numbers have something to look at; the check of names has told by then.
        """
        network, state = copy.deepcopy(self.network), self.reference.network.state_dict()
        try:
            self.candidate.load(network, state)
        except RuntimeError:
            load_what_fits(network, state)
        self.candidate.prepare(network)
        return network

    @cached_property
    def stages(self):
        """Return the output of every stage, as the candidate's author predicts."""
        return parity.stage_outputs(self.port(), self.reference.x)


# The checks: each returns whether the subject passed, and in words what was seen -----------------

def mangle(state):
    """Return a state_dict whose shortcut norms have names that our networks do not know.

    This is the slip of a published port: one wrong line of renaming, and a silent loader.
    """
    return {name.replace("downsample.1.", "shortcut_norm."): value
            for name, value in state.items()}


def _loaded_as_published(subject):
    network = parity.freshen(copy.deepcopy(subject.network)).train()
    load_what_fits(network, mangle(parity.freshen(subject.reference.fresh).state_dict()))
    return network


def _judged(gaps):
    """Judge differences by name, in order; the words name the first that is too large."""
    wrong = [name for name, gap in gaps.items() if not gap <= parity.TOLERANCE]
    if not wrong:
        return True, f"no difference above {parity.TOLERANCE:.0e}"
    gap = gaps[wrong[0]]
    size = f"differs by {gap:.0e}" if math.isfinite(gap) else "has another shape, or is missing"
    return False, f"{wrong[0]} {size}"


def check_as_published(subject):
    """Check as published: mangled names, training mode, the library against itself."""
    _loaded_as_published(subject)
    with torch.no_grad():  # the slip, copied faithfully: our network is loaded, but never asked
        output = subject.reference.fresh(subject.reference.x)
    return _judged({"output": difference(output, subject.reference.fresh_logits)})


def check_shape(subject):
    """Check that one logit per class comes out."""
    shape, expected = (tuple(stages["logits"].shape)
                       for stages in (subject.stages, subject.reference.stages))
    return shape == expected, f"logits {shape}, torchvision's {expected}"


def check_count(subject):
    """Check that both have the same number of parameters."""
    mine, expected = (sum(weight.numel() for weight in network.parameters())
                      for network in (subject.network, subject.reference.network))
    return mine == expected, f"{mine:,} parameters, torchvision's {expected:,}"


def check_half_repaired(subject):
    """Check the logits of ours against theirs, everything else as published."""
    with torch.no_grad():
        logits = _loaded_as_published(subject)(subject.reference.x)
    return _judged({"logits": difference(logits, subject.reference.fresh_logits)})


def check_names(subject):
    """Check that names, order and shapes are equal, so that loading is strict both ways."""
    found = mismatches(subject.reference.network.state_dict(), subject.network.state_dict())
    return not found, f"{len(found)} differ, first: {found[0]}" if found else "all equal, in order"


def check_logits(subject):
    """Check the logits in evaluation mode, with random weights and statistics."""
    gap = difference(subject.stages["logits"], subject.reference.stages["logits"])
    return _judged({"logits": gap})


def check_stages(subject):
    """Check the output of every stage in the same way; the words name the first that differs."""
    return _judged(differences(subject.stages, subject.reference.stages))


def check_step(subject):
    """Check gradients, new weights and running statistics of one training step."""
    found, gaps = parity.training_step(subject.port(), subject.reference.x, subject.reference.y), {}
    for kind, mine, expected in zip(("gradient", "weight", "statistic"), found,
                                    subject.reference.step, strict=True):
        gaps.update({f"{kind} of {name}": gap
                     for name, gap in differences(mine, expected).items()})
    return _judged(gaps)


# from the weakest to the strictest
CHECKS = {"as published": check_as_published, "output shape": check_shape,
          "parameter count": check_count, "half repaired": check_half_repaired,
          "names, strictly": check_names, "logits": check_logits, "every stage": check_stages,
          "training step": check_step}


class Finding(NamedTuple):
    """What a check says of a candidate: whether it ``passed``, and in ``words`` what it saw."""

    check: str
    passed: bool
    words: str


def survey(candidates, progress=True):
    """Run every check on every candidate, with a bar for ``progress``.

    Returns:
        A dict from the candidate's name to its findings, a ``Finding`` for each check, in order.
    """
    depths, found = {candidate.depth for candidate in candidates}, {}
    references = {depth: parity.Reference(depth) for depth in depths}
    for candidate in tqdm(candidates, desc="networks examined", file=sys.stdout,
                          disable=not progress):
        subject = Subject(candidate, references[candidate.depth])
        found[candidate.name] = [Finding(name, *check(subject)) for name, check in CHECKS.items()]
    return found


# The mutants: one mistake each ------------------------------------------------------------------

def _blocks(network):
    return [module for module in network.modules() if hasattr(module, "branch")]


def _norms(network):
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


def _replace_forward(modules, forward):
    for module in modules:
        module.forward = MethodType(forward, module)


def drop_shortcut_norm(network):
    """Leave out the batch norm after the projections, as the book's block does."""
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
    _replace_forward([network.layer1], forward)


def forget_last_relu(network):
    """Leave out the ReLU after each addition."""
    _replace_forward(_blocks(network), lambda block, x: block.branch(x) + block.shortcut(x))


def relu_before_addition(network):
    """Put the last ReLU of each block on the branch, before the addition."""
    _replace_forward(_blocks(network),
                     lambda block, x: F.relu(block.branch(x)) + block.shortcut(x))


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
    _replace_forward(_norms(network), forward)


def always_batch_statistics(network):
    """Normalise by the batch in evaluation mode too."""
    _replace_forward(_norms(network), lambda norm, x: F.batch_norm(
        x, None, None, norm.weight, norm.bias, training=True, eps=norm.eps))


def cut_shortcut_gradient(network):
    """Let the shortcut carry the numbers forward, but no gradient back."""
    _replace_forward(_blocks(network), lambda block, x: F.relu(
        block.branch(x) + block.shortcut(x).detach()))


def mystery(network):
    """Return the network with one mistake; whoever is to find it does not read on here."""
    forget_last_relu(network.layer3)
    return network


def start_by_xavier(network):
    """Draw every convolution's weights by Xavier's rule, where ResNets use He's."""
    for conv in (module for module in network.modules() if isinstance(module, nn.Conv2d)):
        nn.init.xavier_uniform_(conv.weight)


def late_relu(network):
    """Apply the very last ReLU just after stage 4 instead of in it."""
    _replace_forward(network.layer4[-1:], lambda block, x: block.branch(x) + block.shortcut(x))
    network.avgpool = nn.Sequential(nn.ReLU(), network.avgpool)


CORRECT = Candidate("none: the correct network")
MUTANTS = (
    Candidate("bias in every convolution", add_biases),
    Candidate("no norm on the shortcut", drop_shortcut_norm),
    Candidate("max-pool without padding", pool_without_padding),
    Candidate("blocks of stage 1 swapped", swap_blocks),
    Candidate("last ReLU of each block forgotten", forget_last_relu),
    Candidate("ReLU before the addition", relu_before_addition),
    Candidate("stride on the first 1×1 (ResNet-50)", stride_on_first, depth=50),
    Candidate("eps 10⁻³ for 10⁻⁵", other_eps),
    Candidate("running mean ignored", ignore_running_mean),
    Candidate("no gradient through the shortcut", cut_shortcut_gradient),
    Candidate("momentum 0.9 for 0.1", other_momentum),
)
COMPARISONS = (   # the network is right
    Candidate("only ours in training mode", prepare=nn.Module.train),
    Candidate("running statistics not copied", load=load_parameters_only),
    Candidate("names lost, strict=False", load=load_renamed),
)
EQUIVALENT = Candidate("last ReLU moved after stage 4", late_relu)
OTHER_START = Candidate("another initialisation", start_by_xavier)
