"""A reader's working copy of the notebooks: without outputs, and theirs to change."""

import hashlib
import itertools
import json
from pathlib import Path

import resnet_lesson
from resnet_lesson import reader

PACKAGE = Path(__file__).resolve().parents[1]


def shipped():
    """Return the folder of the lesson's notebooks: the checkout's, or the one in the package."""
    checkout = (PACKAGE.parent / "pyproject.toml").is_file()
    return (PACKAGE.parent if checkout else PACKAGE) / "notebooks"


def stripped(path):
    """Return a notebook file as bytes, without outputs, execution counts and widget state."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    notebook["metadata"].pop("widgets", None)
    return (json.dumps(notebook, indent=1, ensure_ascii=False) + "\n").encode()


def update(folder, fresh=()):
    """Copy the notebooks that are missing, renew those that the reader never changed.

    Args:
        folder: the working copy; made where there is none.
        fresh: beginnings of names, such as ``"03"``: these are renewed even if they were changed,
            and the reader's are kept beside them.

    Returns:
        What there is to say, as sentences.

    Raises:
        ValueError: the folder holds the lesson itself, or no notebook's name begins so.
        OSError: the folder cannot be written to.
    """
    folder, sources = Path(folder).expanduser().resolve(), sorted(shipped().glob("*.ipynb"))
    for name in fresh:
        if not any(source.name.startswith(name) for source in sources):
            raise ValueError(f"no notebook begins with {name!r}; there are "
                             f"{', '.join(source.stem for source in sources)}")
    if folder == shipped():
        raise ValueError(f"{folder} holds the lesson itself; name another folder for your copy")
    folder.mkdir(parents=True, exist_ok=True)
    copied, renewed, said = _copied(folder), [], []
    for source in sources:
        path, new, number = folder / source.name, stripped(source), source.name.split("_")[0]
        old = path.read_bytes() if path.exists() else None
        if old not in (None, new) and _digest(old) != copied.get(source.name):  # it is theirs
            if not source.name.startswith((*fresh, "/")):
                if copied.get(source.name) != _digest(new):
                    said.append(f"{source.name} is newer in the lesson than in your copy, which "
                                "you changed and which stays. To take the new one, and keep yours "
                                f"beside it: resnet-lesson lab --fresh {number}")
                continue
            said.append(f"{source.name} is renewed; yours is {_put_aside(path)} now.")
        if old != new:
            path.write_bytes(new)
            renewed.append(source.stem)
        elif source.name.startswith((*fresh, "/")):
            said.append(f"{source.name} is the lesson's already, so nothing had to be renewed.")
        copied[source.name] = _digest(new)
    reader.write(folder / reader.MARKER, json.dumps(
        {"version": resnet_lesson.__version__, "notebooks": copied}, indent=1) + "\n")
    return ([f"Copied into {folder}: {', '.join(renewed)}."] if renewed else []) + said


def _copied(folder):
    """Return the digest of each notebook as it was copied, by name."""
    try:
        return dict(json.loads((folder / reader.MARKER).read_text(encoding="utf-8"))["notebooks"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # then all count as changed
        return {}


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def _put_aside(path):
    for number in itertools.count(1):
        beside = path.with_suffix(f".old{number if number > 1 else ''}.ipynb")
        if not beside.exists():
            path.rename(beside)
            return beside.name
