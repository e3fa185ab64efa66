"""Augmentation: each change does what it says, to every picture on its own, from one seed."""

import numpy as np
import pytest
import torch

from resnet_lesson.data.augment import Augment


def changed(images, seed=0, **settings):
    return Augment(**settings)(images, torch.Generator().manual_seed(seed))


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(1, 256, (200, 3, 9, 7), generator=generator, dtype=torch.uint8)


def test_flip_mirrors_about_half_of_the_pictures_and_no_other(images):
    result = changed(images, flip=True)
    mirrored = (result == images.flip(3)).all(dim=(1, 2, 3))
    kept = (result == images).all(dim=(1, 2, 3))
    assert (mirrored ^ kept).all() and 60 < mirrored.sum() < 140


def test_shift_moves_whole_pictures_and_zeros_move_in(images):
    result, found = changed(images, shift=2), set()
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    for before, after in zip(padded, result, strict=True):
        places = [(i, j) for i in range(5) for j in range(5)
                  if torch.equal(before[:, i:i + 9, j:j + 7], after)]
        assert len(places) == 1
        found |= set(places)
    assert len(found) == 25  # every displacement occurs


def test_erase_zeroes_one_square_that_may_stick_out(images):
    empty = (changed(images, erase=3) == 0).all(dim=1)
    sizes = empty.sum(dim=(1, 2))
    assert sizes.max() == 9 and sizes.min() < 9 and sizes.min() >= 4
    for mask in empty:
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        assert len(rows) * len(columns) == mask.sum()
        assert rows.max() - rows.min() == len(rows) - 1


def test_a_seed_fixes_everything_and_the_type_stays(images):
    assert torch.equal(changed(images), images)
    settings = {"shift": 2, "flip": True, "erase": 2}
    first = changed(images, 5, **settings)
    assert first.dtype == torch.uint8 and first.shape == images.shape
    assert torch.equal(first, changed(images, 5, **settings))
    assert not torch.equal(first, changed(images, 6, **settings))


@pytest.mark.parametrize("settings", [{"shift": -1}, {"erase": 1.5}, {"erase": True},
                                      {"shift": None}])
def test_senseless_changes_are_refused_in_words(settings):
    with pytest.raises(ValueError, match="(shift|erase) must be a whole number, at least 0"):
        Augment(**settings)


def test_changes_larger_than_the_pictures_are_refused_in_words():
    Augment(shift=7, erase=7).check((9, 7))
    for settings in ({"shift": 8}, {"erase": 8}):
        with pytest.raises(ValueError, match="must be at most 7 pixels, .* got 8"):
            Augment(**settings).check((9, 7))


def test_numpys_numbers_are_kept_as_plain_ones():
    augment = Augment(shift=np.int64(2), flip=np.bool_(True))
    assert augment == Augment(2, True) and type(augment.shift) is int and augment.flip is True
