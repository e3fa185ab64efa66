"""Exercises of ``04_batch_norm``: running statistics, how fast they settle, and folding."""

import math

import torch
from torch import nn

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, unsolved


def running_update(running_mean, running_var, x, momentum=0.1):
    """Return the running statistics after one more batch.

    Args:
        running_mean: tensor of shape (C,), as the layer stores it before the batch.
        running_var: the same for the variance.
        x: the batch, shape (N, C, H, W).
        momentum: the weight of the new batch.

    Returns:
        the new running mean and running variance, both of shape (C,).
    """
    mean = x.mean(dim=(0, 2, 3))
    var = x.var(dim=(0, 2, 3), correction=1)
    return ((1 - momentum) * running_mean + momentum * mean,
            (1 - momentum) * running_var + momentum * var)


def batches_needed(momentum, tolerance):
    """Return how many batches until a share of at most ``tolerance`` of the start is left."""
    return math.ceil(math.log(tolerance) / math.log(1 - momentum))


def fold(conv, bn):
    """Return one ``nn.Conv2d`` that computes ``bn(conv(x))`` as ``bn`` does in evaluation mode."""
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    bias = 0 if conv.bias is None else conv.bias
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride,
                       conv.padding)
    with torch.no_grad():
        folded.weight.copy_(conv.weight * scale.view(-1, 1, 1, 1))
        folded.bias.copy_((bias - bn.running_mean) * scale + bn.bias)
    return folded


def _close(a, b):
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), rtol=1e-4, atol=1e-5)


@torch.random.fork_rng(devices=[])  # the notebook's own random numbers stay as they were
def _judge_update(answer):
    for seed in range(3):
        torch.manual_seed(seed)
        channels, momentum = 2 + seed, 0.1 + 0.15 * seed
        layer = nn.BatchNorm2d(channels, momentum=momentum)
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 3)
        before = layer.running_mean.clone(), layer.running_var.clone()
        x = torch.randn(2, channels, 1, 3) * 2 + 1
        layer(x)
        pair = answer(before[0].clone(), before[1].clone(), x, momentum)
        if unsolved(pair):
            return NOT_SOLVED
        if not (isinstance(pair, tuple | list) and len(pair) == 2
                and all(isinstance(part, torch.Tensor) for part in pair)):
            return ("Expected two tensors, the new running mean and the new running variance; "
                    f"got {type(pair).__name__}. End with: return new_mean, new_var.")
        for name, part in zip(("mean", "variance"), pair, strict=True):
            if part.shape != (channels,):
                return (f"The running {name} needs one number per channel, shape ({channels},); "
                        f"got {tuple(part.shape)}. Average over pictures, rows and columns: "
                        "dim=(0, 2, 3).")
        complaint = _judge_statistics(pair, before, layer, x, momentum)
        if complaint:
            return complaint
    return None


def _judge_statistics(pair, before, layer, x, momentum):
    """Compare both statistics with the layer's; look for the mistake behind a difference."""
    def mixed(old, new, weight=momentum):
        return (1 - weight) * old + weight * new

    mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=1)
    swapped = 1 - momentum
    if not _close(pair[0], layer.running_mean):
        if _close(pair[0], mixed(before[0], mean, swapped)):
            return ("The weights are the wrong way round. In PyTorch momentum is the weight of "
                    f"the new batch: keep {1 - momentum:.2f} of the old mean and add "
                    f"{momentum:.2f} of the batch's.")
        if _close(pair[0], mean):
            return ("This is the mean of the batch alone. The running mean moves only a share of "
                    "the way: momentum of the new, 1 − momentum of the old.")
        return (f"Expected the running mean {_show(layer.running_mean)}, got {_show(pair[0])}. "
                "Mix the old mean and the batch's mean with weights 1 − momentum and momentum.")
    if not _close(pair[1], layer.running_var):
        n = x.numel() // x.shape[1]
        if _close(pair[1], mixed(before[1], var * (n - 1) / n)):
            return (f"The mean is right. The variance divides by n = {n}; PyTorch stores the one "
                    f"that divides by n − 1 = {n - 1}. Use x.var(..., correction=1).")
        if _close(pair[1], mixed(before[1], var.sqrt())):
            return ("The mean is right. What you mixed in is the standard deviation; the layer "
                    "stores the variance, its square.")
        if _close(pair[1], mixed(before[1], var, swapped)):
            return ("The mean is right. The variance has its weights the wrong way round: "
                    "momentum belongs to the new batch.")
        return ("The mean is right. Expected the running variance "
                f"{_show(layer.running_var)}, got {_show(pair[1])}. Mix the old variance with "
                "the batch's unbiased one.")
    return None


def _show(values):
    return "[" + ", ".join(f"{value:.3f}" for value in values.tolist()) + "]"


def _count(momentum, tolerance):
    """Feed ``nn.BatchNorm1d`` one batch of mean 1 again and again; count until it is near."""
    layer = nn.BatchNorm1d(1, momentum=momentum).double()
    batch = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    count = 0
    while 1 - layer.running_mean.item() > tolerance:
        layer(batch)
        count += 1
    return count


def _judge_batches(answer):
    for momentum, tolerance in ((0.1, 0.01), (0.3, 0.07), (0.01, 0.2), (0.5, 0.001)):
        got, expected = answer(momentum, tolerance), _count(momentum, tolerance)
        if unsolved(got):
            return NOT_SOLVED
        if not isinstance(got, int | float):
            return f"Expected a number of batches, got {type(got).__name__}. Return an int."
        if got == expected:
            continue
        asked = f"With momentum {momentum} and tolerance {tolerance}"
        exact = math.log(tolerance) / math.log(1 - momentum)
        if math.isclose(got, exact):
            return (f"{asked} your formula gives {got:.2f}. There are no halves of batches: "
                    f"round up, to {expected}.")
        if got in (math.floor(exact), round(exact)):
            return (f"{asked}, {expected} batches are needed; you say {got}. After {got} more than "
                    "the tolerance is left: round up, with math.ceil.")
        if math.isclose(got, math.ceil(math.log(tolerance) / math.log(momentum))):
            return (f"{asked}, {expected} batches are needed; you say {got}. What is left shrinks "
                    "by the factor 1 − momentum each time, not by momentum.")
        return (f"{asked}, nn.BatchNorm1d needed {expected} batches; you say {got}. "
                "After k batches (1 − momentum)ᵏ of the start is left: solve for k.")
    return None


def _pair(seed):
    """Return a random convolution, a batch norm in evaluation mode, and an input for them."""
    torch.manual_seed(seed)
    in_channels, out_channels = 2 + seed, 5 - seed
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=1 + seed % 2, padding=seed % 2,
                     bias=seed != 1).eval()
    bn = nn.BatchNorm2d(out_channels).eval()
    with torch.no_grad():
        bn.running_mean.normal_()
        bn.running_var.uniform_(0.001, 0.02)
        bn.weight.normal_()
        bn.bias.normal_()
    bn.eps = 1e-3
    return conv, bn, torch.randn(3, in_channels, 9, 9)


@torch.random.fork_rng(devices=[])
@torch.no_grad()
def _judge_fold(answer):
    for seed in range(3):
        conv, bn, x = _pair(seed)
        expected = bn(conv(x))
        with torch.enable_grad():
            folded = answer(conv, bn)
        if unsolved(folded):
            return NOT_SOLVED
        if not isinstance(folded, nn.Conv2d):
            return (f"Expected one nn.Conv2d, got {type(folded).__name__}. Make a new "
                    "convolution and fill in its weight and its bias.")
        if not _close(bn(conv(x)), expected):
            return ("Your function changed the layers that it was given. Compute new tensors and "
                    "copy them into a new nn.Conv2d.")
        got = folded(x)
        if got.shape != expected.shape:
            return (f"Expected outputs of shape {tuple(expected.shape)}, got "
                    f"{tuple(got.shape)}. Give the new convolution the kernel size, stride and "
                    "padding of the old one.")
        if not _close(got, expected):
            return _explain_fold(conv, bn, x, got, expected)
    return None


def _explain_fold(conv, bn, x, got, expected):
    """Return a sentence about a folded output: which plausible mistake gives the same numbers?"""
    bias = 0 if conv.bias is None else conv.bias
    mean, var = bn.running_mean, bn.running_var
    root = torch.sqrt(var + bn.eps)

    def output(scale, offset):
        plain = conv(x) - (0 if conv.bias is None else conv.bias.view(-1, 1, 1))
        return plain * scale.view(-1, 1, 1) + offset.view(-1, 1, 1)

    scale = bn.weight / root
    mistakes = (
        (output(bn.weight / var.sqrt(), (bias - mean) * bn.weight / var.sqrt() + bn.bias),
         "The eps is missing: divide by √(running_var + eps), not by √running_var."),
        (output(bn.weight / (var + bn.eps),
                (bias - mean) * bn.weight / (var + bn.eps) + bn.bias),
         "You divide by the variance; batch norm divides by its square root."),
        (output(scale, -mean * scale + bn.bias),
         "The convolution's own bias got lost: it is shifted and scaled like everything else, "
         "(bias − running_mean)·scale + β."),
        (output(scale, bias - mean * scale + bn.bias),
         "The convolution's bias passes through the norm too, so it is multiplied by the scale: "
         "(bias − running_mean)·scale + β."),
        (output(1 / root, (bias - mean) / root),
         "γ and β are missing: the scale is γ/√(running_var + eps), and β is added at the end."),
        (output(scale, (bias - mean) * scale),
         "β is missing: it is added at the end, after the scale."),
        (conv(x), "This is the convolution alone; put the norm's scale and shift into it."),
    )
    for mistaken, words in mistakes:
        if _close(got, mistaken):
            return words
    gap = (got - expected).abs().max().item()
    return (f"The outputs differ from bn(conv(x)) by up to {gap:.3f}. Each output channel is "
            "multiplied by scale = γ/√(running_var + eps): weight·scale along dim 0, and the "
            "bias becomes (bias − running_mean)·scale + β.")


update_exercise = Exercise(
    _judge_update, running_update,
    ("Four numbers per channel meet here: the old mean, the batch's mean, and the same for the "
     "variance.",
     "new = (1 − momentum) · old + momentum · batch, for both.",
     "For the variance use x.var(dim=(0, 2, 3), correction=1): it divides by n − 1."),
    "Elsewhere momentum often means the weight of the old value; in PyTorch's batch norm it is "
    "the weight of the new one.")

batches_exercise = Exercise(
    _judge_batches, batches_needed,
    ("Each batch keeps the share 1 − momentum of what was stored.",
     "After k batches the share (1 − momentum)ᵏ of the start is left. It has to be ≤ tolerance.",
     "Take logarithms on both sides, divide, and round up with math.ceil."),
    "So a network that was trained for a few steps only is judged in evaluation mode by "
    "statistics that still remember their start, mean 0 and variance 1.")

fold_exercise = Exercise(
    _judge_fold, fold,
    ("In evaluation mode mean and variance are fixed numbers, so batch norm is y = scale·x + "
     "offset in each channel. What is scale?",
     "scale = γ/√(running_var + eps), and conv is linear in its weights: multiply the weights of "
     "output channel c by scale[c]. The weight has the shape (out, in, k, k).",
     "bias = (conv.bias − running_mean)·scale + β, where conv.bias may be None. Fill the new "
     "layer under torch.no_grad() with copy_."),
    "Programs that run trained networks do this before anything else: the norm then costs "
    "nothing. In training mode it cannot be done, since the batch decides.")
