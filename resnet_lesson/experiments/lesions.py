"""The trained pair without its blocks: ``python -m resnet_lesson.experiments.lesions``.

Every choice of blocks that can be switched off: 512 of the residual network of ``small_pair``, 128
of the plain one. Writes ``results/lesions.csv``, one row per arm and choice: the blocks that are
off, and how many of the 1,000 test pictures of the mini set are classified correctly, with running
statistics as stored, and with statistics measured again on its first 1,000 training pictures (one
batch, training mode, no weight changed).
"""

import argparse
import itertools
import sys
from functools import lru_cache
from pathlib import Path

from tqdm import tqdm

from resnet_lesson import data
from resnet_lesson.experiments import small_pair, table
from resnet_lesson.experiments.studies import ARMS
from resnet_lesson.inside import lesions

STATISTICS = ("as stored", "measured again")
SAMPLE = 1000  # training pictures on which statistics are measured again


def evaluators(model, splits, pictures=slice(None)):
    """Return, for each of ``STATISTICS``, the evaluator of a network on the test pictures."""
    test, sample = splits.test.take(pictures), splits.train.pixels(slice(SAMPLE))
    return dict(zip(STATISTICS, (lesions.Evaluator(model, test),
                                 lesions.Evaluator(model, test, sample)), strict=True))


def measure(arm, splits):
    """Return the rows of one arm of the pair: all choices of its blocks."""
    model = getattr(small_pair.load(), arm)
    bench, names, rows = evaluators(model, splits), lesions.removable(model), []
    choices = list(itertools.product((False, True), repeat=len(names)))
    for choice in tqdm(choices, file=sys.stdout, desc=arm):
        off = list(itertools.compress(names, choice))
        rows.append({"arm": arm, "off": " ".join(off), "pictures": len(splits.test),
                     **{name: one.right(off) for name, one in bench.items()},
                     "sample": SAMPLE, **table.environment()})
    return rows


@lru_cache(maxsize=1)
def load():
    """Return what is recorded, ``{arm: {statistics: {frozenset of names: right}}}``, of how many.

    "Right" is how many pictures are classified correctly without the blocks of these names.
    """
    rows = table.read("lesions")
    return {arm: {name: {frozenset(row["off"].split()): row[name] for row in rows
                         if row["arm"] == arm} for name in STATISTICS}
            for arm in reversed(ARMS)}, rows[0]["pictures"]


def main(arguments=None):
    """Measure both arms and write down what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=table.RESULTS / "lesions.csv")
    options = parser.parse_args(arguments)
    splits = data.load_fashion_mnist("mini", quiet=True)
    for arm in ARMS:
        rows = measure(arm, splits)
        table.record(rows, options.out, ("arm",), list(rows[0]))


if __name__ == "__main__":
    main()
