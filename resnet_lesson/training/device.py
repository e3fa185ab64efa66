"""The device that a network is trained on."""

import warnings

import torch


def why_unusable(device):
    """Return why one small convolution cannot be computed on a device; empty where it can."""
    try:
        ones = torch.ones(1, 1, 3, 3, device=device)
        torch.nn.functional.conv2d(ones, ones).sum().item()
    except Exception as error:  # of a driver that is missing, old or out of memory: almost anything
        return str(error).split("\n")[0][:120] or type(error).__name__
    return ""


def pick_device(device="auto"):
    """Return a ``torch.device``; for ``"auto"`` a GPU that works, or a warning and the CPU.

    Raises a ``ValueError`` for a device that is not there, or no device at all.
    """
    if device != "auto":
        try:
            chosen = torch.device(device)
            torch.empty(0, device=chosen)
        except (RuntimeError, AssertionError, TypeError) as error:
            why = str(error).split("\n")[0][:120]
            raise ValueError(f'device {device!r} cannot be used here ({why}); use device="auto" '
                             'or "cpu"') from None
        return chosen
    for name, seen in (("cuda", torch.cuda), ("mps", torch.backends.mps)):
        if seen.is_available():
            why = why_unusable(name)
            if not why:
                return torch.device(name)
            warnings.warn(f"a GPU ({name}) is seen but does not work ({why}); the CPU is used",
                          RuntimeWarning, stacklevel=2)
    return torch.device("cpu")
