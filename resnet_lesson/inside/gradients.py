"""Measurements inside a network: gradients block by block, skip and branch, input gradients.

Every function leaves the model as it was: weights, ``.grad``, batch-norm statistics and mode.
Norms are Frobenius norms summed in float64, so that a norm is zero only where every single value
is; squares of small float32 values would underflow first.

Sources: He et al., "Identity Mappings in Deep Residual Networks" (2016), equations 4 and 5 (the
derivative of the sum); Veit et al., "Residual Networks Behave Like Ensembles of Relatively
Shallow Networks" (2016) (paths); Balduzzi et al., "The Shattered Gradients Problem" (2017).
"""

import copy
import math
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.networks.modes import evaluating


class Profile(NamedTuple):
    """What one backward pass looks like from inside; each tuple has one entry per block.

    Attributes:
        names: the blocks from input to output, as in the state_dict.
        gradients: norm of ∂loss/∂(output of the block).
        weights: norm of ∂loss/∂(all convolution weights of the block's branch).
        activations: standard deviation of the block's output between pictures (the root of the
            mean variance over the batch). What is the same for every picture, such as a bias,
            does not count: it carries nothing.
        loss: the cross-entropy.
    """

    names: tuple
    gradients: tuple
    weights: tuple
    activations: tuple
    loss: float


class Terms(NamedTuple):
    """The gradient at a block's input, in two terms of the input's shape."""

    skip: torch.Tensor
    branch: torch.Tensor


class Share(NamedTuple):
    """One block of a backward pass: the two terms of its gradient, the two of its output.

    Attributes:
        name: of the block.
        skip: norm of the gradient that comes through the shortcut.
        branch: norm of the gradient that comes through the branch.
        total: norm of their sum, which is the gradient at the block's input.
        skip_share: share of the skip term in that sum, see ``projected_shares``; the branch
            carries the rest.
        passed: share of the upstream gradient's norm that the ReLU after the addition lets
            through; 1 in a pre-activation block, which has none.
        output_branch: norm of the branch's output ÷ (that of the branch + that of the shortcut).
    """

    name: str
    skip: float
    branch: float
    total: float
    skip_share: float
    passed: float
    output_branch: float


class Paths(NamedTuple):
    """A gradient by path length, see ``gradient_by_path_length``.

    Attributes:
        parts: L + 1 tensors of the shape of the first block's input; entry k came through
            exactly k branches.
        upstream: the gradient at the output of the last block.
    """

    parts: tuple
    upstream: torch.Tensor


def norm(values):
    """Return the Frobenius norm of a tensor of any shape, summed in float64, as a float."""
    return torch.linalg.vector_norm(values.detach(), dtype=torch.float64).item()


def profile(model, X, y):
    """Run one forward and one backward pass; return the ``Profile`` of the blocks.

    In training mode batch norm uses the statistics of the batch, as in a step of training.

    Args:
        model: a ``models.ResNet``.
        X: pictures (N, channels, H, W).
        y: labels (N,).

    Raises:
        ValueError: a model without blocks, or a batch that does not fit.
    """
    _, outputs, loss = _run(model, X, y)
    weights = [_branch_weights(block) for _, block in model.blocks()]
    flat = [weight for group in weights for weight in group]
    gradients = torch.autograd.grad(loss, [*outputs, *flat])
    rest = iter(gradients[len(outputs):])
    per_block = [sum(norm(next(rest)) ** 2 for _ in group) ** 0.5 for group in weights]
    return Profile(tuple(name for name, _ in model.blocks()),
                   tuple(norm(gradient) for gradient in gradients[:len(outputs)]),
                   tuple(per_block), tuple(_spread(output) for output in outputs), loss.item())


def gradient_terms(block, x, v):
    """Return the two terms of the gradient at a block's input, each measured on its own.

    With z = g(x) + s(x), where g is the branch and s the shortcut, and with v the gradient at z,
    the gradient at x is Jₛᵀv + J_gᵀv; for an identity shortcut the first term is v itself (He
    et al. 2016b, equation 5). A block that ends in a ReLU first cuts v where z ≤ 0.

    Args:
        block: a ``BasicBlock`` or ``Bottleneck``.
        x: the block's input (N, in_channels, H, W).
        v: the gradient at the block's output, of the output's shape.

    Returns:
        ``Terms(skip, branch)``, both of the shape of x. ``skip`` is zero in a plain block.

    Raises:
        ValueError: not one of our blocks, or a v of another shape than the output.
    """
    _require_block(block)
    with _unchanged(block):
        return _terms(*_graph(block, x), v)


def autograd_gradient(block, x, v):
    """Return the gradient at a block's input as autograd finds it through ``block.forward``."""
    x = x.detach().requires_grad_()
    with _unchanged(block), torch.enable_grad():
        return torch.autograd.grad(block(x), x, v)[0]


def sum_error(block, x, v):
    """Return ‖skip + branch − autograd‖ ÷ ‖autograd‖: rounding error, if the block is right."""
    expected = autograd_gradient(block, x, v)
    skip, branch = gradient_terms(block, x, v)
    difference, size = norm(skip + branch - expected), norm(expected)
    return difference / size if size else (0.0 if difference == 0 else float("inf"))


def shares(model, X, y):
    """Return one ``Share`` per block, input to output, for one batch; arguments as ``profile``.

    The two terms are computed at the inputs and upstream gradients of a real backward pass.
    """
    inputs, outputs, loss = _run(model, X, y)
    upstream = torch.autograd.grad(loss, outputs)
    rows = []
    for (name, block), x, v in zip(model.blocks(), inputs, upstream, strict=True):
        with _unchanged(block):
            graph = _graph(block, x)
            skip, branch = _terms(*graph, v)
        _, g, s, mask = graph
        kept = norm(v if mask is None else v * mask)
        g_size, s_size = norm(g), (0.0 if s is None else norm(s))
        total = norm(skip + branch)
        rows.append(Share(name, norm(skip), norm(branch), total,
                          projected_shares([skip, branch])[0] if total else float("nan"),
                          kept / norm(v) if norm(v) else 1.0,
                          g_size / (g_size + s_size) if g_size + s_size else 0.0))
    return rows


def gradient_by_path_length(model, X, y):
    """Split the gradient at the first block's input by the number of branches it came through.

    A residual network of L blocks holds 2^L paths, since each block is passed by its branch or
    by its shortcut (Veit et al. 2016). Going backwards, part k at a block's input is part k
    through the shortcut plus part k − 1 through the branch, so L(L + 1) products do what 2^L
    paths would need. Arguments as in ``profile``.

    Returns:
        ``Paths``; the sum of its parts is the gradient at the first block's input.
    """
    inputs, outputs, loss = _run(model, X, y)
    upstream, = torch.autograd.grad(loss, outputs[-1])
    graphs = []
    for (_, block), x in zip(model.blocks(), inputs, strict=True):
        with _unchanged(block):
            graphs.append(_graph(block, x))
    parts = [upstream]
    for graph in reversed(graphs):
        split = [_terms(*graph, part) for part in parts]
        parts = ([split[0].skip]
                 + [split[k].skip + split[k - 1].branch for k in range(1, len(split))]
                 + [split[-1].branch])
    return Paths(tuple(parts), upstream)


def projected_shares(parts):
    """Return the share of each part in the sum of all: ⟨part, sum⟩ ÷ ⟨sum, sum⟩.

    The shares add up to 1. One is negative where a part points against the sum.
    """
    parts = [part.double().flatten() for part in parts]
    total = torch.stack(parts).sum(0)
    size = total @ total
    if size == 0:
        raise ValueError("the parts add up to zero, so none has a share in their sum; "
                         "take an upstream gradient that is not zero")
    return [(part @ total / size).item() for part in parts]


def path_shares(depth, w):
    """Return the share of each path length in (1 + w)^depth, a list of depth + 1 numbers.

    C(depth, k) paths go through exactly k branches, and each is worth w^k.

    Raises:
        ValueError: a depth below 1, or w = −1, where the sum is zero.
    """
    if depth < 1 or w == -1:
        raise ValueError("path_shares needs a depth of at least 1 and a slope other than −1, "
                         f"where all paths add up to zero; got depth {depth} and slope {w}")
    return [math.comb(depth, k) * w ** k / (1 + w) ** depth for k in range(depth + 1)]


def line(start, end, points):
    """Return evenly spaced pictures on the straight line between two, (points, channels, H, W)."""
    if start.shape != end.shape:
        raise ValueError(f"both ends of a line need one shape, got {tuple(start.shape)} and "
                         f"{tuple(end.shape)}")
    if points < 2:
        raise ValueError(f"a line needs at least 2 points, got {points}")
    t = torch.linspace(0, 1, points, dtype=start.dtype, device=start.device)
    return start + t.view(-1, *[1] * start.ndim) * (end - start)


def input_gradients(model, X, label=0):
    """Return ∂logit/∂picture for each picture, shape of X; in evaluation mode.

    In that mode no picture sees another, so each gradient belongs to one picture alone.

    Args:
        model: any module that maps (N, …) to logits (N, classes).
        X: pictures.
        label: which logit.

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
    """Return how alike gradients are, by their distance along a line.

    Args:
        gradients: (points, …), in the order of the points.

    Returns:
        float64 tensor (points,): entry d is the mean cosine (the correlation without subtracting
        means) of gradients that lie d points apart. White noise gives 0 everywhere but at 0.

    Raises:
        ValueError: fewer than two points, or a gradient that is exactly zero.
    """
    flat = gradients.detach().double().flatten(1)
    sizes = flat.norm(dim=1, keepdim=True)
    if len(flat) < 2 or bool((sizes == 0).any()):
        raise ValueError("a correlation needs at least two gradients, none of them zero; "
                         f"got {len(flat)}, of which {int((sizes == 0).sum())} are zero")
    cosines = (flat / sizes) @ (flat / sizes).T
    return torch.stack([cosines.diagonal(d).mean() for d in range(len(flat))])


def directional_derivative(model, X, direction, label=0, step=1e-6):
    """Return central differences of a logit along a direction, shape (N,), in evaluation mode.

    (f(x + h·d) − f(x − h·d)) ÷ 2h, with an error of order h² where f is smooth. Meant for
    float64: in float32 rounding drowns it.

    Arguments as in ``input_gradients``; ``direction`` has the shape of one picture.
    """
    with _unchanged(model), evaluating(model), torch.no_grad():
        ahead, behind = model(X + step * direction), model(X - step * direction)
    return (ahead[:, label] - behind[:, label]) / (2 * step)


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
    """Return (x, branch output, shortcut output or None, mask of the last ReLU or None)."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        g = block.branch(x)
        s = block.shortcut(x) if block.residual else None
    z = g if s is None else g + s
    return x, g, s, None if block.preactivation else (z.detach() > 0)


def _terms(x, g, s, mask, v):
    if v.shape != g.shape:
        raise ValueError(f"the upstream gradient needs the shape of the block's output, "
                         f"{tuple(g.shape)}, got {tuple(v.shape)}")
    v = v if mask is None else v * mask
    branch = torch.autograd.grad(g, x, v, retain_graph=True)[0]
    skip = (torch.zeros_like(branch) if s is None
            else torch.autograd.grad(s, x, v, retain_graph=True)[0])
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


def _spread(output):
    return output.detach().double().var(0, correction=0).mean().sqrt().item()


def _require_block(block):
    if not (hasattr(block, "branch") and hasattr(block, "shortcut")):
        raise ValueError(f"{type(block).__name__} does not say which part is its branch; give a "
                         "BasicBlock or a Bottleneck of resnet_lesson.networks.blocks")


def _branch_weights(block):
    return [getattr(block, f"conv{i}").weight for i in range(1, block.depth + 1)]


@contextmanager
def _unchanged(model):
    """Let the model write into copies of its buffers, the running statistics, and drop them."""
    before = dict(model.named_buffers())
    try:
        for name, buffer in before.items():
            _put(model, name, buffer.clone())
        yield
    finally:
        for name, buffer in before.items():
            _put(model, name, buffer)


def _put(model, name, buffer):
    owner, _, key = name.rpartition(".")
    setattr(model.get_submodule(owner), key, buffer)
