"""Plain against residual, fairly: ``python -m resnet_lesson.experiments.sweep``.

Four studies, each with equal initial weights for both arms (``resnet.plain_twin``), the same order
of pictures, the same learning rates and several seeds:

- ``depth``: Fashion-MNIST mini, 6n + 2 networks and narrow ResNet-18 and -34, with batch norm;
- ``no-norm``: the same without batch norm;
- ``digits``: ResNet-18 on 1,000 handwritten digits, as the sources train it (batches of 64, five
  epochs, SGD without momentum). The rates 0.005 for plain and 0.01 for residual are the published
  experiment itself;
- ``full``: all of Fashion-MNIST, depths 20 and 56, each arm at its own best rate of ``depth``
  (lowest mean training error).

Writes ``results/sweep.csv``, one row per run and epoch. Runs that are there already are kept, so
an interrupted sweep goes on where it stopped, and none is lost or doubled. A single run::

    python -m resnet_lesson.experiments.sweep --only depth plain 20 0.03 0

trains study, arm, depth, rate and seed again and prints it beside the recorded row.
"""

import argparse
import csv
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache
from pathlib import Path

import torch
from tqdm import tqdm

from resnet_lesson import data, training
from resnet_lesson.experiments.studies import ARMS, IMAGENET_DEPTHS, STUDIES, Run, final_rows, runs
from resnet_lesson.experiments.table import RESULTS, environment, load_or_end
from resnet_lesson.experiments.table import record as append
from resnet_lesson.networks import blocks, resnet
from resnet_lesson.training import evaluation
from resnet_lesson.training.arrangement import Arrangement

TABLE = RESULTS / "sweep.csv"


COLUMNS = (
    *Run._fields, "kind", "norm", "data", "train_pictures", "epochs", "batch_size", "momentum",
    "weight_decay", "schedule", "precision", "epoch", "train_loss", "train_accuracy",
    "validation_loss", "validation_accuracy", "gradient_norm", "seconds", "examples_per_second",
    "first_gradient_norm", "train_error", "validation_error", "test_error", "test_error_200",
    "diverged", "threads", "processor", "python", "torch", "commit")


def build(run):
    """Return the network of a run, with weights that depend on depth, norm and seed alone.

    Raises:
        ValueError: an unknown study, arm or depth.
    """
    if run.study not in STUDIES:
        raise ValueError(f"study must be one of {', '.join(STUDIES)}, got {run.study!r}")
    if run.arm not in ARMS:
        raise ValueError(f"arm must be one of {', '.join(ARMS)}, got {run.arm!r}")
    norm = STUDIES[run.study].norm
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        if run.study == "digits":
            model = resnet.resnet18()
        elif run.depth in IMAGENET_DEPTHS:
            model = resnet.ResNet(blocks.BasicBlock, IMAGENET_DEPTHS[run.depth], norm=norm,
                                  widths=(16, 32, 64, 128))
        else:
            model = resnet.small_resnet(run.depth, stem="small/2", norm=norm)
    return model if run.arm == "residual" else resnet.plain_twin(model)


@lru_cache(maxsize=2)
def splits(source):
    """Return the data of a study."""
    return (data.load_digits(quiet=True) if source == "digits"
            else data.load_fashion_mnist(source, quiet=True))


def train(run, **changes):
    """Train one run on one thread and return its rows, one per finished epoch, as dicts.

    The last row also holds the errors of the final weights, in evaluation mode: on up to 2,000 of
    the training pictures, on the validation and on the test split. A run whose loss is no longer a
    number ends there; the weights before that step are judged, and ``diverged`` is 1.

    Args:
        run: a ``Run``.
        **changes: other values for fields of ``Study``, for a smaller trial.
    """
    model = build(run)
    study = STUDIES[run.study]._replace(**changes)
    pictures = splits(study.source)
    norms = [[]]

    def watch(progress):
        if progress.step:
            norms[-1].append(progress.model.conv1.weight.grad.norm().item())
        else:
            norms.append([])

    options = {key: getattr(study, key) for key in
               ("epochs", "batch_size", "momentum", "weight_decay", "schedule", "size")}
    diverged = 0
    try:
        history = training.fit(model, pictures, lr=run.lr, seed=run.seed, watch=watch,
                               device="cpu", progress=False,
                               arrangement=Arrangement(channels_last=True),
                               **options)
    except RuntimeError as error:  # the loss is no number any more
        history, diverged = error.history, 1
    judged = {name: evaluation.predict(model, split, size=study.size, progress=False, device="cpu")
              .argmax(1) != split.labels
              for name, split in (("train", pictures.train.take(slice(2000))),
                                  ("validation", pictures.validation), ("test", pictures.test))}
    fixed = run._asdict() | {
        "kind": "ImageNet" if run.depth in IMAGENET_DEPTHS else "6n + 2",
        "norm": "batch norm" if study.norm else "none", "data": pictures.train.source,
        "train_pictures": len(pictures.train), **options, "precision": "float32",
        **environment()}
    fixed.pop("size")
    last = {f"{name}_error": wrong.double().mean().item() for name, wrong in judged.items()}
    last |= {"test_error_200": judged["test"][:200].double().mean().item(), "diverged": diverged,
             "first_gradient_norm": norms[0][0] if norms[0] else ""}
    rows = [fixed | epoch | {"gradient_norm": sum(norm) / len(norm)}
            for epoch, norm in zip(history.epochs, norms, strict=False)]
    rows = rows or [fixed | {"epoch": 0}]  # diverged in its first epoch
    rows[-1] |= last
    return rows


def record(rows, table=TABLE):
    """Add the rows of one run to the table, see ``table.record``."""
    append(rows, table, Run._fields, COLUMNS)


def recorded(table=TABLE):
    """Return the set of ``Run``s that the table holds."""
    if not Path(table).exists():
        return set()
    with Path(table).open(newline="") as file:
        return {Run(row["study"], row["arm"], int(row["depth"]), float(row["lr"]),
                    int(row["seed"])) for row in csv.DictReader(file) if row["train_error"] != ""}


def sweep(names, workers, table=TABLE):
    """Train every run of the named studies that the table lacks, ``workers`` at a time."""
    for name in names:
        left = [run for run in runs(name) if run not in recorded(table)]
        pool = ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        try:
            pending = [pool.submit(train, run) for run in left]
            for done in tqdm(as_completed(pending), total=len(left), file=sys.stdout, desc=name,
                             unit="run"):
                record(done.result(), table)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def main(arguments=None):
    """Train what is missing, or one run again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("studies", nargs="*", help=f"of {', '.join(STUDIES)}; all by default")
    parser.add_argument("--workers", type=int, default=os.cpu_count(),
                        help="runs at a time, one thread each")
    parser.add_argument("--only", nargs=5, metavar=tuple(name.upper() for name in Run._fields),
                        help="train one run again, record nothing, print both results")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.studies if name not in STUDIES]
    if unknown:
        parser.error(f"no study {unknown[0]!r}; there are {', '.join(STUDIES)}")
    if options.only is None:
        studies = options.studies or list(STUDIES)
        if "full" in studies:  # before hours of other studies
            load_or_end(parser, "full")
        return sweep(studies, options.workers)
    study, arm, depth, lr, seed = options.only
    if study == "full":
        load_or_end(parser, "full")
    try:
        run = Run(study, arm, int(depth), float(lr), int(seed))
        build(run)
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(1)
    again = train(run)[-1]
    known = [row for row in final_rows(study) if Run(*(row[name] for name in Run._fields)) == run]
    for name in ("train_error", "validation_error", "test_error", "gradient_norm", "seconds"):
        before = f"{known[0][name]:10.4g}" if known else "not recorded"
        print(f"{name:18} again {again.get(name, float('nan')):10.4g}   recorded {before}")


if __name__ == "__main__":
    main()
