"""Training: one loop, short enough to read, that loses nothing when it stops."""

import copy
import math
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import save_file
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from resnet_lesson.data.augment import Augment
from resnet_lesson.networks.modes import device_of
from resnet_lesson.training import checkpoints
from resnet_lesson.training.arrangement import PLAIN, PROBE_BATCH, Arrangement, arranged, fastest
from resnet_lesson.training.device import pick_device
from resnet_lesson.training.evaluation import check_logits, evaluate
from resnet_lesson.training.history import History
from resnet_lesson.training.settings import checked


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

    history: History
    model: torch.nn.Module
    epoch: int
    step: int
    steps: int
    accuracy: float


def fit(model, splits, *, epochs, batch_size=128, lr=0.1, momentum=0.9, weight_decay=5e-4,
        schedule="one-cycle", nesterov=False, label_smoothing=0.0, augment=None, average=None,
        size=None, seed=0, checkpoint=None, resume=False, device="auto", arrangement=PLAIN,
        watch=None, progress=True):
    """Train a classifier by stochastic gradient descent and return its ``History``.

    After every epoch the model is evaluated on ``splits.validation``, never on the test split.
    Ctrl-C, or the stop button of Jupyter, ends after the current step; what was reached is
    kept, and ``resume=True`` goes on from there with the very same batches. A second Ctrl-C
    interrupts at once. Whatever ends the training early, the exception carries the ``History``
    so far as its attribute ``history``. The model ends on the device that it came from, in the
    usual memory layout.

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
        nesterov: of SGD.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016,
            section 7).
        augment: an ``Augment``: small random changes of the training pictures.
        average: decay of a running average of the weights, for example 0.99 (Polyak and Juditsky
            1992). What is validated, kept as best and, at the end, left in the model is then that
            average; it forgets faster in the first steps.
        size: side in pixels to resize the pictures to; ``None`` keeps them as they are.
        seed: fixes the order of the pictures and their changes. What the model itself draws, its
            weights and dropout, comes from torch's generator: ``torch.manual_seed`` fixes that,
            and a resumed run goes on with its state.
        checkpoint: folder for history, best weights and the state to resume from. Unless
            ``resume``, a run that is there already is moved to ``<folder>.previous``, in place
            of one that may be there from before.
        resume: go on with the run in ``checkpoint``.
        device: ``"auto"``, or what ``torch.device`` takes.
        arrangement: how a step is computed, a ``Arrangement``; ``"auto"`` measures which one
            is fastest here and says so (a resumed run keeps the one it was started with).
        watch: called with a ``Progress`` after every step, when the gradients of that step are
            still in place, and after every epoch; training ends after the step whose call
            returns ``True``, as after Ctrl-C.
        progress: show a bar with the time left, and say so where the run was stopped.

    Raises:
        ValueError: a setting that makes no sense or differs from the resumed run's, a last batch
            of one picture that batch norm cannot take, or a file of the resumed run is damaged.
        FileNotFoundError: ``resume`` without a run in ``checkpoint``.
        RuntimeError: the loss is no longer a number, or the checkpoint cannot be written.
    """
    settings = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "momentum": momentum,
                "weight_decay": weight_decay, "schedule": schedule, "nesterov": nesterov,
                "label_smoothing": label_smoothing, "augment": augment, "average": average,
                "size": size, "seed": seed, "arrangement": arrangement}
    settings = checked(settings, splits)
    if resume and checkpoint is None:
        raise ValueError("resume=True needs checkpoint, the folder of the run to go on with")
    if checkpoint is not None and not resume:
        checkpoints.check(Path(checkpoint))
    device, home, run = pick_device(device), device_of(model), None
    try:
        model.to(device)
        _check_last_batch(model, splits, settings)
        if arrangement == "auto":
            settings["arrangement"] = _choose(model, splits, settings, checkpoint, resume, progress)
        arrangement = Arrangement(**settings["arrangement"])
        model.to(device, memory_format=arrangement.memory_format)
        optimizer = torch.optim.SGD(model.parameters(), lr=settings["lr"], nesterov=bool(nesterov),
                                    momentum=settings["momentum"],
                                    weight_decay=settings["weight_decay"])
        run = _Run(model, optimizer, settings, checkpoint, resume)
        with arranged(model, arrangement):
            _train(run, splits, device, arrangement, watch or (lambda progress: False), progress)
        if run.average is not None and not run.history.interrupted:
            model.load_state_dict(run.average.module.state_dict())
    except BaseException as error:
        error.history = run.history if run else History(settings, interrupted=True)
        raise
    finally:
        model.to(home, memory_format=torch.contiguous_format)
    return run.history


def _train(run, splits, device, arrangement, watch, progress):
    """Take the steps that are left; this is the loop that notebook 07 writes out by hand."""
    model, optimizer, history = run.model, run.optimizer, run.history
    epochs, batch_size, size, seed, schedule, lr, smoothing, augment = (
        history.settings[key] for key in ("epochs", "batch_size", "size", "seed", "schedule", "lr",
                                          "label_smoothing", "augment"))
    augment = augment and Augment(**augment)
    steps = math.ceil(len(splits.train) / batch_size)
    history.interrupted = True   # until the last epoch has ended
    with (_stop_after_step() as stop,
          tqdm(total=epochs * steps, initial=run.epoch * steps + run.step, file=sys.stdout,
               unit="step", desc="training", mininterval=0.5, disable=not progress) as bar):
        while run.epoch < epochs and not stop:
            order = torch.Generator().manual_seed(seed * 1_000_003 + run.epoch)
            start = time.perf_counter()
            model.train()
            for X, y in splits.train.batches(batch_size, size, order, skip=run.step,
                                             augment=augment):
                rate = learning_rate(schedule, lr, run.epoch * steps + run.step, epochs * steps)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                X = X.to(device, memory_format=arrangement.memory_format)
                y = y.to(device)
                with arrangement.autocast(device):
                    logits = model(X)
                check_logits(logits, splits.train)
                loss = F.cross_entropy(logits.float(), y, label_smoothing=smoothing)
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
            validation = evaluate(run.judged, splits.validation, size=size, device=device,
                                  arrangement=arrangement, progress=False)
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
        self.average = None if settings["average"] is None else AveragedModel(
            model, use_buffers=True, avg_fn=_averaging(settings["average"]))
        if resume:
            self._load(settings)
        elif self.folder is not None:
            checkpoints.prepare(self.folder)

    @property
    def judged(self):
        """Return the network that is validated and kept: the average, where there is one."""
        return self.model if self.average is None else self.average.module

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
        if self.average is not None:
            self.average.update_parameters(self.model)

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
                                    for key, value in self.judged.state_dict().items()}
        self.step = self.examples = self.correct = 0
        self.seconds = self.loss_sum = 0.0
        self.save()

    def save(self):
        """Write the checkpoint; each file is replaced whole or not at all."""
        if self.folder is None:
            return
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
                 "average": None if self.average is None else self.average.state_dict(),
                 "history": self.history.rows(), "random": checkpoints.random_state(),
                 **{key: getattr(self, key) for key in self._COUNTERS}}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.history.best_weights is not None and (
                    self.step == 0 and self.history.best is self.history.epochs[-1]):
                checkpoints.replace(
                    self.folder / "best.safetensors",
                    lambda partial: save_file(self.history.best_weights, partial))
            checkpoints.replace(self.folder / "state.pt",
                                lambda partial: torch.save(state, partial))
            self.history.save(self.folder / "history.json")
        except checkpoints.FAILURES as error:
            why = str(error).split("\n")[0]
            raise RuntimeError(f"cannot write the checkpoint to {self.folder} ({why}); give "
                               "another folder as checkpoint, or free some space") from None

    _COUNTERS = ("epoch", "step", "seconds", "examples", "loss_sum", "correct")

    def _load(self, settings):
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
        begun = state["epoch"] + (state["step"] > 0)
        if settings["epochs"] < begun:
            raise ValueError(f"the run in {self.folder} is in epoch {begun} already; epochs="
                             f"{settings['epochs']} would end before; ask for {begun} or more")
        self.history.settings = settings
        if _shapes(self.model.state_dict()) != _shapes(state["model"]):
            raise ValueError(f"the weights in {self.folder} belong to another network; resume "
                             "with the network that the run was started with")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        for key in self._COUNTERS:
            setattr(self, key, state[key])
        checkpoints.set_random_state(state.get("random"))


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


def _check_last_batch(model, splits, settings):
    """Refuse a last batch of one picture now if the network could not take it at its turn."""
    count, batch_size = len(splits.train), settings["batch_size"]
    if count == 1 or (count % batch_size or batch_size) > 1:
        return
    trial = copy.deepcopy(model).train()
    with torch.no_grad(), torch.random.fork_rng():
        X = splits.train.pixels(slice(2), settings["size"]).to(device_of(model))
        trial(X)   # what else may be wrong with the pictures is said here
        try:
            trial(X[:1])
        except ValueError:
            better = next(n for n in range(batch_size + 1, count + 1) if count % n != 1)
            raise ValueError(f"{count:,} pictures in batches of {batch_size} leave a last batch of "
                             "one, of which batch norm cannot take a variance; take "
                             f"batch_size={better}") from None


def _choose(model, splits, settings, checkpoint, resume, progress):
    """Return the arrangement for "auto", as a dict: the resumed run's, or the fastest here."""
    if resume and checkpoint is not None:
        return History.load(checkpoint).settings.get("arrangement", PLAIN._asdict())
    X = splits.train.pixels(slice(min(PROBE_BATCH, settings["batch_size"])),
                            settings["size"]).to(device_of(model))
    chosen = fastest(model, X, splits.train.labels[:len(X)].to(X.device), progress=progress)
    if progress:
        print(f"fastest on this machine: {chosen}")
    return chosen._asdict()


def _averaging(decay):
    """Return the running average's rule; it starts with a short memory that grows to the decay."""
    def average(old, new, count):
        if not old.is_floating_point():
            return new
        return old.lerp(new, 1 - min(decay, (1 + count.item()) / (10 + count.item())))
    return average


def _shapes(state):
    return {key: value.shape for key, value in state.items()}


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
