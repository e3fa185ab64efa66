"""Measure how gradients flow at initialisation: ``python -m resnet_lesson.experiments.gradients``.

Shortcut × batch norm × initialisation × depth × seed. Each network is a ``models.ResNet`` of one
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
import math
import os
import statistics
import sys
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch
from tqdm import tqdm

from resnet_lesson import blocks, data, measure, models
from resnet_lesson.experiments import RESULTS

TABLE = RESULTS / "gradients.csv"
SHORTCUTS = ("plain", "residual", "pre-activation")  # the last one is residual too
NORMS = ("none", "batch norm")
INITIALISATIONS = ("default", "xavier", "he")
DEPTHS = (4, 8, 16, 32, 64)
SEEDS = tuple(range(8))
WIDTH, SIZE, BATCH = 16, 14, 128
FACTOR = 100  # a ratio beyond 1/100 … 100 is called vanishing or exploding
CLEAR = 10    # one ratio is called clearly better if it is so many times closer to 1


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
        model = models.ResNet(blocks.BasicBlock, [depth], widths=(WIDTH,), stem="small",
                              residual=shortcut != "plain", norm=norm == "batch norm",
                              preactivation=shortcut == "pre-activation")
        torch.manual_seed(seed)
        models.initialize(model, initialisation)
    pictures = _pictures()
    chosen = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))[:BATCH]
    return model, pictures.pixels(chosen, SIZE), pictures.labels[chosen]


def measure_network(shortcut, norm, initialisation, depth, seed):
    """Build and measure one network; return its ``Row``. Errors as in ``build``."""
    model, X, y = build(shortcut, norm, initialisation, depth, seed)
    found = measure.profile(model, X, y)
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


class Summary(NamedTuple):
    """Median and extremes over seeds, and how many of the values are exactly zero."""

    median: float
    low: float
    high: float
    zeros: int
    seeds: int


def summarise(rows, column="gradient_ratio"):
    """Return ``{setting: Summary}`` of one column of the rows, setting as in ``Row.setting``."""
    groups = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(getattr(row, column))
    return {setting: Summary(statistics.median(values), min(values), max(values),
                             values.count(0), len(values))
            for setting, values in groups.items()}


def verdict(value):
    """Return ``"vanishes"``, ``"holds"`` or ``"explodes"`` for a ratio.

    A ratio that is not a number comes from 0 / 0: nothing arrives at either end.
    """
    if math.isnan(value) or value < 1 / FACTOR:
        return "vanishes"
    return "explodes" if value > FACTOR else "holds"


def distance(value):
    """Return how far a ratio is from 1, up or down, in powers of ten; infinite for zero."""
    return abs(math.log10(value)) if 0 < value < math.inf else math.inf


def short(value):
    """Return a number in two digits as people write it: 0.31, 47, 2.1·10⁵, 0.

    >>> short(0.000032), short(0)
    ('3.2·10⁻⁵', '0')
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if 0.01 <= abs(value) < 1000:
        return f"{float(f'{value:.2g}'):g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}·10{str(int(exponent)).translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def name(norm, initialisation):
    """Return norm and initialisation as words."""
    words = {"default": "PyTorch's default", "xavier": "Xavier", "he": "He"}[initialisation]
    return f"{words}, {'with batch norm' if norm == 'batch norm' else 'no norm'}"


def sentences(rows, depth):
    """Say where gradients vanish, explode and hold, and where the shortcut helps and hurts.

    Args:
        rows: measured rows; plain and residual ones of this depth are compared.
        depth: in blocks.

    Returns:
        A list of sentences, each with its numbers.

    Raises:
        ValueError: nothing was measured at this depth.
    """
    found = summarise(rows)
    pairs = {key: (found[("plain", *key, depth)], found[("residual", *key, depth)])
             for key in product(NORMS, INITIALISATIONS)
             if ("plain", *key, depth) in found and ("residual", *key, depth) in found}
    if not pairs:
        known = sorted({row.depth for row in rows})
        raise ValueError(f"nothing was measured at {depth} blocks; there are {known}")
    lines = []
    for word, bounds in (("vanishes", f"below 1/{FACTOR}"), ("explodes", f"above {FACTOR}"),
                         ("holds", "in between")):
        cases = [f"{arm}, {name(*key)} ({_value(pair[i])})" for key, pair in pairs.items()
                 for i, arm in enumerate(("plain", "residual")) if verdict(pair[i].median) == word]
        lines.append(f"The gradient {word} (ratio {bounds}): {'; '.join(cases) or 'nowhere'}.")
    effects = {key: effect(plain.median, residual.median)
               for key, (plain, residual) in pairs.items()}
    for word in ("helps", "hurts", "makes no clear difference"):
        cases = [f"{name(*key)} ({_value(pairs[key][0])} without, {_value(pairs[key][1])} with"
                 f"{_but(word, pairs[key][1].median)})"
                 for key, found in effects.items() if found == word]
        lines.append(f"The shortcut {word}: {'; '.join(cases) or 'nowhere'}.")
    return lines


def effect(plain, residual):
    """Return whether the shortcut ``"helps"``, ``"hurts"`` or ``"makes no clear difference"``.

    It helps where its ratio is ``CLEAR`` times closer to 1, up or down, than the plain one.
    """
    far, near = distance(plain), distance(residual)
    if far == near or abs(far - near) < math.log10(CLEAR):
        return "makes no clear difference"
    return "helps" if near < far else "hurts"


def _but(word, residual):
    return f": it still {verdict(residual)}" if word == "helps" and verdict(
        residual) != "holds" else ""


def _value(summary):
    if summary.zeros:
        return f"{short(summary.median)}, underflow in {summary.zeros} of {summary.seeds} seeds"
    return short(summary.median)


def hidden(rows, depth):
    """Return settings whose weight gradients look healthy while the others do not.

    Returns:
        A list of (setting, gradient summary, weight-gradient summary): the median ratio of the
        gradients of activations vanishes or explodes, that of weights holds.
    """
    gradients, weights = summarise(rows), summarise(rows, "weight_ratio")
    return [(setting, found, weights[setting]) for setting, found in gradients.items()
            if setting[3] == depth and verdict(found.median) != "holds"
            and verdict(weights[setting].median) == "holds"]


def table(rows, shortcuts=("plain", "residual")):
    """Return (headings, lines) of the medians of first ÷ last block, one column per depth."""
    found = summarise(rows)
    depths = sorted({row.depth for row in rows})
    lines = [[norm, initialisation, shortcut,
              *(short(found[(shortcut, norm, initialisation, depth)].median) for depth in depths)]
             for norm, initialisation, shortcut in product(NORMS, INITIALISATIONS, shortcuts)
             if (shortcut, norm, initialisation, depths[-1]) in found]
    return ["norm", "initialisation", "shortcut", *(f"{d} blocks" for d in depths)], lines


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
