"""Exercises of notebook 09: a network without a block, its norms, and how sure it is."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises.base import Exercise, Mistake, is_number, same, shown, unsolved
from resnet_lesson.exercises.source import slip
from resnet_lesson.figures.looking_inside import calibration
from resnet_lesson.inside.gradients import settle_batch_norm
from resnet_lesson.networks import resnet

# ---------------------------------------------------------------- a network without a block

TINY = {"num_classes": 4, "widths": (4, 6, 8), "stem": "small/2"}
BLOCKS = ("layer1.0", "layer1.1", "layer2.1", "layer3.1", "layer2.0", "layer3.0")


def without_block(model, name):
    """Return a copy of a residual network in which one block's branch adds nothing."""
    model = copy.deepcopy(model)
    stage, position = name.split(".")
    block = getattr(model, stage)[int(position)]
    rest = (nn.Identity() if block.downsample is None
            else nn.Sequential(block.downsample, nn.ReLU()))
    getattr(model, stage)[int(position)] = rest
    return model


def _networks(draw):
    """Return a small network whose norms have learned something, with the name of each block."""
    model = resnet.small_resnet(14, **TINY)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in ((module.weight, 0.5, 1.5), (module.bias, -0.5, 0.5),
                                      (module.running_mean, -0.5, 0.5),
                                      (module.running_var, 0.5, 1.5)):
                nn.init.uniform_(values, low, high)
            module.num_batches_tracked += 50
    x = torch.rand(5, 1, 16, 16)
    return [(model.eval(), name, x) for name in BLOCKS]


@torch.no_grad()
def along_the_way(model, name, x):
    """Return the logits with one branch left out, computed block by block, without surgery."""
    x = model.relu(model.bn1(model.conv1(x)))
    for other, block in model.blocks():
        if other != name:
            x = block(x)
        elif block.downsample is not None:
            x = block.relu(block.downsample(x))
    return model.fc(model.avgpool(x).flatten(1))


@torch.no_grad()
def _logits(answer, case):
    """Return the logits of the answer's network, or what keeps it from having some, in words."""
    model, given, x = case
    found = answer(model, given)
    if unsolved(found):
        return found
    if not isinstance(found, nn.Module):
        return (f"Expected a network, got {type(found).__name__}. Return the copy, not what it "
                "computes.")
    if found.training:
        return ("Your network is in training mode, the one that came in was not. End with "
                ".eval().")
    try:
        logits = found(x)
    except (ValueError, RuntimeError) as error:
        if not isinstance(given, str) or dict(model.blocks())[given].downsample is None:
            raise
        return (f"Without {given} your network breaks: {str(error).rstrip('.')}. This block "
                "projects its shortcut, and the next one needs those shapes: leave "
                "relu(downsample(x)) in its place.")
    if not isinstance(logits, torch.Tensor):
        return f"Your network returns {type(logits).__name__} in place of logits."
    return logits


def _which_block(case, expected, given):
    model, name, x = case
    for other, _ in model.blocks():
        if other != name and same(given, along_the_way(model, other, x)):
            return (f"Asked for the network without {name}, your answer is the one without "
                    f"{other}. Positions in a stage count from 0, as in the names.")
    return ("Leave the shortcut whole, and take all of the branch away: a norm whose scale is 0 "
            "still adds its shift.")


_A_COPY = ("Your function changed the network that it was given. Work on a copy: "
           "copy.deepcopy(model).")

WITHOUT_BLOCK = Exercise(
    solve=without_block, cases=_networks, run=_logits, oracle=along_the_way,
    form=lambda given, case: given if isinstance(given, str) else None,
    where=lambda case, expected, given: (
        f"Without {case[1]} the logits should be other ones, by up to "
        f"{(given - expected).abs().max():.2g}."),
    idea=_which_block, untouched=_A_COPY,
    mistakes=(
        Mistake(lambda model, name: copy.deepcopy(model),
                "Your network computes the same as before: the block still does its work. Is the "
                "block that you replaced the one that the network runs?"),
        Mistake(slip(without_block, ("nn.Sequential(block.downsample, nn.ReLU())",
                                     "block.downsample")),
                "The projection is left, but not the ReLU after it: the block computes "
                "relu(branch + shortcut), and the branch is now 0."),
        Mistake(slip(without_block, ("rest = ", "block.bn2.weight.data.zero_()\n    "
                                                "rest = block or ")),
                "Leave the shortcut whole, and take all of the branch away: a norm whose scale is "
                "0 still adds its shift."),
        Mistake(slip(without_block, ("if block.downsample is None", "if True")),
                "This block projects its shortcut, and the next one needs those shapes: leave "
                "relu(downsample(x)) in its place."),
        Mistake(slip(without_block, ("copy.deepcopy(model)", "model")), _A_COPY),
        Mistake(slip(without_block, ("int(position)", "1 - int(position)")),
                "Positions in a stage count from 0, as in the names."),
    ),
    hints=("Copy first: model = copy.deepcopy(model). Then replace one entry of the copy.",
           'A stage is an nn.Sequential: stage, position = name.split("."), and then '
           "getattr(model, stage)[int(position)] is the block. Entries can be assigned to.",
           "What is left of a block with an identity shortcut is nn.Identity(). A block with a "
           "downsample leaves nn.Sequential(block.downsample, nn.ReLU())."),
    remark="After an identity block no ReLU is needed: its input comes out of one and is never "
           "negative.", minutes=7, difficulty=3)

# ---------------------------------------------------------------- statistics, measured again


def measure_again(model, X):
    """Return a copy whose norms hold the mean and the variance of what X makes of them."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1
    with torch.no_grad():
        model.train()(X)
    return model.eval()


def _cut_networks(draw):
    """Return networks that lack a block, with pictures to measure on and others to test on."""
    return [(without_block(model, name), torch.rand(40, 1, 16, 16), x)
            for model, name, x in _networks(draw)[::2]]


MEASURE_AGAIN = Exercise(
    solve=measure_again, cases=_cut_networks, run=_logits,
    oracle=lambda model, X, x: settle_batch_norm(model, X)(x).detach(),
    form=WITHOUT_BLOCK.form, untouched=_A_COPY,
    where=lambda case, expected, given: (
        "In evaluation mode the logits of other pictures should be other ones, by up to "
        f"{(given - expected).abs().max():.2g}."),
    idea="Every norm of the copy should hold mean and variance of X alone, all other values as "
         "they were: one pass over X, in training mode, and nothing of the old ones stays.",
    mistakes=(
        Mistake(lambda model, X: copy.deepcopy(model),
                "Your network computes the same as before: nothing was measured. Norms measure "
                "in training mode alone."),
        Mistake(slip(measure_again, ("module.momentum = 1", "pass")),
                "Most of the old statistics stay: one pass moves them by momentum, a tenth of the "
                "way. Set the momentum of each norm to 1."),
        Mistake(slip(measure_again, ("module.momentum = 1", "module.reset_running_stats()")),
                "After a reset they are 0 and 1, and one pass moves them by momentum, a tenth of "
                "the way. Set the momentum of each norm to 1."),
        Mistake(slip(measure_again, ("momentum = 1", "momentum = None")),
                "momentum = None takes the mean over all batches since the last reset, and the "
                "old ones still count. Set it to 1, or reset before."),
        Mistake(slip(measure_again, ("module.momentum = 1", "module.reset_running_stats()"),
                     ("model.train()(X)", "model(X)")),
                "Mean 0 and variance 1 are what a reset leaves; nothing was measured after it. "
                "Norms measure in training mode alone."),
        Mistake(slip(measure_again, ("model.eval()", "model")), "End with .eval()."),
        Mistake(slip(measure_again, ("copy.deepcopy(model)", "model")), _A_COPY),
    ),
    hints=("Copy first. Then go over model.modules() and pick the norms: "
           "isinstance(module, nn.BatchNorm2d).",
           "In training mode a norm moves its running statistics towards those of the batch, by "
           "its momentum (notebook 04). With momentum = 1 nothing of the old ones is left.",
           "Then one pass over X in training mode, without gradients, and back with .eval()."),
    remark="No weight has changed, not even scale and shift: only what the norms subtract and "
           "divide by.", minutes=4, difficulty=2)

# ---------------------------------------------------------------- calibration


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


def gaps(confidence, right, bins):
    """Return, for each bin that is not empty, (share of the pictures, accuracy − confidence)."""
    sums = calibration(confidence, right, bins)
    return [(count / len(right), (hits - sure) / count)
            for count, sure, hits in zip(*sums, strict=True) if count]


def _answers(draw):
    """Return confidences, off the edges of bins, what was right, and how many bins."""
    for bins in (5, 10, 4):
        confidence = 0.05 + 0.95 * torch.rand(draw.randint(200, 300)) ** 0.6
        confidence = confidence[(confidence * 20 % 1 - 0.5).abs() < 0.48]
        # too sure in one tenth, not sure enough in the next: coarser bins must give another error
        wave = 0.25 - 0.5 * ((confidence * 10).floor() % 2)
        yield confidence, torch.rand(len(confidence)) < confidence + wave, bins


def _one_number(answer, case):
    """Return the answer as one number, however it came."""
    found = answer(*case)
    if isinstance(found, torch.Tensor) and found.numel() == 1:
        found = found.item()
    return found


def _over(total):
    """Return a wrong answer: another sum over the gaps."""
    return lambda confidence, right, bins=10: total(gaps(confidence, right, bins), bins)


CALIBRATION = Exercise(
    solve=expected_calibration_error, cases=_answers, run=_one_number,
    oracle=lambda confidence, right, bins: sum(
        share * abs(gap) for share, gap in gaps(confidence, right, bins)),
    form=lambda given, case: None if is_number(given) else (
        f"Expected one number, got {type(given).__name__}."),
    same=lambda one, other: same(one, other, 0, 1e-5) or one != one and other != other,
    where=lambda case, expected, given: (
        f"Expected {expected:.4f} for {len(case[0])} pictures in {case[2]} bins, got "
        f"{shown(given)}."),
    idea="In each bin: the share that is right minus the mean confidence; its absolute value; "
         "times the bin's share of the pictures; add up.",
    mistakes=(
        Mistake(slip(expected_calibration_error, ("if here.any()", "if True"),
                     ("range(1", "range(0")),
                "The answer is not a number: the mean of an empty bin is nan. Leave out bins that "
                "hold no picture."),
        *(Mistake(_over(total), "Bins that are too sure and bins that are not sure enough cancel "
                                "here. Take the absolute value of the gap in each bin, before "
                                "adding up.") for total in (
            lambda found, bins: sum(share * gap for share, gap in found),
            lambda found, bins: abs(sum(share * gap for share, gap in found)))),
        *(Mistake(_over(total), "This is the plain mean of the gaps over bins. Weigh each bin by "
                                "its share of the pictures.") for total in (
            lambda found, bins: sum(abs(gap) for _, gap in found) / len(found),
            lambda found, bins: sum(abs(gap) for _, gap in found) / bins)),
        Mistake(_over(lambda found, bins: sum(abs(gap) for _, gap in found)),
                "This is the sum of the gaps. Weigh each bin by its share of the pictures, n of "
                "the bin ÷ n of all."),
        Mistake(_over(lambda found, bins: sum(share * gap**2 for share, gap in found)),
                "The gaps are squared here. The definition takes their absolute value."),
        Mistake(_over(lambda found, bins: max(abs(gap) for _, gap in found)),
                "This is the largest gap, called the maximum calibration error. The expected one "
                "is the mean, weighted by the size of the bins."),
        Mistake(lambda confidence, right, bins=10: expected_calibration_error(confidence, right),
                "Your answer uses 10 bins, whatever was asked for. Use the argument."),
    ),
    hints=("Which bin a picture belongs to: (confidence * bins).ceil() is 1 for the first part, "
           "2 for the second, and so on.",
           "For each bin: here = part == number picks its pictures; right[here].float().mean() "
           "is its accuracy, confidence[here].mean() its confidence. Skip empty bins.",
           "Add here.float().mean() * gap.abs() over the bins."),
    remark="The number depends on the bins: more bins, fewer pictures in each, and chance alone "
           "opens gaps. Say how many you used.", minutes=6, difficulty=3)

# ---------------------------------------------------------------- temperature


def temperature(logits, labels, candidates):
    """Return the candidate by which to divide the logits: that with the lowest cross-entropy."""
    losses = [F.cross_entropy(logits / T, labels) for T in candidates]
    return candidates[losses.index(min(losses))]


def _too_sure(draw):
    """Return logits that are some times too large, labels, and candidates in any order."""
    for scale in (1.6, 0.7, 2.4):
        logits = 1.5 * torch.randn(400, 4)
        candidates = [number / 5 for number in range(2, 20)]
        draw.shuffle(candidates)
        labels = torch.multinomial(logits.softmax(1), 1).squeeze(1)
        yield scale * logits, labels, candidates


TEMPERATURE = Exercise(
    solve=temperature, cases=_too_sure, run=_one_number, form=CALIBRATION.form,
    where=lambda case, expected, given: (
        f"For {len(case[0])} pictures the best of {len(case[2])} candidates is {expected:.4g}, "
        f"got {shown(given)}."),
    idea="Divide the logits by each candidate, take the cross-entropy with the labels, and return "
         "the candidate that makes it smallest.",
    mistakes=(
        Mistake(slip(temperature, ("logits / T", "logits * T")),
                "This multiplies by the temperature. A high one should make the network less "
                "sure: divide."),
        Mistake(slip(temperature, ("min(losses)", "max(losses)")),
                "This candidate has the largest cross-entropy. Take the smallest."),
        Mistake(slip(temperature, ("candidates[losses.index(min(losses))]", "min(losses)")),
                "This is the smallest cross-entropy. Return the candidate that it belongs to."),
        Mistake(slip(temperature, ("candidates[losses.index(min(losses))]",
                                   "losses.index(min(losses))")),
                "This is a place in the list. Return the candidate that stands there."),
        Mistake(slip(temperature, ("logits / T", "(logits / T).softmax(1)")),
                "cross_entropy takes logits, and applies softmax itself. Here it comes twice."),
        Mistake(lambda logits, labels, candidates: candidates[0],
                "This is the first candidate. If you compare accuracies, all are equal: dividing "
                "never changes which logit is the largest. Compare cross-entropies."),
    ),
    hints=("F.cross_entropy(logits / T, labels) says how well one candidate T does.",
           "Make a list of these losses, one for each candidate, and find the smallest.",
           "losses.index(min(losses)) is its place in the list."),
    remark="The largest logit stays the largest, so every answer stays as it was; only how sure "
           "the network is changes.", minutes=3, difficulty=1)
