"""The reader's record survives restarts, damage and company, and never stops the lesson."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from resnet_lesson import reader
from resnet_lesson.tools import publish

PROJECT = Path(__file__).resolve().parents[1]
CHECKOUT = '[project]\nname = "resnet-lesson"\n'


def record():
    return json.loads(Path(reader.RECORD).read_text(encoding="utf-8"))


def test_a_record_is_read_again_and_can_be_read_by_people(my_folder, monkeypatch):
    days = iter("12")
    monkeypatch.setattr(reader.time, "strftime", lambda _: next(days))
    reader.verdict("a.ONE", False, "Add 1.")
    reader.verdict("a.ONE", False, "Add 1.")
    reader.verdict("a.ONE", True, "")
    reader.verdict("a.ONE", False, "Für ½: floor.")   # once solved stays solved
    reader.verdict("a.TWO", False, "Not solved yet: replace the ...")   # a stub is no answer
    reader.verdict("a.ONE", True, "")
    reader.prediction("Which?", "this")
    reader.prediction("How many?", "3", "4")
    reader.prediction("Where?", "here", "here")
    reader.part("Residual", reader.KEPT)
    reader.part("train", "fails its check")
    (one,) = reader.read()["exercises"].values()
    assert one["checks"] == 5 and one["solved"] == "1"
    assert one["wrong"] == {"Add 1.": 2, "Für ½: floor.": 1}
    assert reader.summary() == {"solved": ["a.ONE"], "parts": ["Residual"],
                                "predictions": 3, "measured": 2, "held": 1}
    text = Path(reader.RECORD).read_text(encoding="utf-8")
    assert "Für ½: floor." in text and text.count("\n") > 20


def test_there_is_no_reader_in_tests_and_published_outputs(my_folder, monkeypatch):
    monkeypatch.setenv("RESNET_LESSON_READER", "nobody")
    reader.verdict("a.ONE", True, "")
    assert reader.place() is None and reader.summary()["solved"] == []
    assert list(my_folder.iterdir()) == []


def test_a_published_notebook_is_nobodys(my_folder):
    cell = nbformat.v4.new_code_cell("from resnet_lesson import reader\nprint(reader.place())")
    path = my_folder / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    publish.publish(path)
    assert nbformat.read(path, as_version=4).cells[0].outputs[0].text == "None\n"


@pytest.mark.parametrize(("files", "here", "found"), [
    ({}, ".", True),
    ({"pyproject.toml": CHECKOUT}, ".", False),
    ({"pyproject.toml": CHECKOUT}, "notebooks", False),
    ({"pyproject.toml": CHECKOUT, f"my-lesson/{reader.MARKER}": "{}"}, "my-lesson", True),
    ({"pyproject.toml": CHECKOUT, f"my-lesson/{reader.MARKER}": "{}"}, "my-lesson/deep", True),
    ({reader.MARKER: "{}", "clone/pyproject.toml": CHECKOUT}, "clone/notebooks", False),
    ({"pyproject.toml": '[project]\nname = "another"\n'}, "notebooks", True),
    ({"pyproject.toml": "[project"}, ".", True),
    ({"pyproject.toml": 'project = "resnet-lesson"'}, ".", True),
])
def test_the_reader_is_where_they_work(my_folder, monkeypatch, files, here, found):
    for name, text in files.items():
        (my_folder / name).parent.mkdir(exist_ok=True, parents=True)
        (my_folder / name).write_text(text)
    (my_folder / here).mkdir(exist_ok=True, parents=True)
    monkeypatch.chdir(my_folder / here)
    assert reader.place() == (Path.cwd() if found else None)


@pytest.mark.parametrize("content", [
    b"{", b"[]", b"\xff\xfe", b'{"version": 1}',
    b'{"version": 1, "exercises": {"a": 3}, "predictions": {}, "parts": {}}',
    b'{"version": 1, "exercises": {"a": {"solved": "", "checks": 2, "wrong": {"x": "y"}}}, '
    b'"predictions": {}, "parts": {}}',
    b'{"version": 1, "exercises": {}, "predictions": {"q": {"choice": 1, "outcome": null}}, '
    b'"parts": {}}'])
def test_a_damaged_record_is_set_aside_with_a_word(my_folder, capsys, content):
    (my_folder / reader.RECORD).write_bytes(content)
    reader.verdict("a.ONE", True, "")
    said = capsys.readouterr().out
    assert "was damaged" in said and reader.DAMAGED in said and said.count("\n") == 1
    assert (my_folder / reader.DAMAGED).read_bytes() == content
    assert reader.summary()["solved"] == ["a.ONE"]
    assert capsys.readouterr().out == ""


def test_the_record_of_a_newer_lesson_is_left_alone(my_folder, capsys):
    (my_folder / reader.RECORD).write_text('{"version": 2, "new": 1}')
    reader.verdict("a.ONE", True, "")
    reader.verdict("a.ONE", True, "")
    assert reader.summary()["solved"] == []
    assert (my_folder / reader.RECORD).read_text() == '{"version": 2, "new": 1}'
    said = capsys.readouterr().out
    assert "update resnet-lesson" in said and said.count("\n") == 1


def refuse(*_, **__):
    raise PermissionError(13, "Permission denied")


def test_a_folder_that_is_read_only_is_said_once(my_folder, monkeypatch, capsys):
    reader.verdict("a.ONE", True, "")
    before = record()
    monkeypatch.setattr(os, "replace", refuse)   # whoever runs this as root may write anywhere
    for _ in range(3):
        reader.verdict("a.TWO", True, "")
        reader.prediction("Which?", "this")
    said = capsys.readouterr().out
    assert "Permission denied" in said and "may write to" in said and said.count("\n") == 1
    assert reader.summary()["solved"] == ["a.ONE"] and record() == before
    assert {path.name for path in my_folder.iterdir()} == {reader.RECORD, reader.LOCK}


WRITER = """
import sys, time
from resnet_lesson import reader
while time.time() < float(sys.argv[2]):
    pass
for number in range(60):
    reader.verdict(f"{sys.argv[1]}.{number}", True, "")
    reader.verdict("both", False, "No.")
"""


def test_two_kernels_at_once_lose_nothing(my_folder):
    start = str(time.time() + 0.5)
    kernels = [subprocess.Popen([sys.executable, "-c", WRITER, name, start],
                                env={**os.environ, "PYTHONPATH": str(PROJECT)}) for name in "ab"]
    assert [kernel.wait(60) for kernel in kernels] == [0, 0]
    exercises = reader.read()["exercises"]
    assert len(exercises) == 121 and exercises["both"]["wrong"] == {"No.": 120}
