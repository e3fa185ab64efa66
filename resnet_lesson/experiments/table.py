"""The tables in ``results/``: one reader, one writer, and what all commands write in them."""

import csv
import platform
import subprocess
from functools import lru_cache
from pathlib import Path

import torch

from resnet_lesson import data
from resnet_lesson.training import checkpoints

RESULTS = Path(__file__).parent / "results"


def read(table):
    """Return the rows of a table as dicts, numbers as numbers.

    Args:
        table: the path of a CSV file, or the name of one in ``results/``.

    Raises:
        FileNotFoundError: there is no such file; the sentence names those that there are.
    """
    path = table if isinstance(table, Path) else RESULTS / f"{table}.csv"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in RESULTS.glob("*.csv")))
        raise FileNotFoundError(f"no recorded results called {str(table)!r}; there are: {known}")
    return [{name: _number(cell) for name, cell in row.items()} for row in _cells(path)]


def recorded(path, key):
    """Return the runs of a table, each as the tuple of its values under ``key``, as a set."""
    rows = read(path) if path.exists() else []
    return {tuple(row[name] for name in key) for row in rows}


def write(rows, path, columns):
    """Write a table, whole or not at all: floats with six digits, what a row lacks empty."""
    def fill(partial):
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, restval="")
            writer.writeheader()
            writer.writerows({name: _written(value) for name, value in row.items()}
                             for row in rows)

    checkpoints.replace(path, fill)


def record(rows, path, key, columns):
    """Add the rows of one run to a table, in place of rows of the same run that were there.

    The file is replaced whole or not at all, so an interrupted run loses and doubles nothing.

    Args:
        rows: dicts, one per epoch, all with the same values under ``key``.
        path: of the CSV file; made where there is none.
        key: the columns that tell one run from another.
        columns: all of them, in order.
    """
    run = [str(_written(rows[0][name])) for name in key]
    there = _cells(path) if path.exists() else []
    write([*(row for row in there if [row[name] for name in key] != run), *rows], path, columns)


def _cells(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _number(cell):
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            continue
    return cell


def _written(value):
    return f"{value:.6g}" if isinstance(value, float) else value


@lru_cache(maxsize=1)
def environment():
    """Return what a measurement depends on besides its settings, as columns of a table."""
    try:
        commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], text=True, timeout=10,
                                capture_output=True, cwd=Path(__file__).parent).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        commit = ""
    processor = torch.backends.cpu.get_cpu_capability()
    return {"threads": torch.get_num_threads(), "processor": f"{platform.machine()} {processor}",
            "python": platform.python_version(), "torch": torch.__version__.split("+")[0],
            "commit": commit}


def epochs(history, model, splits, **fixed):
    """Return one row per epoch of a run: ``fixed``, settings, what was measured, the machine."""
    fixed |= {name: history.settings[name] for name in ("epochs", "batch_size", "lr", "seed")}
    fixed |= {"data": splits.train.source,
              "parameters": sum(values.numel() for values in model.parameters())}
    return [fixed | epoch | environment() for epoch in history.epochs]


def load_or_end(parser, source):
    """Return the splits of Fashion-MNIST; where they are missing, end the command in one line."""
    try:
        return data.load_fashion_mnist(source)
    except (ValueError, OSError) as error:
        parser.error(str(error))
