"""What ``training.fit`` accepts: each setting checked, and refused in words."""

import math
from numbers import Real

from resnet_lesson.data.augment import Augment
from resnet_lesson.training.arrangement import DTYPES, Arrangement


def checked(settings, splits):
    """Return the settings as plain numbers, with the data added, or refuse them in words."""
    if not (hasattr(splits, "train") and hasattr(splits, "validation")):
        raise ValueError("splits must hold train and validation, as data.load_fashion_mnist "
                         f"returns them; got a {type(splits).__name__}")
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
    for name, low, high in (("label_smoothing", 0, 1), ("average", 0, 1)):
        value = settings[name]
        if value is None and name == "average":
            continue
        if not isinstance(value, Real) or not low <= value < high:
            raise ValueError(f"{name} must be a number from {low} to below {high}, "
                             f"got {value!r}")
        settings[name] = float(value)
    settings["nesterov"] = bool(settings["nesterov"])
    if settings["nesterov"] and not settings["momentum"]:
        raise ValueError("nesterov=True needs momentum above 0")
    if isinstance(settings["arrangement"], Arrangement):
        settings["arrangement"] = settings["arrangement"]._asdict()
        if settings["arrangement"]["precision"] not in DTYPES:
            raise ValueError(f"precision must be one of {', '.join(DTYPES)}, "
                             f"got {settings['arrangement']['precision']!r}")
    elif settings["arrangement"] != "auto":
        raise ValueError('arrangement must be "auto" or a Arrangement, '
                         f"got {settings['arrangement']!r}")
    for split in (splits.train, splits.validation):
        if len(split) == 0:
            raise ValueError(f"the {split.name} split is empty; fit needs pictures to train on "
                             "and others to validate on")
    if settings["augment"] is not None:
        if not isinstance(settings["augment"], Augment):
            raise ValueError("augment must be None or an Augment, such as Augment(shift=2), "
                             f"got {settings['augment']!r}")
        settings["augment"].check(splits.train.images.shape[-2:])
        settings["augment"] = settings["augment"]._asdict()
    return settings | {"data": f"{splits.train.source}, {len(splits.train)} to train, "
                               f"{len(splits.validation)} to validate"}


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool)
