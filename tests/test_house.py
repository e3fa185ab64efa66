"""The house keeps its rules: who imports whom, what is listed where, what may be committed."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "resnet_lesson"
# the rooms of the package from below to above: each imports from earlier rows alone
ROWS = (("words",), ("networks", "data"), ("training",), ("inside",), ("experiments",),
        ("findings",), ("figures",), ("panels", "exercises"), ("tools",))
LEVEL = {room: level for level, row in enumerate(ROWS) for room in row}
DRAWING = {"matplotlib", "ipywidgets", "IPython"}
TOP_LEVEL = {"README.md", "environment.yml", "pyproject.toml", "Makefile", ".gitignore"}
FOLDERS = {"notebooks", "resnet_lesson", "tests", ".ci"}


def imports(path):
    """Return the names of all modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path):
    """Return the first part of a module's name inside the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def complaints(path):
    """Return what is wrong with the imports of one file, as sentences."""
    here, found = room(path), []
    for name in sorted(imports(path)):
        parts = name.split(".")
        if parts[0] == "resnet_lesson" and len(parts) > 1:
            there = parts[1]
            if there != here and LEVEL[there] >= LEVEL[here]:
                found.append(f"{here} imports {there}, which is not below it")
        elif parts[0] in DRAWING and LEVEL[here] < LEVEL["figures"]:
            found.append(f"{here} imports {parts[0]}")
        elif parts[0] == "torch" and path.name == "convolution.py":
            found.append("convolution imports torch")
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")),
                         ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards(path):
    assert room(path) in (*LEVEL, "__init__"), "a new room: give it a place in ROWS"
    assert room(path) == "__init__" or complaints(path) == []


@pytest.mark.parametrize(("name", "line", "words"), [
    ("networks/blocks.py", "from resnet_lesson import data", "networks imports data"),
    ("networks/resnet.py", "from resnet_lesson.training import fit", "networks imports training"),
    ("data/splits.py", "import resnet_lesson.networks.parity", "data imports networks"),
    ("training/fit.py", "import matplotlib.pyplot as plt", "training imports matplotlib"),
    ("networks/convolution.py", "import torch", "convolution imports torch"),
    ("findings/comparison.py", "from resnet_lesson.tools import bench", "findings imports tools"),
    ("exercises/base.py", "from resnet_lesson.panels import base", "exercises imports panels"),
])
def test_a_wrong_import_is_caught(tmp_path, monkeypatch, name, line, words):
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(line)
    assert any(words in complaint for complaint in complaints(tmp_path / name))


def test_importing_the_package_loads_nothing_heavy():
    code = ("import sys, resnet_lesson; heavy = {'torch', 'numpy', 'matplotlib', 'ipywidgets'};"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT)


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))


def test_environment_holds_python_pip_and_this_project_alone(pyproject):
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, rest = environment["dependencies"]
    assert pip == "pip" and rest == {"pip": ["-e .[test]"]}
    assert environment["name"] == pyproject["project"]["name"]
    assert "test" in pyproject["project"]["optional-dependencies"]
    version = tuple(map(int, python.removeprefix("python=").split(".")))
    low, high = re.fullmatch(r">=3\.(\d+),<3\.(\d+)",
                             pyproject["project"]["requires-python"]).groups()
    assert (3, int(low)) <= version < (3, int(high))


def test_the_seven_packages_are_dependencies_and_are_used(pyproject):
    project = pyproject["project"]
    listed = {re.split(r"[<>=~! ]", line)[0]
              for line in project["dependencies"] + project["optional-dependencies"]["test"]}
    assert {"torch", "torchvision", "jupyterlab", "matplotlib", "ipywidgets", "d2l",
            "nbval"} <= listed
    imported = {name.split(".")[0] for path in PACKAGE.rglob("*.py") for name in imports(path)}
    assert {"torch", "torchvision", "matplotlib", "ipywidgets", "d2l"} <= imported
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    assert "jupyterlab" in makefile
    assert "--nbval" in pyproject["tool"]["pytest"]["ini_options"]["addopts"]


def test_every_dependency_says_why(pyproject):
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    block = text[text.index("dependencies = ["):text.index("[tool.")]
    for line in block.splitlines():
        if line.startswith('    "'):
            assert re.search(r'",\s+# \w.{8}', line), f"no reason beside {line.strip()}"


def tracked():
    """Return the files of the project that are, or would be, committed."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            cwd=PROJECT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout, so nothing says which files belong to the project")
    return [PROJECT / name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]


def test_only_the_agreed_files_stand_at_the_top():
    for path in tracked():
        parts = path.relative_to(PROJECT).parts
        assert parts[0] in (TOP_LEVEL if len(parts) == 1 else FOLDERS), path


def test_no_file_is_too_large_or_names_a_machines_path():
    secret = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+|work/main|tmp/\w+)/")
    for path in tracked():
        assert path.stat().st_size < 4_000_000, path
        if path.suffix not in (".png", ".safetensors") and path != Path(__file__).resolve():
            found = secret.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(PROJECT)}: {found.group(0)}"
