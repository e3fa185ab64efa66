"""The exercise of notebook 07 tells apart the mistakes that people make in a training step."""

import pytest
import torch
from torch.nn import functional as F

from resnet_lesson.exercises import train_fashion_mnist as topic


def variant(*order, loss=F.cross_entropy, result=lambda value: value.item()):
    def step(model, optimizer, X, y):
        value = loss(model(X), y)
        for name in order:
            {"zero": optimizer.zero_grad, "back": value.backward, "step": optimizer.step}[name]()
        return result(value)
    return step


FULL = ("zero", "back", "step")
WRONG = [
    (lambda model, optimizer, X, y: ..., "Not solved yet"),
    (lambda model, optimizer, X, y: None, "Not solved yet"),
    (variant("zero", "back"), "no weight has moved"),
    (variant("zero", "step"), "no weight has moved"),
    (variant("back", "zero", "step"), "no weight has moved"),
    (variant("back", "step"), "was still there and was added"),
    (variant(*FULL, loss=lambda z, y: F.cross_entropy(z.softmax(1), y)), "You gave it prob"),
    (variant(*FULL, loss=lambda z, y: -F.cross_entropy(z, y)), "uphill"),
    (variant(*FULL, loss=lambda z, y: F.cross_entropy(z, y, reduction="sum")), "12 times"),
    (variant(*FULL, loss=lambda z, y: z.square().mean()), "differ from those of"),
    (variant(*FULL, result=lambda value: None), "Now return the loss"),
    (variant(*FULL, result=lambda value: value), "whole graph"),
    (variant(*FULL, result=lambda value: 2 * value.item()), "loss returned is"),
    (lambda model: 1, "raised TypeError"),
]


@pytest.mark.parametrize(("answer", "words"), WRONG)
def test_each_wrong_answer_has_its_own_diagnosis(answer, words):
    verdict = topic.TRAIN_STEP.check(answer)
    assert not verdict and words in verdict.words, verdict.words


@pytest.mark.parametrize("answer", [topic.train_step, variant(*FULL)])
def test_right_answers_are_right(answer):
    for seed in range(3):
        torch.manual_seed(seed)
        assert topic.TRAIN_STEP.check(answer)


def test_the_solution_can_be_shown(capsys):
    topic.TRAIN_STEP.solution()
    assert "optimizer.step()" in capsys.readouterr().out
