"""Exercises of notebook 09: a network without a block, and how calibrated its answers are."""

import copy

import torch
from torch import nn

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, unsolved
from resnet_lesson.networks import resnet

TINY = {"num_classes": 4, "widths": (4, 6, 8), "stem": "small/2"}


def without_block(model, name):
    """Return a copy of a residual network in which one block's branch adds nothing."""
    model = copy.deepcopy(model)
    stage, position = name.split(".")
    block = getattr(model, stage)[int(position)]
    rest = (nn.Identity() if block.downsample is None
            else nn.Sequential(block.downsample, nn.ReLU()))
    getattr(model, stage)[int(position)] = rest
    return model


def _network(depth):
    """Return a small residual network whose batch norms have learned something."""
    model = resnet.small_resnet(depth, **TINY)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5),
                                      (module.running_mean, -0.5, 0.5),
                                      (module.running_var, 0.5, 1.5)):
                nn.init.uniform_(values, low, high)
    return model.eval()


def _expected(model, x, off, *, relu=True):
    """Return the logits with one branch left out, computed along the way, without surgery."""
    x = model.relu(model.bn1(model.conv1(x)))
    for name, block in model.blocks():
        if name != off:
            x = block(x)
        elif block.downsample is not None:
            x = block.relu(block.downsample(x)) if relu else block.downsample(x)
    return model.fc(model.avgpool(x).flatten(1))


@torch.no_grad()
def _judge_without_block(answer):
    model = _network(14)
    x = torch.rand(5, 1, 16, 16)
    intact, before = model(x), copy.deepcopy(model.state_dict())
    for name in ("layer1.0", "layer1.1", "layer2.1", "layer3.1", "layer2.0", "layer3.0"):
        found = answer(model, name)
        if unsolved(found):
            return NOT_SOLVED
        if not isinstance(found, nn.Module):
            return (f"Expected a network, got {type(found).__name__}. Return the copy without the "
                    "block, not what it computes.")
        complaint = _spoiled(model, before, intact, x)
        if complaint:
            return complaint
        complaint = _compare_network(found, model, name, x, intact)
        if complaint:
            return complaint
    return None


def _spoiled(model, before, intact, x):
    after = model.state_dict()
    same = before.keys() == after.keys() and all(torch.equal(before[key], after[key])
                                                 for key in before)
    if same and torch.allclose(model(x), intact, atol=1e-5):
        return None
    return ("Your function changed the network that it was given. Work on a copy: "
            "copy.deepcopy(model).")


def _compare_network(found, model, name, x, intact):
    def same(one, other):
        return one.shape == other.shape and torch.allclose(one, other, atol=1e-4, rtol=1e-4)

    if found.training:
        return ("Your network is in training mode, the one that came in was not. A copy keeps "
                "the mode; a network that is built anew needs .eval().")
    projects = dict(model.blocks())[name].downsample is not None
    try:
        logits = found(x)
    except (ValueError, RuntimeError) as error:
        if projects:
            return (f"Without {name} your network breaks: {str(error).rstrip('.')}. This block "
                    "projects its shortcut, and the next one needs those shapes: leave "
                    "relu(downsample(x)) in its place.")
        raise
    if not isinstance(logits, torch.Tensor):
        return f"Your network returns {type(logits).__name__} in place of logits."
    if same(logits, _expected(model, x, name)):
        return None
    if same(logits, intact):
        return (f"Your network computes the same as before: {name} still does its work. Is the "
                "block that you replaced the one that the network runs?")
    if projects and same(logits, _expected(model, x, name, relu=False)):
        return (f"Without {name} its projection is left, but not the ReLU after it: the block "
                "computes relu(branch + shortcut), and the branch is now 0.")
    for other, _ in model.blocks():
        if other != name and same(logits, _expected(model, x, other)):
            return (f"Asked for the network without {name}, your answer is the one without "
                    f"{other}. Positions in a stage count from 0, as in the names.")
    return (f"Without {name} the logits differ from what is left when its branch adds 0. Leave "
            "the shortcut whole, and take all of the branch away: a norm whose scale is 0 still "
            "adds its shift.")


def expected_calibration_error(confidence, right, bins=10):
    """Return the mean gap between accuracy and confidence over equal bins, weighted by size."""
    error = 0.0
    part = (confidence * bins).ceil().clamp(1, bins)
    for number in range(1, bins + 1):
        here = part == number
        if here.any():
            gap = right[here].float().mean() - confidence[here].mean()
            error += here.float().mean() * gap.abs()
    return float(error)


def _gaps(confidence, right, bins):
    """Return, for each bin that is not empty, (share of the pictures, accuracy − confidence)."""
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    found = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        here = (confidence > low) & (confidence <= high)
        if here.any():
            gap = right[here].double().mean() - confidence[here].double().mean()
            found.append((here.double().mean().item(), gap.item()))
    return found


def _judge_calibration(answer):
    for bins in (10, 10, 5):
        count = int(torch.randint(200, 300, ()))
        confidence = 0.05 + 0.95 * torch.rand(count) ** 0.6
        confidence = confidence[(confidence * 10 % 1 - 0.5).abs() < 0.49]  # off the edges
        # too sure in one tenth, not sure enough in the next: coarser bins must give another error
        wave = 0.25 - 0.5 * ((confidence * 10).floor() % 2)
        right = torch.rand(len(confidence)) < confidence + wave
        found = answer(confidence.clone(), right.clone(), bins)
        if unsolved(found):
            return NOT_SOLVED
        if not isinstance(found, int | float) and not (
                isinstance(found, torch.Tensor) and found.numel() == 1):
            return f"Expected one number, got {type(found).__name__}."
        complaint = _compare_calibration(float(found), confidence, right, bins)
        if complaint:
            return complaint
    return None


def _compare_calibration(found, confidence, right, bins):
    def same(value):
        return abs(found - value) < 1e-5

    gaps = _gaps(confidence, right, bins)
    expected = sum(share * abs(gap) for share, gap in gaps)
    if same(expected):
        return None
    if found != found:
        return ("The answer is not a number. The mean of an empty bin is nan: leave out bins "
                "that hold no picture.")
    if same(sum(share * gap for share, gap in gaps)) or same(
            abs(sum(share * gap for share, gap in gaps))):
        return ("Bins that are too sure and bins that are not sure enough cancel here. Take the "
                "absolute value of the gap in each bin, before adding up.")
    if same(sum(abs(gap) for _, gap in gaps) / len(gaps)) or same(
            sum(abs(gap) for _, gap in gaps) / bins):
        return ("This is the plain mean of the gaps over bins. Weigh each bin by its share of "
                "the pictures.")
    if same(sum(abs(gap) for _, gap in gaps)):
        return ("This is the sum of the gaps. Weigh each bin by its share of the pictures, n of "
                "the bin ÷ n of all.")
    if same(sum(share * gap ** 2 for share, gap in gaps)):
        return "The gaps are squared here. The definition takes their absolute value."
    if same(max(abs(gap) for _, gap in gaps)):
        return ("This is the largest gap, called the maximum calibration error. The expected one "
                "is the mean, weighted by the size of the bins.")
    if bins != 10 and same(sum(share * abs(gap) for share, gap in _gaps(confidence, right, 10))):
        return f"Asked for {bins} bins, your answer uses 10. Use the argument."
    return (f"Expected {expected:.4f} for {len(confidence)} pictures in {bins} bins, got "
            f"{found:.4f}. In each bin: the share that is right minus the mean confidence; its "
            "absolute value; times the bin's share of the pictures; add up.")


WITHOUT_BLOCK = Exercise(
    judge=_judge_without_block, solve=without_block,
    hints=("Copy first: model = copy.deepcopy(model). Then replace one entry of the copy.",
           'A stage is an nn.Sequential: stage, position = name.split("."), and then '
           "getattr(model, stage)[int(position)] is the block. Entries can be assigned to.",
           "What is left of a block with an identity shortcut is nn.Identity(). A block with a "
           "downsample leaves nn.Sequential(block.downsample, nn.ReLU())."),
    remark="After an identity block no ReLU is needed: its input comes out of one and is never "
           "negative.")

CALIBRATION = Exercise(
    judge=_judge_calibration, solve=expected_calibration_error,
    hints=("Which bin a picture belongs to: (confidence * bins).ceil() is 1 for the first part, "
           "2 for the second, and so on.",
           "For each bin: here = part == number picks its pictures; right[here].float().mean() "
           "is its accuracy, confidence[here].mean() its confidence. Skip empty bins.",
           "Add here.float().mean() * gap.abs() over the bins."),
    remark="The number depends on the bins: more bins, fewer pictures in each, and chance alone "
           "opens gaps. Say how many you used.")
