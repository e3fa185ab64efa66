"""The tables in ``results/``: one reader, one writer, and the machine that made a row."""

import csv
import os
import platform
import subprocess
from functools import lru_cache
from pathlib import Path

import torch

from resnet_lesson import data

RESULTS = Path(__file__).parent / "results"


def read(name):
    """Return the rows of ``results/<name>.csv`` as dicts, numbers as numbers.

    Raises:
        FileNotFoundError: there is no such file; the sentence names those that there are.
    """
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in RESULTS.glob("*.csv")))
        raise FileNotFoundError(f"no recorded results called {name!r}; there are: {known}")
    with path.open(newline="") as file:
        return [{key: _number(value) for key, value in row.items()}
                for row in csv.DictReader(file)]


def record(rows, table, key, columns):
    """Add the rows of one run to a table; rows of the same run that were there are replaced.

    The file is replaced whole or not at all, so an interrupted run loses and doubles nothing.

    Args:
        rows: dicts, one per epoch, all with the same values under ``key``.
        table: path of the CSV file; made where there is none.
        key: names of the columns that tell one run from another.
        columns: all names, in order.
    """
    table = Path(table)
    run, kept = tuple(str(rows[0][name]) for name in key), []
    if table.exists():
        with table.open(newline="") as file:
            kept = [row for row in csv.DictReader(file)
                    if tuple(row[name] for name in key) != run]
    partial = table.with_name(table.name + ".partial")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(kept)
        writer.writerows({name: f"{value:.6g}" if isinstance(value, float) else value
                          for name, value in row.items()} for row in rows)
    os.replace(partial, table)


def load_or_end(parser, source):
    """Return the splits of Fashion-MNIST; where they are missing, end the command in one line.

    Args:
        parser: the ``argparse.ArgumentParser`` of the command.
        source: ``"full"`` or ``"mini"``, see ``data.load_fashion_mnist``.
    """

    try:
        return data.load_fashion_mnist(source)
    except (ValueError, OSError) as error:
        parser.error(str(error))


def _number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


@lru_cache(maxsize=1)
def environment():
    """Return what a measurement depends on besides its settings, as columns of the table."""
    try:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], text=True, timeout=10,
                                capture_output=True, cwd=Path(__file__).parent).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        commit = ""
    processor = torch.backends.cpu.get_cpu_capability()
    return {"threads": torch.get_num_threads(), "processor": f"{platform.machine()} {processor}",
            "python": platform.python_version(), "torch": torch.__version__.split("+")[0],
            "commit": commit}
