"""The exercise of notebook 00: share of right answers."""

import torch

from resnet_lesson.exercises.base import NOT_SOLVED, Exercise, unsolved


def accuracy(answers, labels):
    """Return the share of answers that equal their labels, a number between 0 and 1."""
    return (answers == labels).float().mean().item()


def _judge(answer):
    for _ in range(20):
        count, classes = int(torch.randint(5, 200, ())), int(torch.randint(2, 11, ()))
        labels = torch.randint(classes, (count,))
        answers = torch.where(torch.rand(count) < 0.7, labels, torch.randint(classes, (count,)))
        expected = accuracy(answers, labels)
        got = answer(answers, labels)
        if unsolved(got):
            return NOT_SOLVED
        if isinstance(got, torch.Tensor) and got.numel() != 1:
            return (f"Expected one number, got a tensor of shape {tuple(got.shape)}. "
                    "answers == labels says True or False for each picture; take the mean.")
        got = float(got)
        if abs(got - expected) < 1e-5:
            continue
        where = f"for {count} pictures, expected {expected:.3f}, got {got:.3f}"
        if abs(got - expected * count) < 1e-3:
            return f"That is the number of right answers ({where}). Divide by how many there are."
        if abs(got - (1 - expected)) < 1e-5:
            return f"That is the share of wrong answers ({where})."
        if abs(got - 100 * expected) < 1e-3:
            return f"That is a percentage ({where}). A share lies between 0 and 1."
        return f"Not yet: {where}. Compare answers with labels, one by one."
    return None


share_right = Exercise(
    judge=_judge,
    solve=accuracy,
    hints=("answers == labels compares two tensors, number by number, and gives True or False.",
           "True counts as 1 and False as 0, but mean() wants floats: (…).float().mean()"),
    remark="Every accuracy in this lesson is this number.",
)
