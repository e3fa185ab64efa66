"""Exercises of notebook 04: running statistics, how fast they settle, and folding."""

import math

import torch
from torch import nn

from resnet_lesson.exercises.base import Exercise, Mistake, is_number, same, shown, unsolved
from resnet_lesson.exercises.source import slip

# ---------------------------------------------------------------- running statistics


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


def by_the_layer(running_mean, running_var, x, momentum):
    """Return the same as ``nn.BatchNorm2d`` stores it."""
    layer = nn.BatchNorm2d(len(running_mean), momentum=momentum)
    layer.running_mean.copy_(running_mean)
    layer.running_var.copy_(running_var)
    layer(x)
    return layer.running_mean, layer.running_var


def _batches(draw):
    for channels in (2, 3, 4):
        yield (torch.randn(channels), torch.rand(channels) * 2.5 + 0.5,
               torch.randn(2, channels, 1, 3) * 2 + 1, round(draw.uniform(0.1, 0.4), 2))


def _two_tensors(given, case):
    if not (isinstance(given, tuple | list) and len(given) == 2
            and all(isinstance(part, torch.Tensor) for part in given)):
        return ("Expected two tensors, the new running mean and the new running variance; "
                f"got {type(given).__name__}. End with: return new_mean, new_var.")
    channels = len(case[0])
    for name, part in zip(("mean", "variance"), given, strict=True):
        if part.shape != (channels,):
            return (f"The running {name} needs one number per channel, shape ({channels},); "
                    f"got {tuple(part.shape)}. Average over pictures, rows and columns: "
                    "dim=(0, 2, 3).")
    return None


def _which_statistic(case, expected, given):
    right = same(given[0], expected[0])
    place, name = (1, "variance") if right else (0, "mean")
    begin = "The mean is right. " if right else ""
    return (f"{begin}Expected the running {name} {shown(expected[place])}, "
            f"got {shown(given[place])}.")


def _which_mix(case, expected, given):
    if same(given[0], expected[0]):
        return "Mix the old variance with the batch's unbiased one."
    return "Mix the old mean and the batch's mean with weights 1 − momentum and momentum."


UPDATE = Exercise(
    solve=running_update, cases=_batches, oracle=by_the_layer, form=_two_tensors,
    where=_which_statistic, idea=_which_mix,
    mistakes=(
        Mistake(slip(running_update, ("(1 - momentum) *", "momentum *"),
                     ("+ momentum *", "+ (1 - momentum) *")),
                "The weights are the wrong way round. In PyTorch momentum is the weight of the "
                "new batch: keep 1 − momentum of the old mean and add momentum of the batch's."),
        Mistake(slip(running_update, ("(1 - momentum) *", "0 *"), ("+ momentum *", "+ 1 *")),
                "This is the mean of the batch alone. The running mean moves only a share of the "
                "way: momentum of the new, 1 − momentum of the old."),
        Mistake(slip(running_update, ("correction=1", "correction=0")),
                "Your variance divides by n, the number of values in a channel; PyTorch stores "
                "the one that divides by n − 1. Use x.var(..., correction=1)."),
        Mistake(slip(running_update, ("x.var", "x.std")),
                "What you mixed in is the standard deviation; the layer stores the variance, its "
                "square."),
        Mistake(slip(running_update, ("(1 - momentum) * running_var + momentum * var",
                                      "momentum * running_var + (1 - momentum) * var")),
                "The variance has its weights the wrong way round: momentum belongs to the new "
                "batch."),
    ),
    hints=("Four numbers per channel meet here: the old mean, the batch's mean, and the same for "
           "the variance.",
           "new = (1 − momentum) · old + momentum · batch, for both.",
           "For the variance use x.var(dim=(0, 2, 3), correction=1): it divides by n − 1."),
    remark="Elsewhere momentum often means the weight of the old value; in PyTorch's batch norm it "
           "is the weight of the new one.", minutes=6, difficulty=2)

# ---------------------------------------------------------------- how fast they settle


def batches_needed(momentum, tolerance):
    """Return how many batches until a share of at most ``tolerance`` of the start is left."""
    return math.ceil(math.log(tolerance) / math.log(1 - momentum))


def by_counting(momentum, tolerance):
    """Feed ``nn.BatchNorm1d`` one batch of mean 1 again and again; count until it is near."""
    layer = nn.BatchNorm1d(1, momentum=momentum).double()
    batch = torch.tensor([[0.0], [2.0]], dtype=torch.float64)
    count = 0
    while 1 - layer.running_mean.item() > tolerance:
        layer(batch)
        count += 1
    return count


BATCHES = Exercise(
    solve=batches_needed, oracle=by_counting,
    cases=lambda draw: [(0.1, 0.01), (0.3, 0.07), (0.01, 0.2), (0.5, 0.001)] + [
        (round(draw.uniform(0.05, 0.6), 2), round(draw.uniform(0.001, 0.3), 3)) for _ in range(4)],
    form=lambda given, case: None if is_number(given) else (
        f"Expected a number of batches, got {type(given).__name__}. Return an int."),
    where=lambda case, expected, given: (
        f"With momentum {case[0]} and tolerance {case[1]}, nn.BatchNorm1d needed {expected} "
        f"batches; you say {shown(given)}."),
    idea="After k batches (1 − momentum)ᵏ of the start is left: solve for k.",
    mistakes=(
        Mistake(slip(batches_needed, ("math.ceil", "")),
                "There are no halves of batches: round up."),
        Mistake(slip(batches_needed, ("math.ceil", "math.floor")),
                "After so many more than the tolerance is left: round up, with math.ceil."),
        Mistake(slip(batches_needed, ("math.ceil", "round")),
                "After so many more than the tolerance is left: round up, with math.ceil."),
        Mistake(slip(batches_needed, ("1 - momentum", "momentum")),
                "What is left shrinks by the factor 1 − momentum each time, not by momentum."),
    ),
    hints=("Each batch keeps the share 1 − momentum of what was stored.",
           "After k batches the share (1 − momentum)ᵏ of the start is left. It has to be ≤ "
           "tolerance.",
           "Take logarithms on both sides, divide, and round up with math.ceil."),
    remark="So a network that was trained for a few steps only is judged in evaluation mode by "
           "statistics that still remember their start, mean 0 and variance 1.",
    minutes=5, difficulty=2)

# ---------------------------------------------------------------- folding


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


def _pairs(draw):
    """Return convolutions, each with a batch norm that has learned something, and a batch."""
    for number in range(3):
        conv = nn.Conv2d(2 + number, 5 - number, 3, stride=1 + number % 2, padding=number % 2,
                         bias=number != 1).eval()
        bn = nn.BatchNorm2d(5 - number, eps=1e-3).eval()
        with torch.no_grad():
            bn.running_mean.normal_()
            bn.running_var.uniform_(0.001, 0.02)
            bn.weight.normal_()
            bn.bias.normal_()
        yield conv, bn, torch.randn(3, conv.in_channels, 9, 9)


def _folded_output(answer, case):
    """Return what the folded convolution makes of the batch, of shape (3, C, H, W)."""
    conv, bn, x = case
    folded = answer(conv, bn)
    if unsolved(folded) or not isinstance(folded, nn.Conv2d):
        return folded
    with torch.no_grad():
        return folded(x)


def by_both(conv, bn, x):
    """Return what the two layers make of the batch, one after the other."""
    with torch.no_grad():
        return bn(conv(x))


def _an_output(given, case):
    if not isinstance(given, torch.Tensor):
        return (f"Expected one nn.Conv2d, got {type(given).__name__}. Make a new "
                "convolution and fill in its weight and its bias.")
    expected = by_both(*case).shape
    return None if given.shape == expected else (
        f"Expected outputs of shape {tuple(expected)}, got {tuple(given.shape)}. Give the new "
        "convolution the kernel size, stride and padding of the old one.")


FOLD = Exercise(
    solve=fold, cases=_pairs, run=_folded_output, oracle=by_both, form=_an_output,
    where=lambda case, expected, given: (
        "The outputs differ from bn(conv(x)) by up to "
        f"{(given - expected).abs().max().item():.3f}."),
    idea="Each output channel is multiplied by scale = γ/√(running_var + eps): weight·scale along "
         "dim 0, and the bias becomes (bias − running_mean)·scale + β.",
    mistakes=(
        Mistake(slip(fold, ("bn.running_var + bn.eps", "bn.running_var")),
                "The eps is missing: divide by √(running_var + eps), not by √running_var."),
        Mistake(slip(fold, ("torch.sqrt", "")),
                "You divide by the variance; batch norm divides by its square root."),
        Mistake(slip(fold, ("bias - bn", "-bn")),
                "The convolution's own bias got lost: it is shifted and scaled like everything "
                "else, (bias − running_mean)·scale + β."),
        Mistake(slip(fold, ("(bias - bn.running_mean) * scale", "bias - bn.running_mean * scale")),
                "The convolution's bias passes through the norm too, so it is multiplied by the "
                "scale: (bias − running_mean)·scale + β."),
        Mistake(slip(fold, ("bn.weight / torch", "1 / torch"), ("* scale + bn.bias", "* scale")),
                "γ and β are missing: the scale is γ/√(running_var + eps), and β is added at the "
                "end."),
        Mistake(slip(fold, (" + bn.bias", "")),
                "β is missing: it is added at the end, after the scale."),
        Mistake(lambda conv, bn: conv,
                "This is the convolution alone; put the norm's scale and shift into it."),
    ),
    hints=("In evaluation mode mean and variance are fixed numbers, so batch norm is y = scale·x "
           "+ offset in each channel. What is scale?",
           "scale = γ/√(running_var + eps), and conv is linear in its weights: multiply the "
           "weights of output channel c by scale[c]. The weight has the shape (out, in, k, k).",
           "bias = (conv.bias − running_mean)·scale + β, where conv.bias may be None. Fill the "
           "new layer under torch.no_grad() with copy_."),
    remark="Programs that run trained networks do this before anything else: the norm then costs "
           "nothing. In training mode it cannot be done, since the batch decides.",
    minutes=10, difficulty=3)
