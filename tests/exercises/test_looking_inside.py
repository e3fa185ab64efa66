"""Exercises of notebook 09: right answers pass, plausible wrong ones get their own words."""

import copy

import pytest
import torch
from torch import nn

from resnet_lesson import data
from resnet_lesson.exercises import looking_inside
from resnet_lesson.exercises.looking_inside import CALIBRATION, WITHOUT_BLOCK, without_block
from resnet_lesson.inside import lesions


def place(model, name, rest):
    stage, position = name.split(".")
    getattr(model, stage)[int(position)] = rest
    return model


def block_of(model, name):
    return dict(model.blocks())[name]


def changes_the_original(model, name):
    block = block_of(model, name)
    return place(model, name, nn.Identity() if block.downsample is None
                 else nn.Sequential(block.downsample, nn.ReLU()))


def identity_everywhere(model, name):
    return place(copy.deepcopy(model), name, nn.Identity())


def projection_without_relu(model, name):
    block = block_of(model, name)
    return place(copy.deepcopy(model), name,
                 nn.Identity() if block.downsample is None else block.downsample)


def off_by_one(model, name):
    stage, position = name.split(".")
    return without_block(model, f"{stage}.{1 - int(position)}")


def scale_alone(model, name):
    model = copy.deepcopy(model)
    nn.init.zeros_(block_of(model, name).bn2.weight)
    return model


def weights_alone(model, name):
    model = copy.deepcopy(model)
    nn.init.zeros_(block_of(model, name).conv2.weight)
    return model


WRONG_BLOCKS = {
    "original": (changes_the_original, "Work on a copy"),
    "identity": (identity_everywhere, "projects its shortcut"),
    "no relu": (projection_without_relu, "not the ReLU after it"),
    "off by one": (off_by_one, "count from 0"),
    "unchanged": (lambda model, name: copy.deepcopy(model), "the same as before"),
    "scale alone": (scale_alone, "still adds its shift"),
    "weights alone": (weights_alone, "still adds its shift"),
    "training": (lambda model, name: without_block(model, name).train(), "training mode"),
    "logits": (lambda model, name: without_block(model, name)(torch.rand(1, 1, 16, 16)),
               "got Tensor"),
    "no such attribute": (lambda model, name: getattr(model, name), "raised AttributeError"),
}


@pytest.mark.parametrize("name", WRONG_BLOCKS)
def test_wrong_surgery_is_diagnosed(name):
    answer, words = WRONG_BLOCKS[name]
    verdict = WITHOUT_BLOCK.check(answer)
    assert not verdict and words in verdict.words.replace("\n", " ")


def zeroed_whole(model, name):
    """Scale and shift at zero: nothing is cut, but the branch adds exactly nothing."""
    model = scale_alone(model, name)
    nn.init.zeros_(block_of(model, name).bn2.bias)
    return model


def rebuilt(model, name):
    """The stage made anew without the module, where nothing needs to stay in its place."""
    if block_of(model, name).downsample is not None:
        return without_block(model, name)
    model, (stage, position) = copy.deepcopy(model), name.split(".")
    kept = [block for i, block in enumerate(getattr(model, stage)) if i != int(position)]
    setattr(model, stage, nn.Sequential(*kept))
    return model


@pytest.mark.parametrize("answer", [zeroed_whole, rebuilt])
def test_other_ways_to_be_right_are_right(answer):
    assert WITHOUT_BLOCK.check(answer)


def test_the_solution_agrees_with_the_evaluator():
    torch.manual_seed(0)
    model = looking_inside._network(14)
    x = torch.rand(4, 1, 28, 28)
    split = data.Split((x * 255).to(torch.uint8), torch.zeros(4).long())
    evaluator = lesions.Evaluator(model, split)
    for name, _ in model.blocks():
        with torch.no_grad():
            direct = without_block(model, name)(split.pixels(slice(None)))
        assert torch.allclose(evaluator.logits([name]), direct, atol=1e-4)


def gaps(confidence, right, bins):
    return looking_inside._gaps(confidence, right, bins)


WRONG_CALIBRATION = {
    "signed": (lambda c, r, b: sum(s * g for s, g in gaps(c, r, b)), "cancel"),
    "one bin": (lambda c, r, b: abs(float(r.float().mean() - c.mean())), "cancel"),
    "unweighted": (lambda c, r, b: sum(abs(g) for _, g in gaps(c, r, b)) / len(gaps(c, r, b)),
                   "plain mean"),
    "sum": (lambda c, r, b: sum(abs(g) for _, g in gaps(c, r, b)), "sum of the gaps"),
    "squared": (lambda c, r, b: sum(s * g * g for s, g in gaps(c, r, b)), "squared"),
    "largest": (lambda c, r, b: max(abs(g) for _, g in gaps(c, r, b)), "largest gap"),
    "ten": (lambda c, r, b: looking_inside.expected_calibration_error(c, r, 10), "uses 10"),
    "nan": (lambda c, r, b: float("nan"), "empty bin"),
    "pair": (lambda c, r, b: (0.1, 0.2), "one number, got tuple"),
    "zero": (lambda c, r, b: 0.0, "add up"),
    "words": (lambda c, r, b: c + "a", "raised TypeError"),
}


@pytest.mark.parametrize("name", WRONG_CALIBRATION)
def test_wrong_calibration_is_diagnosed(name):
    answer, words = WRONG_CALIBRATION[name]
    verdict = CALIBRATION.check(answer)
    assert not verdict and words in verdict.words.replace("\n", " ")


def test_a_tensor_is_a_number_too():
    assert CALIBRATION.check(lambda c, r, b: torch.tensor(CALIBRATION.solve(c, r, b)))
