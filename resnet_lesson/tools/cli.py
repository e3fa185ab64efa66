"""The command ``resnet-lesson``, which a reader and an instructor type."""

import argparse
import os
import sys
from pathlib import Path

from resnet_lesson import reader


def lab(folder, fresh, only_copy):
    """Make or update the working copy, then open JupyterLab in it."""
    from resnet_lesson.tools import copies

    for sentence in copies.update(folder, fresh):
        print(sentence)
    if not only_copy:
        from jupyterlab import labapp

        labapp.main(lab_flags(folder.expanduser().resolve()))


def lab_flags(folder):
    """Return the flags of JupyterLab: no browser without a screen, and root may start it too."""
    screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    root = getattr(os, "geteuid", lambda: 1)() == 0
    return ([] if screen else ["--no-browser"]) + (["--allow-root"] if root else []) + [
        f"--ServerApp.root_dir={folder}", "--LabApp.default_url=/lab/tree/00_start_here.ipynb"]


def key(out):
    """Write the instructor's key."""
    from resnet_lesson.tools import key

    out.write_text(key.page(), encoding="utf-8")
    print(f"The key is in {out.resolve()}; open it in a browser.")


def progress(folder, as_csv):
    """Print what the record of a working copy says."""
    from resnet_lesson.tools import progress

    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder; name the one that holds your copy")
    text = (progress.as_csv if as_csv else progress.as_text)(reader.read(folder))
    print(text.rstrip("\n") or f"Nothing is recorded in {folder.resolve()} yet.")


def class_(folder):
    """Print how a class fared, from a folder of its readers' files."""
    from resnet_lesson.tools import progress

    print(progress.joined(folder))


def check():
    """Print what this machine has; end with 1 where something is to be done first."""
    from resnet_lesson.tools import machine

    report = machine.check()
    print(report)
    sys.exit(0 if report.ready else 1)


def parser():
    """Return the parser of the command line."""
    here = Path("." if Path(reader.MARKER).is_file() else "my-lesson")
    whole = argparse.ArgumentParser(prog="resnet-lesson", description=(
        "Residual networks in notebooks. To begin: resnet-lesson lab"))
    commands = whole.add_subparsers(required=True, metavar="COMMAND")

    def command(name, run, words):
        one = commands.add_parser(name, help=words, description=words)
        one.set_defaults(run=run)
        return one

    one = command("lab", lab, "open the lesson in your own copy of the notebooks")
    one.add_argument("folder", nargs="?", default=here, type=Path, metavar="FOLDER",
                     help=f"your copy; made where there is none (default: {here})")
    one.add_argument("--fresh", action="append", default=[], metavar="03",
                     help="renew this notebook; yours is kept beside it")
    one.add_argument("--no-lab", dest="only_copy", action="store_true",
                     help="make or update the copy, and do not open it")
    one = command("key", key, "write the instructor's key as one HTML page")
    one.add_argument("--out", default="resnet-lesson-key.html", type=Path, metavar="FILE")
    one = command("progress", progress, "say what was solved and predicted in your copy")
    one.add_argument("folder", nargs="?", default=here, type=Path, metavar="FOLDER")
    one.add_argument("--csv", dest="as_csv", action="store_true", help="one row an exercise")
    one = command("class", class_, "join the records of a class, exercise by exercise")
    one.add_argument("folder", type=Path, metavar="FOLDER", help="holds each reader's file")
    command("check", check, "say whether this machine can run the lesson")
    return whole


def main(arguments=None):
    """Run one of the commands; what goes wrong is said in words."""
    options = vars(parser().parse_args(arguments))
    try:
        options.pop("run")(**options)
    except ValueError as error:
        sys.exit(f"resnet-lesson: {error}.")
    except OSError as error:
        if error.filename is None:  # no file's fault: output cut off by `| head`, for example
            raise
        sys.exit(f"resnet-lesson: {error.filename} cannot be used ({error.strerror}). Name another "
                 "place, one that you may write to: resnet-lesson --help says how.")


if __name__ == "__main__":
    main()
