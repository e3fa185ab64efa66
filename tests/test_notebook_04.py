"""What notebook 04 says that batch norm is for: with another seed, and where it turns."""

import pytest
import torch

from resnet_lesson.data import load_fashion_mnist
from resnet_lesson.networks.resnet import small_resnet
from resnet_lesson.training import fit


def accuracy(norm, lr, seed=1, epochs=2):
    torch.manual_seed(seed)
    network = small_resnet(8, stem="small/2", norm=norm)
    history = fit(network, load_fashion_mnist("mini"), epochs=epochs, lr=lr, progress=False)
    return history.epochs[-1]["validation_accuracy"]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_rate_that_ruins_the_network_without_norm_is_no_trouble_with_it(seed):
    assert accuracy(True, 0.5, seed) > 0.65 and accuracy(False, 0.5, seed) < 0.2


def test_where_it_turns_a_longer_training_at_a_smaller_rate_can_do_without():
    # it can, from some starts: which ones, rounding decides, so it differs between machines
    enough = accuracy(True, 0.1) - 0.05
    assert any(accuracy(False, 0.1, seed, epochs=8) > enough for seed in range(1, 6))
