"""The data: what is found, what is refused, and that a seed fixes the order."""

import re
import socket
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

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


PLACES = {"numpy": np, "torch": torch, "map": map, "str": str, "tuple": tuple, "list": list,
          "range": range, "sorted": sorted, "set": set}


def followed(images, labels, classes=splits.FASHION_CLASSES):
    """Return the split that comes out where each refusal is followed to the letter."""
    for _ in range(6):
        try:
            return data.Split(images, labels, classes=classes)
        except ValueError as error:
            remedy, known = re.search("`(.+?)`", str(error))[1], {"images": images,
                                                                  "labels": labels}
            value = eval(remedy.removeprefix("classes="), PLACES | known)
            if remedy.startswith("classes="):
                classes = value
            elif str(error).startswith("images"):
                images = value
            else:
                labels = value
    raise AssertionError("no end of advice")


def frame(values):
    """Return something with the one method of pandas that counts here."""
    return SimpleNamespace(to_numpy=values.numpy)


def pictures(channels=1, n=12, side=9):
    """Return random pictures that use all of 0 … 255, and their labels."""
    draw = torch.Generator().manual_seed(channels)
    images = torch.randint(256, (n, channels, side, side), dtype=torch.uint8, generator=draw)
    images[:, 0, 0, :2] = torch.tensor([0, 255])
    return images, torch.arange(n) % 10


ONE, THREE = pictures(1), pictures(3)
TO_TENSOR = torchvision.transforms.functional.to_tensor


@pytest.mark.parametrize(("own", "truth"), [
    (lambda x: x.long(), ONE), (lambda x: x.flatten(1).long(), ONE),    # as CSV readers give them
    (lambda x: x.float(), ONE), (lambda x: x.double().numpy(), ONE), (lambda x: x.half(), ONE),
    (lambda x: torch.stack([TO_TENSOR(p.permute(1, 2, 0).numpy()) for p in x]), THREE),
    (lambda x: (x / 255 - 0.5) / 0.5, THREE), (lambda x: x.view(torch.int8), ONE),
    (lambda x: x.squeeze(1), ONE), (lambda x: x.permute(0, 2, 3, 1), THREE),
    (lambda x: x.permute(2, 3, 1, 0), THREE), (lambda x: x.flatten(1).t().numpy(), ONE),
    (lambda x: x.flatten(1) / 255, THREE), (lambda x: list(x), ONE),
    (lambda x: [p.squeeze(0).numpy() for p in x], ONE), (lambda x: x.tolist(), THREE),
    (lambda x: [Image.fromarray(p.permute(1, 2, 0).numpy()) for p in x], THREE),
    (lambda x: x.int() * 257, ONE), (lambda x: (x.int() * 257).to(torch.uint16), ONE),
    (lambda x: frame(x.flatten(1)), ONE), (lambda x: x.cfloat(), ONE),
    (lambda x: x[0, 0], (ONE[0][:1], ONE[1][:1])), (lambda x: x[0], (THREE[0][:1], THREE[1][:1])),
    (lambda x: x > 99, ((ONE[0] > 99).byte() * 255, ONE[1])),
    (lambda x: (x > 99).long(), ((ONE[0] > 99).byte() * 255, ONE[1])),
    (lambda x: x.double() * 1000, ONE),
])
def test_pictures_survive_all_advice_that_they_get(own, truth):
    images, labels = truth
    source = THREE[0] if images.shape[1] == 3 else ONE[0]
    assert torch.equal(followed(own(source), labels).images, images)


def test_digits_survive_the_advice_that_they_get():
    from sklearn.datasets import load_digits

    theirs, ours = load_digits(), data.load_digits(quiet=True)
    split = followed(theirs.images, theirs.target)
    assert torch.equal(split.images, torch.cat([part.images for part in ours]))
    assert torch.equal(split.labels, torch.cat([part.labels for part in ours]))


@pytest.mark.parametrize(("own", "classes"), [
    (lambda y: y.byte(), 10), (lambda y: y.double(), 10), (lambda y: y[:, None], 10),
    (lambda y: y[None], 10), (lambda y: y.tolist(), 10), (lambda y: y.numpy(), 10),
    (lambda y: torch.nn.functional.one_hot(y), 10), (lambda y: y + 1, 10), (lambda y: y, 3),
    (lambda y: torch.nn.functional.one_hot(y).bool(), 12), (lambda y: y - 1, 10),
    (lambda y: [f"class {i}" for i in y], 10), (lambda y: frame(y), 10),
    (lambda y: np.array([f"class {i}" for i in y]), 10), (lambda y: y.short()[:, None], 10),
])
def test_labels_survive_all_advice_that_they_get(own, classes):
    split = followed(ONE[0], own(ONE[1]), classes=tuple(map(str, range(classes))))
    assert torch.equal(split.labels, ONE[1]) and len(split.classes) >= 10


@pytest.mark.parametrize(("images", "labels", "words"), [
    (torch.randn(9, 1, 5, 5) * 3, torch.zeros(9).long(), "as they were before .* normalised"),
    (torch.full((9, 1, 5, 5), torch.nan), torch.zeros(9).long(), "no number.*isfinite"),
    (torch.zeros(9, 1, 5, 5).byte(), torch.rand(9), "no whole numbers"),
    (torch.zeros(9, 1, 5, 5).byte(), torch.ones(9, 4), "one label"),
    (torch.zeros(9, 7), torch.zeros(9).long(), "lay out each picture"),
    (torch.zeros(()), torch.zeros(()), "lay out each picture"),
    (torch.zeros(9, 1, 5, 5).byte(), torch.arange(9) + 4, "between 0 and 9, got 4 … 12.*classes="),
])
def test_where_no_line_of_code_can_know_words_say_what_is_needed(images, labels, words):
    with pytest.raises(ValueError, match=words) as error:
        data.Split(images, labels)
    assert "to(torch.uint8)" not in str(error.value)


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
