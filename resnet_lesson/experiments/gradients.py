"""Measure how gradients flow at initialisation: ``python -m resnet_lesson.experiments.gradients``.

Shortcut × batch norm × initialisation × depth × seed. Each network is a ``resnet.ResNet`` of one
stage: a 3×3 stem, ``depth`` basic blocks of 16 channels at 14×14, average pooling, linear layer.
Depth counts blocks of two convolutions each. One batch of real pictures goes forward and backward,
in training mode; nothing is trained.

Writes ``results/gradients.csv``, one row per network, with the value of every block. Rows that
are there already are kept, so an interrupted run goes on where it stopped. ``measure_network``
makes these rows, and the panel *gradient flow, measured* calls it for those that are not there.
Delete the file to measure everything anew.
"""

import argparse
import sys
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from resnet_lesson import data
from resnet_lesson.experiments import table
from resnet_lesson.inside import gradients
from resnet_lesson.networks import blocks, resnet
from resnet_lesson.words import whole

TABLE = table.RESULTS / "gradients.csv"
SHORTCUTS = ("plain", "residual", "pre-activation")  # the last one is residual too
NORMS = ("none", "batch norm")
INITIALISATIONS = ("default", "xavier", "he")
DEPTHS = (4, 8, 16, 32, 64)
SEEDS = tuple(range(8))
# Shallow networks come first, so that an interrupted run leaves whole depths behind.
NETWORKS = tuple((shortcut, norm, initialisation, depth, seed)
                 for depth, seed, shortcut, norm, initialisation
                 in product(DEPTHS, SEEDS, SHORTCUTS, NORMS, INITIALISATIONS))
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
    depth = whole(depth, "depth")
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
               ratio(found.activations[-1], found.activations[0]), WIDTH, SIZE, BATCH,
               torch.__version__.split("+")[0], found.gradients, found.weights,
               found.activations)


def line(points=128):
    """Return pictures on the straight line from one picture to another, (points, 1, SIZE, SIZE)."""
    return gradients.line(*_pictures().pixels(slice(2), SIZE), points)


def alike(shortcut, norm, initialisation, depth, seeds=range(3)):
    """Return how alike gradients at points of ``line()`` are, by distance: (seeds, points).

    In evaluation mode, with batch-norm statistics of 256 pictures, so that no point sees another.
    """
    many, found = _pictures().pixels(slice(256), SIZE), []
    for seed in seeds:
        model, _, _ = build(shortcut, norm, initialisation, depth, seed)
        along = gradients.input_gradients(gradients.settle_batch_norm(model, many), line())
        found.append(gradients.correlation_by_distance(along))
    return torch.stack(found)


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
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; python -m "
                                "resnet_lesson.experiments.gradients writes it")
    return [Row(**{name: _parsed(cells[name], kind) for name, kind in Row.__annotations__.items()})
            for cells in table.read(path)]


def _parsed(cell, kind):
    return tuple(map(float, str(cell).split())) if kind is tuple else kind(cell)


def _cells(row):
    """Return a row as the table holds it: a tuple as its numbers in one text."""
    return {name: " ".join(f"{number:.3g}" for number in value) if isinstance(value, tuple)
            else value for name, value in row._asdict().items()}


def record(path=TABLE, networks=NETWORKS):
    """Measure the networks that the file at ``path`` lacks and return all its rows, in order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = load(path) if path.exists() else []
    table.write(map(_cells, rows), path, Row._fields)
    known = {row[:5] for row in rows}
    missing = [network for network in networks if network not in known]
    blocks_left = sum(network[3] for network in missing)  # time goes with depth
    with tqdm(total=blocks_left, unit="block", file=sys.stdout, desc="measuring",
              disable=not missing) as bar:
        for network in missing:
            rows.append(measure_network(*network))
            table.record([_cells(rows[-1])], path, Row._fields[:5], Row._fields)
            bar.update(network[3])
    rows.sort(key=lambda row: (SHORTCUTS.index(row.shortcut), NORMS.index(row.norm),
                               INITIALISATIONS.index(row.initialisation), row.depth, row.seed))
    table.write(map(_cells, rows), path, Row._fields)
    return rows


def main(arguments=None):
    """Measure what is missing and say where it was written."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=TABLE)
    options = parser.parse_args(arguments)
    rows = record(options.out)
    print(f"{len(rows)} networks in {options.out}")


if __name__ == "__main__":
    main()
