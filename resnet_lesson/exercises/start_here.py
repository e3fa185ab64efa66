"""The exercise of notebook 00: share of right answers."""

import torch

from resnet_lesson.exercises.base import Exercise, Mistake, is_number, shown


def accuracy(answers, labels):
    """Return the share of answers that equal their labels, a number between 0 and 1."""
    return (answers == labels).float().mean().item()


def _pictures(draw):
    """Return 20 cases of answers, about 0.7 of them right, and labels; each of shape (N,)."""
    for _ in range(20):
        count, classes = draw.randint(5, 200), draw.randint(2, 10)
        labels = torch.randint(classes, (count,))
        guesses = torch.randint(classes, (count,))
        yield torch.where(torch.rand(count) < 0.7, labels, guesses), labels


def _one_number(given, case):
    if is_number(given) or isinstance(given, torch.Tensor) and given.numel() == 1:
        return None
    kind = (f"a tensor of shape {tuple(given.shape)}" if isinstance(given, torch.Tensor)
            else type(given).__name__)
    return (f"Expected one number, got {kind}. answers == labels says True or False for each "
            "picture; take the mean.")


SHARE_RIGHT = Exercise(
    solve=accuracy, cases=_pictures, form=_one_number,
    where=lambda case, expected, given: (
        f"For {len(case[0])} pictures: expected {expected:.3f}, got {shown(given)}."),
    idea="Compare answers with labels, one by one.",
    mistakes=(
        Mistake(lambda answers, labels: (answers == labels).sum().item(),
                "That is the number of right answers. Divide by how many there are."),
        Mistake(lambda answers, labels: (answers != labels).float().mean().item(),
                "That is the share of wrong answers."),
        Mistake(lambda answers, labels: 100 * (answers == labels).float().mean().item(),
                "That is a percentage. A share lies between 0 and 1."),
    ),
    hints=("answers == labels compares two tensors, number by number, and gives True or False.",
           "True counts as 1 and False as 0, but mean() wants floats: (…).float().mean()"),
    remark="Every accuracy in this lesson is this number.", minutes=3, difficulty=1)
