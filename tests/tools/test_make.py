"""``make`` sets up where it has to: in a new folder, in a copy, after a move, and only there."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).resolve().parents[2] / "Makefile"
pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="no make on this machine")


def set_up(folder, made_in=None):
    """Return what ``make lab`` would do in a folder with a .venv that was made somewhere."""
    folder.mkdir(exist_ok=True)
    shutil.copy(MAKEFILE, folder)
    (folder / "pyproject.toml").touch()
    os.utime(folder / "pyproject.toml", (1, 1))
    if made_in is not None:
        (folder / ".venv").mkdir()
        (folder / ".venv" / "ready").touch()
        (folder / ".venv" / "pyvenv.cfg").write_text(f"home = /usr/bin\n{made_in}")
    return subprocess.run(["make", "-n", "lab"], cwd=folder, check=True, capture_output=True,
                          text=True).stdout


@pytest.mark.parametrize(("name", "made_in", "again"), [
    ("lesson", None, True), ("lesson", "command = python -m venv {here}/.venv", False),
    ("my lesson", "command = python -m venv {here}/.venv", False), ("lesson", "", False),
    ("lesson2", "command = /usr/bin/python3 -m venv {above}/lesson/.venv", True),
    ("my lesson", "command = python -m venv {above}/my/.venv", True),
    ("lesson", "command = python -m venv {above}/lesson2/.venv", True),
])
def test_a_folder_is_set_up_when_its_venv_is_none_or_anothers(tmp_path, name, made_in, again):
    made_in = made_in and made_in.format(here=tmp_path / name, above=tmp_path)
    said = set_up(tmp_path / name, made_in)
    assert ("-m venv .venv" in said and "pip install --editable" in said) == again
    foreign = again and made_in is not None
    assert ("made in another folder" in said) == ("rm -rf .venv" in said) == foreign
    assert "resnet_lesson.tools.cli lab" in said
