"""Our networks against torchvision's: with the same weights they must give the same numbers.

A comparison is worth what it can catch. Three things hide mistakes and are avoided here: batch
norm in training mode (it ignores the running statistics), fresh statistics (mean 0 and variance
1 make half of the formula invisible), and names that are loaded "as far as they fit". Numbers
are float64, so that rounding (about 1e-15) and mistakes lie far apart.

``Reference`` holds torchvision's side, ``report`` compares ours with it, and ``mutants`` holds
networks that are wrong on purpose.
"""

import copy
import math
import sys
from contextlib import redirect_stderr
from functools import cached_property
from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from resnet_lesson.networks.resnet import FAMILY
from resnet_lesson.networks.weights import load, mismatches

DEPTHS = tuple(FAMILY)
STAGES = ("stem", "stage 1", "stage 2", "stage 3", "stage 4", "pooled", "logits")
TOLERANCE = 1e-8


def theirs(depth, num_classes=1000):
    """Return torchvision's ResNet of a depth in ``DEPTHS``, with new random weights."""
    _check_depth(depth)
    return getattr(torchvision.models, f"resnet{depth}")(num_classes=num_classes)


def ours(depth, num_classes=1000):
    """Return our ResNet of a depth in ``DEPTHS`` for colour pictures, with new weights."""
    _check_depth(depth)
    return FAMILY[depth](num_classes=num_classes, in_channels=3)


def _check_depth(depth):
    if depth not in DEPTHS:
        raise ValueError(f"depth must be one of {', '.join(map(str, DEPTHS))}, got {depth!r}")


def transfer(source, target):
    """Copy every weight and statistic of ``source`` into ``target``, strictly; return target.

    Raises:
        ValueError: a name, the order or a shape differs; nothing is copied then.
    """
    found = mismatches(source.state_dict(), target.state_dict())
    if found and "order" in found[0]:
        raise ValueError(f"the weights do not fit: {found[0]}")
    return load(target, source.state_dict())


@torch.no_grad()
def randomise(model, seed=0):
    """Draw every weight and statistic of a network anew, far from its usual start; return it.

    Scales lie in 0.5 … 1.5, shifts and running means around 0, running variances in 0.5 … 1.5,
    none of them at the values 1, 0, 0, 1 that would hide a mistake.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(tensor, deviation):
        tensor.copy_(deviation * torch.randn(tensor.shape, generator=generator))

    def positive(tensor):
        tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            normal(module.weight, math.sqrt(2 / module.weight[0].numel()))
            if module.bias is not None:
                normal(module.bias, 0.1)
        elif isinstance(module, nn.BatchNorm2d):
            positive(module.weight)
            normal(module.bias, 0.1)
            normal(module.running_mean, 0.1)
            positive(module.running_var)
            module.num_batches_tracked.fill_(7)
    return model


def freshen(model):
    """Put every batch norm of a network back to how it starts: 1, 0, mean 0, variance 1."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    return model


@torch.no_grad()
def stage_outputs(model, x):
    """Return what each part of a network gives for ``x``: by the names in ``STAGES``, in order."""
    found, hooks, pairs = {}, [], (*zip(STAGES, STAGES[1:5], strict=False), STAGES[5:])
    for name, labels in zip(("layer1", "layer2", "layer3", "layer4", "fc"), pairs, strict=True):
        def keep(module, inputs, output, before=labels[0], after=labels[1]):
            found.setdefault(before, inputs[0].detach().clone())
            found[after] = output.detach().clone()  # torchvision's ReLU overwrites its input
        for layer in (getattr(model, name), *getattr(model, name).children()):  # called or not
            hooks.append(layer.register_forward_hook(keep))
    try:
        model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def difference(found, expected):
    """Return max |found − expected| / max |expected|; infinite where shapes differ or a NaN is."""
    if found.shape != expected.shape:
        return math.inf
    if torch.equal(found, expected):
        return 0.0
    if not expected.is_floating_point():
        return math.inf
    gap = ((found - expected).abs().max() / expected.abs().max()).item()
    return math.inf if math.isnan(gap) else gap


def differences(found, expected):
    """Return the ``difference`` of each tensor in ``expected`` by name; infinite where missing."""
    return {name: difference(found[name], value) if name in found else math.inf
            for name, value in expected.items()}


def training_step(network, x, y, lr=0.1):
    """Take one step of gradient descent with pictures ``x`` and labels ``y``, in place.

    Returns:
        ``(gradients, weights, statistics)``: three dicts of tensors by name. The last holds the
        buffers: running means and variances and their counters.
    """
    network.train()
    network.zero_grad()
    F.cross_entropy(network(x), y).backward()
    weights = dict(network.named_parameters())
    gradients = {name: weight.grad for name, weight in weights.items() if weight.grad is not None}
    with torch.no_grad():
        for name, gradient in gradients.items():
            weights[name].sub_(gradient, alpha=lr)
    return (gradients, {name: weight.detach() for name, weight in weights.items()},
            dict(network.named_buffers()))


class Reference:
    """Torchvision's side of a comparison: one network with random weights, and its results.

    Args:
        depth: 18, 34, 50, 101 or 152.
        size: side of the pictures; at least 33, so that the last stage sees more than one pixel
            and its batch statistics mean something.
        batch: number of pictures.
        seed: of weights, statistics, pictures and labels.

    Attributes:
        network: torchvision's network in float64 and evaluation mode.
        x: pictures, shape (batch, 3, size, size).
        y: labels, shape (batch,).
    """

    def __init__(self, depth=18, size=64, batch=2, seed=0):
        if size < 33 or batch < 2:
            raise ValueError("a comparison needs pictures of at least 33 pixels and a batch of at "
                             f"least 2, got size={size}, batch={batch}")
        self.depth = depth
        with torch.random.fork_rng(devices=[]):
            self.network = randomise(theirs(depth).double(), seed).eval()
        generator = torch.Generator().manual_seed(seed + 1)
        self.x = torch.randn(batch, 3, size, size, generator=generator, dtype=torch.float64)
        self.y = torch.randint(1000, (batch,), generator=generator)

    @cached_property
    def stages(self):
        """Return the output of each stage in evaluation mode."""
        return stage_outputs(self.network, self.x)

    @cached_property
    def fresh(self):
        """Return a copy of the network with fresh batch norms, in training mode."""
        return freshen(copy.deepcopy(self.network)).train()

    @cached_property
    def fresh_logits(self):
        """Return the logits of ``fresh``, in training mode."""
        with torch.no_grad():
            return self.fresh(self.x)

    @cached_property
    def step(self):
        """Return ``training_step`` of a copy of the network."""
        return training_step(copy.deepcopy(self.network), self.x, self.y)


def report(depth, **settings):
    """Return the largest differences between our network and torchvision's, by what is compared.

    Weights go strictly from theirs to ours and back. Compared are every stage in evaluation
    mode, then gradients, weights and statistics of one training step, then every stage again.
    The ``settings`` are those of ``Reference``. Raises ``ValueError`` for an unknown depth.
    """
    reference = Reference(depth, **settings)
    network = transfer(reference.network, ours(depth).double()).eval()
    transfer(network, reference.network)
    rows = {"stages": differences(stage_outputs(network, reference.x), reference.stages)}
    results = []
    for net in (network, reference.network):  # in place: two networks of depth 152 are enough
        step = training_step(net, reference.x, reference.y)
        results.append((*step, stage_outputs(net.eval(), reference.x)))
    kinds = ("gradients", "weights", "statistics", "stages after the step")
    rows.update({kind: differences(mine, expected)
                 for kind, mine, expected in zip(kinds, *results, strict=True)})
    return {kind: max(gaps.values()) for kind, gaps in rows.items()}


def pretrained(depth, download=False):
    """Return torchvision's trained weights of a depth as a state_dict.

    They are looked for where torch keeps its downloads (``torch.hub.get_dir()``). What is
    downloaded is checked against the digits of its SHA-256 that its name holds.

    Args:
        depth: one of ``DEPTHS``.
        download: fetch them if they are not there; 45 MB for depth 18.

    Raises:
        FileNotFoundError: they are not there, and ``download`` is ``False``.
        RuntimeError: the download failed, or the file is damaged.
    """
    _check_depth(depth)
    url = torchvision.models.get_model_weights(f"resnet{depth}").DEFAULT.url
    path = Path(torch.hub.get_dir(), "checkpoints", url.rsplit("/", 1)[1])
    if not (download or path.is_file()):
        raise FileNotFoundError(f"the trained weights {path.name} are not among torch's "
                                "downloads; ask for them with download=True, or go on without")
    try:
        with redirect_stderr(sys.stdout):  # torch's bar: a notebook shows stderr as an error
            return torch.hub.load_state_dict_from_url(url, check_hash=True, weights_only=True)
    except Exception as error:  # of a damaged file torch.load says anything, from EOF to KeyError
        reason = str(getattr(error, "reason", error)).partition("\n")[0]
        raise RuntimeError(f"the trained weights {path.name} could not be loaded ({reason}); "
                           f"delete {path} if it is there and ask again with download=True, or "
                           "go on without trained weights") from None
