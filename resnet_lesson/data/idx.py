"""Fashion-MNIST's four files, in Y. LeCun's format IDX: find, check, read, write, fetch them."""

import gzip
import hashlib
import os
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch

# MD5 of the unpacked IDX files; the packed ones differ between distributors.
CHECKSUMS = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
SYSTEM_FOLDERS = (Path("/usr/share/datasets/fashion-mnist"),)


def project_data():
    """Return the folder for downloaded data: ``data/`` in the project, or else in this folder."""
    project = Path(__file__).resolve().parents[2]
    return (project if (project / "pyproject.toml").exists() else Path.cwd()) / "data"


def find_full(root=None):
    """Return the folder that holds the four IDX files, or ``None``. Looks, but does not read."""
    folders = (folder for place in candidates(root)
               for folder in (place / "FashionMNIST" / "raw", place))
    return next((folder for folder in folders
                 if all(file_in(folder, name) for name in CHECKSUMS)), None)


def candidates(root):
    """Return the folders to look in: ``root``, or else the project's and the system's."""
    return (Path(root),) if root is not None else (project_data(), *SYSTEM_FOLDERS)


def file_in(folder, name):
    """Return the path of an IDX file, unpacked or packed; ``None`` if there is neither."""
    paths = (folder / name, folder / f"{name}.gz")
    return next((path for path in paths if path.is_file()), None)


def read_idx(folder, name):
    """Return one of the four files as a uint8 tensor: images (N, 28, 28), or labels (N,).

    Raises:
        ValueError: the file cannot be unpacked, or its MD5 is not Fashion-MNIST's.
        FileNotFoundError: there is no such file, packed or not.
    """
    path = file_in(Path(folder), name)
    if path is None:
        raise FileNotFoundError(f"{folder} holds neither {name} nor {name}.gz; give the folder "
                                "with the four files of Fashion-MNIST")
    remedy = ('delete it and load again with download=True, or use source="mini", '
              "which needs no files")
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read ({error}); {remedy}") from None
    found = hashlib.md5(raw, usedforsecurity=False).hexdigest()
    if found != CHECKSUMS[name]:
        twin = next((other for other, md5 in CHECKSUMS.items() if md5 == found), None)
        what = f"it is {twin} under a wrong name" if twin else "it is damaged or another data set"
        raise ValueError(f"{path} is not Fashion-MNIST's {name}: {what} "
                         f"(MD5 {found}, expected {CHECKSUMS[name]}); {remedy}")
    values = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
    return values[16:].view(-1, 28, 28) if "images" in name else values[8:]


def download(root):
    """Fetch the four files with torchvision into ``root/FashionMNIST/raw``, all or nothing.

    Raises a ``RuntimeError`` where the folder cannot be written to, or the download fails.
    """
    from torchvision.datasets import FashionMNIST  # takes a second to import

    target = root / "FashionMNIST" / "raw"
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=target) as folder:
            FashionMNIST(folder, download=True)
            for name in CHECKSUMS:
                os.replace(Path(folder) / "FashionMNIST" / "raw" / name, target / name)
    except Exception as error:  # of the disk, urllib, gzip or torchvision
        why = " ".join(str(error).split())[:200]
        raise RuntimeError(f"the download of Fashion-MNIST into {root} failed ({why}); try again "
                           'later, give another folder as root, or use source="mini", which needs '
                           "neither") from None
    return target


def write_idx(splits, root):
    """Write train and test pictures as IDX files under ``root/FashionMNIST/raw``; return that.

    So torchvision's ``FashionMNIST`` and the book's loader read exactly the pictures that ours do.
    """
    raw = Path(root).expanduser() / "FashionMNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for prefix, split in (("train", splits.train), ("t10k", splits.test)):
        images, labels = split.images.squeeze(1).numpy(), split.labels.to(torch.uint8).numpy()
        for kind, values in (("images-idx3", images), ("labels-idx1", labels)):
            header = np.array([0x0800 + values.ndim, *values.shape], dtype=">i4").tobytes()
            (raw / f"{prefix}-{kind}-ubyte").write_bytes(header + values.tobytes())
    return raw
