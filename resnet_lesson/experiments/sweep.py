"""Plain against residual, fairly: ``python -m resnet_lesson.experiments.sweep``.

The studies stand in ``studies.STUDIES``; in each, both arms have equal initial weights, the same
order of pictures, the same learning rates and several seeds. Writes ``results/sweep.csv``, one row
per run and epoch. Runs that are there already are kept, so an interrupted sweep goes on where it
stopped, and none is lost or doubled. A single run::

    python -m resnet_lesson.experiments.sweep --only depth plain 20 0.03 0

trains study, arm, depth, rate and seed again and prints it beside the recorded row.
"""

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache

import torch
from tqdm import tqdm

from resnet_lesson import data, training
from resnet_lesson.experiments import table
from resnet_lesson.experiments.studies import IMAGENET_DEPTHS, STUDIES, Run, final_rows, runs, twin
from resnet_lesson.networks import blocks, resnet
from resnet_lesson.training import evaluation
from resnet_lesson.training.arrangement import Arrangement, DivergedError

TABLE = table.RESULTS / "sweep.csv"
OPTIONS = ("epochs", "batch_size", "momentum", "weight_decay", "schedule")  # of ``fit``
COLUMNS = (
    *Run._fields, "kind", "norm", "data", "train_pictures", *OPTIONS, "precision", "epoch",
    "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "gradient_norm",
    "seconds", "examples_per_second", "first_gradient_norm", "train_error", "validation_error",
    "test_error", "test_error_200", "diverged", "threads", "processor", "python", "torch", "commit")


def build(run):
    """Return the network of a run, with weights that depend on depth, norm and seed alone.

    Raises:
        ValueError: an unknown study, arm or depth.
    """
    if run.study not in STUDIES:
        raise ValueError(f"study must be one of {', '.join(STUDIES)}, got {run.study!r}")
    norm = STUDIES[run.study].norm

    def residual():
        if run.study == "digits":
            return resnet.resnet18()
        if run.depth in IMAGENET_DEPTHS:
            return resnet.ResNet(blocks.BasicBlock, IMAGENET_DEPTHS[run.depth], norm=norm,
                                 widths=(16, 32, 64, 128))
        return resnet.small_resnet(run.depth, stem="small/2", norm=norm)

    return twin(run.arm, run.seed, residual)


@lru_cache(maxsize=2)
def splits(source):
    """Return the data of a study."""
    return (data.load_digits(quiet=True) if source == "digits"
            else data.load_fashion_mnist(source, quiet=True))


def train(run, **changes):
    """Train one ``Run`` on one thread and return its rows, one per finished epoch, as dicts.

    The last row also holds the errors of the final weights, in evaluation mode: on up to 2,000 of
    the training pictures, on the validation and on the test split. A run whose loss is no longer a
    number ends there; the weights before that step are judged, and ``diverged`` is 1. ``changes``
    are other values for fields of its ``Study``, for a smaller trial.
    """
    model = build(run)
    study = STUDIES[run.study]._replace(**changes)
    pictures = splits(study.source)
    options = {name: getattr(study, name) for name in OPTIONS}
    norms, diverged = [[]], 0

    def watch(progress):
        if progress.step:
            norms[-1].append(progress.model.conv1.weight.grad.norm().item())
        else:
            norms.append([])

    try:
        history = training.fit(model, pictures, lr=run.lr, seed=run.seed, size=study.size,
                               watch=watch, device="cpu", progress=False,
                               arrangement=Arrangement(channels_last=True), **options)
    except DivergedError as error:
        history, diverged = error.history, 1
    wrong = {}
    for name, split in (("train_error", pictures.train.take(slice(2000))),
                        ("validation_error", pictures.validation), ("test_error", pictures.test)):
        logits = evaluation.predict(model, split, size=study.size, progress=False, device="cpu")
        wrong[name] = (logits.argmax(1) != split.labels).double()
    wrong["test_error_200"] = wrong["test_error"][:200]
    fixed = run._asdict() | {
        "kind": "ImageNet" if run.depth in IMAGENET_DEPTHS else "6n + 2",
        "norm": "batch norm" if study.norm else "none", "data": pictures.train.source,
        "train_pictures": len(pictures.train), **options, "precision": "float32",
        **table.environment()}
    rows = [fixed | epoch | {"gradient_norm": sum(norm) / len(norm)}
            for epoch, norm in zip(history.epochs, norms, strict=False)]
    rows = rows or [fixed | {"epoch": 0}]  # diverged in its first epoch
    rows[-1] |= {name: values.mean().item() for name, values in wrong.items()}
    rows[-1] |= {"diverged": diverged, "first_gradient_norm": norms[0][0] if norms[0] else ""}
    return rows


def sweep(names, workers, path=TABLE):
    """Train every run of the named studies that the table lacks, ``workers`` at a time."""
    for name in names:
        there = table.recorded(path, Run._fields)
        left = [run for run in runs(name) if run not in there]
        pool = ProcessPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,))
        try:
            pending = [pool.submit(train, run) for run in left]
            for done in tqdm(as_completed(pending), total=len(left), file=sys.stdout, desc=name,
                             unit="run"):
                table.record(done.result(), path, Run._fields, COLUMNS)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def again(run):
    """Train a run once more, record nothing, print it beside what is recorded of it."""
    torch.set_num_threads(1)
    now = train(run)[-1]
    before = [row for row in final_rows(run.study)
              if tuple(row[name] for name in run._fields) == run]
    for name in ("train_error", "validation_error", "test_error", "gradient_norm", "seconds"):
        words = [f"{row[name]:10.4g}" if row.get(name, "") != "" else "  no number"
                 for row in (now, *before)]
        print(f"{name:18} again {words[0]}   recorded {words[-1] if before else 'not recorded'}")


def main(arguments=None):
    """Train what is missing, or one run again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("studies", nargs="*", help=f"of {', '.join(STUDIES)}; all by default")
    parser.add_argument("--workers", type=int, default=os.cpu_count(),
                        help="runs at a time, one thread each")
    parser.add_argument("--only", nargs=5, metavar=tuple(name.upper() for name in Run._fields),
                        help="train one run again, record nothing, print both results")
    options = parser.parse_args(arguments)
    studies, run = options.studies or list(STUDIES), None
    if unknown := [name for name in studies if name not in STUDIES]:
        parser.error(f"no study {unknown[0]!r}; there are {', '.join(STUDIES)}")
    if options.only:
        study, arm, depth, lr, seed = options.only
        try:
            run = Run(study, arm, int(depth), float(lr), int(seed))
            build(run)
        except ValueError as error:
            parser.error(str(error))
        studies = [study]
    if "full" in studies:  # before hours of other studies
        table.load_or_end(parser, "full")
    if run:
        again(run)
    else:
        sweep(studies, options.workers)


if __name__ == "__main__":
    main()
