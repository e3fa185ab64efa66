"""Training and evaluation: one loop, short enough to read, that loses nothing when it stops."""

import copy
import json
import math
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load, save_file
from torch.nn import functional as F
from tqdm import tqdm

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Score(NamedTuple):
    """Mean loss and share of correct answers over a split."""

    loss: float
    accuracy: float


class Progress(NamedTuple):
    """Where a run stands: what ``fit`` hands to its ``watch``.

    Attributes:
        history: the ``History`` so far; ``history.step_losses[-1]`` is this step's loss.
        model: the network in training.
        epoch: finished epochs.
        step: steps taken in the running epoch; 0 right after an epoch has been validated.
        steps: steps in an epoch.
        accuracy: share of correct answers in the running epoch, in training mode.
    """

    history: "History"
    model: torch.nn.Module
    epoch: int
    step: int
    steps: int
    accuracy: float


@dataclass
class History:
    """What happened in a training run; saved beside its weights after every epoch.

    Attributes:
        settings: what ``fit`` was called with.
        epochs: one dict per finished epoch: epoch, train_loss, train_accuracy, validation_loss,
            validation_accuracy, seconds (training only) and examples_per_second.
        step_losses: the training loss of every step, unfinished epochs included.
        interrupted: the run was stopped before its last epoch ended.
        best_weights: the state_dict of the epoch with the highest validation accuracy.
    """

    settings: dict
    epochs: list = field(default_factory=list)
    step_losses: list = field(default_factory=list)
    interrupted: bool = False
    best_weights: dict = field(default=None, repr=False)

    @property
    def best(self):
        """Return the row of the best epoch by validation accuracy (the first of equals)."""
        if not self.epochs:
            raise ValueError("no epoch has finished yet, so there is no best one; train on")
        return max(self.epochs, key=lambda row: row["validation_accuracy"])

    def column(self, name):
        """Return one value per finished epoch, for example ``column("train_loss")``."""
        return [row[name] for row in self.epochs]

    def load_best(self, model):
        """Put the weights of the best epoch into ``model`` and return it."""
        if self.best_weights is None:
            raise ValueError("no epoch has finished yet, so there are no best weights; train on")
        model.load_state_dict(self.best_weights)
        return model

    def rows(self):
        """Return everything but the weights, as plain dicts and lists."""
        return {"settings": self.settings, "epochs": self.epochs,
                "step_losses": self.step_losses, "interrupted": self.interrupted}

    def save(self, path):
        """Write everything but the weights as JSON."""
        _replace(path, lambda partial: partial.write_text(json.dumps(self.rows(), indent=1)))

    @classmethod
    def load(cls, folder):
        """Read a run back from its checkpoint folder.

        Raises:
            FileNotFoundError: the folder holds no run.
        """
        folder = Path(folder)
        if not (folder / "history.json").exists():
            raise FileNotFoundError(f"{folder} holds no training run (no history.json in it); "
                                    "give the folder that was passed to fit as checkpoint")
        history = cls(**json.loads((folder / "history.json").read_text()))
        if (folder / "best.safetensors").exists():  # read whole: a mapped file stays locked
            history.best_weights = load((folder / "best.safetensors").read_bytes())
        return history


def fit(model, splits, *, epochs, batch_size=128, lr=0.1, momentum=0.9, weight_decay=5e-4,
        schedule="one-cycle", size=None, seed=0, checkpoint=None, resume=False, device="auto",
        precision="float32", memory_format=torch.contiguous_format, watch=None, progress=True):
    """Train a classifier by stochastic gradient descent and return its ``History``.

    After every epoch the model is evaluated on ``splits.validation``, never on the test split.
    Ctrl-C, or the stop button of Jupyter, ends after the current step; what was reached is
    kept, and ``resume=True`` goes on from there with the very same batches. A second Ctrl-C
    interrupts at once. Whatever ends the training early, the exception carries the ``History``
    so far as its attribute ``history``. The model ends on the device that it came from.

    Args:
        model: any module that maps (N, channels, H, W) to logits (N, classes). Trained in place.
        splits: what ``data.load_fashion_mnist`` returns.
        epochs: passes over the training split.
        batch_size: pictures in a step.
        lr: learning rate; the peak of it under ``"one-cycle"``.
        momentum: of SGD.
        weight_decay: of SGD.
        schedule: ``"constant"`` or ``"one-cycle"`` (Smith 2018: up over the first quarter, then
            down to zero along a cosine).
        size: side in pixels to resize the pictures to; ``None`` keeps them as they are.
        seed: fixes the order of the pictures. (The weights are drawn before, by the model.)
        checkpoint: folder for history, best weights and the state to resume from. Unless
            ``resume``, a run that is there already is moved to ``<folder>.previous``, in place
            of one that may be there from before.
        resume: go on with the run in ``checkpoint``.
        device: ``"auto"``, or what ``torch.device`` takes.
        precision: ``"float32"``, or ``"bfloat16"`` for autocast.
        memory_format: ``torch.contiguous_format`` or ``torch.channels_last``.
        watch: called with a ``Progress`` after every step, when the gradients of that step are
            still in place, and after every epoch; training ends after the step whose call
            returns ``True``, as after Ctrl-C.
        progress: show a bar with the time left, and say so where the run was stopped.

    Raises:
        ValueError: a setting that makes no sense, or one that differs from the resumed run's.
        FileNotFoundError: ``resume`` without a run in ``checkpoint``.
        RuntimeError: the loss is no longer a number, or the checkpoint cannot be written.
    """
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "momentum": momentum,
                "weight_decay": weight_decay, "schedule": schedule, "size": size, "seed": seed,
                "precision": precision}
    settings = _checked(settings, splits)
    device, home = pick_device(device), _device_of(model)
    model.to(device, memory_format=memory_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=settings["lr"],
                                momentum=settings["momentum"],
                                weight_decay=settings["weight_decay"])
    run = _Run(model, optimizer, settings, checkpoint, resume)
    try:
        _train(run, splits, device, memory_format, watch or (lambda progress: False), progress)
    except BaseException as error:
        error.history = run.history
        raise
    finally:
        model.to(home)
    return run.history


def _train(run, splits, device, memory_format, watch, progress):
    """Take the steps that are left; this is the loop that notebook 07 writes out by hand."""
    model, optimizer, history = run.model, run.optimizer, run.history
    epochs, batch_size, size, seed, schedule, lr, precision = (history.settings[key] for key in (
        "epochs", "batch_size", "size", "seed", "schedule", "lr", "precision"))
    steps = math.ceil(len(splits.train) / batch_size)
    with (_stop_after_step() as stop,
          tqdm(total=epochs * steps, initial=run.epoch * steps + run.step, file=sys.stdout,
               unit="step", desc="training", mininterval=0.5, disable=not progress) as bar):
        while run.epoch < epochs and not stop:
            order = torch.Generator().manual_seed(seed * 1_000_003 + run.epoch)
            start = time.perf_counter()
            model.train()
            for X, y in splits.train.batches(batch_size, size, order, skip=run.step):
                rate = learning_rate(schedule, lr, run.epoch * steps + run.step, epochs * steps)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                X = X.to(device, memory_format=memory_format)
                y = y.to(device)
                with _autocast(device, precision):
                    logits = model(X)
                _check_logits(logits, splits.train)
                loss = F.cross_entropy(logits.float(), y)
                run.check_loss(loss)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                run.count(loss, logits, y)
                bar.update()
                if watch(run.progress(steps)) is True:
                    stop.append(True)
                if stop:
                    break
            run.seconds += time.perf_counter() - start
            if run.step < steps:
                break
            bar.set_postfix_str("validating")
            validation = evaluate(model, splits.validation, size=size, device=device,
                                  precision=precision, progress=False)
            run.end_epoch(validation)
            bar.set_postfix_str(f"epoch {run.epoch}: validation accuracy "
                                f"{validation.accuracy:.3f}")
            if watch(run.progress(steps)) is True:
                stop.append(True)
    history.interrupted = run.epoch < epochs
    run.save()
    if history.interrupted and progress:
        print(f"Stopped in epoch {run.epoch + 1} of {epochs}, after step {run.step} of {steps}. "
              + ("resume=True goes on from here." if run.folder else "The history is kept."))


class _Run:
    """The state of a run between two steps: everything that a resumed run needs."""

    def __init__(self, model, optimizer, settings, checkpoint, resume):
        self.model, self.optimizer = model, optimizer
        self.folder = None if checkpoint is None else Path(checkpoint)
        self.epoch = self.step = 0
        self.seconds, self.examples = 0.0, 0
        self.loss_sum, self.correct = 0.0, 0
        self.history = History(settings)
        if resume:
            self._load(settings)
        elif self.folder is not None:
            _prepare(self.folder)

    def check_loss(self, loss):
        """Stop before a step whose loss is no number would spoil the weights."""
        if not math.isfinite(loss.item()):
            raise RuntimeError(f"the training loss became {loss.item()} at step "
                               f"{len(self.history.step_losses) + 1}; a lower lr than "
                               f"{self.history.settings['lr']} usually mends it")

    def count(self, loss, logits, y):
        """Add one step to the running epoch."""
        value = loss.item()
        self.history.step_losses.append(value)
        self.step += 1
        self.examples += len(y)
        self.loss_sum += value * len(y)
        self.correct += (logits.argmax(1) == y).sum().item()

    def progress(self, steps):
        """Return where the run stands, for ``watch``."""
        return Progress(self.history, self.model, self.epoch, self.step, steps,
                        self.correct / max(self.examples, 1))

    def end_epoch(self, validation):
        """Write the row of the finished epoch, keep its weights if they are the best so far."""
        self.epoch += 1
        row = {"epoch": self.epoch,
               "train_loss": self.loss_sum / self.examples,
               "train_accuracy": self.correct / self.examples,
               "validation_loss": validation.loss,
               "validation_accuracy": validation.accuracy,
               "seconds": self.seconds,
               "examples_per_second": self.examples / self.seconds}
        history = self.history
        history.epochs.append(row)
        if history.best is row:
            history.best_weights = {key: value.detach().cpu().clone().contiguous()
                                    for key, value in self.model.state_dict().items()}
        self.step = self.examples = self.correct = 0
        self.seconds = self.loss_sum = 0.0
        self.save()

    def save(self):
        """Write the checkpoint; each file is replaced whole or not at all."""
        if self.folder is None:
            return
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                 "history": self.history.rows(),
                 **{key: getattr(self, key) for key in self._COUNTERS}}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.history.best_weights is not None and (
                    self.step == 0 and self.history.best is self.history.epochs[-1]):
                _replace(self.folder / "best.safetensors",
                         lambda partial: save_file(self.history.best_weights, partial))
            _replace(self.folder / "state.pt", lambda partial: torch.save(state, partial))
            self.history.save(self.folder / "history.json")
        except OSError as error:
            raise RuntimeError(f"cannot write the checkpoint to {self.folder} ({error}); give "
                               "another folder as checkpoint, or free some space") from None

    _COUNTERS = ("epoch", "step", "seconds", "examples", "loss_sum", "correct")

    def _load(self, settings):
        if self.folder is None:
            raise ValueError("resume=True needs checkpoint, the folder of the run to go on with")
        best_weights = History.load(self.folder).best_weights
        try:
            state = torch.load(self.folder / "state.pt", weights_only=True, map_location="cpu")
        except Exception as error:  # a damaged file makes torch raise almost anything
            raise ValueError(f"{self.folder / 'state.pt'} cannot be read "
                             f"({type(error).__name__}); start anew with resume=False") from None
        self.history = History(**state["history"], best_weights=best_weights)
        for key, now in settings.items():
            before = self.history.settings.get(key)
            if now != before and not (key == "epochs" and settings["schedule"] == "constant"):
                raise ValueError(f"the run in {self.folder} was started with {key}={before!r}, "
                                 f"now {key}={now!r}; resume with the same settings, or start "
                                 "anew with resume=False")
        self.history.settings = settings
        if _shapes(self.model.state_dict()) != _shapes(state["model"]):
            raise ValueError(f"the weights in {self.folder} belong to another network; resume "
                             "with the network that the run was started with")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        for key in self._COUNTERS:
            setattr(self, key, state[key])


def learning_rate(schedule, peak, step, steps):
    """Return the learning rate of a step, 0 ≤ step < steps.

    ``"one-cycle"`` rises from peak / 25 over the first quarter and falls to about zero, both along
    a cosine: the values of ``torch.optim.lr_scheduler.OneCycleLR`` with ``pct_start=0.25``
    (Smith, "A disciplined approach to neural network hyper-parameters", 2018), as a function of
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


def step_seconds(model, split, *, batch_size=128, size=None, repeats=2, device="auto"):
    """Return the wall time of one training step in seconds: forward, backward, update.

    A copy of the model is trained, so that the model itself stays as it is. The first step, which
    is slower, is not counted; the fastest of ``repeats`` is. Other arguments as in ``fit``.
    """
    device = pick_device(device)
    model = copy.deepcopy(model).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    X = split.pixels(slice(batch_size), size).to(device)
    y = split.labels[:batch_size].to(device)
    seconds = []
    for _ in range(1 + max(repeats, 1)):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X), y)
        loss.backward()
        optimizer.step()
        loss.item()  # waits until a GPU is done
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def confusion(logits, labels):
    """Count pictures by true class (row) and predicted class (column); (N, classes) → (C, C)."""
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(1),
                          minlength=classes ** 2).view(classes, classes)


@torch.no_grad()
def predict(model, split, *, batch_size=512, size=None, device="auto", precision="float32",
            progress=True):
    """Return the logits for every picture of a split, shape (N, classes), in evaluation mode.

    With ``progress``, a bar appears where it takes longer than two seconds.
    """
    if len(split) == 0:
        raise ValueError(f"the {split.name} split is empty; there is nothing to evaluate")
    device, home = pick_device(device), _device_of(model)
    logits = []
    steps = math.ceil(len(split) / batch_size)
    batches = tqdm(split.batches(batch_size, size), total=steps, file=sys.stdout, delay=2,
                   desc=f"evaluating on {split.name}", unit="batch", leave=False,
                   disable=not progress)
    try:
        with evaluating(model.to(device)):
            for X, _ in batches:
                with _autocast(device, precision):
                    logits.append(model(X.to(device)).float().cpu())
    finally:
        model.to(home)
    logits = torch.cat(logits)
    _check_logits(logits, split)
    return logits


@contextmanager
def evaluating(model):
    """Put every module of a model into evaluation mode, and afterwards back into its own."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def evaluate(model, split, **options):
    """Return ``Score(loss, accuracy)`` of a model on a split; ``options`` as in ``predict``."""
    logits = predict(model, split, **options)
    return Score(F.cross_entropy(logits, split.labels).item(),
                 (logits.argmax(1) == split.labels).float().mean().item())


def pick_device(device="auto"):
    """Return a ``torch.device``: a GPU where there is one, for ``"auto"``."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _autocast(device, precision):
    return (nullcontext() if precision == "float32"
            else torch.autocast(device.type, DTYPES[precision]))


def _device_of(model):
    """Return the device of a model's first parameter; the CPU for one without parameters."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _shapes(state):
    return {key: value.shape for key, value in state.items()}


def _checked(settings, splits):
    """Return the settings as plain numbers, with the data added, or refuse them in words."""
    for name in ("epochs", "batch_size"):
        if not _whole(settings[name]) or settings[name] < 1:
            raise ValueError(f"{name} must be a whole number above 0, got {settings[name]!r}")
    if not _whole(settings["seed"]):
        raise ValueError(f"seed must be a whole number, got {settings['seed']!r}")
    if settings["size"] is not None and not (_whole(settings["size"]) and settings["size"] > 0):
        raise ValueError(f"size must be None or a whole number of pixels above 0, "
                         f"got {settings['size']!r}")
    for name in ("lr", "momentum", "weight_decay"):
        value = settings[name]
        if not isinstance(value, Real) or not math.isfinite(value) or value < 0:
            raise ValueError(f"{name} must be a number, at least 0, got {value!r}")
        settings[name] = float(value)  # numpy's numbers could not be read back
    if settings["lr"] == 0:
        raise ValueError("lr must be above 0, got 0")
    if settings["schedule"] not in ("constant", "one-cycle"):
        raise ValueError(f'schedule must be "constant" or "one-cycle", '
                         f"got {settings['schedule']!r}")
    if settings["precision"] not in DTYPES:
        raise ValueError(f"precision must be one of {', '.join(DTYPES)}, "
                         f"got {settings['precision']!r}")
    for split in (splits.train, splits.validation):
        if len(split) == 0:
            raise ValueError(f"the {split.name} split is empty; fit needs pictures to train on "
                             "and others to validate on")
    return settings | {"data": f"{splits.train.source}, {len(splits.train)} to train, "
                               f"{len(splits.validation)} to validate"}


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _check_logits(logits, split):
    """Refuse a network that cannot name every class of a split."""
    if logits.ndim != 2 or logits.shape[1] < len(split.classes):
        raise ValueError(f"the network returns {tuple(logits.shape)} for {len(logits)} pictures; "
                         f"{len(split.classes)} classes need logits of shape "
                         f"(N, {len(split.classes)}): build it with "
                         f"num_classes={len(split.classes)}")


@contextmanager
def _stop_after_step():
    """Turn the first Ctrl-C (or Jupyter's stop button) into a flag; a second one interrupts."""
    stop = []
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(signum, frame):
        if stop:
            raise KeyboardInterrupt
        stop.append(True)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _replace(path, write):
    """Write a file beside ``path`` first, then put it in its place in one move."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    write(partial)
    os.replace(partial, path)


def _prepare(folder):
    """Make the folder, see that it can be written to, and move an earlier run out of the way.

    Of an earlier run exactly its three files move, to ``<folder>.previous``.
    """
    previous = folder.resolve().with_name(folder.resolve().name + ".previous")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "history.json.partial").write_text("")
        (folder / "history.json.partial").unlink()
        for name in ("history.json", "best.safetensors", "state.pt"):
            if (folder / name).exists():
                previous.mkdir(exist_ok=True)
                os.replace(folder / name, previous / name)
    except OSError as error:
        raise RuntimeError(f"cannot write the checkpoint to {folder} ({error}); give another "
                           "folder as checkpoint") from None
