"""Exercise of notebook 07: the five lines of a training step."""

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, Mistake, same, unsolved
from resnet_lesson.exercises.source import slip


def train_step(model, optimizer, X, y):
    """Take one step on the batch (X, y); return its mean loss as a float."""
    logits = model(X)
    loss = F.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def _settings(draw):
    """Return a small network and two batches for it."""
    inputs, classes = draw.randint(3, 6), draw.randint(2, 5)
    model = nn.Sequential(nn.Linear(inputs, 8), nn.ReLU(), nn.Linear(8, classes))
    yield model, [(torch.randn(12, inputs), torch.randint(classes, (12,))) for _ in range(2)]


def _flat(model):
    return torch.cat([weight.detach().flatten().clone() for weight in model.parameters()])


def _two_steps(answer, case):
    """Take two steps; return the losses, and the weights before and after each of them."""
    model, batches = case
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    losses, weights = [], [_flat(model)]
    for X, y in batches:
        losses.append(answer(model, optimizer, X, y))
        weights.append(_flat(model))
    return {"losses": losses, "weights": weights}


def _the_loss(given, case):
    """Say what is missing where no weight has moved."""
    start, *_, end = given["weights"]
    if torch.equal(start, end) and all(unsolved(loss) for loss in given["losses"]):
        return NOT_SOLVED
    return None


def _equal(one, other):
    """Compare the weights; the losses too, where one of the two returned numbers."""
    if not same(one["weights"], other["weights"], rtol=1e-5, atol=1e-6):
        return False
    return all(type(a) is type(b) and (unsolved(a) or same(a, b))
               for a, b in zip(one["losses"], other["losses"], strict=True))


def _what_came(case, expected, given):
    if same(given["weights"], expected["weights"], rtol=1e-5, atol=1e-6):
        return "The weights are right."
    if torch.equal(given["weights"][0], given["weights"][-1]):
        return "After two steps no weight has moved."
    if same(given["weights"][1], expected["weights"][1], rtol=1e-5, atol=1e-6):
        return "The first step is right, the second is not."
    return "The weights after a step differ from those that the five lines give."


def _which_line(case, expected, given):
    start, after, _ = given["weights"]
    right = expected["weights"][1] - start
    if same(given["weights"], expected["weights"], rtol=1e-5, atol=1e-6):
        return (f"The loss returned is {given['losses'][0]!r:.20} instead of "
                f"{expected['losses'][0]:.4f}: return the loss of the batch before the step, as a "
                "number.")
    factor = ((after - start) @ right / right.square().sum()).item()
    if same(after - start, factor * right):
        return (f"The direction is right, the step is {factor:.3g} times as long as expected. Use "
                "the mean loss over the batch, and take one step.")
    return ("Compare your lines, logits → cross_entropy → zero_grad → backward → step, with the "
            "section One step, by hand.")


_NOTHING = ("backward() computes the gradients, then optimizer.step() uses them; is one of the two "
            "missing, or are the gradients zeroed between them?")

TRAIN_STEP = Exercise(
    solve=train_step, cases=_settings, run=_two_steps, same=_equal, form=_the_loss,
    where=_what_came, idea=_which_line, changes=True, part="train_step",
    mistakes=(
        Mistake(slip(train_step, ("loss.backward()", "pass")), _NOTHING),
        Mistake(slip(train_step, ("optimizer.step()", "pass")), _NOTHING),
        Mistake(slip(train_step, ("loss.backward()", "loss.backward(); optimizer.zero_grad()")),
                _NOTHING),
        Mistake(slip(train_step, ("optimizer.zero_grad()", "pass")),
                "The gradient of the first batch was still there and was added. Zero the "
                "gradients once per step."),
        Mistake(slip(train_step, ("model(X)", "model(X).softmax(1)")),
                "cross_entropy takes logits and computes the softmax itself. You gave it "
                "probabilities."),
        Mistake(slip(train_step, ("loss = F", "loss = -F")),
                "The weights moved uphill: the loss has the wrong sign."),
        Mistake(slip(train_step, ("logits, y)", 'logits, y, reduction="sum")')),
                "Use the mean loss over the batch, and take one step."),
        Mistake(slip(train_step, ("return loss.item()", "pass")),
                "Now return the loss, as a number: loss.item()."),
        Mistake(slip(train_step, ("loss.item()", "loss")),
                "The loss is right too, but you return a tensor, which keeps the whole graph of "
                "the step in memory. Return loss.item()."),
    ),
    hints=("Five lines: logits, loss, zero_grad, backward, step. The section One step, by hand has "
           "them.",
           "torch.nn.functional.cross_entropy(logits, y) is the mean loss over the batch.",
           "Return loss.item(), a plain number."),
    remark="Where zero_grad stands does not matter, as long as it is not between backward and "
           "step.", minutes=6, difficulty=2)
