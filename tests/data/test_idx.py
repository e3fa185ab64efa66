"""The files of Fashion-MNIST: what is read is torchvision's, what is damaged is named."""

import gzip
import hashlib
import shutil
from functools import partial
from http.server import SimpleHTTPRequestHandler as Handler
from http.server import ThreadingHTTPServer
from threading import Thread

import pytest
import torch
from torchvision.datasets import FashionMNIST

from resnet_lesson import data
from resnet_lesson.data import idx


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def tiny(splits, tmp_path, monkeypatch):
    """Write a few pictures as four files that count as the full set; return their folder."""
    raw = idx.write_idx(splits, tmp_path / "tiny")
    monkeypatch.setattr(idx, "CHECKSUMS", {name: md5(raw / name) for name in idx.CHECKSUMS})
    return raw


@pytest.fixture
def mirror(tiny, tmp_path, monkeypatch):
    """Let torchvision fetch the tiny set from a server on this machine; return its folder."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in idx.CHECKSUMS:
        (folder / f"{name}.gz").write_bytes(gzip.compress((tiny / name).read_bytes(), 1))
    resources = [(f"{name}.gz", md5(folder / f"{name}.gz")) for name in idx.CHECKSUMS]
    monkeypatch.setattr(FashionMNIST, "resources", resources)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder
        server.shutdown()


def test_written_files_are_read_by_torchvision(splits, tmp_path):
    idx.write_idx(splits, tmp_path)
    for train, split in ((True, splits.train), (False, splits.test)):
        theirs = FashionMNIST(tmp_path, train=train)
        assert torch.equal(split.images[:, 0], theirs.data)
        assert torch.equal(split.labels, theirs.targets)


def test_files_are_found_under_a_root_packed_or_not(tiny, splits):
    for root in (tiny.parents[1], tiny):
        found = data.load_fashion_mnist(root=root, quiet=True)
        assert found.test.source == "Fashion-MNIST full"
        assert torch.equal(found.test.images, splits.test.images)
        assert torch.equal(found.test.labels, splits.test.labels)
        for path in tiny.glob("*ubyte"):   # for the second round
            (tiny / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
            path.unlink()


@pytest.mark.parametrize(("change", "words"), [
    (lambda raw: raw[:-1], "damaged"),
    (lambda raw: raw[:1000] + bytes([raw[1000] ^ 1]) + raw[1001:], "damaged"),
    (lambda raw: b"", "damaged"),
], ids=["truncated", "one bit altered", "empty"])
def test_a_damaged_file_is_named_with_a_remedy_and_left_alone(tiny, change, words):
    path = tiny / "t10k-images-idx3-ubyte"
    before = change(path.read_bytes())
    path.write_bytes(before)
    with pytest.raises(ValueError, match=f"{path}.*{words}.*mini"):
        data.load_fashion_mnist(root=tiny)
    assert path.read_bytes() == before


def test_swapped_files_are_recognised(tiny):
    shutil.copy(tiny / "t10k-labels-idx1-ubyte", tiny / "train-labels-idx1-ubyte")
    with pytest.raises(ValueError, match="it is t10k-labels-idx1-ubyte under a wrong name"):
        data.load_fashion_mnist(root=tiny)


def test_an_archive_cut_short_or_with_any_byte_altered_is_refused_in_words(tmp_path):
    path = tmp_path / "t10k-labels-idx1-ubyte.gz"
    packed = gzip.compress(bytes(range(64)))
    path.write_bytes(packed[:-20])
    with pytest.raises(ValueError, match="cannot be read.*download=True"):
        idx.read_idx(tmp_path, path.stem)
    for position in range(len(packed)):
        changed = bytearray(packed)
        changed[position] ^= 0xFF
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="cannot be read|is not Fashion-MNIST"):
            idx.read_idx(tmp_path, path.stem)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither t10k-labels-idx1-ubyte nor"):
        idx.read_idx(tmp_path, "t10k-labels-idx1-ubyte")


@pytest.mark.parametrize("source", ["full", "auto"])
def test_a_wrong_root_says_where_it_looked(tmp_path, source):
    with pytest.raises(FileNotFoundError, match="elsewhere.*FashionMNIST/raw.*mini"):
        data.load_fashion_mnist(source, root=tmp_path / "elsewhere")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_refused_before_anything_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(FashionMNIST, "download", lambda self: pytest.fail("fetched"))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RuntimeError, match="into .*file failed .*another folder.*mini"):
        data.load_fashion_mnist("full", root=tmp_path / "file", download=True)
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_download_puts_four_files_where_they_are_found_and_nothing_else(mirror, tmp_path, splits):
    root = tmp_path / "new"
    found = data.load_fashion_mnist("full", root=root, download=True, quiet=True)
    assert torch.equal(found.test.images, splits.test.images)
    assert sorted(path.name for path in files_in(root)) == sorted(idx.CHECKSUMS)
    shutil.rmtree(mirror)  # what is there is not fetched again
    data.load_fashion_mnist("full", root=root, download=True, quiet=True)


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(),
                                   lambda path: path.write_bytes(path.read_bytes()[:-8]),
                                   lambda path: path.write_bytes(b"<html>log in first</html>")],
                         ids=["missing", "cut short", "something else"])
def test_a_download_that_fails_says_so_and_leaves_nothing(mirror, tmp_path, spoil):
    spoil(mirror / "t10k-labels-idx1-ubyte.gz")  # the last of the four
    with pytest.raises(RuntimeError, match="download of .* failed .*t10k-labels.*mini"):
        data.load_fashion_mnist("full", root=tmp_path / "new", download=True)
    assert files_in(tmp_path / "new") == []
