"""The data: what is found, what is refused, and that a seed fixes the order."""

import socket

import numpy as np
import pytest
import torch

from resnet_lesson import data
from resnet_lesson.data import idx, make_mini, splits
from resnet_lesson.data.augment import Augment


def test_mini_is_balanced_and_of_the_promised_size(mini):
    assert [len(split) for split in mini] == [5000, 1000, 1000]
    for split in mini:
        counts = torch.bincount(split.labels, minlength=10)
        assert (counts == len(split) // 10).all()
        assert split.images.dtype == torch.uint8 and split.images.shape[1:] == (1, 28, 28)
        assert "mini" in split.source


def test_mini_fits_in_three_megabytes_with_its_licence():
    assert sum(path.stat().st_size for path in splits.MINI.iterdir()) < 3_000_000
    assert "Zalando" in (splits.MINI / "LICENSE").read_text(encoding="utf-8")
    assert "make_mini" in (splits.MINI / "LICENSE").read_text(encoding="utf-8")


def test_mini_is_what_its_command_makes_of_the_full_set(mini, full):
    for part, whole in zip(mini, full, strict=True):
        chosen = make_mini.choose(whole.labels, make_mini.PER_CLASS[whole.name])
        assert chosen.unique().numel() == len(part)
        assert torch.equal(part.images, whole.images[chosen])
        assert torch.equal(part.labels, whole.labels[chosen])


def test_full_splits_hold_the_original_files_without_overlap(full):
    labels = idx.read_idx(idx.find_full(), "train-labels-idx1-ubyte").long()
    train, validation = splits.split_indices(labels)
    assert [len(split) for split in full] == [55_000, 5_000, 10_000]
    assert sorted(torch.cat([train, validation]).tolist()) == list(range(60_000))
    assert (torch.bincount(full.validation.labels) == 500).all()
    assert torch.equal(full.train.labels, labels[train])


def test_auto_takes_mini_where_nothing_is_found_without_the_network(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(socket.socket, "connect", lambda *args: pytest.fail("connected"))
    monkeypatch.setattr(idx, "SYSTEM_FOLDERS", ())
    monkeypatch.setattr(idx, "project_data", lambda: tmp_path / "nothing")
    assert "mini" in data.load_fashion_mnist().train.source
    assert capsys.readouterr().out.count("\n") == 1


@pytest.mark.parametrize(("images", "labels", "words"), [
    (torch.zeros(4, 28, 28, dtype=torch.uint8), torch.zeros(4).long(), r"unsqueeze\(1\)"),
    (torch.zeros(4, 1, 28, 28), torch.zeros(4).long(), "uint8"),
    (torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.zeros(3).long(), r"\(3,\)"),
    (torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.full((4,), 10), "between 0 and 9"),
    (torch.zeros(4, 1, 28, 28, dtype=torch.uint8), torch.zeros(4), "int64"),
    (torch.zeros(4, 1, 28, 28, dtype=torch.uint8), [0] * 4, "labels must be a tensor, got list"),
    (torch.zeros(4, 1, 28, 28).numpy(), torch.zeros(4).long(), r"torch.as_tensor\(images\)"),
])
def test_a_split_refuses_what_does_not_fit(images, labels, words):
    with pytest.raises(ValueError, match=words):
        data.Split(images, labels)


@pytest.mark.parametrize(("call", "words"), [
    (lambda split: next(split.batches(2.5)), "batch_size must be a whole number above 0, got 2.5"),
    (lambda split: split.pixels([0], size=-3), "size must be a whole number above 0, got -3"),
    (lambda split: next(split.batches(8, augment=Augment(flip=True))), "augment needs a generator"),
    (lambda split: data.load_fashion_mnist("maxi"), "mini.*'maxi'"),
])
def test_what_makes_no_sense_is_refused_in_words(mini, call, words):
    with pytest.raises(ValueError, match=words):
        call(mini.test)


def test_a_seed_fixes_the_order_of_the_pictures_and_their_labels_go_with_them(mini):
    few = mini.test.take(slice(70))
    for seed in (3, 4):
        order = torch.randperm(70, generator=torch.Generator().manual_seed(seed))
        batches = list(few.batches(np.int64(32), generator=torch.Generator().manual_seed(seed)))
        assert [len(y) for _, y in batches] == [32, 32, 6]
        assert torch.equal(torch.cat([X for X, _ in batches]), few.pixels(order))
        assert torch.equal(torch.cat([y for _, y in batches]), few.labels[order])


@pytest.mark.parametrize("seed", [3, 2 ** 64 - 1])
def test_what_happens_to_a_picture_does_not_depend_on_skipped_batches(mini, seed):
    def batches(skip, augment=None):
        order = torch.Generator().manual_seed(seed)
        return list(mini.validation.batches(300, None, order, skip, augment))

    augment = Augment(shift=2, flip=True)
    whole, rest, plain = batches(0, augment), batches(2, augment), batches(0)
    assert [len(whole), len(rest)] == [4, 2]
    for (a, b), (c, d) in zip(whole[2:], rest, strict=True):
        assert torch.equal(a, c) and torch.equal(b, d)
    assert torch.equal(plain[0][1], whole[0][1]) and not torch.equal(plain[0][0], whole[0][0])


def test_pixels_scale_and_resize_as_the_book_does(mini):
    from torchvision.transforms import functional as transforms
    batch = mini.test.pixels(slice(20), size=96)
    assert batch.shape == (20, 1, 96, 96)
    for image, ours in zip(mini.test.images[:20], batch, strict=True):
        theirs = transforms.to_tensor(transforms.resize(transforms.to_pil_image(image), 96))
        assert (ours - theirs).abs().max() < 1.01 / 255  # the book rounds to 8 bits


def test_digits_are_scikit_learns_cut_by_position():
    from sklearn.datasets import load_digits

    splits, theirs = data.load_digits(quiet=True), load_digits()
    images = torch.cat([split.images for split in splits]).squeeze(1)
    assert [len(split) for split in splits] == [1000, 200, 597]
    assert torch.equal((images.double() * 16 / 255).round(), torch.from_numpy(theirs.images))
    assert torch.equal(torch.cat([split.labels for split in splits]),
                       torch.from_numpy(theirs.target).long())
    assert splits.train.pixels(slice(3), 32).shape == (3, 1, 32, 32)


@pytest.mark.parametrize("size", [5, 14, 32, 96])
def test_resizing_by_matrices_is_torchs(size):
    torch.manual_seed(size)
    images = torch.randint(256, (7, 2, 11, 17), dtype=torch.uint8)
    split = data.Split(images, torch.zeros(7).long())
    theirs = torch.nn.functional.interpolate(images.float() / 255, size=(size, size),
                                             mode="bilinear", antialias=True)
    torch.testing.assert_close(split.pixels(slice(None), size), theirs)
