"""Re-execute notebooks and normalise what is committed: ``python -m resnet_lesson.tools.publish``.

Each notebook runs top to bottom in a fresh kernel, in its own folder, and is then stripped of
what says nothing or changes from run to run: live widget views, widget state, timestamps,
intermediate states of progress bars. With names as arguments, only those notebooks run:
``python -m resnet_lesson.tools.publish 01 07``. A notebook whose run fails is left as it was.
"""

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path

import nbclient
import nbformat

from resnet_lesson.tools import timeline
from resnet_lesson.training import checkpoints

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
LIVE_VIEW = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python",
            "pygments_lexer": "ipython3", "codemirror_mode": {"name": "ipython", "version": 3}}


def fingerprint(notebook):
    """Return a hash of all code cells: it shows whether outputs belong to the code beside them."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def normalise(notebook, seconds=0):
    """Strip a freshly executed notebook of what must not be committed; change it in place.

    Args:
        notebook: nbformat's.
        seconds: what its run took, which is kept.

    Raises:
        ValueError: it was not executed completely, or a cell failed or wrote to stderr.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        if cell.execution_count != number:
            raise ValueError(f"code cell {number} has the execution count "
                             f"{cell.execution_count}; run the notebook top to bottom")
        cell.outputs = _outputs(cell.outputs, number)
    for number, cell in enumerate(notebook.cells, 1):
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": tags} if tags else {}
        cell.id = f"cell-{number:02d}"
    notebook.metadata = {"kernelspec": KERNEL, "language_info": LANGUAGE,
                         "resnet_lesson": {"executed": fingerprint(notebook), "seconds": seconds}}
    return notebook


def _outputs(outputs, number):
    """Return what is worth keeping of a cell's outputs, in their order.

    nbclient's ``coalesce_streams`` would move all that is printed to the first output, before the
    pictures that it came after.
    """
    kept = []
    for output in outputs:
        if output.output_type == "error":
            raise ValueError(f"code cell {number} failed: {output.ename}: {output.evalue}")
        if output.output_type != "stream":
            output.data.pop(LIVE_VIEW, None)
            if output.output_type == "execute_result":
                output.execution_count = number
            if output.data:
                kept.append(output)
        elif output.name == "stderr":
            raise ValueError(f"code cell {number} wrote to stderr: {output.text[:200]!r}")
        elif kept and kept[-1].output_type == "stream":
            kept[-1].text += output.text
        else:
            kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            output.text = _overwritten(output.text)
    return [output for output in kept if output.get("text") != ""]


def _overwritten(text):
    """Return what a terminal shows in the end: text after a carriage return replaces its line.

    A bar that was cleared with spaces leaves nothing.
    """
    lines = []
    for line in text.split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part):]
        lines.append(shown.rstrip() if "\r" in line else shown)
    return "\n".join(lines)


def publish(path, timeout=900):
    """Execute one notebook in a fresh kernel, normalise it and write it back.

    Raises:
        ValueError: it cannot be committed as it came out; the file is left as it was.
    """
    path = Path(path)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    client = nbclient.NotebookClient(
        notebook, timeout=timeout, kernel_name="python3", store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}})
    started = time.monotonic()
    try:
        client.execute(env={**os.environ, "RESNET_LESSON_READER": "nobody"})  # see reader.place
    except (nbclient.exceptions.CellControlSignal, RuntimeError) as error:
        raise ValueError(f"{path.name} failed; it is left as it was.\n{error}") from None
    normalise(notebook, round(time.monotonic() - started))
    timeline.tell(notebook, path.name)
    nbformat.validate(notebook)
    checkpoints.replace(path, lambda partial: nbformat.write(notebook, partial))


def main(arguments=None):
    """Publish the named notebooks, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="how the notebooks' names begin: 00, 07, A1, …")
    names = tuple(parser.parse_args(arguments).names)
    chosen = [path for path in sorted(NOTEBOOKS.glob("*.ipynb"))
              if not names or path.name.startswith(names)]
    if not chosen:
        sys.exit(f"no notebook in {NOTEBOOKS} begins with {' or '.join(names) or 'anything'}")
    for path in chosen:
        print(f"{path.name} …", end=" ", flush=True)
        try:
            publish(path)
        except ValueError as error:
            sys.exit(f"\n{error}")
        print("done")


if __name__ == "__main__":
    main()
