"""What the tests of training share."""

import importlib

import pytest
import torch

from resnet_lesson.networks import resnet


@pytest.fixture
def network():
    """Return a function that builds a small network from a seed."""
    def build(seed=0):
        torch.manual_seed(seed)
        return resnet.small_resnet(8, widths=(4, 8, 8), stem="small/2")
    return build


@pytest.fixture
def equal():
    """Return a function that tells whether two networks hold the same values, bit for bit."""
    return lambda first, second: all(torch.equal(a, b) for a, b in zip(
        first.state_dict().values(), second.state_dict().values(), strict=True))


@pytest.fixture
def loop():
    """Return the module of ``fit``; in the face of its package the name is the function's."""
    return importlib.import_module("resnet_lesson.training.fit")
