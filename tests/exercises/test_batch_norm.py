"""The exercises of notebook 04: right answers pass, plausible wrong ones get their own words."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from resnet_lesson.exercises import batch_norm as tasks

EXERCISES = {"update": tasks.update_exercise, "batches": tasks.batches_exercise,
             "fold": tasks.fold_exercise}


def mixed(old, new, momentum):
    return (1 - momentum) * old + momentum * new


def stats(x, correction=1):
    return x.mean((0, 2, 3)), x.var((0, 2, 3), correction=correction)


def biased(m, v, x, momentum):
    mean, var = stats(x, 0)
    return mixed(m, mean, momentum), mixed(v, var, momentum)


def swapped(m, v, x, momentum):
    mean, var = stats(x)
    return mixed(m, mean, 1 - momentum), mixed(v, var, 1 - momentum)


def swapped_variance(m, v, x, momentum):
    mean, var = stats(x)
    return mixed(m, mean, momentum), mixed(v, var, 1 - momentum)


def deviation(m, v, x, momentum):
    mean, var = stats(x)
    return mixed(m, mean, momentum), mixed(v, var.sqrt(), momentum)


def fixed_momentum(m, v, x, momentum):
    mean, var = stats(x)
    return mixed(m, mean, 0.1), mixed(v, var, 0.1)


def summed_variance(m, v, x, momentum):
    mean, var = stats(x)
    return mixed(m, mean, momentum), v + var


def one_number(m, v, x, momentum):
    return mixed(m, x.mean(), momentum)[:1], mixed(v, x.var(), momentum)[:1]


def per_pixel(m, v, x, momentum):
    return x.mean(0), x.var(0)


UPDATE = [
    (biased, "divides by n = 6"), (swapped, "wrong way round"),
    (swapped_variance, "variance has its weights"), (deviation, "standard deviation"),
    (lambda m, v, x, momentum: stats(x), "batch alone"), (one_number, "one number per channel"),
    (per_pixel, "one number per channel"), (fixed_momentum, "Expected the running mean"),
    (summed_variance, "Expected the running variance"),
    (lambda m, v, x, momentum: m, "Expected two tensors"),
    (lambda m, v, x, momentum: ..., "Not solved yet"),
    (lambda *a: None, "Not solved yet"), (lambda m: m, "raised TypeError"),
]
BATCHES = [
    (lambda m, t: math.ceil(1 / m), "nn.BatchNorm1d needed"),
    (lambda m, t: math.floor(math.log(t) / math.log(1 - m)), "round up, with math.ceil"),
    (lambda m, t: math.log(t) / math.log(1 - m), "no halves"),
    (lambda m, t: math.ceil(math.log(t) / math.log(m)), "not by momentum"),
    (lambda m, t: "many", "Expected a number"), (lambda m, t: None, "Not solved yet"),
    (lambda m, t: math.log(0), "raised ValueError"),
]


def folding(eps=True, root=True, conv_bias="scaled", affine=True, beta=True, shape=True):
    """Return a fold with one thing wrong."""
    def fold(conv, bn):
        spread = bn.running_var + (bn.eps if eps else 0)
        scale = (bn.weight if affine else 1) / (spread.sqrt() if root else spread)
        bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
        offset = {"scaled": (bias - bn.running_mean) * scale, "lost": -bn.running_mean * scale,
                  "added": bias - bn.running_mean * scale}[conv_bias]
        folded = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size,
                           *((conv.stride, conv.padding) if shape else (3,)))
        with torch.no_grad():
            folded.weight.copy_(conv.weight * scale.view(-1, 1, 1, 1))
            folded.bias.copy_(offset + (bn.bias if affine and beta else 0))
        return folded
    return fold


def in_place(conv, bn):
    with torch.no_grad():
        conv.weight.mul_((bn.weight / (bn.running_var + bn.eps).sqrt()).view(-1, 1, 1, 1))
    return conv


def along_the_wrong_axis(conv, bn):
    folded = tasks.fold(conv, bn)
    with torch.no_grad():
        folded.weight.copy_(conv.weight.flip(0))
    return folded


FOLD = [
    (folding(eps=False), "eps is missing"), (folding(root=False), "divide by the variance"),
    (folding(conv_bias="lost"), "own bias got lost"),
    (folding(conv_bias="added"), "passes through the norm too"),
    (folding(affine=False), "γ and β are missing"), (folding(beta=False), "β is missing"),
    (folding(shape=False), "stride and padding"), (in_place, "changed the layers"),
    (lambda conv, bn: copy.deepcopy(conv), "convolution alone"),
    (along_the_wrong_axis, "differ from bn(conv(x))"),
    (lambda conv, bn: conv.weight, "Expected one nn.Conv2d"),
    (lambda conv, bn: None, "Not solved yet"),
]
WRONG = [pytest.param(name, answer, words, id=f"{name}-{words}-{i}")
         for name, cases in (("update", UPDATE), ("batches", BATCHES), ("fold", FOLD))
         for i, (answer, words) in enumerate(cases)]


@pytest.mark.parametrize(("name", "answer", "words"), WRONG)
def test_a_wrong_answer_gets_its_own_diagnosis(name, answer, words):
    verdict = EXERCISES[name].check(answer)
    assert not verdict.right
    assert words in verdict.words


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [..., None, 3, "text", lambda: None])
def test_nothing_that_is_handed_in_raises(name, answer):
    assert not EXERCISES[name].check(answer)


def test_torchs_own_fusion_is_accepted():
    assert tasks.fold_exercise.check(fuse_conv_bn_eval)


def test_an_update_in_place_is_accepted():
    def in_place_update(m, v, x, momentum):
        m.lerp_(x.mean((0, 2, 3)), momentum)
        v.lerp_(x.var((0, 2, 3)), momentum)
        return m, v
    assert tasks.update_exercise.check(in_place_update)
