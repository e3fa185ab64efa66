"""Pictures that several test files ask for."""

import pytest

from resnet_lesson import data


@pytest.fixture(scope="session")
def mini():
    """Return the set that ships with the lesson."""
    return data.load_fashion_mnist("mini", quiet=True)


@pytest.fixture(scope="session")
def full():
    """Return the full set; only for tests marked ``needs_full``."""
    return data.load_fashion_mnist("full", quiet=True)


@pytest.fixture(scope="session")
def splits(mini):
    """Return few pictures, to train on within a second."""
    return data.Splits(mini.train.take(slice(600)), mini.validation.take(slice(200)),
                       mini.test.take(slice(200)))
