"""Files of a training run: each is replaced whole or not at all."""

import os
from pathlib import Path

FILES = ("history.json", "best.safetensors", "state.pt")


def replace(path, write):
    """Write a file beside ``path`` first, then put it in its place in one move."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)


def prepare(folder):
    """Make the folder, see that it can be written to, and move an earlier run out of the way.

    Of an earlier run exactly its three files move, to ``<folder>.previous``.

    Raises:
        RuntimeError: the folder cannot be written to.
    """
    previous = folder.resolve().with_name(folder.resolve().name + ".previous")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history.json.partial").write_text("")
        (folder / "history.json.partial").unlink()
        for name in FILES:
            if (folder / name).exists():
                previous.mkdir(exist_ok=True)
                os.replace(folder / name, previous / name)
    except OSError as error:
        raise RuntimeError(f"cannot write the checkpoint to {folder} ({error}); give another "
                           "folder as checkpoint") from None
