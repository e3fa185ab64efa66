"""Every notebook holds the outputs of one complete run of exactly the code that stands in it."""

import ast
import re
from functools import cache

import nbformat
import pytest

from resnet_lesson.tools import publish, timeline

PATHS = sorted(publish.NOTEBOOKS.glob("*.ipynb"))
TITLES = {path.name for path in PATHS}
# minutes that a notebook may take
LIMITS = {
    "00_start_here": 15,
    "01_residual_idea": 45,
    "02_gradient_sum": 45,
    "03_convolution_sizes": 45,
    "04_batch_norm": 45,
    "05_residual_block": 45,
    "06_resnet18": 45,
    "07_train_fashion_mnist": 45,
    "08_with_and_without": 45,
    "09_looking_inside": 45,
    "11_your_turn": 40,
    "A1_python_corner": 25,
    "A2_two_networks_equal": 40,
    "A3_ladder_of_speed": 40,
}
CORE = {name for name in LIMITS if "01" < name < "10" or name == "A1_python_corner"}


@cache
def load(path):
    """Return a notebook; tests share it and change nothing in it."""
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run_complaints(notebook):
    """Return what shows that the outputs are not those of a complete, error-free run."""
    found = []
    cells = code_cells(notebook)
    counts = [cell.execution_count for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        found.append(f"execution counts are {counts}")
    if notebook.metadata.get("resnet_lesson", {}).get("executed") != publish.fingerprint(notebook):
        found.append("the code was changed after the run; python -m resnet_lesson.tools.publish")
    if "widgets" in notebook.metadata:
        found.append("widget state is stored")
    if notebook.metadata.get("kernelspec") != publish.KERNEL:
        found.append("JupyterLab would ask for a kernel")
    outputs = [output for cell in cells for output in cell.outputs]
    if not outputs:
        found.append("there are no outputs, so nothing would be compared")
    for output in outputs:
        if output.output_type == "error":
            found.append(f"a cell failed: {output.ename}")
        if output.get("name") == "stderr":
            found.append("a cell wrote to stderr")
        if publish.LIVE_VIEW in output.get("data", {}):
            found.append("a live widget view is stored")
    return found


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def notebook(request):
    return load(request.param)


def test_there_are_notebooks():
    assert "00_start_here.ipynb" in TITLES and "07_train_fashion_mnist.ipynb" in TITLES


def test_outputs_are_those_of_a_complete_run(notebook):
    nbformat.validate(notebook)
    assert run_complaints(notebook) == []


def with_output(kind, **contents):
    """Return a change that gives a notebook's first code cell this output alone."""
    def change(notebook):
        code_cells(notebook)[0].outputs = [nbformat.v4.new_output(kind, **contents)]
    return change


SPOILED = {   # what is said, and a change that must be answered by it
    "execution counts": lambda notebook: code_cells(notebook)[0].update(execution_count=2),
    "the code was changed": lambda notebook: code_cells(notebook)[0].update(source="1 + 2"),
    "there are no outputs": lambda notebook: code_cells(notebook)[0].update(outputs=[]),
    "a cell failed": with_output("error", ename="ValueError", evalue="", traceback=[]),
    "a cell wrote to stderr": with_output("stream", name="stderr", text="a warning"),
    "a live widget view": with_output("display_data", data={publish.LIVE_VIEW: {}}),
    "widget state": lambda notebook: notebook.metadata.update(widgets={}),
    "ask for a kernel": lambda notebook: notebook.metadata.pop("kernelspec"),
}


@pytest.mark.parametrize("words", SPOILED)
def test_each_way_to_spoil_a_notebook_is_caught(words):
    notebook = publish.normalise(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(
        "1 + 1", execution_count=1, outputs=[nbformat.v4.new_output(
            "execute_result", data={"text/plain": "2"}, execution_count=1)])]))
    assert run_complaints(notebook) == []
    SPOILED[words](notebook)
    (complaint,) = run_complaints(notebook)
    assert words in complaint


def test_tags_are_those_that_are_agreed_on(notebook):
    for cell in notebook.cells:
        assert set(cell.metadata.get("tags", [])) <= {"nbval-ignore-output"}, cell.source


BARS = {"fit", "evaluate", "predict", "probe", "fastest", "estimate", "step_seconds", "tqdm"}


def bars(source):
    """Return the calls in a cell that show a bar, or show one where the machine is slow."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [name for call in calls
            if (name := getattr(call.func, "attr", getattr(call.func, "id", ""))) in BARS
            and not any(keyword.arg == "progress" and ast.unparse(keyword.value) == "False"
                        for keyword in call.keywords)]


def test_what_is_compared_never_holds_a_bar_that_depends_on_the_machine(notebook):
    for cell in code_cells(notebook):
        if "nbval-ignore-output" not in cell.metadata.get("tags", []):
            assert bars(cell.source) == [], cell.source


def test_a_bar_is_seen():
    assert bars("y = evaluation.predict(model, test)\nfor _ in tqdm(y): 1") == ["predict", "tqdm"]
    assert bars("fit(model, splits, progress=loud)") == ["fit"]
    assert bars("training.evaluate(model, test, progress=False)\nlogits.fitting()") == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_cells_are_small(path):
    lines, words = (15, 80) if path.stem in LIMITS else (20, 100)
    for cell in load(path).cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= lines, cell.source
        else:
            found = re.sub(r"\$[^$]*\$|`[^`]*`|\]\([^)]*\)", "x", cell.source).split()
            assert len(found) <= words, cell.source


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_says_how_long_it_takes(path):
    notebook, told = load(path), timeline.STATED.search(load(path).cells[0].source)
    found = timeline.minutes(notebook, path.name)
    said = [int(number) for number in re.findall(r"\d+", told[0])]
    assert abs(said[0] - sum(found.values())) <= 5, timeline.stated(notebook, path.name)
    assert abs(said[1] - found["exercises"]) <= 1


@pytest.mark.parametrize("name", LIMITS)
def test_a_notebook_keeps_to_its_limit(name):
    notebook = load(publish.NOTEBOOKS / f"{name}.ipynb")
    found = timeline.minutes(notebook, name)
    assert sum(found.values()) <= LIMITS[name], found
    if name in CORE:
        prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        assert found["exercises"] >= 0.4 * sum(found.values()), found
        assert len(code_cells(notebook)) <= 35
        assert sum(len(source.split()) for source in prose) <= 1250


@pytest.mark.parametrize("name", LIMITS)
def test_plumbing_stays_out_of_sight(name):
    first, *others = code_cells(load(publish.NOTEBOOKS / f"{name}.ipynb"))
    for cell in others:
        nodes = list(ast.walk(ast.parse(cell.source)))
        kinds = {type(node) for node in nodes}
        assert not kinds & {ast.Import, ast.ImportFrom, ast.Assert, ast.NamedExpr}, cell.source
        assert not any(isinstance(inner, ast.IfExp) for node in nodes
                       if isinstance(node, ast.IfExp)
                       for inner in (node.body, node.orelse, node.test)), cell.source


def test_no_exercise_is_handed_out_solved(notebook):
    for cell in code_cells(notebook):
        if re.search(r"\.check\(\w+\)$", cell.source):
            assert cell.outputs[-1].data["text/plain"].startswith("✗"), cell.source


def test_prose_keeps_its_voice(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            prose = re.sub(r"`[^`]*`|\$[^$]*\$|!\[|<!--", "", cell.source)
            assert not re.search(r"!(?=\s|$)|\b(simply|obviously|trivial(ly)?)\b", prose,
                                 re.IGNORECASE), cell.source


def test_links_between_notebooks_lead_somewhere(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\(([^)#]+\.ipynb)", cell.source):
                assert target in TITLES, f"{target} does not exist"


def test_the_first_notebook_leads_to_all_others():
    prose = "\n".join(cell.source for cell in load(PATHS[0]).cells)
    assert set(re.findall(r"\]\(([^)]+\.ipynb)", prose)) == TITLES - {PATHS[0].name}


def test_the_readme_says_how_many_minutes_each_notebook_takes():
    text = (publish.NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
    rows = [row for row in re.findall(r"^\| \[?(\w\w) · .* \| (\S+) \|$", text, re.MULTILINE)
            if row[1] != "coming"]
    assert [number for number, _ in rows] == [path.stem.split("_")[0] for path in PATHS]
    for (number, told), path in zip(rows, PATHS, strict=True):
        found = sum(timeline.minutes(load(path), path.name).values())
        assert abs(int(told) - found) <= 5, f"{number} takes {found:.0f} minutes"


def test_notebooks_define_no_figures_and_no_widgets(notebook):
    for cell in code_cells(notebook):
        assert not re.search(r"\bplt\.|ipywidgets|\.subplots\(", cell.source), cell.source


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_titles_and_ends_follow_the_series(path):
    notebook = load(path)
    first, last = notebook.cells[0].source, notebook.cells[-1].source
    opening = "\n".join(cell.source for cell in notebook.cells[:2]
                        if cell.cell_type == "markdown")
    assert first.startswith(f"# {path.stem.split('_')[0]} · ")
    assert all(word in opening for word in ("**After this notebook**", "**Time:**", "**Needs:**"))
    assert ".ipynb)" in last
