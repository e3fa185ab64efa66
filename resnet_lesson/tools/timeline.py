"""How long a notebook takes a reader: computed from what stands in it, never guessed."""

import ast
import math
import re
from pathlib import Path

from resnet_lesson.exercises import mine

WORDS_A_MINUTE, LINE, PREDICTION, PANEL = 150, 5 / 60, 0.5, 1  # the others in minutes
STATED = re.compile(r"\*\*Time:\*\* about \d+ minutes, of which \d+ for exercises\.")
WORD = re.compile(r"\S*[^\W\d_]\S*")  # a number alone is looked at, not read


def words(text):
    """Return the number of words in a text; a formula or a piece of code is one."""
    return len(WORD.findall(re.sub(r"\$[^$]*\$|`[^`]*`|\]\([^)]*\)", "x", text)))


def minutes(notebook, name):
    """Return the minutes that a notebook asks of a reader, by what they are for.

    Prose, captions and what is printed are read at 150 words a minute. A line of code takes five
    seconds, a prediction half a minute, a panel one minute, an exercise what it declares, the run
    what it took when the notebook was published.

    Args:
        notebook: nbformat's, with its outputs.
        name: the notebook's name; its exercises stand in the module of that name.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = sum(words(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    told = sum(words(_shown(output)) for cell in code for output in cell.outputs)
    lines = sum(bool(line.strip()) for cell in code for line in cell.source.splitlines())
    predictions, panels = _asked([ast.parse(cell.source) for cell in code])
    module = Path(name).stem.partition("_")[2]
    exercises = [exercise.minutes for key, exercise in mine.catalogue().items()
                 if key.startswith(f"{module}.")]
    seconds = notebook.metadata.get("resnet_lesson", {}).get("seconds", 0)
    return {"reading": (prose + told) / WORDS_A_MINUTE, "code": lines * LINE,
            "predictions": predictions * PREDICTION, "panels": panels * PANEL,
            "exercises": sum(exercises), "computing": seconds / 60}


def _shown(output):
    """Return what a reader reads of an output: what is printed, a caption, a table."""
    data = output.get("data", {})
    return output.get("text") or data.get("text/markdown") or data.get("text/plain", "")


def _asked(trees):
    """Return how many predictions and panels the cells of a notebook show."""
    names = {alias.asname or alias.name for tree in trees for node in ast.walk(tree)
             if isinstance(node, ast.ImportFrom)
             and (node.module or "").startswith("resnet_lesson.panels.") for alias in node.names}
    calls = [getattr(node.func, "id", "") for tree in trees for node in ast.walk(tree)
             if isinstance(node, ast.Call)]
    return calls.count("Prediction"), sum(name in names for name in calls)


def stated(notebook, name):
    """Return the sentence about time that a notebook opens with."""
    found = minutes(notebook, name)
    return (f"**Time:** about {math.ceil(sum(found.values()))} minutes, of which "
            f"{math.ceil(found['exercises'])} for exercises.")


def tell(notebook, name):
    """Write that sentence into the first cell, in place of an older one."""
    first = notebook.cells[0]
    first.source = STATED.sub(stated(notebook, name), first.source)
