"""Measure what the lesson says about speed: ``python -m resnet_lesson.tools.bench``.

Every figure is a ratio of two wall times taken in turns, see ``paired`` and ``bench_figures``.
Printed are the median of the ratios, an interval for it, and how fast the machine multiplied
matrices between the rounds.
"""

import argparse
import json
import os
import platform
import sys
from functools import partial
from pathlib import Path

import torch

from resnet_lesson import data
from resnet_lesson.tools.bench.figures import COPIES, FIGURES, Options
from resnet_lesson.tools.bench.paired import LEAST_ROUNDS, LIMIT, ROUNDS, Result, measure, report
from resnet_lesson.training import book


def machine(splits):
    """Return what the figures were measured on, as a dict."""
    load = {"load": round(os.getloadavg()[0], 1)} if hasattr(os, "getloadavg") else {}
    return {"processor": platform.machine(), "processors": os.cpu_count(),
            "threads": torch.get_num_threads(), "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0], "data": splits.train.source, **load}


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Refuse in one line."""
        self.exit(2, f"bench: {message}\n")


def _whole(text, least):
    if not (text.isdecimal() and int(text) >= least):
        raise argparse.ArgumentTypeError(f"needs a whole number, at least {least}, got {text!r}")
    return int(text)


def main(arguments=None, **measuring):
    """Measure, print the table, write JSON where asked; return the exit code."""
    parser = _Parser(prog="python -m resnet_lesson.tools.bench", description=__doc__.split("\n")[0],
                     epilog="figures: " + "; ".join(f"{name} ({figure.what})"
                                                    for name, figure in FIGURES.items()))
    parser.add_argument("names", nargs="*", metavar="figure", help="what to measure; all of it "
                        f"by default, in about {LIMIT // 60 + 1} minutes")
    parser.add_argument("--rounds", type=partial(_whole, least=1), metavar="N",
                        help=f"rounds of each figure, without a limit of time; by default {ROUNDS} "
                        f"or what fits, {LEAST_ROUNDS} at least")
    parser.add_argument("--batch-size", type=partial(_whole, least=2), metavar="N",
                        default=book.BATCH_SIZE, help="pictures in d2l's step: %(default)s, or "
                        "128 for half the time and memory")
    parser.add_argument("--source", choices=("mini", "full"), default="mini")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there")
    chosen = parser.parse_args(arguments)
    for name in chosen.names:
        if name not in FIGURES:
            parser.error(f"there is no figure {name!r}; there are {', '.join(FIGURES)}")
    if chosen.json and (chosen.json.is_dir() or not chosen.json.absolute().parent.is_dir()):
        parser.error(f"{chosen.json} cannot be written: it is a folder, or its folder is missing")
    try:
        splits = data.load_fashion_mnist(chosen.source, quiet=True)
    except (ValueError, FileNotFoundError) as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("Stopped before anything was measured.")
        return 130
    options = Options(splits, batch_size=chosen.batch_size,
                      copies=COPIES if chosen.source == "mini" else 1)
    found = machine(splits)
    names = dict.fromkeys(chosen.names or FIGURES)  # each once, in the order given
    results = [Result(name, FIGURES[name]) for name in names]
    expected = sum(result.figure.seconds for result in results) * (chosen.rounds or ROUNDS)
    print(", ".join(f"{what} {value}" for what, value in found.items()))
    print(f"About {expected / ROUNDS / 60:.1f} minutes on two quiet processors.")
    try:
        measure(results, options, chosen.rounds, **measuring)
    except KeyboardInterrupt:
        print("Stopped; this is what was measured so far.")
        for result in results:
            if not result.rounds:
                result.problem = result.problem or "Stopped before it."
        return 130
    finally:
        print(report(results))
        if chosen.json:
            chosen.json.write_text(json.dumps(
                {"machine": found, "figures": [result.as_dict() for result in results]}, indent=1,
                ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
