"""What this machine has, and whether the lesson can run on it."""

import os
import platform
import shutil
import warnings
from importlib import metadata
from pathlib import Path

import torch

from resnet_lesson.data import idx
from resnet_lesson.training.device import pick_device

PACKAGES = ("torch", "torchvision", "jupyterlab", "matplotlib", "ipywidgets", "d2l", "nbval")
FREE_GIGABYTES = 1.0  # room for the full data set (0.1 GB) and for checkpoints


class Report:
    """Rows of (what, found) and problems in words; its ``repr`` is the table."""

    def __init__(self, rows, problems):
        self.rows, self.problems = rows, problems

    @property
    def ready(self):
        """Return whether nothing stands in the way."""
        return not self.problems

    def __repr__(self):
        """Return the table, and under it "Ready" or what to do."""
        width = max(len(what) for what, _ in self.rows)
        table = "\n".join(f"{what:<{width}}  {found}" for what, found in self.rows)
        verdict = "Ready." if self.ready else "\n".join(f"To do: {p}" for p in self.problems)
        return f"{table}\n\n{verdict}"


def check(folder=None):
    """Look at versions, processor, data and disk; return a ``Report``.

    Args:
        folder: where the free disk space is measured; the current folder by default.
    """
    rows = [("Python", platform.python_version())]
    problems = []
    for name in PACKAGES:
        version = _version(name)
        rows.append((name, version or "missing"))
        if version is None:
            problems.append(f"{name} is missing; run `make lab` again, or, under conda, "
                            "`conda env update -f environment.yml`")
    rows.append(("processors", f"{os.cpu_count()}, of which torch uses {torch.get_num_threads()}"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        device = pick_device()
    found = "none; the lesson does not need one"
    if device.type != "cpu":
        found = f"used for training ({device.type})"
    broken = [str(one.message) for one in said if "does not work" in str(one.message)]
    rows.append(("GPU", "; ".join(broken) or found))
    try:
        found = idx.find_full()
        if found:
            for name in idx.CHECKSUMS:
                idx.read_idx(found, name)
        rows.append(("data", f"full Fashion-MNIST in {_short(found)}" if found
                     else "mini Fashion-MNIST, which ships with the lesson"))
    except ValueError as error:
        rows.append(("data", "damaged"))
        problems.append(str(error))
    try:
        free = shutil.disk_usage(folder or Path.cwd()).free / 1e9
        rows.append(("free disk", f"{free:.0f} GB"))
        if free < FREE_GIGABYTES:
            problems.append(f"only {free:.1f} GB of disk are free; make room for "
                            f"{FREE_GIGABYTES:.0f} GB")
    except OSError as error:
        rows.append(("free disk", "unknown"))
        problems.append(f"the free disk space cannot be read ({error}); start Jupyter in a "
                        "folder that exists")
    return Report(rows, problems)


def _version(name):
    try:
        return metadata.version(name).split("+")[0]
    except metadata.PackageNotFoundError:
        return None


def _short(path):
    """Return a path as people write it, with ``~`` and relative to the project."""
    path = Path(path).resolve()
    project = idx.project_data().parent
    if path.is_relative_to(project):
        return str(path.relative_to(project))
    try:
        home = Path.home().resolve()
    except RuntimeError:   # some users have none
        return str(path)
    short = home != Path(home.anchor) and path.is_relative_to(home)
    return str(Path("~", path.relative_to(home))) if short else str(path)
