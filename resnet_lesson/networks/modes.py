"""The mode and the device that a model is in."""

from contextlib import contextmanager

import torch


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


def device_of(model):
    """Return the device of a model's first parameter; the CPU for one without parameters."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
