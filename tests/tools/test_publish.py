"""Publishing: what is committed is complete, and free of what changes from run to run."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from resnet_lesson.tools import publish

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"


def notebook(*sources):
    cells = [new_markdown_cell("# A title"), *map(new_code_cell, sources)]
    return new_notebook(cells=cells)


def write(path, *sources):
    nbformat.write(notebook(*sources), path)
    return path


def read(path):
    return nbformat.read(path, as_version=4)


def test_publishing_runs_in_a_fresh_kernel_and_again_changes_nothing(tmp_path):
    path = write(tmp_path / "a.ipynb", "x = 2", "print(x)\nx + 1",
                 "import ipywidgets\nipywidgets.IntSlider(3)",
                 "from resnet_lesson.panels import Prediction\nPrediction('Which?', ['a', 'b'])")
    publish.publish(path)
    first = read(path)
    code = first.cells[1:]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4]
    assert code[1].outputs[0].text == "2\n"
    assert code[1].outputs[1].data["text/plain"] == "3"
    assert publish.LIVE_VIEW not in code[2].outputs[0].data
    assert set(code[3].outputs[0].data) == {"text/markdown", "text/plain"}
    assert "widgets" not in read(path).metadata
    publish.publish(path)
    again = read(path)
    again.metadata.resnet_lesson.seconds = first.metadata.resnet_lesson.seconds
    assert again == first


@pytest.mark.parametrize(("source", "words"), [
    ("1 / 0", "ZeroDivisionError"),
    ("import sys; print('oh', file=sys.stderr)", "wrote to stderr"),
])
def test_a_notebook_that_fails_or_warns_is_left_as_it_was(tmp_path, source, words):
    path = write(tmp_path / "a.ipynb", "print(1)", source)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=words):
        publish.publish(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.ipynb"]


def test_bars_keep_their_last_state_and_cleared_ones_nothing():
    cleared = "\rlooking: 50%|█ | 1/2\r" + " " * 20 + "\r"
    printed = [[cleared], [cleared + "found it\n"], ["  kept  \n"],
               ["\r 0%|  | 0/9", "\r50%|█ | 5/9\r100%|██| 9/9\ndone\n"]]
    cells = [new_code_cell("look()", execution_count=number, outputs=[
        new_output("stream", name="stdout", text=text) for text in texts])
        for number, texts in enumerate(printed, 1)]
    result = publish.normalise(new_notebook(cells=cells))
    assert [[output.text for output in cell.outputs] for cell in result.cells] == [
        [], ["found it\n"], ["  kept  \n"], ["100%|██| 9/9\ndone\n"]]


def test_what_must_not_be_committed_is_stripped_and_the_rest_keeps_its_order():
    cell = new_code_cell("plot()", execution_count=1, metadata={
        "tags": ["nbval-ignore-output"], "execution": {"iopub.status.busy": "now"}}, outputs=[
        new_output("stream", name="stdout", text="before\n"),
        new_output("display_data", data={publish.LIVE_VIEW: {}, "image/png": PNG}),
        new_output("stream", name="stdout", text="after\n"),
        new_output("display_data", data={publish.LIVE_VIEW: {}})])
    book = new_notebook(cells=[cell], metadata={"widgets": {}, "authors": ["me"]})
    result = publish.normalise(book)
    assert result.cells[0].metadata == {"tags": ["nbval-ignore-output"]}
    before, picture, after = result.cells[0].outputs
    assert (before.text, list(picture.data), after.text) == (
        "before\n", ["image/png"], "after\n")
    assert set(result.metadata) == {"kernelspec", "language_info", "resnet_lesson"}


def test_an_incomplete_run_is_refused():
    cells = [new_code_cell("1", execution_count=1), new_code_cell("2", execution_count=3)]
    with pytest.raises(ValueError, match="top to bottom"):
        publish.normalise(new_notebook(cells=cells))


def test_the_fingerprint_follows_the_code_and_nothing_else():
    first = publish.fingerprint(notebook("a = 1", "a"))
    assert publish.fingerprint(notebook("a = 2", "a")) != first
    prose = notebook("a = 1", "a")
    prose.cells[0].source = "# Another title"
    assert publish.fingerprint(prose) == first


def test_a_wrong_name_says_so(capsys):
    with pytest.raises(SystemExit, match="no notebook .* begins with zz"):
        publish.main(["zz"])
