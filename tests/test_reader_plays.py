"""The reader plays the series: every stub filled in, every check passed, a network of their own."""

import ast
import re
import subprocess
import sys

import nbclient
import nbformat
import pytest

from resnet_lesson import reader
from resnet_lesson.exercises import mine
from resnet_lesson.tools import copies

CHECK = re.compile(r"^(?:exercises\.)?([A-Z_]+)\.check\((.+)\)$", re.MULTILINE)
PARTS = {"output_size", "BatchNorm2d", "Residual", "make_stage", "train_step", "paired_interval"}


def bound(node):
    """Return what a statement gives a value: a name, or several with commas."""
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]).strip("()")
    return getattr(node, "name", "")


def answer(exercise, stub, capsys):
    """Return what ``solution()`` prints, under the name that the notebook's stub has."""
    exercise.solution()
    text, own = capsys.readouterr().out, exercise.solve.__name__
    if isinstance(stub, ast.Assign):
        return f"{text}\n{bound(stub)} = {own}()"
    return re.sub(rf"\b{own}\b", stub.name, text)


def fill(cells, exercise, name, capsys):
    """Put the solution in place of the stub of a name, and return its cell."""
    cell, stub = [(cell, node) for cell in cells for node in ast.parse(cell.source).body
                  if bound(node) == name][-1]
    assert "..." in ast.unparse(stub), f"{name} is no stub"
    lines = cell.source.split("\n")
    lines[stub.lineno - 1:stub.end_lineno] = [answer(exercise, stub, capsys)]
    cell.source = "\n".join(lines)
    return cell


def played(path, capsys):
    """Return what the exercises of a notebook need: cells of imports, filled stubs, checks.

    Of each comes the key of the exercise that it checks, or "".
    """
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    kept = [("", next(cell for cell in cells if "import " in cell.source))]
    for number, cell in enumerate(cells):
        found = CHECK.search(cell.source)
        if found:
            key = f"{path.stem.partition('_')[2]}.{found[1]}"
            stub = fill(cells[:number + 1], mine.catalogue()[key], found[2].strip("()"), capsys)
            kept += [("", stub), (key, cell)] if stub is not cell else [(key, cell)]
        elif "built.line()" in cell.source:
            kept.append(("", cell))
    return [*kept, ("", nbformat.v4.new_code_cell("%reset -f"))]


@pytest.fixture
def working_copy(my_folder, monkeypatch):
    """Return a working copy, as `resnet-lesson lab` makes it, now the current folder."""
    copies.update(my_folder / "my-lesson")
    monkeypatch.chdir(my_folder / "my-lesson")
    monkeypatch.delitem(sys.modules, mine.MODULE, raising=False)
    return my_folder / "my-lesson"


def test_whoever_solves_every_exercise_has_a_network_that_runs_alone(working_copy, capsys):
    # one kernel for all: each notebook begins without the names of the one before
    cells = [entry for path in sorted(working_copy.glob("*.ipynb"))
             for entry in played(path, capsys)]
    for number, (_, cell) in enumerate(cells):
        cell.id = f"cell-{number}"
    notebook = nbformat.v4.new_notebook(cells=[cell for _, cell in cells])
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources={
        "metadata": {"path": str(working_copy)}}).execute()
    verdicts = {key: cell.outputs[-1].data["text/plain"] for key, cell in cells if key}
    assert {key: said for key, said in verdicts.items() if not said.startswith("✓")} == {}
    assert verdicts.keys() == mine.catalogue().keys() == set(reader.summary()["solved"])
    subprocess.run([sys.executable, "-c", "import my_resnet"], check=True)
    assert mine.parts().keys() == set(reader.summary()["parts"]) == PARTS
    for name, exercise in mine.parts().items():
        part = mine.part(name)
        assert capsys.readouterr().out == f"{name}: yours, from my_resnet.py.\n"
        assert part.__module__ == mine.MODULE and exercise.judge(part).right
