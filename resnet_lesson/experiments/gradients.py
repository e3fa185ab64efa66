"""Measure how gradients flow at initialisation: ``python -m resnet_lesson.experiments.gradients``.

Shortcut × batch norm × initialisation × depth × seed. Each network is a ``resnet.ResNet`` of one
stage: a 3×3 stem, ``depth`` basic blocks of 16 channels at 14×14, average pooling, linear layer.
One batch of real pictures goes forward and backward, in training mode; nothing is trained.

**Depth counts blocks.** A block holds two convolutions, so depth 32 means 64 convolutions.

Writes ``results/gradients.csv``, one row per network, with the value of every block. Rows that
are there already are kept, so an interrupted run goes on where it stopped; ``--again`` measures
everything anew. ``measure_network`` makes these rows, and whoever needs one that is not in the
file (the panel *gradient flow, measured*) calls the same function.
"""

import argparse
import csv
import os
import sys
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from resnet_lesson import data
from resnet_lesson.experiments.table import RESULTS
from resnet_lesson.inside import gradients
from resnet_lesson.networks import blocks, resnet

TABLE = RESULTS / "gradients.csv"
SHORTCUTS = ("plain", "residual", "pre-activation")  # the last one is residual too
NORMS = ("none", "batch norm")
INITIALISATIONS = ("default", "xavier", "he")
DEPTHS = (4, 8, 16, 32, 64)
SEEDS = tuple(range(8))
WIDTH, SIZE, BATCH = 16, 14, 128


class Row(NamedTuple):
    """One measured network. The last three fields hold one value per block, first to last."""

    shortcut: str
    norm: str
    initialisation: str
    depth: int
    seed: int
    gradient_ratio: float
    weight_ratio: float
    activation_ratio: float
    first_gradient: float
    last_gradient: float
    width: int
    size: int
    batch: int
    torch: str
    gradients: tuple
    weights: tuple
    activations: tuple

    @property
    def setting(self):
        """Return (shortcut, norm, initialisation, depth)."""
        return self[:4]


@lru_cache(maxsize=1)
def _pictures():
    return data.load_fashion_mnist("mini", quiet=True).train


def build(shortcut, norm, initialisation, depth, seed):
    """Return the network of one row and its batch ``(model, pictures, labels)``.

    Weights and pictures depend on ``seed`` alone, so plain and residual twins share both.

    Raises:
        ValueError: a setting that is none of the known ones, or a depth below 1.
    """
    for name, value, known in (("shortcut", shortcut, SHORTCUTS), ("norm", norm, NORMS),
                               ("initialisation", initialisation, INITIALISATIONS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
    if not (isinstance(depth, int) and depth > 0):
        raise ValueError(f"depth must be a whole number of blocks above 0, got {depth!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = resnet.ResNet(blocks.BasicBlock, [depth], widths=(WIDTH,), stem="small",
                              residual=shortcut != "plain", norm=norm == "batch norm",
                              preactivation=shortcut == "pre-activation")
        torch.manual_seed(seed)
        resnet.initialize(model, initialisation)
    pictures = _pictures()
    chosen = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))[:BATCH]
    return model, pictures.pixels(chosen, SIZE), pictures.labels[chosen]


def measure_network(shortcut, norm, initialisation, depth, seed):
    """Build and measure one network; return its ``Row``. Errors as in ``build``."""
    model, X, y = build(shortcut, norm, initialisation, depth, seed)
    found = gradients.profile(model, X, y)
    return Row(shortcut, norm, initialisation, depth, seed,
               ratio(found.gradients[0], found.gradients[-1]),
               ratio(found.weights[0], found.weights[-1]),
               ratio(found.activations[-1], found.activations[0]),
               found.gradients[0], found.gradients[-1], WIDTH, SIZE, BATCH,
               torch.__version__.split("+")[0], found.gradients, found.weights,
               found.activations)


def ratio(one, other):
    """Return one ÷ other; infinite, or not a number, where other is zero."""
    if other:
        return one / other
    return float("inf") if one else float("nan")


def load(path=TABLE):
    """Return the recorded rows.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; python -m "
                                "resnet_lesson.experiments.gradients writes it")
    with path.open(newline="") as file:
        return [_parse(row) for row in csv.DictReader(file) if row["activations"]]


def _parse(row):
    kinds = Row.__annotations__
    return Row(**{name: tuple(map(float, row[name].split())) if kind is tuple
                  else kind(row[name]) for name, kind in kinds.items()})


def _cells(row):
    def cell(value):
        if isinstance(value, tuple):
            return " ".join(f"{number:.3g}" for number in value)
        return f"{value:.6g}" if isinstance(value, float) else value
    return [cell(value) for value in row]


def record(path=TABLE, *, again=False, shortcuts=SHORTCUTS, norms=NORMS,
           initialisations=INITIALISATIONS, depths=DEPTHS, seeds=SEEDS):
    """Measure what is missing in the file at ``path`` and return all its rows, in order.

    Shallow networks come first, so that an interrupted run leaves whole depths behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {} if again or not path.exists() else {(*row.setting, row.seed): row
                                                  for row in load(path)}
    _write(path, rows.values())
    wanted = [(shortcut, norm, initialisation, depth, seed)
              for depth, seed, shortcut, norm, initialisation
              in product(depths, seeds, shortcuts, norms, initialisations)]
    missing = [key for key in wanted if key not in rows]
    # Time goes with depth, so progress is counted in blocks.
    with (tqdm(total=sum(key[3] for key in missing), unit="block", file=sys.stdout,
               desc="measuring", disable=not missing) as bar,
          path.open("a", newline="") as file):
        writer = csv.writer(file)
        for key in missing:
            rows[key] = measure_network(*key)
            writer.writerow(_cells(rows[key]))
            file.flush()
            bar.update(key[3])
    order = (SHORTCUTS, NORMS, INITIALISATIONS)
    ordered = sorted(rows.values(), key=lambda row: (
        *(values.index(value) for values, value in zip(order, row, strict=False)),
        row.depth, row.seed))
    _write(path, ordered)
    return ordered


def _write(path, rows):
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row._fields)
        writer.writerows(_cells(row) for row in rows)
    os.replace(partial, path)


def main(arguments=None):
    """Measure what is missing and say where it was written."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--again", action="store_true", help="drop the rows that are there")
    options = parser.parse_args(arguments)
    rows = record(options.out, again=options.again)
    print(f"{len(rows)} networks in {options.out}")


if __name__ == "__main__":
    main()
