"""The command ``resnet-lesson``: working copies that are never overwritten, records, the key."""

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from resnet_lesson import reader
from resnet_lesson.exercises import Exercise, Mistake, mine
from resnet_lesson.tools import cli, copies, machine

NAMES = ("00_start_here", "03_sizes")


def solve(x):
    """Return x < 2, as in a & b."""
    return x < 2


def too_far(x):
    return x < 3  # <b>


ONE = Exercise(solve=solve, cases=lambda draw: [], mistakes=(Mistake(too_far, "Stop & think."),),
               hints=("Look at <.",), remark="So it is.", minutes=4, difficulty=2, part="less")
TWO = Exercise(solve=solve, cases=lambda draw: [], mistakes=(), hints=(), remark="", minutes=2.5)


@pytest.fixture(autouse=True)
def lesson(tmp_path, monkeypatch):
    """Let the lesson be two small notebooks and two exercises; return where the notebooks lie."""
    folder = tmp_path / "lesson" / "notebooks"
    folder.mkdir(parents=True)
    for name in NAMES:
        ship(folder / f"{name}.ipynb", "1 + 1")
    monkeypatch.setattr(copies, "shipped", lambda: folder)
    monkeypatch.setattr(type(ONE), "key", property(
        lambda self: "sizes.ONE" if self is ONE else "start_here.TWO"))
    monkeypatch.setattr(mine, "catalogue", lambda: {"sizes.ONE": ONE, "start_here.TWO": TWO})
    monkeypatch.chdir(tmp_path)
    return folder


def ship(path, code):
    """Write a notebook with outputs, as the project ships it."""
    cell = new_code_cell(code, execution_count=1, metadata={"tags": ["nbval-ignore-output"]},
                         outputs=[new_output("execute_result", {"text/plain": "2"},
                                             execution_count=1)])
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Größe"), cell], metadata={
        "kernelspec": {"name": "python3", "display_name": "Python 3"}, "widgets": {"state": {}}}),
        path)


def copied(lesson):
    return lesson.parents[1] / "my-lesson"


def test_a_copy_has_no_outputs_and_is_otherwise_the_same(lesson, capsys, monkeypatch):
    cli.main(["lab", "--no-lab"])
    assert "Copied into" in capsys.readouterr().out
    for name in NAMES:
        theirs = nbformat.read(copied(lesson) / f"{name}.ipynb", as_version=4)
        ours = nbformat.read(lesson / f"{name}.ipynb", as_version=4)
        nbformat.validate(theirs)
        assert theirs.cells[1].outputs == [] and theirs.cells[1].execution_count is None
        assert "widgets" not in theirs.metadata
        assert theirs.metadata.kernelspec == ours.metadata.kernelspec
        assert [(cell.id, cell.source, cell.metadata) for cell in theirs.cells] == [
            (cell.id, cell.source, cell.metadata) for cell in ours.cells]
    monkeypatch.chdir(copied(lesson))   # there, the commands mean that copy
    cli.main(["lab", "--no-lab"])
    assert capsys.readouterr().out == "" and not (copied(lesson) / "my-lesson").exists()


def test_the_lessons_real_notebooks_keep_all_but_outputs():
    path = next((copies.PACKAGE.parent / "notebooks").glob("03*.ipynb"))
    theirs, ours = json.loads(copies.stripped(path)), json.loads(path.read_text(encoding="utf-8"))
    for cell in (cell for cell in ours["cells"] if cell["cell_type"] == "code"):
        cell.update(outputs=[], execution_count=None)
    assert theirs == ours


def test_what_the_reader_changed_stays_and_the_rest_is_renewed(lesson, capsys):
    cli.main(["lab", "--no-lab"])
    path = copied(lesson) / "03_sizes.ipynb"
    path.write_bytes(changed := path.read_bytes().replace(b"1 + 1", b"1 + 2"))
    capsys.readouterr()
    cli.main(["lab", "--no-lab"])
    assert capsys.readouterr().out == ""   # nothing is newer
    for name in NAMES:
        ship(lesson / f"{name}.ipynb", "3 + 3")
    for _ in range(2):
        cli.main(["lab", "--no-lab"])
        said = capsys.readouterr().out
        assert path.read_bytes() == changed
        assert "03_sizes.ipynb is newer" in said and "resnet-lesson lab --fresh 03" in said
        assert "00_start_here.ipynb is newer" not in said
    assert b"3 + 3" in (copied(lesson) / "00_start_here.ipynb").read_bytes()


def test_a_fresh_one_keeps_the_old_beside_it(lesson, capsys):
    cli.main(["lab", "--no-lab"])
    path = copied(lesson) / "03_sizes.ipynb"
    for name in ("03_sizes.old.ipynb", "03_sizes.old2.ipynb"):
        path.write_text(name, encoding="utf-8")
        cli.main(["lab", "--no-lab", "--fresh", "03"])
        assert f"yours is {name} now" in capsys.readouterr().out
        assert path.with_name(name).read_text(encoding="utf-8") == name
        assert path.read_bytes() == copies.stripped(lesson / path.name)
    cli.main(["lab", "--no-lab", "--fresh", "03"])
    assert "03_sizes.ipynb is the lesson's already" in capsys.readouterr().out
    assert not path.with_name("03_sizes.old3.ipynb").exists()


@pytest.mark.parametrize("marker", [None, "{", '{"notebooks": 3}'])
def test_without_a_marker_no_file_is_overwritten(lesson, marker):
    copied(lesson).mkdir()
    (copied(lesson) / "03_sizes.ipynb").write_text("mine", encoding="utf-8")
    if marker is not None:
        (copied(lesson) / reader.MARKER).write_text(marker)
    cli.main(["lab", "--no-lab"])
    assert (copied(lesson) / "03_sizes.ipynb").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(("arguments", "words"), [
    (["lab", "--no-lab", "--fresh", "13"], "no notebook begins with '13'; there are 00_start_here"),
    (["lab", "--no-lab", "lesson/notebooks"], "holds the lesson itself; name another folder"),
    (["lab", "--no-lab", "lesson/notebooks/03_sizes.ipynb"], "Name another place"),
    (["key", "--out", "nowhere/key.html"], "Name another place"),
    (["class", "."], "holds no file of a reader; collect there"),
    (["class", "nowhere"], "nowhere is no folder"),
    (["progress"], "my-lesson is no folder; name the one that holds your copy"),
    (["progress", "--csv", "lesson/notebooks/03_sizes.ipynb"], "is no folder"),
])
def test_what_cannot_be_done_is_said_in_a_sentence(arguments, words):
    with pytest.raises(SystemExit, match=re.escape(words)) as end:
        cli.main(arguments)
    assert "\n" not in str(end.value)


def test_jupyterlab_opens_in_the_copy(lesson, monkeypatch):
    opened = []
    monkeypatch.setitem(sys.modules, "jupyterlab", SimpleNamespace(
        labapp=SimpleNamespace(main=opened.append)))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", "")
    monkeypatch.setenv("WAYLAND_DISPLAY", "")
    monkeypatch.setattr(cli.os, "geteuid", lambda: 0, raising=False)
    cli.main(["lab"])
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cli.os, "geteuid", lambda: 1000, raising=False)
    cli.main(["lab"])
    rest = [f"--ServerApp.root_dir={copied(lesson)}",
            "--LabApp.default_url=/lab/tree/00_start_here.ipynb"]
    assert opened == [["--no-browser", "--allow-root", *rest], rest]


@pytest.fixture
def class_of_three(tmp_path, monkeypatch, capsys):
    """Return a folder with the files of three readers: two CSV, one record."""
    monkeypatch.delenv("RESNET_LESSON_READER")
    folder = tmp_path / "class"
    for name, solved, wrong in (("anna", True, ['Say "two", not ½.']), ("ben", False, ["No."] * 2),
                                ("cleo", True, ["No."])):
        (folder / name).mkdir(parents=True)
        monkeypatch.chdir(folder / name)
        for words in wrong:
            reader.verdict("sizes.ONE", False, words)
        reader.prediction("Which?", "a", "b")
        if solved:
            reader.verdict("sizes.ONE", True, "")
        if name != "cleo":
            cli.main(["progress", ".", "--csv"])
            (folder / f"{name}.csv").write_text(capsys.readouterr().out, encoding="utf-8")
            (folder / name / reader.RECORD).unlink()
    return folder


def test_a_class_is_joined_exercise_by_exercise(class_of_three, capsys):
    (class_of_three / "notes.csv").write_text("a,b\n1,2\n")
    cli.main(["class", str(class_of_three)])
    said = capsys.readouterr().out.split("\n")
    assert said[:6] == ["3 readers", "", "sizes.ONE: solved by 2, tried by 3", "    3 × No.",
                        '    1 × Say "two", not ½.', "start_here.TWO: solved by 0, tried by 0"]
    assert said[6].startswith("Left out") and said[6].endswith("notes.csv")


def test_progress_says_what_the_record_holds(class_of_three, capsys):
    cli.main(["progress", str(class_of_three / "cleo")])
    said = capsys.readouterr().out
    assert re.search(r"sizes.ONE +20\d\d-.* 2 checks", said) and "TWO" not in said
    assert "Which? You said: a. Measured: b." in said
    cli.main(["progress", "../ben"])
    ben = (Path.cwd() / "../ben").resolve()
    assert capsys.readouterr().out == f"Nothing is recorded in {ben} yet.\n"


def test_the_key_is_one_page_with_everything_on_it(tmp_path, capsys):
    cli.main(["key", "--out", "key.html"])
    assert str(tmp_path / "key.html") in capsys.readouterr().out
    page = (tmp_path / "key.html").read_text(encoding="utf-8")
    for words in ("return x &lt; 2", "Stop &amp; think.", "return x &lt; 3  # &lt;b&gt;",
                  "Look at &lt;.", "So it is.", "4 minutes, medium; becomes less of", "2.5 minutes",
                  "2 exercises, about 6.5 minutes"):
        assert words in page, words
    assert page.index("00_start_here") < page.index("TWO") < page.index("03_sizes")
    assert not re.search(r'(src|href)=|@import|url\(', page)


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["mend it"], 1)])
def test_the_check_ends_as_the_machine_is(monkeypatch, capsys, problems, code):
    report = machine.Report([("Python", "3")], problems)
    monkeypatch.setattr(machine, "check", lambda: report)
    with pytest.raises(SystemExit) as end:
        cli.main(["check"])
    assert end.value.code == code and capsys.readouterr().out == f"{report}\n"
