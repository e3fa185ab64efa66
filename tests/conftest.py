"""Pictures that several test files ask for."""

import json

import pytest

from resnet_lesson import data
from resnet_lesson.data import idx


@pytest.fixture(scope="session")
def mini():
    """Return the set that ships with the lesson."""
    return data.load_fashion_mnist("mini", quiet=True)


@pytest.fixture(scope="session")
def full():
    """Return the full set, or skip the test."""
    if idx.find_full() is None:
        pytest.skip("the full Fashion-MNIST is not on this machine; mini is tested instead")
    return data.load_fashion_mnist("full", quiet=True)


@pytest.fixture(scope="session")
def splits(mini):
    """Return few pictures, to train on within a second."""
    return data.Splits(mini.train.take(slice(600)), mini.validation.take(slice(200)),
                       mini.test.take(slice(200)))


def pytest_addoption(parser):
    """Add the one switch that renews pinned words."""
    parser.addoption("--renew", action="store_true",
                     help="write anew what tests have pinned; read the diff before you commit")


@pytest.fixture(scope="session")
def pinned(request):
    """Return a function: what a JSON file holds under a name; with --renew what was found now."""
    def look_up(path, name, found):
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if request.config.getoption("renew") and known.get(name) != found:
            known[name] = found
            path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n",
                            encoding="utf-8")
        return known.get(name)
    return look_up
