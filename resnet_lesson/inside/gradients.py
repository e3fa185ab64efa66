"""Measurements inside a network: gradients block by block, skip and branch, input gradients.

Every function leaves the model as it was: weights, ``.grad``, batch-norm statistics and mode.

Sources: He et al., "Identity Mappings in Deep Residual Networks" (2016), equations 4 and 5 (the
derivative of the sum); Veit et al., "Residual Networks Behave Like Ensembles of Relatively
Shallow Networks" (2016) (paths); Balduzzi et al., "The Shattered Gradients Problem" (2017).
"""

import copy
import itertools
import math
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.networks.modes import evaluating
from resnet_lesson.words import whole


class Profile(NamedTuple):
    """What one backward pass looks like from inside; each tuple has one entry per block."""

    names: tuple      # from input to output, as in the state_dict
    gradients: tuple  # norm of ∂loss/∂(output of the block)
    weights: tuple    # norm of ∂loss/∂(all convolution weights of the block's branch)
    # standard deviation of the output between pictures, the root of the mean variance over the
    # batch: what all pictures share, such as a bias, carries nothing
    activations: tuple
    loss: float       # the cross-entropy


class Terms(NamedTuple):
    """The gradient at a block's input, in two terms of the input's shape."""

    skip: torch.Tensor
    branch: torch.Tensor


class Share(NamedTuple):
    """What the shortcut and the branch of one block make up in one backward pass."""

    name: str
    branch_to_skip: float  # in the gradient at the input: norm of the branch's term ÷ the skip's
    output_branch: float   # norm of the branch's output ÷ (that + norm of the shortcut's)


class Paths(NamedTuple):
    """A gradient by path length, and the gradient at the last block's output that it came from.

    ``parts`` holds L + 1 tensors of the shape of the first block's input; part k came through
    exactly k branches.
    """

    parts: tuple
    upstream: torch.Tensor


def norm(values):
    """Return the Frobenius norm of a tensor of any shape as a float.

    It is summed in float64, where squares of small float32 values do not underflow to zero.
    """
    return torch.linalg.vector_norm(values.detach(), dtype=torch.float64).item()


def profile(model, X, y):
    """Run one forward and one backward pass; return the ``Profile`` of the blocks.

    In training mode batch norm uses the statistics of the batch, as in a step of training.

    Args:
        model: a ``ResNet``.
        X: pictures (N, channels, H, W).
        y: labels (N,).

    Raises:
        ValueError: a model without blocks, or a batch that does not fit.
    """
    _, outputs, loss = _run(model, X, y)
    blocks = model.blocks()
    weights = [[getattr(block, f"conv{i}").weight for i in range(1, block.depth + 1)]
               for _, block in blocks]
    norms = map(norm, torch.autograd.grad(loss, [*outputs, *itertools.chain(*weights)]))
    return Profile(
        names=tuple(name for name, _ in blocks),
        gradients=tuple(itertools.islice(norms, len(blocks))),
        weights=tuple(math.hypot(*itertools.islice(norms, len(group))) for group in weights),
        activations=tuple(output.detach().double().var(0, correction=0).mean().sqrt().item()
                          for output in outputs),
        loss=loss.item())


def gradient_terms(block, x, v):
    """Return the ``Terms`` of the gradient at a block's input, each measured on its own.

    With z = g(x) + s(x), where g is the branch and s the shortcut, and with v the gradient at z,
    the gradient at x is Jₛᵀv + J_gᵀv; for an identity shortcut the first term is v itself (He
    et al. 2016b, equation 5), for a plain block zero. A block that ends in a ReLU first cuts v
    where z ≤ 0.

    Args:
        block: a ``BasicBlock`` or ``Bottleneck``.
        x: the block's input (N, in_channels, H, W).
        v: the gradient at the block's output, of the output's shape.

    Raises:
        ValueError: not one of our blocks, or a v of another shape than the output.
    """
    if not (hasattr(block, "branch") and hasattr(block, "shortcut")):
        raise ValueError(f"{type(block).__name__} does not say which part is its branch; give a "
                         "BasicBlock or a Bottleneck of resnet_lesson.networks.blocks")
    with _unchanged(block):
        return _terms(*_graph(block, x), v)


def sum_error(block, x, v):
    """Return ‖skip + branch − autograd‖ ÷ ‖autograd‖: rounding error, if the block is right.

    Autograd's gradient goes through ``block.forward``; arguments as in ``gradient_terms``.
    """
    skip, branch = gradient_terms(block, x, v)
    x = x.detach().requires_grad_()
    with _unchanged(block), torch.enable_grad():
        expected, = torch.autograd.grad(block(x), x, v)
    difference, size = norm(skip + branch - expected), norm(expected)
    if size:
        return difference / size
    return math.inf if difference else 0.0


def shares(model, X, y):
    """Return one ``Share`` per block, input to output, for one batch; arguments as ``profile``.

    The two terms are computed at the inputs and upstream gradients of a real backward pass; where
    the skip's is zero, as in a plain block, their ratio is infinite.
    """
    inputs, outputs, loss = _run(model, X, y)
    upstream = torch.autograd.grad(loss, outputs)
    rows = []
    for (name, block), x, v in zip(model.blocks(), inputs, upstream, strict=True):
        with _unchanged(block):
            x, g, s, mask = _graph(block, x)
            skip, branch = _terms(x, g, s, mask, v)
        part = norm(g)
        both = part if s is None else part + norm(s)
        rows.append(Share(name, norm(branch) / norm(skip) if norm(skip) else math.inf,
                          part / both if both else 0.0))
    return rows


def gradient_by_path_length(model, X, y):
    """Split the gradient at the first block's input by the number of branches it came through.

    A residual network of L blocks holds 2^L paths, since each block is passed by its branch or
    by its shortcut (Veit et al. 2016). Going backwards, part k at a block's input is part k
    through the shortcut plus part k − 1 through the branch, so L(L + 1) products do what 2^L
    paths would need. Arguments as in ``profile``; the parts of the ``Paths`` add up to the
    gradient.
    """
    inputs, outputs, loss = _run(model, X, y)
    upstream, = torch.autograd.grad(loss, outputs[-1])
    parts = [upstream]
    for (_, block), x in zip(reversed(model.blocks()), reversed(inputs), strict=True):
        with _unchanged(block):
            graph = _graph(block, x)
        split = [_terms(*graph, part) for part in parts]
        parts = [split[0].skip,
                 *(later.skip + earlier.branch for earlier, later in itertools.pairwise(split)),
                 split[-1].branch]
    return Paths(tuple(parts), upstream)


def projected_shares(parts):
    """Return the share of each part in the sum of all: ⟨part, sum⟩ ÷ ⟨sum, sum⟩.

    The shares add up to 1. One is negative where a part points against the sum.

    Raises:
        ValueError: the parts add up to zero.
    """
    parts = [part.double().flatten() for part in parts]
    total = torch.stack(parts).sum(0)
    size = total @ total
    if size == 0:
        raise ValueError("the parts add up to zero, so none has a share in their sum; "
                         "take an upstream gradient that is not zero")
    return [(part @ total / size).item() for part in parts]


def line(start, end, points):
    """Return evenly spaced pictures on the straight line between two, (points, channels, H, W).

    Raises:
        ValueError: two ends of different shapes, or fewer than two points.
    """
    if start.shape != end.shape:
        raise ValueError(f"both ends of a line need one shape, got {tuple(start.shape)} and "
                         f"{tuple(end.shape)}")
    t = torch.linspace(0, 1, whole(points, "points", 2), dtype=start.dtype, device=start.device)
    return start + t.view(-1, *[1] * start.ndim) * (end - start)


def input_gradients(model, X, label=0):
    """Return ∂logit/∂picture for each picture, shape of X; in evaluation mode.

    In that mode no picture sees another, so each gradient belongs to one picture alone. The
    model may be any module that maps (N, …) to logits (N, classes); ``label`` is which of them.

    Raises:
        ValueError: a label that the model has no logit for.
    """
    X = X.detach().requires_grad_()
    with _unchanged(model), evaluating(model), torch.enable_grad():
        logits = model(X)
        if not 0 <= label < logits.shape[1]:
            raise ValueError(f"label must lie between 0 and {logits.shape[1] - 1}, got {label}")
        return torch.autograd.grad(logits[:, label].sum(), X)[0]


def correlation_by_distance(gradients):
    """Return how alike gradients (points, …) are, by their distance along a line: (points,).

    Entry d is the mean cosine (the correlation without subtracting means) of gradients that lie d
    points apart, in float64. White noise gives 0 everywhere but at 0.

    Raises:
        ValueError: fewer than two points, or a gradient that is exactly zero.
    """
    flat = gradients.detach().double().flatten(1)
    sizes = flat.norm(dim=1, keepdim=True)
    if len(flat) < 2 or (sizes == 0).any():
        raise ValueError("a correlation needs at least two gradients, none of them zero; "
                         f"got {len(flat)}, of which {int((sizes == 0).sum())} are zero")
    cosines = (flat / sizes) @ (flat / sizes).T
    return torch.stack([cosines.diagonal(d).mean() for d in range(len(flat))])


def settle_batch_norm(model, X):
    """Return a copy of the model whose batch-norm statistics are those of ``X`` alone."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # PyTorch's word for the plain mean over all batches seen
    with torch.no_grad():
        model.train()(X)
    return model.eval()


def _graph(block, x):
    """Return (x, branch output, shortcut output or None, what a last ReLU lets through)."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        g = block.branch(x)
        s = block.shortcut(x) if block.residual else None
    z = g if s is None else g + s
    return x, g, s, torch.ones_like(z) if block.preactivation else z.detach() > 0


def _terms(x, g, s, mask, v):
    if v.shape != g.shape:
        raise ValueError(f"the upstream gradient needs the shape of the block's output, "
                         f"{tuple(g.shape)}, got {tuple(v.shape)}")
    v = v * mask
    branch, = torch.autograd.grad(g, x, v, retain_graph=True)
    if s is None:
        return Terms(torch.zeros_like(branch), branch)
    skip, = torch.autograd.grad(s, x, v, retain_graph=True)
    return Terms(skip, branch)


def _run(model, X, y):
    """Run the model; return (inputs of the blocks, their outputs in the graph, loss)."""
    if not hasattr(model, "blocks"):
        raise ValueError(f"{type(model).__name__} has no blocks(); give a network of "
                         "resnet_lesson.networks.resnet")
    if len(X) != len(y) or len(y) == 0:
        raise ValueError(f"one label is needed for each picture and at least one of them, got "
                         f"{len(X)} pictures and {len(y)} labels")
    inputs, outputs = [], []

    def keep(_, args, output):
        inputs.append(args[0].detach())
        outputs.append(output)

    hooks = [block.register_forward_hook(keep) for _, block in model.blocks()]
    try:
        with _unchanged(model), torch.enable_grad():
            loss = F.cross_entropy(model(X), y)
    finally:
        for hook in hooks:
            hook.remove()
    return inputs, outputs, loss


@contextmanager
def _unchanged(model):
    """Let the model write into copies of its buffers, the running statistics, and drop them."""
    before = [(module, name, buffer) for module in model.modules()
              for name, buffer in module.named_buffers(recurse=False)]
    try:
        for module, name, buffer in before:
            setattr(module, name, buffer.clone())
        yield
    finally:
        for module, name, buffer in before:
            setattr(module, name, buffer)
