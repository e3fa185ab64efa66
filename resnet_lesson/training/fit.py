"""Training: one loop, short enough to read, that loses nothing when it stops."""

import copy
import math
import signal
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from tqdm import tqdm

from resnet_lesson.networks import weights
from resnet_lesson.networks.modes import device_of
from resnet_lesson.training import checkpoints
from resnet_lesson.training.arrangement import Arrangement, DivergedError, arranged, fastest, step
from resnet_lesson.training.device import pick_device
from resnet_lesson.training.evaluation import BATCH, evaluate
from resnet_lesson.training.history import History
from resnet_lesson.training.settings import Settings, takes_settings


class Progress(NamedTuple):
    """Where a run stands: what ``fit`` hands to its ``watch``."""

    history: History        # so far; its step_losses[-1] is this step's loss
    model: torch.nn.Module  # in training
    epoch: int              # finished epochs
    step: int               # of the running epoch; 0 right after an epoch has been validated
    steps: int              # in an epoch
    accuracy: float         # share of right answers in the running epoch, in training mode


@takes_settings
def fit(model, splits, *, checkpoint=None, resume=False, device="auto", watch=None, progress=True,
        **settings):
    """Train a classifier by stochastic gradient descent and return its ``History``.

    After every epoch the model is evaluated on ``splits.validation``, never on the test split.
    Ctrl-C, or the stop button of Jupyter, ends after the current step, and ``resume=True`` goes
    on from there with the very same batches; a second Ctrl-C interrupts at once. An exception
    carries the ``History`` so far as its attribute ``history``. The model ends on the device that
    it came from, in the usual memory layout.

    Args:
        model: any module that maps (N, channels, H, W) to logits (N, classes). Trained in place.
        splits: what ``load_fashion_mnist`` returns.
        checkpoint: folder for history, best weights and the state to resume from.
        resume: go on with the run in ``checkpoint``; else one that is there already is moved to
            ``<folder>.previous``, in place of what may be there from before.
        device: ``"auto"``, or what ``torch.device`` takes.
        watch: called with a ``Progress`` after every step, its gradients still in place, and
            after every epoch; training ends after the step whose call returns ``True``.
        progress: show a bar with the time left, and say so where the run was stopped.
        **settings: how it is trained, see ``training.settings.Settings``; ``epochs`` at least.

    Raises:
        ValueError: a setting makes no sense or differs from the resumed run's, batch norm cannot
            take a last batch of one picture, or a file of the resumed run is damaged.
        FileNotFoundError: ``resume`` without a run in ``checkpoint``.
        RuntimeError: the loss is no longer a number, or the checkpoint cannot be written.
    """
    settings = Settings(**settings)
    settings.check(splits)
    if resume and checkpoint is None:
        raise ValueError("resume=True needs checkpoint, the folder of the run to go on with")
    folder = None if checkpoint is None else Path(checkpoint).expanduser()
    device, home, run = pick_device(device), device_of(model), None
    try:
        model.to(device)
        _check_last_batch(model, splits.train, settings)
        if folder is not None and not resume:
            checkpoints.prepare(folder)
        if settings.arrangement == "auto":
            chosen = _choose(model, splits.train, settings, folder if resume else None, progress)
            settings = replace(settings, arrangement=chosen)
        model.to(device, memory_format=settings.arrangement.memory_format)
        run = _Run(model, settings, splits, folder, resume)
        with arranged(model, settings.arrangement):
            _train(run, splits, device, watch or (lambda progress: False), progress)
    except BaseException as error:
        error.history = run.history if run else History(settings.as_dict(splits), interrupted=True)
        raise
    finally:
        model.to(home, memory_format=torch.contiguous_format)
    return run.history


def _train(run, splits, device, watch, progress):
    """Take the steps that are left; this is the loop that notebook 07 writes out by hand."""
    settings, history, steps = run.settings, run.history, run.steps
    history.interrupted = True   # until the last epoch has ended
    with (_stop_after_step() as stop,
          tqdm(total=settings.epochs * steps, initial=run.epoch * steps + run.step, unit="step",
               desc="training", mininterval=0.5, file=sys.stdout, disable=not progress) as bar):
        while run.epoch < settings.epochs and not stop:
            seed = (settings.seed * 1_000_003 + run.epoch) % 2 ** 64
            order = torch.Generator().manual_seed(seed)
            start = time.perf_counter()
            run.model.train()
            for X, y in splits.train.batches(settings.batch_size, settings.size, order,
                                             skip=run.step, augment=settings.augment):
                X = X.to(device, memory_format=settings.arrangement.memory_format)
                run.take(X, y.to(device))
                bar.update()
                if watch(run.progress()) is True:
                    stop.append(True)
                if stop:
                    break
            run.seconds += time.perf_counter() - start
            if run.step < steps:
                break
            bar.set_postfix_str("validating")
            # no more pictures at a time than in a step: validation must not need more memory
            validation = evaluate(run.model, splits.validation, size=settings.size, device=device,
                                  batch_size=min(settings.batch_size, BATCH),
                                  arrangement=settings.arrangement, progress=False)
            run.end_epoch(validation)
            bar.set_postfix_str(f"epoch {run.epoch}: validation accuracy "
                                f"{validation.accuracy:.3f}")
            if watch(run.progress()) is True:
                stop.append(True)
    history.interrupted = run.epoch < settings.epochs
    run.save()
    if history.interrupted and progress:
        kept = "resume=True goes on from here." if run.folder else "The history is kept."
        print(f"Stopped in epoch {run.epoch + 1} of {settings.epochs}, after step {run.step} of "
              f"{steps}. {kept}")


class _Run:
    """The state of a run between two steps: everything that a resumed run needs."""

    def __init__(self, model, settings, splits, folder, resume):
        self.model, self.settings, self.folder = model, settings, folder
        self.steps = math.ceil(len(splits.train) / settings.batch_size)   # of an epoch
        self.classes = len(splits.train.classes)
        self.optimizer = torch.optim.SGD(
            model.parameters(), lr=settings.lr, momentum=settings.momentum,
            weight_decay=settings.weight_decay, nesterov=settings.nesterov)
        self.epoch = self.step = self.examples = self.correct = 0
        self.seconds = self.loss_sum = 0.0
        self.history = History(settings.as_dict(splits))
        if resume:
            self._load()

    def take(self, X, y):
        """Take one step and add it to the running epoch."""
        settings, done = self.settings, self.epoch * self.steps + self.step
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(settings.schedule, settings.lr, done,
                                        settings.epochs * self.steps)
        try:
            logits, loss = step(self.model, self.optimizer, X, y, settings.arrangement,
                                label_smoothing=settings.label_smoothing, classes=self.classes)
        except DivergedError as error:
            raise DivergedError(f"{error} at step {done + 1}; a lower lr than {settings.lr} "
                                "usually mends it") from None
        value = loss.item()
        self.history.step_losses.append(value)
        self.step += 1
        self.examples += len(y)
        self.loss_sum += value * len(y)
        self.correct += (logits.argmax(1) == y).sum().item()

    def progress(self):
        """Return where the run stands, for ``watch``."""
        return Progress(self.history, self.model, self.epoch, self.step, self.steps,
                        self.correct / max(self.examples, 1))

    def end_epoch(self, validation):
        """Write the row of the finished epoch, keep its weights if they are the best so far."""
        self.epoch += 1
        row = {"epoch": self.epoch, "train_loss": self.loss_sum / self.examples,
               "train_accuracy": self.correct / self.examples, "validation_loss": validation.loss,
               "validation_accuracy": validation.accuracy, "seconds": self.seconds,
               "examples_per_second": self.examples / self.seconds}
        self.history.epochs.append(row)
        is_best = self.history.best is row
        if is_best:
            state = weights.own_names(self.model.state_dict())
            self.history.best_weights = {key: value.detach().cpu().clone().contiguous()
                                         for key, value in state.items()}
        self.step = self.examples = self.correct = 0
        self.seconds = self.loss_sum = 0.0
        self.save(is_best)

    def save(self, is_best=False):
        """Write the checkpoint; each file is replaced whole or not at all."""
        if self.folder is None:
            return
        state = {key: getattr(self, key) for key in self._COUNTERS} | {
            "model": weights.own_names(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(), "history": self.history.rows()}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if is_best:
                checkpoints.replace(self.folder / "best.safetensors",
                                    lambda partial: save_file(self.history.best_weights, partial))
            checkpoints.replace(self.folder / "state.pt",
                                lambda partial: torch.save(state, partial))
            self.history.save(self.folder / "history.json")
        except checkpoints.FAILURES as error:
            why = str(error).split("\n")[0]
            raise RuntimeError(f"cannot write the checkpoint to {self.folder} ({why}); give "
                               "another folder as checkpoint, or free some space") from None

    _COUNTERS = ("epoch", "step", "seconds", "examples", "loss_sum", "correct")

    def _load(self):
        earlier = History.load(self.folder)
        try:
            state = torch.load(self.folder / "state.pt", weights_only=True, map_location="cpu")
        except Exception as error:  # a damaged file makes torch raise almost anything
            raise ValueError(f"{self.folder / 'state.pt'} cannot be read "
                             f"({type(error).__name__}); start anew with resume=False") from None
        earlier = History(**state["history"], best_weights=earlier.best_weights)
        self._compare(earlier.settings, self.history.settings, state["epoch"] + (state["step"] > 0))
        try:
            weights.load(self.model, state["model"])
        except ValueError:
            raise ValueError(f"the weights in {self.folder} belong to another network; resume "
                             "with the network that the run was started with") from None
        earlier.settings, self.history = self.history.settings, earlier
        self.optimizer.load_state_dict(state["optimizer"])
        for key in self._COUNTERS:
            setattr(self, key, state[key])

    def _compare(self, before, now, begun):
        """Refuse to go on with other settings; more epochs are none where the rate is constant."""
        before = asdict(Settings(epochs=now["epochs"])) | before   # older files may lack some
        for key in before:
            if before[key] != now.get(key) and not (
                    key == "epochs" and now["schedule"] == "constant"):
                raise ValueError(f"the run in {self.folder} was started with {key}={before[key]!r}"
                                 f", now {key}={now.get(key)!r}; resume with the same settings, "
                                 "or start anew with resume=False")
        if now["epochs"] < begun:
            raise ValueError(f"the run in {self.folder} is in epoch {begun} already; epochs="
                             f"{now['epochs']} would end before; ask for {begun} or more")


def learning_rate(schedule, peak, step, steps):
    """Return the learning rate of a step, 0 ≤ step < steps.

    ``"one-cycle"`` (Smith, "A disciplined approach to neural network hyper-parameters", 2018) has
    the values of ``torch.optim.lr_scheduler.OneCycleLR`` with ``pct_start=0.25``, as a function of
    the step alone, so that a resumed run needs no scheduler's state.
    """
    if schedule == "constant":
        return peak
    turn, last = max(steps / 4 - 1, 0), max(steps - 1, 1)
    if step < turn:
        first, second, way = peak / 25, peak, step / turn
    else:
        first, second, way = peak, peak / 25e4, (step - turn) / (last - turn)
    return second + (first - second) * (1 + math.cos(math.pi * way)) / 2


def _check_last_batch(model, split, settings):
    """Refuse a last batch of one picture now if the network could not take it at its turn."""
    count, batch_size = len(split), settings.batch_size
    if count == 1 or (count % batch_size or batch_size) > 1:
        return
    trial = copy.deepcopy(model).train()
    with torch.no_grad(), torch.random.fork_rng():
        X = split.pixels(slice(2), settings.size).to(device_of(model))
        trial(X)   # what else may be wrong with the pictures is said here
        try:
            trial(X[:1])
        except ValueError:
            better = next(n for n in range(batch_size + 1, count + 1) if count % n != 1)
            raise ValueError(f"{count:,} pictures in batches of {batch_size} leave a last batch of "
                             "one, of which batch norm cannot take a variance; take "
                             f"batch_size={better}") from None


def _choose(model, split, settings, earlier, progress):
    """Return the arrangement for "auto": that of an earlier run's folder, or the fastest here."""
    if earlier is not None:
        return Arrangement(**History.load(earlier).settings.get("arrangement", {}))
    few, device = slice(settings.batch_size), device_of(model)
    X, y = split.pixels(few, settings.size), split.labels[few]
    chosen = fastest(model, X.to(device), y.to(device), classes=len(split.classes),
                     progress=progress)
    if progress:
        print(f"fastest on this machine: {chosen}")
    return chosen


@contextmanager
def _stop_after_step():
    """Turn the first Ctrl-C (or Jupyter's stop button) into a flag; a second one interrupts."""
    stop, possible = [], threading.current_thread() is threading.main_thread()

    def ask(signum, frame):
        if stop:
            raise KeyboardInterrupt
        stop.append(True)

    before = signal.signal(signal.SIGINT, ask) if possible else None
    try:
        yield stop
    finally:
        if possible:
            signal.signal(signal.SIGINT, before)
