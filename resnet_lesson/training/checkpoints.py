"""Files of a training run: each is replaced whole or not at all."""

import os
from pathlib import Path

from safetensors import SafetensorError

FILES = ("history.json", "best.safetensors", "state.pt")
# What writing raises where it fails, a full disk for example: Python's, torch's and safetensors'.
FAILURES = (OSError, RuntimeError, SafetensorError)


def replace(path, write):
    """Write a file beside ``path`` first, then put it in its place in one move."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        write(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)   # half a file helps nobody and takes room
        raise


def prepare(folder):
    """Make the folder of a new run; an earlier run's three files move to ``<folder>.previous``.

    What lay there of a run before that is replaced, so that all files there are of one run. Raises
    a ``RuntimeError`` where the folder cannot be written to.
    """
    previous = folder.resolve().with_name(folder.resolve().name + ".previous")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / "state.pt.trial", lambda partial: partial.write_text(""))
        (folder / "state.pt.trial").unlink()
        earlier = [name for name in FILES if (folder / name).exists()]
        if earlier:
            previous.mkdir(exist_ok=True)
            for name in FILES:
                (previous / name).unlink(missing_ok=True)
            for name in earlier:
                os.replace(folder / name, previous / name)
    except OSError as error:
        raise RuntimeError(f"cannot write the checkpoint to {folder} ({error}); give another "
                           "folder as checkpoint") from None
