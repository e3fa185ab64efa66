"""Files of a training run: each is replaced whole or not at all."""

import os
from pathlib import Path

import torch
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


def check(folder):
    """Make the folder and see that it can be written to.

    Raises:
        RuntimeError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history.json.partial").write_text("")
        (folder / "history.json.partial").unlink()
    except OSError as error:
        raise _unwritable(folder, error) from None


def prepare(folder):
    """Move an earlier run out of the way: exactly its three files, to ``<folder>.previous``.

    What lay there of a run before that is replaced, so that all files there are of one run.

    Raises:
        RuntimeError: the folder cannot be written to.
    """
    check(folder)
    previous = folder.resolve().with_name(folder.resolve().name + ".previous")
    try:
        if any((folder / name).exists() for name in FILES):
            previous.mkdir(exist_ok=True)
            for name in FILES:
                (previous / name).unlink(missing_ok=True)
            for name in FILES:
                if (folder / name).exists():
                    os.replace(folder / name, previous / name)
    except OSError as error:
        raise _unwritable(folder, error) from None


def _unwritable(folder, error):
    return RuntimeError(f"cannot write the checkpoint to {folder} ({error}); give another "
                        "folder as checkpoint")


def random_state():
    """Return the state of torch's generators, from which dropout draws."""
    return {"cpu": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def set_random_state(state):
    """Put torch's generators back into a state; ``None``, of an older file, changes nothing."""
    if state is None:
        return
    torch.set_rng_state(state["cpu"])
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all(state["cuda"])
