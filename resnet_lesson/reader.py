"""The reader's own folder and the record kept in it: ``my_record.json``, theirs to read or delete.

Nothing leaves the machine. Two kernels may write at once. A folder that cannot be written to, or
a damaged file, costs the record and never the lesson.
"""

import json
import os
import time
import tomllib
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None

MARKER = ".resnet-lesson.json"  # in a working copy; written by `resnet-lesson lab`
RECORD, DAMAGED, LOCK = "my_record.json", "my_record.damaged.json", ".my_record.lock"
VERSION = 1
FIELDS = {"exercises": {"solved": str, "checks": int, "wrong": dict},  # wrong: words → how often
          "predictions": {"choice": str, "outcome": str | None},
          "parts": {"status": str}}
KEPT = "kept"  # the status of a part that stands in my_resnet.py and passed
UNSOLVED = "Not solved yet"  # how the words of a stub's verdict begin: no answer, so no mistake
_said = set()


def place():
    """Return the folder of the reader, which is the current one, or ``None`` where there is none.

    There is none inside the project's own checkout, except in a working copy, and none where the
    environment variable RESNET_LESSON_READER is "nobody", as in tests and published outputs.
    """
    if os.environ.get("RESNET_LESSON_READER") == "nobody":
        return None
    try:
        here = Path.cwd()
    except OSError:  # it was deleted meanwhile
        return None
    for folder in (here, *here.parents):
        if os.path.isfile(folder / MARKER):
            return here
        if _is_checkout(folder):
            return None
    return here


def _is_checkout(folder):
    try:
        text = (folder / "pyproject.toml").read_text(encoding="utf-8")
        return tomllib.loads(text)["project"]["name"] == "resnet-lesson"
    except (OSError, ValueError, KeyError, TypeError):
        return False


def verdict(key, right, words):
    """Count one check of an exercise; ``words`` tell wrong answers apart."""
    if not right and words.startswith(UNSOLVED):
        return

    def change(record):
        entry = record["exercises"].setdefault(key, {"solved": "", "checks": 0, "wrong": {}})
        entry["checks"] += 1
        if right:
            entry["solved"] = entry["solved"] or time.strftime("%Y-%m-%d %H:%M")
        else:
            entry["wrong"][words] = entry["wrong"].get(words, 0) + 1

    _change(change)


def prediction(key, choice, outcome=None):
    """Keep what was chosen, and what was measured where that is known; both are words."""
    entry = {"choice": choice, "outcome": outcome}
    _change(lambda record: record["predictions"].update({key: entry}))


def part(name, status):
    """Keep how a part of the reader's network stands: ``KEPT``, or why it is not used."""
    _change(lambda record: record["parts"].update({name: {"status": status}}))


def read(folder=None):
    """Return the record of a folder, by default the reader's; an empty one where there is none."""
    folder = place() if folder is None else Path(folder)
    if folder is not None and os.path.exists(folder / RECORD):
        try:
            with alone(folder):
                return _load(folder)
        except OSError as error:
            _say_unusable(folder, error)
    return _empty()


def summary(folder=None):
    """Return the record in short: keys solved, parts kept, and how many predictions were made.

    Of the ``predictions``, ``measured`` have been measured since, and ``held`` were right.
    """
    record = read(folder)
    guesses = record["predictions"].values()
    return {"solved": [key for key, entry in record["exercises"].items() if entry["solved"]],
            "parts": [name for name, entry in record["parts"].items() if entry["status"] == KEPT],
            "predictions": len(guesses),
            "measured": sum(guess["outcome"] is not None for guess in guesses),
            "held": sum(guess["choice"] == guess["outcome"] for guess in guesses)}


def sound(record):
    """Return whether something read from JSON is a record of this version."""
    try:
        return record["version"] == VERSION and all(
            isinstance(entry[field], kind) for section, fields in FIELDS.items()
            for entry in record[section].values() for field, kind in fields.items()
        ) and all(isinstance(sum(entry["wrong"].values()), int)
                  for entry in record["exercises"].values())
    except (AttributeError, KeyError, TypeError):
        return False


def write(path, text):
    """Write a text file whole or not at all."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()


@contextmanager
def alone(folder):
    """Keep other kernels from writing in a folder meanwhile, where its file system knows how to."""
    with ExitStack() as stack:
        with suppress(OSError):  # a folder that is read-only, a file system without locks
            file = stack.enter_context(open(folder / LOCK, "a"))
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX)
            else:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        yield  # closing the file gives the lock back, and so does the end of its process


def _empty():
    return {"version": VERSION, **{section: {} for section in FIELDS}}


def _change(change):
    folder = place()
    if folder is None:
        return
    try:
        with alone(folder):
            record = _load(folder)
            change(record)
            write(folder / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    except OSError as error:
        _say_unusable(folder, error)


def _load(folder):
    """Return a folder's record; a damaged one is set aside, one of a newer lesson is an OSError."""
    path, record = folder / RECORD, None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return _empty()
    except ValueError:
        pass
    if sound(record):
        return record
    version = record.get("version") if isinstance(record, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise OSError(None, "a newer version of the lesson wrote it: update resnet-lesson")
    os.replace(path, folder / DAMAGED)
    print(f"{RECORD} in {folder} was damaged: it is {DAMAGED} now, and a new record begins. If you "
          "can mend it, give it its name back.")
    return _empty()


def _say_unusable(folder, error):
    if folder not in _said:
        _said.add(folder)
        print(f"{RECORD} in {folder} cannot be used ({error.strerror}), so a restart forgets what "
              "you solve and predict; the lesson goes on. To keep a record, work in a folder that "
              "you may write to.")
