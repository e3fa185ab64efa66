"""Measure what the lesson says about speed: ``python -m resnet_lesson.tools.bench``.

Every measure is a ratio of two wall times taken in turns, see ``turns`` and ``measures``. Printed
are the median of the ratios, an interval for it, what it is a ratio to, and how fast the machine
multiplied matrices between the rounds.
"""

import argparse
import os
import sys

from tqdm import tqdm

from resnet_lesson.data.splits import load_fashion_mnist
from resnet_lesson.experiments import table
from resnet_lesson.tools.bench.measures import MEASURES, Options
from resnet_lesson.tools.bench.turns import ROUNDS, Result, report
from resnet_lesson.words import listed, whole


def main(arguments=None):
    """Measure and print the table; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m resnet_lesson.tools.bench",
                                     description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="measure",
                        help=f"of {listed(MEASURES)}; all of them by default, about five minutes "
                        "on two quiet processors")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N",
                        help="of each measure; %(default)s by default, fewer give no interval")
    asked = parser.parse_args(arguments)
    for name in asked.names:
        if name not in MEASURES:
            parser.error(f"there is no measure {name!r}; there are {listed(MEASURES)}")
    try:
        whole(asked.rounds, "--rounds")
    except ValueError as error:
        parser.error(str(error))
    options = Options(load_fashion_mnist("mini", quiet=True))
    found = {"processors": os.cpu_count(), **table.environment()}
    print(", ".join(f"{what} {value}" for what, value in found.items()))
    names = dict.fromkeys(asked.names or MEASURES)  # each once, in the order given
    results = [Result(name, *MEASURES[name]) for name in names]
    try:
        with tqdm(total=asked.rounds * len(results), file=sys.stdout, leave=False,
                  bar_format="{desc} {percentage:3.0f} % |{bar:30}| {remaining} left") as bar:
            for result in results:
                result.fill(options, asked.rounds, bar)
    except KeyboardInterrupt:
        print("Stopped; this is what was measured so far.")
        return 130
    finally:
        print(report(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
