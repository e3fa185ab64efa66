"""What single exercises say besides their mistakes: answers of a wrong kind, half answers."""

import numpy as np
import pytest
import torch
from torch import nn

from resnet_lesson.exercises import (
    batch_norm,
    convolution_sizes,
    gradient_sum,
    residual_block,
    residual_idea,
    resnet18,
    start_here,
    train_fashion_mnist,
    with_and_without,
)
from resnet_lesson.exercises.source import slip
from resnet_lesson.networks import blocks


class PresentBook(nn.Module):
    def __init__(self, num_channels, use_1x1conv=False, strides=1):
        super().__init__()


class OnlyLayers(residual_block.Residual):
    def forward(self, X):
        ...


class LazyBlock(residual_block.BasicBlock):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.conv2 = nn.LazyConv2d(out_channels, 3, padding=1, bias=False)


class TooManyChannels(residual_block.Residual):
    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        super().__init__(input_channels, num_channels, use_1x1conv, strides)
        self.conv2 = nn.Conv2d(input_channels, num_channels, 3, padding=1)


class NoBuffers(nn.Module):
    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.weight, self.bias = (nn.Parameter(torch.ones(num_features)) for _ in range(2))
        self.register_buffer("num_batches_tracked", torch.tensor(0))


class OnlyOneChannel(batch_norm.BatchNorm2d):
    def forward(self, x):
        return x[:, :1]


def test_an_answer_of_the_wrong_kind_is_told_what_was_expected():
    size, identity = convolution_sizes.SIZE, residual_idea.IDENTITY
    for exercise, answer, words in [
        (start_here.SHARE_RIGHT, lambda a, b: a == b, "Expected one number, got a tensor of shape"),
        (residual_idea.COEFFICIENTS, lambda a, b, c: (a, b), "Expected three numbers"),
        (identity, lambda n: torch.eye(n), "Expected two tensors, W1 and W2; got Tensor"),
        (identity, lambda n: (torch.eye(n), torch.eye(n)), "side by side with dim=1"),
        (gradient_sum.TWO_TERMS, lambda g, x, v: v, "Expected a pair (skip, branch)"),
        (gradient_sum.TWO_TERMS, lambda g, x, v: (v, None), "one of the two terms"),
        (gradient_sum.TWO_TERMS, lambda g, x, v: (v, v.sum()), "The branch term has the shape ()"),
        (gradient_sum.SLOPE, lambda *_: [1.0, 2.0], "Expected one number, the slope"),
        (gradient_sum.PATH_SHARES, lambda slopes: slopes, "Expected 3 numbers for 2 slopes"),
        (gradient_sum.TWO_TERMS, lambda g, x, v: (v, (v,)), "The branch term is a tuple"),
        (gradient_sum.PATH_SHARES, lambda slopes: [torch.ones(2)], "tensors of several"),
        (gradient_sum.BLOCK_GRADIENTS, lambda *_: 0.5, "one for each block, got 1"),
        (gradient_sum.BLOCK_GRADIENTS, lambda b, loss, x: (x,), "Return the norm of each"),
        (size, lambda *a: "5", "A size is a whole number, but you return str"),
        (size, lambda *a: float(size.solve(*a)), "is the right number but a float"),
        (convolution_sizes.SIMPLE_CNN, [(32, 32, 32)], "Expected a list of 7 shapes"),
        (convolution_sizes.SIMPLE_CNN, [...] * 7, "The shape after conv 3×3, 32 kernels"),
        (convolution_sizes.SAME, lambda n, k, s: -1, "padding is a whole number of cells"),
        (batch_norm.BATCH_NORM, batch_norm.BatchNorm2d(2), "Give the class itself"),
        (batch_norm.BATCH_NORM, nn.BatchNorm2d, "PyTorch's own layer"),
        (batch_norm.BATCH_NORM, NoBuffers, "The layer has no running_mean, running_var"),
        (batch_norm.BATCH_NORM, OnlyOneChannel, "expected a tensor of the same shape"),
        (batch_norm.FOLD, lambda conv, bn: conv.weight, "Expected outputs of shape"),
        (batch_norm.FOLD, lambda conv, bn: bn, "Expected one nn.Conv2d, got BatchNorm2d"),
        (batch_norm.FOLD, lambda conv, bn: nn.Conv2d(conv.in_channels, 5, 2), "Expected outputs"),
        (residual_block.RESIDUAL, residual_block.Residual(3, 3), "Give the class itself"),
        (residual_block.RESIDUAL, PresentBook, "later editions of the book"),
        (residual_block.RESIDUAL, OnlyLayers, "Half solved: the layers are right"),
        (residual_block.RESIDUAL, TooManyChannels, "everything after them sees the output"),
        (residual_block.BASIC_BLOCK, LazyBlock, "Lazy layers have no sizes before the first batch"),
        (residual_block.BASIC_BLOCK, residual_block.Residual, "takes a bias away again"),
        (resnet18.STAGE, lambda *a: nn.Linear(3, 3), "holds 0 blocks"),
        (resnet18.COST, lambda *a: "many", "Expected two numbers, weights and multiply-adds"),
        (resnet18.RESNET18, resnet18.ResNet18(), "Give the class itself, check(ResNet18)"),
        *((resnet18.RESNET18, slip(resnet18.ResNet18, edit), words) for edit, words in (
            (("return self.fc(torch.flatten(x, 1))", "..."), "Half solved: the layers are right"),
            (("x = self.maxpool(", "return self.maxpool("), "forward does not reach stage 1"),
            (("super().__init__()", "raise ValueError('no')"), "(3, 1000) raised: no. Compare"))),
        (with_and_without.STEPS_TO, lambda s, e, t: next(
            (a for a, b in zip(s, e, strict=True) if b <= t), None), "Return math.inf there"),
        (with_and_without.FAIR_PAIR, lambda d, s, train: {}, "train was called for no network"),
        (with_and_without.PAIRED_INTERVAL, lambda p, r: (0, 1), "Expected three numbers"),
        (with_and_without.PAIRED_INTERVAL, lambda p, r: (0, 1, 2), "the mean of the differences"),
    ]:
        verdict = exercise.check(answer)
        assert not verdict.right and words in verdict.words, (words, verdict)


@pytest.mark.parametrize(("exercise", "package"), [
    (residual_block.RESIDUAL, blocks.Residual), (residual_block.BASIC_BLOCK, blocks.BasicBlock)])
def test_the_solution_of_a_block_is_the_packages(exercise, package):
    for arguments, options, x in exercise.cases(None):
        ours, theirs = (kind(*arguments, **options) for kind in (package, exercise.solve))
        theirs.load_state_dict(ours.state_dict())
        assert torch.equal(ours(x), theirs(x))


def test_the_solution_of_the_step_is_torchs_own_sgd():
    model, (X, y) = nn.Linear(3, 4), (torch.randn(5, 3), torch.randint(4, (5,)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    before = [weight.detach().clone() for weight in model.parameters()]
    loss = nn.CrossEntropyLoss()(model(X), y)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    assert train_fashion_mnist.train_step(model, optimizer, X, y) == pytest.approx(loss.item())
    for weight, start, gradient in zip(model.parameters(), before, gradients, strict=True):
        assert torch.allclose(weight, start - 0.3 * gradient)


def test_the_solution_for_coefficients_is_numpys_difference_of_polynomials():
    a, b, c = 3.5, -2.0, 0.25
    left = np.polysub([a, b, c], [1, 0])
    assert np.allclose(residual_idea.coefficients_of_g(a, b, c), left)


def test_the_step_answers_in_factors_where_the_direction_is_right():
    def halved(model, optimizer, X, y):
        loss = nn.CrossEntropyLoss()(model(X), y) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return 2 * loss.item()

    assert "0.5 times as long" in train_fashion_mnist.TRAIN_STEP.check(halved).words
