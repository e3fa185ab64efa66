"""The house keeps its rules: who imports whom, what is listed where, what may be committed."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[1]
PACKAGE = PROJECT / "resnet_lesson"
MODULES = sorted(PACKAGE.rglob("*.py"))
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
# the rooms of the package from below to above: each imports from earlier rows alone
ROWS = (("words", "reader", "advice"), ("networks", "data"), ("training",), ("inside",),
        ("experiments",), ("findings",), ("figures",), ("exercises",), ("panels",), ("tools",))
LEVEL = {room: level for level, row in enumerate(ROWS) for room in row}
DRAWING = {"matplotlib", "ipywidgets", "IPython"}
# what people look for at the root of a project, and nothing else
TOP_LEVEL = {"README.md", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff",
             "environment.yml", "pyproject.toml", "Makefile", ".gitignore"}
FOLDERS = {"notebooks", "resnet_lesson", "tests", ".ci", ".github"}
PUBLIC = {name for name in dir(namedtuple("Any", "")) if not name.startswith("__")}  # _replace, …


def imports(source):
    """Return the names of all modules that a source text imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room(path):
    """Return the first part of a module's name inside the package."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def upward(path, source):
    """Return what is wrong with the imports of one file, as sentences."""
    here, found = room(path), []
    for name in sorted(imports(source)):
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


def borrowed(source):
    """Return the private names that a source text takes from other modules of the package."""
    tree, ours, found = ast.parse(source), set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("resnet_lesson"):
            ours |= {alias.asname or alias.name for alias in node.names}
            found |= {alias.name for alias in node.names if alias.name.startswith("_")}
    for node in ast.walk(tree):
        if (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                and node.value.id in ours and re.match("_[^_]", node.attr)):
            found.add(node.attr)
    return found - PUBLIC


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downwards_and_leave_private_names_at_home(path):
    assert room(path) in (*LEVEL, "__init__"), "a new room: give it a place in ROWS"
    source = path.read_text(encoding="utf-8")
    assert room(path) == "__init__" or upward(path, source) == []
    assert not borrowed(source)


@pytest.mark.parametrize(("name", "line", "words"), [
    ("networks/blocks.py", "from resnet_lesson import data", "networks imports data"),
    ("networks/resnet.py", "from resnet_lesson.training import fit", "networks imports training"),
    ("data/splits.py", "import resnet_lesson.networks.parity", "data imports networks"),
    ("training/fit.py", "import matplotlib.pyplot as plt", "training imports matplotlib"),
    ("networks/convolution.py", "import torch", "convolution imports torch"),
    ("findings/comparison.py", "from resnet_lesson.tools import bench", "findings imports tools"),
    ("exercises/base.py", "from resnet_lesson.panels import base", "exercises imports panels"),
])
def test_a_wrong_import_is_caught(name, line, words):
    assert any(words in complaint for complaint in upward(PACKAGE / name, line))


def test_a_borrowed_private_name_is_caught():
    blocks = "from resnet_lesson.networks import blocks as parts\n"
    assert borrowed("from resnet_lesson.networks.blocks import _conv") == {"_conv"}
    assert borrowed(f"{blocks}def f():\n    return parts._norm(3)") == {"_norm"}
    assert not borrowed(f"{blocks}parts.Row()._asdict(), parts._replace, self._own, parts.__doc__")


def test_no_test_imports_from_another_test():
    found = {path.name: names for path in (PROJECT / "tests").rglob("*.py")
             if (names := [name for name in imports(path.read_text(encoding="utf-8"))
                           if re.match(r"tests\.(\w+\.)*(test_|conftest)", name)])}
    assert not found, "what two tests need is a fixture of a conftest"


def test_importing_the_package_loads_nothing_heavy():
    code = ("import sys, resnet_lesson; heavy = {'torch', 'numpy', 'matplotlib', 'ipywidgets'};"
            "assert not heavy & set(sys.modules), heavy & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT)


def test_ruff_finds_nothing():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "--no-cache", "resnet_lesson",
                           "tests"], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# "Small" was ordered. What a newcomer reads first is; the whole package and its tests are not yet
# (11,500 and 9,200 are the aims). Notebooks A3 and 11 raised these limits; from here they may only
# come down.
@pytest.mark.parametrize(("folders", "most"), [
    (["resnet_lesson"], 16_920),
    (["resnet_lesson/networks", "resnet_lesson/data", "resnet_lesson/training"], 2_900),
    (["tests"], 11_860),
], ids=["package", "what a newcomer reads first", "tests"])
def test_the_house_does_not_grow(folders, most):
    lines = sum(len(path.read_text(encoding="utf-8").splitlines())
                for folder in folders for path in (PROJECT / folder).rglob("*.py"))
    assert lines <= most, "something new needs something old to go, or a decision"


# ---- pyproject.toml, and what repeats a part of it

@pytest.fixture(scope="module")
def project():
    return tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def normal(name):
    """Return the name of a distribution as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(sources):
    """Return the distributions from which source texts import; an unknown module is its own."""
    known = metadata.packages_distributions()
    modules = {name.split(".")[0] for source in sources for name in imports(source)}
    modules -= {*sys.stdlib_module_names, "resnet_lesson", "tests"}
    return {normal(known.get(module, [module])[0]) for module in modules}


def sources(paths):
    """Return the text of Python files, and of the code cells of notebooks."""
    for path in paths:
        if path.suffix == ".ipynb":
            for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
                if cell["cell_type"] == "code":
                    yield "".join(cell["source"])
        else:
            yield path.read_text(encoding="utf-8")


def reasons():
    """Return the reason beside each dependency, by its name."""
    text = (PROJECT / "pyproject.toml").read_text(encoding="utf-8").split("\n[tool.")[0]
    return {normal(name): reason for name, reason in
            re.findall(r'^    "([\w-]+)[<>=~!\d.]*", +# (\w.{8,})$', text, re.MULTILINE)}


def test_what_is_imported_is_declared_and_the_other_way_round(project):
    """The lesson needs ``dependencies`` alone; tools and tests may ask for the test extra too."""
    needed, extra = ({normal(re.match(r"[\w-]+", line)[0]) for line in lines} for lines in
                     (project["dependencies"], project["optional-dependencies"]["test"]))
    lesson = [path for path in MODULES if room(path) != "tools"]
    by_lesson = distributions(sources([*lesson, *NOTEBOOKS]))
    by_others = distributions(sources([path for path in MODULES if room(path) == "tools"]
                                      + list((PROJECT / "tests").rglob("*.py"))))
    assert by_lesson <= needed
    assert by_others <= needed | extra
    assert not needed & extra
    why = reasons()
    assert set(why) == needed | extra, "each dependency has its reason beside it"
    started = {name for name, reason in why.items() if reason.startswith("not imported: ")}
    assert needed - by_lesson == needed & started
    assert extra - by_others == extra & started


def test_an_undeclared_import_is_seen():
    assert distributions(["import pandas.io, PIL.Image", "from os import path", "import tests.x",
                          "def f():\n    from sklearn import svm"]) == {
        "pandas", "pillow", "scikit-learn"}


def test_environment_holds_python_pip_and_this_project_alone(project):
    environment = yaml.safe_load((PROJECT / "environment.yml").read_text(encoding="utf-8"))
    python, pip, rest = environment["dependencies"]
    assert pip == "pip" and rest == {"pip": ["-e .[test]"]}
    assert environment["name"] == project["name"]
    version = int(python.removeprefix("python=3."))
    low, high = map(int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)",
                                      project["requires-python"]).groups())
    assert low <= version < high
    workflow = yaml.safe_load((PROJECT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert workflow["jobs"]["test"]["strategy"]["matrix"]["python"] == [
        f"3.{minor}" for minor in range(low, high)]
    for minor in range(low, high):
        assert f"Programming Language :: Python :: 3.{minor}" in project["classifiers"]


def test_the_version_is_one(project):
    import resnet_lesson

    citation = yaml.safe_load((PROJECT / "CITATION.cff").read_text(encoding="utf-8"))
    changes = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert project["version"] == resnet_lesson.__version__ == citation["version"]
    assert f"## [{project['version']}]" in changes
    assert citation["title"] == project["name"]
    assert citation["authors"] == project["authors"]


# ---- what is committed

def tracked():
    """Return the files of the project that are, or would be, committed."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"],
                            cwd=PROJECT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout, so nothing says which files belong to the project")
    return [PROJECT / name for name in listed.stdout.splitlines() if (PROJECT / name).is_file()]


def test_the_agreed_files_stand_at_the_top_and_no_others():
    parts = [path.relative_to(PROJECT).parts for path in tracked()]
    assert {first for first, *rest in parts if not rest} == TOP_LEVEL
    assert {first for first, *rest in parts if rest} == FOLDERS


def test_no_file_is_too_large_or_names_a_machines_path():
    secret = re.compile(r"(?<![\w.])/(?:root|home/\w+|Users/\w+|work/main|tmp/\w+)/")
    for path in tracked():
        assert path.stat().st_size < 4_000_000, path
        if path.suffix not in (".png", ".safetensors") and path != Path(__file__).resolve():
            found = secret.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path.relative_to(PROJECT)}: {found.group(0)}"


# ---- the README's map from notebooks to files

CONTENT = ("exercises", "figures", "panels")


def rows_of_the_map():
    """Return the README's table: its first column → one list of files for each other column."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    table = text.split("| notebook | exercises | figures | panels | tests |\n")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in table.splitlines()[1:]]
    return {first: [re.findall(r"`(\S+)`", cell) for cell in rest] for first, *rest in rows}


def test_the_map_names_every_notebook_module_and_test_that_there_is():
    *rows, shared = rows_of_the_map().items()
    assert [name for name, _ in rows] == [path.stem for path in NOTEBOOKS]
    named = [files for _, files in (*rows, shared)]
    for i, folder in enumerate(CONTENT):
        assert {f"{name}.py" for row in named for name in row[i]} == {
            path.name for path in (PACKAGE / folder).glob("*.py")} - {"__init__.py"}
    assert {f"tests/{name}.py" for row in named for name in row[-1]} == {
        path.relative_to(PROJECT).as_posix() for path in (PROJECT / "tests").rglob("test_*.py")
        if path.parent.name in CONTENT or path.stem.startswith("test_notebook")}


def test_the_map_says_what_each_notebook_imports():
    *rows, (_, shared) = rows_of_the_map().items()
    for name, files in rows:
        names = imports("\n".join(sources([PROJECT / "notebooks" / f"{name}.ipynb"])))
        for i, folder in enumerate(CONTENT):
            used = {path.stem for path in (PACKAGE / folder).glob("*.py") if any(
                f"{full}.".startswith(f"resnet_lesson.{folder}.{path.stem}.") for full in names)}
            assert used <= {*files[i], *shared[i]}, f"{name}: {folder}"
