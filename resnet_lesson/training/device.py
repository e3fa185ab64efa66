"""The device that a network is trained on."""

import torch


def pick_device(device="auto"):
    """Return a ``torch.device``; for ``"auto"`` a GPU where there is one.

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
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
