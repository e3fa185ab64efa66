"""Exercises that check themselves: ``check``, ``hint`` and ``solution`` in one object."""

from resnet_lesson.exercises.base import Exercise, Verdict

__all__ = ["Exercise", "Verdict"]
