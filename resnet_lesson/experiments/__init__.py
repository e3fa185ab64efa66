"""One module per recorded experiment; ``results/`` holds what they wrote."""

import csv
from pathlib import Path

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


def _number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
