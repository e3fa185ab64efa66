"""Numbers and lists in words."""

import numpy as np
import pytest
import torch

from resnet_lesson.words import duration, whole


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)])
def test_whole_numbers_of_every_library_are_whole(value):
    assert whole(value, "size") == 3 and type(whole(value, "size")) is int


@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True), 3.0, np.float64(3), "3",
                                   None, [3], torch.tensor(3.0), torch.tensor([3, 4])])
def test_what_is_not_whole_is_refused_in_words(value):
    with pytest.raises(ValueError, match="size must be a whole number above 0, got"):
        whole(value, "size")


@pytest.mark.parametrize(("value", "least", "words"), [
    (0, 1, "above 0, got 0"), (-1, 0, "at least 0, got -1"), (7, 8, "at least 8, got 7")])
def test_what_is_too_small_is_refused_in_words(value, least, words):
    with pytest.raises(ValueError, match=words):
        whole(value, "size", least)
    assert whole(least, "size", least) == least and whole(-5, "size", None) == -5


@pytest.mark.parametrize(("seconds", "words"), [(0.213, "0.21 s"), (40.4, "40 s"),
                                                (300, "5 minutes"), (11160, "3.1 hours")])
def test_times_are_said_in_the_unit_people_use(seconds, words):
    assert duration(seconds) == words
