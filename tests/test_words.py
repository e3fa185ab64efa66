"""Numbers and lists in words."""

import numpy as np
import pytest
import torch

from resnet_lesson.words import count, duration, fixed, listed, short, signed, whole


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


@pytest.mark.parametrize(("value", "word"), [
    (0, "0"), (1, "1"), (0.031, "0.031"), (47.4, "47"), (280, "280"), (3.2e-26, "3.2·10⁻²⁶"),
    (1.6e10, "1.6·10¹⁰"), (999.9, "1000"), (1000, "1.0·10³"), (-0.5, "-0.5"), (np.inf, "inf")])
def test_short_numbers(value, word):
    assert short(value) == word


def test_differences_carry_their_sign_and_lists_end_with_and():
    assert [signed(value) for value in (0.1234, -0.1, 0)] == ["+0.123", "−0.100", "+0.000"]
    assert [listed([8, 20, 32][:count]) for count in range(4)] == ["", "8", "8 and 20",
                                                                   "8, 20 and 32"]


def test_numbers_have_a_real_minus_and_nouns_their_s():
    assert [fixed(value, 2) for value in (-1.5, 0.004, -0.004, np.float32(2))] == [
        "−1.50", "0.00", "0.00", "2.00"]
    assert (count(1, "epoch"), count(2000, "step")) == ("1 epoch", "2,000 steps")
