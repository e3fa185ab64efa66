"""What every test finds: nobody's record and file, and pictures that several ask for."""

import json
import math
import os
from itertools import product

import pytest
import torch

from resnet_lesson import data
from resnet_lesson.data import idx
from resnet_lesson.experiments import sweep
from resnet_lesson.experiments.studies import ARMS, STUDIES

# Before any kernel starts: a my_resnet.py or a record that lies here is not read. See reader.place.
os.environ["RESNET_LESSON_READER"] = "nobody"
# The tensors of tests are small: on a busy machine more threads would only wait for each other.
torch.set_num_threads(1)


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


class Invented:
    """Makes rows of the sweep whose answers are known."""

    NOISE = (0.004, -0.006, 0.002, -0.001, 0.001)
    GAPS = {8: 0.0, 20: 0.1, 32: 0.2, 56: 0.4, 18: 0.0, 34: 0.1}

    @staticmethod
    def row(study, arm, depth, lr, seed, error, **more):
        """Return the last row of one run."""
        setting, pictures = STUDIES[study], {"digits": 1000, "full": 55_000}.get(study, 5000)
        errors = ("train_error", "validation_error", "test_error", "test_error_200")
        return dict.fromkeys(sweep.COLUMNS, "") | dict.fromkeys(errors, error) | {
            "study": study, "arm": arm, "depth": depth, "lr": lr, "seed": seed, "diverged": 0,
            "epoch": setting.epochs, "epochs": setting.epochs, "data": "made up", "seconds": 10.0,
            "train_pictures": pictures, "batch_size": setting.batch_size, "gradient_norm": 0.5,
            "first_gradient_norm": 2.0} | more

    @classmethod
    def pairs(cls, gaps, study="depth", base=0.3, rates=(0.01, 0.03, 0.1), seeds=5, **more):
        """Return rows whose plain − residual is ``gaps[depth]``, and some noise, at rate 0.03."""
        rows = []
        for (depth, gap), seed, lr in product(gaps.items(), range(seeds), rates):
            error = base + 0.1 * abs(math.log(lr / 0.03))
            rows += [cls.row(study, "residual", depth, lr, seed, error, **more),
                     cls.row(study, "plain", depth, lr, seed, error + gap + cls.NOISE[seed],
                             **more)]
        return rows

    @classmethod
    def digits(cls, error, seeds=10):
        """Return rows of the study digits with ``error(arm, lr, seed)`` on the first 200."""
        return [cls.row("digits", arm, 18, lr, seed, 0.1, test_error_200=error(arm, lr, seed))
                for arm in ARMS for lr in (0.005, 0.01) for seed in range(seeds)]

    @staticmethod
    def curve(part, arm, depth, lr, seed, errors, **more):
        """Return the rows of one run of the study long, with these training errors."""
        last = {"test_error": errors[-1], "validation_error": errors[-1]} | more
        return [{"part": part, "arm": arm, "depth": depth, "lr": lr, "seed": seed, "step": 79 * i,
                 "epoch": i, "epochs": len(errors), "data": "made up", "train_pictures": 5000,
                 "train_error": error, "diverged": 0} | (
                     last if i == len(errors) else {"test_error": "", "validation_error": 0.5})
                for i, error in enumerate(errors, 1)]

    @classmethod
    def noisy(cls, arm, lr, seed):
        """Return an error on which the rate has an effect and the arm has none."""
        noise = 0.5 * cls.NOISE[seed % 5]
        return 0.1 - 0.04 * (lr == 0.01) + (noise if arm == "plain" else -noise)


@pytest.fixture(scope="session")
def invented():
    """Return the maker of rows of the sweep."""
    return Invented


@pytest.fixture
def my_folder(tmp_path, monkeypatch):
    """Return an empty folder, now the current one, in which there is a reader."""
    monkeypatch.delenv("RESNET_LESSON_READER")
    monkeypatch.chdir(tmp_path)
    return tmp_path
