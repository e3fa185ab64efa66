"""The reader plays the series: every stub filled in, every check passed, a network of their own."""

import ast
import re
import subprocess
import sys

import nbclient
import nbformat
import pytest
import torch
import torchvision

from resnet_lesson import reader
from resnet_lesson.exercises import mine, residual_block, resnet18
from resnet_lesson.exercises.source import slip
from resnet_lesson.networks import parity
from resnet_lesson.tools import copies

CHECK = re.compile(r"^(?:exercises\.)?([A-Z_0-9]+)\.check\((.+)\)$", re.MULTILINE)
PARTS = {"output_size", "BatchNorm2d", "Residual", "BasicBlock", "make_stage", "ResNet18",
         "train_step", "accuracy", "train", "paired_interval", "in_turns"}
ON_FEW_PICTURES = """
import runpy
from resnet_lesson import data
few = data.Splits(*(split.take(slice(400)) for split in data.load_fashion_mnist("mini")))
data.load_fashion_mnist = lambda name: few
runpy.run_path("my_resnet.py", run_name="__main__")
"""


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
    ran = subprocess.run([sys.executable, "-c", ON_FEW_PICTURES], check=True, text=True,
                         capture_output=True)
    assert float(re.search("test accuracy: (.*)", ran.stdout)[1]) > 0.3, ran.stdout
    lines = (working_copy / "my_resnet.py").read_text(encoding="utf-8").splitlines()
    lent = {line for line in lines if "resnet_lesson" in line}
    assert lent == {"from resnet_lesson.data import load_fashion_mnist",
                    "from resnet_lesson.findings.intervals import quantile"}
    assert len(lines) < 220
    assert mine.parts().keys() == set(reader.summary()["parts"]) == PARTS
    for name, exercise in mine.parts().items():
        part = mine.part(name)
        assert capsys.readouterr().out == f"{name}: yours, from my_resnet.py.\n"
        assert part.__module__ == mine.MODULE and exercise.judge(part).right
    theirs = parity.randomise(torchvision.models.resnet18()).eval()
    yours = mine.part("ResNet18")().eval()
    yours.load_state_dict(theirs.state_dict(), strict=True)
    X = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    found, expected = parity.stage_outputs(yours, X), parity.stage_outputs(theirs, X)
    assert found.keys() == expected.keys() >= {"stem", "stage 4", "logits"}
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-3, atol=1e-3)


BROKEN = {   # what a tired reader does: in which exercise, how, and what its check says to it
    "bias kept": ("BASIC_BLOCK", [(", bias=False", "")], "not expected: conv1.bias"),
    "norm forgotten on the shortcut": (
        "BASIC_BLOCK", [("bias=False),\n                nn.BatchNorm2d(out_channels))",
                         "bias=False))")], "The norm on the shortcut is missing"),
    "stride on the second convolution": (
        "BASIC_BLOCK", [("in_channels, out_channels, 3, stride", "in_channels, out_channels, 3"),
                        ("out_channels, out_channels, 3", "out_channels, out_channels, 3, stride")],
        "The stride sits on the second convolution"),
    "ReLU before the sum": (
        "BASIC_BLOCK", [("self.bn2(self.conv2(Y))", "F.relu(self.bn2(self.conv2(Y)))")],
        "There is a ReLU before the addition"),
    "blocks in the wrong order": ("STAGE", [("*layers", "*layers[::-1]")],
                                  "has blocks that take"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_reader_is_told_so(name):
    key, edits, words = BROKEN[name]
    module = residual_block if key == "BASIC_BLOCK" else resnet18
    exercise = getattr(module, key)
    verdict = exercise.judge(slip(exercise.solve, *edits))
    assert not verdict.right and words in verdict.words
