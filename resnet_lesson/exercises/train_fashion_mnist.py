"""Exercise of notebook 07: the five lines of a training step."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise


def train_step(model, optimizer, X, y):
    """Take one step on the batch (X, y); return its mean loss as a float."""
    logits = model(X)
    loss = F.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def _setting():
    """Return a small network that was just evaluated, its optimizer, and two batches."""
    inputs, classes = int(torch.randint(3, 7, ())), int(torch.randint(2, 6, ()))
    model = nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    batches = [(torch.randn(12, inputs), torch.randint(classes, (12,))) for _ in range(2)]
    return model, optimizer, batches


def _after(step, model, optimizer, batches):
    """Return the losses of steps on copies of model and optimizer, and the weights after each."""
    model = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=optimizer.param_groups[0]["lr"])
    losses, weights = [], []
    for X, y in batches:
        losses.append(step(model, optimizer, X, y))
        weights.append(torch.cat([p.detach().flatten().clone() for p in model.parameters()]))
    return losses, weights


def _without_zero_grad(model, optimizer, X, y):
    F.cross_entropy(model(X), y).backward()
    optimizer.step()


def _softmax_twice(model, optimizer, X, y):
    optimizer.zero_grad()
    F.cross_entropy(model(X).softmax(1), y).backward()
    optimizer.step()




def _judge(answer):
    model, optimizer, batches = _setting()
    start = torch.cat([p.detach().flatten() for p in model.parameters()])
    losses, weights = _after(answer, model, optimizer, batches)
    right_losses, right = _after(train_step, model, optimizer, batches)
    same = [torch.allclose(a, b, atol=1e-6) for a, b in zip(weights, right, strict=True)]
    if all(same):
        return _judge_losses(losses, right_losses)
    if torch.equal(weights[-1], start):
        if all(loss is None or loss is ... for loss in losses):
            return NOT_SOLVED
        return ("After two steps no weight has moved. backward() computes the gradients, then "
                "optimizer.step() uses them; is one of the two missing, or are the gradients "
                "zeroed between them?")
    if torch.allclose(weights[-1], _after(_without_zero_grad, model, optimizer, batches)[1][-1],
                      atol=1e-6):
        return ("The first step is right, the second is not: the gradient of the first batch was "
                "still there and was added. Zero the gradients once per step.")
    if torch.allclose(weights[0], _after(_softmax_twice, model, optimizer, batches)[1][0],
                      atol=1e-6):
        return ("The weights moved, but by another gradient: cross_entropy takes logits and "
                "computes the softmax itself. You gave it probabilities.")
    if torch.allclose(weights[0] - start, start - right[0], atol=1e-6):
        return "The weights moved uphill: the loss has the wrong sign."
    factor = ((weights[0] - start) @ (right[0] - start) / (right[0] - start).square().sum()).item()
    if torch.allclose(weights[0] - start, factor * (right[0] - start), atol=1e-5):
        return (f"The direction is right, the step is {factor:.3g} times as long as expected. Use "
                "the mean loss over the batch, and take one step.")
    return ("The weights after a step differ from those of logits → cross_entropy → zero_grad → "
            "backward → step. Compare your lines with the section One step, by hand.")


def _judge_losses(losses, right):
    if losses[0] is None:
        return "The weights are right. Now return the loss, as a number: loss.item()."
    if any(isinstance(loss, torch.Tensor) for loss in losses):
        return ("The weights and the loss are right, but you return a tensor, which keeps the "
                "whole graph of the step in memory. Return loss.item().")
    if not all(abs(float(a) - b) < 1e-5 for a, b in zip(losses, right, strict=True)):
        return (f"The weights are right, the loss returned is {float(losses[0]):.4f} instead of "
                f"{right[0]:.4f}: return the loss of the batch before the step.")
    return None


TRAIN_STEP = Exercise(
    _judge, train_step,
    ("Five lines: logits, loss, zero_grad, backward, step. The section One step, by hand has them.",
     "torch.nn.functional.cross_entropy(logits, y) is the mean loss over the batch.",
     "Return loss.item(), a plain number."),
    "Where zero_grad stands does not matter, as long as it is not between backward and step.")
