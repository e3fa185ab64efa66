"""How a network is trained: each setting with its default, its words and its check."""

import inspect
from dataclasses import asdict, dataclass
from functools import partial
from math import inf
from numbers import Real

from resnet_lesson.data.augment import Augment
from resnet_lesson.training.arrangement import PLAIN, Arrangement
from resnet_lesson.words import whole


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What ``fit`` takes as keyword arguments; a ``ValueError`` says which one makes no sense.

    Attributes:
        epochs: passes over the training split.
        batch_size: pictures in a step.
        lr: learning rate; the peak of it under ``"one-cycle"``.
        momentum, weight_decay, nesterov: of SGD.
        schedule: ``"constant"`` or ``"one-cycle"`` (Smith 2018: up over the first quarter, then
            down to zero along a cosine).
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016,
            section 7).
        augment: an ``Augment``: small random changes of the training pictures.
        size: side in pixels to resize the pictures to; ``None`` keeps them as they are.
        seed: fixes the order of the pictures and their changes. What the model itself draws, its
            first weights and dropout, comes from torch's generator: ``torch.manual_seed``.
        arrangement: how a step is computed, an ``Arrangement``; ``"auto"`` measures which one
            is fastest here and says so (a resumed run keeps the one it was started with).
    """

    epochs: int
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "one-cycle"
    nesterov: bool = False
    label_smoothing: float = 0.0
    augment: Augment | None = None
    size: int | None = None
    seed: int = 0
    arrangement: Arrangement | str = PLAIN

    def __post_init__(self):
        """Refuse what makes no sense; keep plain numbers, which can be written and read back."""
        for name, check in CHECKS.items():
            object.__setattr__(self, name, check(getattr(self, name), name))
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=True needs momentum above 0")

    def check(self, splits):
        """Refuse, in words, what cannot be trained on in this way."""
        if not (hasattr(splits, "train") and hasattr(splits, "validation")):
            raise ValueError("splits must hold train and validation, as data.load_fashion_mnist "
                             f"returns them; got a {type(splits).__name__}")
        for split in (splits.train, splits.validation):
            if len(split) == 0:
                raise ValueError(f"the {split.name} split is empty; fit needs pictures to train "
                                 "on and others to validate on")
        classes, others = len(splits.train.classes), len(splits.validation.classes)
        if classes != others:
            raise ValueError(f"the train split has {classes} classes and the validation split "
                             f"{others}; give both the same classes= in Split")
        if self.augment is not None:
            self.augment.check(splits.train.images.shape[-2:])

    def as_dict(self, splits):
        """Return the settings, and which data they are used on, as ``history.json`` keeps them."""
        return asdict(self) | {"data": f"{splits.train.source}, {len(splits.train)} to train, "
                                       f"{len(splits.validation)} to validate"}


def _must(fits, words, plain=lambda value: value):
    def check(value, name):
        if not fits(value):
            raise ValueError(f"{name} must be {words}, got {value!r}")
        return plain(value)
    return check


def _number(low, high, words):
    return _must(lambda value: isinstance(value, Real) and low <= value < high, words, float)


# of each setting: (value, name) → the plain value, or a refusal in words
CHECKS = {
    "epochs": whole, "batch_size": whole, "seed": partial(whole, least=None),
    "size": lambda value, name: None if value is None else whole(value, name),
    "lr": _must(lambda value: isinstance(value, Real) and 0 < value < inf, "a number above 0",
                float),
    "momentum": _number(0, inf, "a number, at least 0"),
    "weight_decay": _number(0, inf, "a number, at least 0"),
    "nesterov": lambda value, name: bool(value),
    "schedule": _must(lambda value: value in ("constant", "one-cycle"),
                      '"constant" or "one-cycle"'),
    "label_smoothing": _number(0, 1, "a number from 0 to below 1"),
    "augment": _must(lambda value: isinstance(value, Augment | None),
                     "None or an Augment, such as Augment(shift=2)"),
    "arrangement": _must(lambda value: isinstance(value, Arrangement) or value == "auto",
                         '"auto" or an Arrangement'),
}


def takes_settings(function):
    """Let help and completion show the settings in place of a function's ``**settings``."""
    *own, _ = inspect.signature(function).parameters.values()
    settings = inspect.signature(Settings).parameters.values()
    function.__signature__ = inspect.Signature([*own, *settings])
    return function
