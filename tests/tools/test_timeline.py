"""The time that a notebook states: every part of it counts, and nothing that is not read does."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from resnet_lesson.exercises import mine
from resnet_lesson.tools import timeline

TITLE = ("# 03 · A title\n\n**Time:** about 99 minutes, of which 1 for exercises. "
         "**Needs:** nothing.")


def notebook(source="x = 1", outputs=(), prose="", seconds=0):
    return new_notebook(cells=[new_markdown_cell(TITLE), new_markdown_cell(prose),
                               new_code_cell(source, outputs=list(outputs))],
                        metadata={"resnet_lesson": {"seconds": seconds}})


def more(name="zz_none", **changed):
    """Return the minutes that something adds to the smallest notebook, where it adds any."""
    before, after = (timeline.minutes(book, name) for book in (notebook(), notebook(**changed)))
    return {part: pytest.approx(after[part] - before[part]) for part in after
            if after[part] != before[part]}


@pytest.mark.parametrize(("changed", "found"), [
    ({"prose": "word " * 75}, {"reading": 0.5}),
    ({"prose": "$a + b$ is `x + y z`, 3.14 · " + "word " * 147}, {"reading": 1}),
    ({"outputs": [new_output("stream", text="loss 0.1 0.2\n" * 150)]}, {"reading": 1}),
    ({"outputs": [new_output("display_data", data={
        "image/png": "iVBOR word", "text/markdown": "a " * 30, "text/plain": "b " * 90})]},
     {"reading": 0.2}),
    ({"source": "x = 1\n\ny = 2\nz = 3"}, {"code": 2 / 12}),
    ({"source": "Prediction('a', 'b'), panels.Prediction"}, {"predictions": 0.5}),
    ({"source": "from resnet_lesson.panels.window import WindowPanel as W; W(stride=2)"},
     {"panels": 1}),
    ({"seconds": 30}, {"computing": 0.5}),
])
def test_each_part_counts_for_what_it_is(changed, found):
    assert more(**changed) == found


def test_exercises_count_by_the_notebooks_name():
    of_03 = [exercise.minutes for key, exercise in mine.catalogue().items()
             if key.startswith("convolution_sizes.")]
    found = timeline.minutes(notebook(), "03_convolution_sizes.ipynb")
    assert found["exercises"] == sum(of_03) > 0


def test_the_sentence_is_written_anew():
    book = notebook(prose="word " * 1500, seconds=1)
    timeline.tell(book, "zz_none")
    assert book.cells[0].source.endswith(
        "**Time:** about 11 minutes, of which 0 for exercises. **Needs:** nothing.")
