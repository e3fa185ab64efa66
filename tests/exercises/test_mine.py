"""Accepted answers become a file of the reader's own that runs by itself, and are used again."""

import ast
import itertools
import linecache
import runpy
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest
import torch

from resnet_lesson import reader
from resnet_lesson.exercises import Exercise, mine


def double(x):
    """Return twice x."""
    return 2 * x


def area(r):
    """Return the double of r squared."""
    return double(r * r)


class Doubler(torch.nn.Module):
    def forward(self, x):
        return 2 * x


def numbers(draw):
    return [(torch.tensor(float(draw.randint(1, 9))),) for _ in range(5)]


ASK = {"cases": numbers, "mistakes": (), "hints": (), "remark": ""}
DOUBLE = Exercise(solve=double, part="double", **ASK)
AREA = Exercise(solve=area, part="area", **ASK)
DOUBLER = Exercise(solve=Doubler, part="Doubler", **ASK, run=lambda one, case: one()(*case))


@pytest.fixture(autouse=True)
def lesson(monkeypatch):
    """Let these three be all exercises of the lesson."""
    monkeypatch.setattr(mine, "catalogue", lambda: {
        one.key: one for one in (DOUBLE, AREA, DOUBLER)})
    monkeypatch.delitem(sys.modules, mine.MODULE, raising=False)


@pytest.fixture
def cell(my_folder):
    """Return a function that runs a cell as IPython does, and gives what it defined last."""
    space, number = {"__name__": "__main__"}, itertools.count()

    def run(source):
        name = f"ipykernel_{next(number)}.py"
        linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
        exec(compile(source, name, "exec"), space)
        return space.get(getattr(ast.parse(source).body[-1], "name", None))

    run.space = space
    return run


def written():
    return Path(mine.FILE).read_text(encoding="utf-8")


def test_an_answer_is_kept_as_it_was_written_and_used_again(cell, capsys):
    source = "def double(x):\n    # my way\n    return x+x   # twice"
    said = mine.keep(DOUBLE, cell(source))
    assert said == "It is kept in my_resnet.py as your double."
    assert written() == f"{mine.HEADER}\n\n\n{source}\n"
    found = mine.part("double")
    assert found(3) == 6 and found is not double and found is mine.part("double")
    assert capsys.readouterr().out == "double: yours, from my_resnet.py.\n" * 2
    assert reader.summary()["parts"] == ["double"]


NEEDS = """
import math
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import relu as act
from pathlib import Path
from resnet_lesson.words import short
TWO, NAMES = 2, ["a"]
cube = pow
def by(x, factor=TWO):
    return also(x) * factor
def also(x):
    return x if x.ndim == 0 else by(x)
"""
WHOLE = '''
class Doubler(nn.Module):
    """Uses all of them."""

    def forward(self, x):
        assert short(0) == "0" and Path("a").name in NAMES and cube(2, 2) == math.floor(4.5)
        return act(F.relu(by(x)))
'''


def test_what_a_part_needs_comes_along_and_the_file_runs_alone(cell):
    cell(NEEDS)
    assert mine.keep(DOUBLER, cell(WHOLE)).startswith("It is kept")
    assert written().split("\n\n\n")[0] == "\n".join([
        mine.HEADER, "", "import math", "from builtins import pow as cube",
        "from pathlib import Path", "from resnet_lesson.words import short",
        "from torch import nn", "from torch.nn import functional as F",
        "from torch.nn.functional import relu as act"])
    assert "\n\n\nNAMES = ['a']\nTWO = 2\n\n\ndef also" in written()
    assert runpy.run_path(mine.FILE)["Doubler"]()(torch.tensor(4.)) == 8


def test_each_name_is_defined_once_and_the_order_stays(cell):
    mine.keep(DOUBLE, cell("def double(x):\n    return x + x"))
    mine.keep(AREA, cell("def area(r):\n    return double(r * r)"))
    first = written()
    Path(mine.FILE).write_text(first + "\n\ndef double(x):\n    return 3 * x\n", encoding="utf-8")
    first = written()
    cell("import math\ndef helper(x):\n    return math.fsum([x, x]) + 0 * x")
    said = mine.keep(DOUBLE, cell("def double(x):\n    return helper(x)"))
    assert said.endswith("the file as it was is my_resnet.backup.py.")
    assert Path(mine.BACKUP).read_text(encoding="utf-8") == first
    names = [node.name for node in ast.parse(written()).body if hasattr(node, "name")]
    assert names == ["helper", "double", "area"]
    again = mine.keep(DOUBLE, cell("def double(x):\n    return helper(x)"))
    assert "backup" not in again and Path(mine.BACKUP).read_text(encoding="utf-8") == first


def test_an_answer_of_another_name_is_known_by_the_parts(cell):
    mine.keep(DOUBLE, cell("def my_double(x):\n    return x + x"))
    assert written().endswith("return x + x\n\n\ndouble = my_double\n")
    assert mine.part("double")(2) == 4
    mine.keep(DOUBLE, cell("def double(x):\n    return x * 2"))
    assert written().count("double = ") == 0 and mine.part("double").__name__ == "double"


def test_a_part_builds_on_another_that_is_kept(cell):
    mine.keep(DOUBLE, cell("def double(x):\n    return x + x"))
    cell.space["double"] = mine.part("double")
    mine.keep(AREA, cell("def area(r):\n    return double(r * r)"))
    assert written().count("def double") == 1 and "import" not in written()
    cell("def double(x):\n    return x * 2   # not checked")
    mine.keep(AREA, cell("def area(r):\n    return double(r ** 2)"))
    assert "x + x" in written() and "not checked" not in written() and "r ** 2" in written()


def test_the_lessons_part_is_imported_until_the_reader_has_one(cell, monkeypatch):
    cell("from resnet_lesson.words import signed as double")
    mine.keep(DOUBLER, cell("import torch\nclass Doubler(torch.nn.Module):\n"
                            "    def forward(self, x):\n        return x + x if x else double(x)"))
    assert "from resnet_lesson.words import signed as double\n" in written()
    mine.keep(DOUBLE, cell("def double(x):\n    return x + x"))
    cell("from resnet_lesson.words import signed as double")   # as a later notebook may
    mine.keep(DOUBLER, cell.space["Doubler"])
    assert "signed" not in written() and mine.part("Doubler")()(torch.tensor(1.)) == 2


def test_what_the_reader_adds_to_the_file_stays(cell, capsys):
    mine.keep(DOUBLE, cell("def double(x):\n    return x + x"))
    mine_too = ('# my notes\nfrom __future__ import annotations\nimport math  # pi\n\n'
                'PI = math.pi\nE = math.e\n\n\n# a step\n'
                'def step(x):\n    """Doc.\n\n    More."""\n    return x\n')
    end = '# run\nif __name__ == "__main__":\n    print(double(2))\n# the end\n'
    Path(mine.FILE).write_text(written() + mine_too + end, encoding="utf-8")
    mine.keep(AREA, cell("def area(r):\n    return double(r * r)"))
    text = written()
    assert all(line in text for line in mine_too.replace("  # pi", "").split("\n"))
    assert text.index("# a step") < text.index("def area") < text.index("# run")
    assert text.endswith(end.replace("# the end", "\n\n# the end"))
    assert runpy.run_path(mine.FILE, run_name="__main__")["area"](3) == 18
    assert capsys.readouterr().out == "4\n"


@pytest.mark.parametrize(("source", "name", "words"), [
    ("f = lambda x: 2 * x", "f", "no name of its own"),
    ("import functools\nf = functools.partial(lambda x: 2 * x)", "f", "no name of its own"),
    ("import torch\n@torch.no_grad()\ndef f(x):\n    return 2 * x", "f", "has a decorator"),
    ("def make():\n    def f(x):\n        return 2 * x\n    return f\nf = make()", "f",
     "at the left edge"),
    ("exec('def f(x): return 2 * x')", "f", "at the left edge"),
    ("import torch\nt = torch.tensor(2)\ndef f(x):\n    return t * x", "f", "uses t of"),
    ("def area(x):\n    return 2 * x", "area", "another part"),
    ("from resnet_lesson.words import signed as f", "f", "the lesson's own"),
    ("n = 0\ndef f(x):\n    global n\n    n += 1\n    return 2 * x if n < 3 else x", "f",
     "without the notebook around it, it does not pass"),
])
def test_what_cannot_be_kept_is_said_in_a_sentence(cell, source, name, words):
    cell(source)
    said = mine.keep(DOUBLE, cell.space[name])
    assert words in said and "check it again" in said and said.count("\n") == 0
    assert not Path(mine.FILE).exists()


def test_what_is_the_readers_already_or_nobodys_is_not_written(cell, monkeypatch, capsys):
    mine.keep(DOUBLE, cell("def double(x):\n    return x + x"))
    before = written()
    assert mine.keep(DOUBLE, mine.part("double")) == ""
    monkeypatch.setenv("RESNET_LESSON_READER", "nobody")
    assert mine.keep(DOUBLE, cell("def double(x):\n    return x * 2")) == ""
    assert written() == before and mine.part("double") is double
    assert capsys.readouterr().out.endswith("my_resnet.py.\ndouble: the lesson's own.\n")


@pytest.mark.parametrize(("text", "words"), [
    (None, "there is no my_resnet.py here yet"),
    ("def area(r):\n    return 2 * r * r", "has none; a right answer to test_mine.DOUBLE"),
    ("def double(x):\n    return 3 * x", "fails its check: For x="),
    ("double = 3", "fails its check"),
    ("def double(x:\n", "has a syntax error, '(' was never closed (my_resnet.py, line 1)"),
    ("x = 1\0", "has a syntax error"),
    ("import nowhere", "raises ModuleNotFoundError: No module named 'nowhere'"),
    ("exit()", "does not end well (Your answer ends the program"),
    (b"\xff\xfe", "cannot be read"),
])
def test_a_file_that_does_not_work_gives_the_lessons_part(my_folder, capsys, text, words):
    if text is not None:
        content = text if isinstance(text, bytes) else text.encode()
        (my_folder / mine.FILE).write_bytes(content)
    assert mine.part("double") is double
    said = capsys.readouterr().out
    assert said.startswith("double: the lesson's own, since ") and words in said
    assert said.count("\n") == 1 and "double" not in reader.summary()["parts"]


def test_a_file_that_cannot_be_written_costs_a_sentence(cell, monkeypatch):
    def refuse(path, text):
        raise PermissionError(13, "Permission denied")

    Path(mine.FILE).write_text("def (", encoding="utf-8")
    said = mine.keep(DOUBLE, cell("def double(x):\n    return x + x"))
    assert "syntax error" in said and "\n" not in said and written() == "def ("
    Path(mine.FILE).write_bytes(b"\xff\xfe")
    assert "no UTF-8 text. Save it as" in mine.keep(DOUBLE, cell.space["double"])
    Path(mine.FILE).unlink()
    monkeypatch.setattr(reader, "write", refuse)
    said = mine.keep(DOUBLE, cell.space["double"])
    assert "cannot be written" in said and "Permission denied" in said and "\n" not in said


def test_a_part_that_does_not_exist_is_named(my_folder):
    with pytest.raises(ValueError, match="no part 'half'; choose one of double, area, Doubler"):
        mine.part("half")


def test_a_class_defined_in_a_real_kernel_is_kept(my_folder):
    cells = ["from resnet_lesson.exercises import Exercise, mine\nfrom torch import nn\n"
             "def cases(draw):\n    return [(float(draw.randint(1, 9)),)]\n"
             "TWO = Exercise(solve=lambda: None, cases=cases, mistakes=(), hints=(), remark='',\n"
             "               oracle=lambda x: 2 * x, run=lambda a, c: a()(*c), part='Two')\n"
             "mine.parts = lambda: {'Two': TWO}\nTWOS = [2]",
             "class Two(nn.Module):\n    def forward(self, x):  # mine\n        return TWOS[0] * x",
             "mine.keep(TWO, Two)", "mine.part('Two')()(4)"]
    notebook = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, cells)))
    nbclient.NotebookClient(notebook, kernel_name="python3", resources={
        "metadata": {"path": str(my_folder)}}).execute()
    assert "kept in my_resnet.py as your Two" in notebook.cells[2].outputs[0].data["text/plain"]
    assert notebook.cells[3].outputs[-1].data["text/plain"] == "8"
    assert cells[1] in written() and "from torch import nn\n\n\nTWOS = [2]\n" in written()
