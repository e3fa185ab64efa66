"""The files of Fashion-MNIST: what is read is torchvision's, what is damaged is named."""

import gzip
import os
import shutil
from pathlib import Path

import pytest
import torch
from torchvision.datasets import FashionMNIST

from resnet_lesson import data
from resnet_lesson.data import idx

FULL = idx.find_full()
needs_full = pytest.mark.skipif(
    FULL is None, reason="the full Fashion-MNIST is not on this machine; mini is tested instead")


@pytest.fixture
def copy_of_full(tmp_path):
    for name in idx.CHECKSUMS:
        source = idx.file_in(FULL, name)
        shutil.copy(source, tmp_path / source.name)
    return tmp_path


def damage(folder, name, change):
    """Replace an IDX file by ``change`` of its unpacked bytes; return the new path."""
    path = idx.file_in(folder, name)
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    path.unlink()
    (folder / name).write_bytes(change(raw))
    return folder / name


@needs_full
def test_full_pictures_equal_torchvisions(full, tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for name in idx.CHECKSUMS:
        path = idx.file_in(FULL, name)
        raw_bytes = path.read_bytes()
        (raw / name).write_bytes(gzip.decompress(raw_bytes) if path.suffix == ".gz" else raw_bytes)
    theirs = FashionMNIST(tmp_path, train=False)
    assert torch.equal(full.test.images[:, 0], theirs.data)
    assert torch.equal(full.test.labels, theirs.targets)


def test_written_idx_files_are_read_by_torchvision(mini, tmp_path):
    idx.write_idx(mini, tmp_path)
    for train, split in ((True, mini.train), (False, mini.test)):
        theirs = FashionMNIST(tmp_path, train=train)
        assert torch.equal(split.images[:, 0], theirs.data)
        assert torch.equal(split.labels, theirs.targets)


@needs_full
def test_explicit_root_is_used_packed_or_not(copy_of_full):
    splits = data.load_fashion_mnist(root=copy_of_full, quiet=True)
    assert "full" in splits.train.source
    damage(copy_of_full, "t10k-labels-idx1-ubyte", lambda raw: raw)
    assert len(data.load_fashion_mnist(root=copy_of_full, quiet=True).test) == 10_000


@needs_full
@pytest.mark.parametrize(("change", "words"), [
    (lambda raw: raw[:-1], "damaged"),
    (lambda raw: raw[:1000] + bytes([raw[1000] ^ 1]) + raw[1001:], "damaged"),
    (lambda raw: b"", "damaged"),
], ids=["truncated", "one bit altered", "empty"])
def test_a_damaged_file_is_named_with_a_remedy_and_left_alone(copy_of_full, change, words):
    path = damage(copy_of_full, "t10k-images-idx3-ubyte", change)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=words) as error:
        data.load_fashion_mnist(root=copy_of_full)
    assert str(path) in str(error.value) and "mini" in str(error.value)
    assert path.read_bytes() == before


@needs_full
def test_swapped_files_are_recognised(copy_of_full):
    path = copy_of_full / "train-labels-idx1-ubyte.gz"
    idx.file_in(copy_of_full, "train-labels-idx1-ubyte").unlink()
    shutil.copy(idx.file_in(copy_of_full, "t10k-labels-idx1-ubyte"),
                path if path.suffix == idx.file_in(
                    copy_of_full, "t10k-labels-idx1-ubyte").suffix else path.with_suffix(""))
    with pytest.raises(ValueError, match="it is t10k-labels-idx1-ubyte under a wrong name"):
        data.load_fashion_mnist(root=copy_of_full)


def test_a_broken_archive_is_named(tmp_path):
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"abc" * 99)[:-20])
    with pytest.raises(ValueError, match="cannot be read.*download=True"):
        idx.read_idx(tmp_path, "t10k-labels-idx1-ubyte")


def test_an_archive_with_any_byte_altered_is_refused_in_words(tmp_path):
    packed = gzip.compress(bytes(range(256)) * 4)
    for position in range(len(packed)):
        changed = bytearray(packed)
        changed[position] ^= 0xFF
        (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(changed)
        with pytest.raises(ValueError, match="cannot be read|is not Fashion-MNIST"):
            idx.read_idx(tmp_path, "t10k-labels-idx1-ubyte")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither t10k-labels-idx1-ubyte nor"):
        idx.read_idx(tmp_path, "t10k-labels-idx1-ubyte")


@pytest.mark.parametrize("source", ["full", "auto"])
def test_a_wrong_root_says_where_it_looked(tmp_path, source):
    with pytest.raises(FileNotFoundError, match="FashionMNIST/raw") as error:
        data.load_fashion_mnist(source, root=tmp_path / "elsewhere")
    assert "elsewhere" in str(error.value) and "mini" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_refused_before_anything_is_fetched(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RuntimeError, match="cannot write to .*file.*mini"):
        data.load_fashion_mnist("full", root=tmp_path / "file", download=True)
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0,
                    reason="the administrator can write everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RuntimeError, match="cannot write to"):
        data.load_fashion_mnist("full", root=tmp_path, download=True)


class Process:
    """A download that never ends, or that failed at once."""

    def __init__(self, returncode):
        self.returncode = returncode

    def poll(self):
        return self.returncode

    def kill(self):
        pass

    def wait(self):
        pass


@pytest.mark.parametrize(("returncode", "words"), [(None, "longer than 0"), (1, "failed")])
def test_a_download_that_hangs_or_fails_leaves_nothing(tmp_path, monkeypatch, returncode, words):
    monkeypatch.setattr(idx.subprocess, "Popen", lambda *args, **kwargs: Process(returncode))
    with pytest.raises(RuntimeError, match=words + ".*mini"):
        data.load_fashion_mnist("full", root=tmp_path / "new", download=True, timeout=0)
    assert list((tmp_path / "new").iterdir()) == []


@needs_full
def test_a_download_is_checked_and_moved_into_place(tmp_path, monkeypatch):
    def fetch(command, **kwargs):
        raw = Path(command[-1]) / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        for name in idx.CHECKSUMS:
            path = idx.file_in(FULL, name)
            raw_bytes = path.read_bytes()
            (raw / name).write_bytes(
                gzip.decompress(raw_bytes) if path.suffix == ".gz" else raw_bytes)
        return Process(0)
    monkeypatch.setattr(idx.subprocess, "Popen", fetch)
    splits = data.load_fashion_mnist("full", root=tmp_path, download=True, quiet=True)
    assert len(splits.train) == 55_000
    assert [path.name for path in tmp_path.iterdir()] == ["FashionMNIST"]
