"""Pairs of a reader's arms: equal but for one thing, within a budget, and nothing is lost."""

import re

import pytest
import torch
from torch import nn

from resnet_lesson import data
from resnet_lesson.exercises.your_turn import keep_or_drop
from resnet_lesson.experiments import table, your_question
from resnet_lesson.experiments.your_question import Arm, compare, pairs
from resnet_lesson.networks.blocks import BasicBlock


def small(width=8):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, width), nn.ReLU(), nn.Linear(width, 10))


def wide():
    return small(16)


def decayed():
    return small(), {"weight_decay": 0.1}


NETWORK = small()


@pytest.fixture(scope="module")
def splits():
    """Return few pictures, and none to test on: nothing may ask for them."""
    mini = data.load_fashion_mnist("mini", quiet=True)
    return mini._replace(train=mini.train.take(slice(200)), test=(),
                         validation=mini.validation.take(slice(100)))


@pytest.fixture
def ask(splits, tmp_path, monkeypatch):
    """Return ``compare`` on few pictures, with a file of its own."""
    monkeypatch.setattr(your_question, "_estimates", {})
    return lambda one, other, minutes=5, **options: compare(
        one, other, splits, minutes=minutes, path=tmp_path / "q.csv", epochs=1, progress=False,
        **options)


@pytest.mark.parametrize(("other", "words"), [
    (NETWORK, "got a Sequential; give a function's name"), (3, "an arm is a function .* got a int"),
    (lambda: None, "arm “<lambda>” returns no network but None"),
    (lambda: nn.Linear(784, 10), "arm “<lambda>” fails .*cannot be multiplied"),
    (lambda: (small(), {"momentun": 0}), "momentun"),
    (lambda: 1 / 0, "arm “<lambda>” fails .line.*ZeroDivisionError"),
    (lambda: NETWORK, "same first weights for every seed"), (small, "same name"),
    (lambda: small(), "do the same, to the digit")])
def test_what_cannot_be_compared_is_said_in_words(ask, other, words):
    with pytest.raises(ValueError, match=words):
        ask(small, other)


@pytest.mark.parametrize(("rates", "runs"), [([0.1], 4), ([0.1, 1 / 3], 8)])
def test_a_budget_too_small_names_one_that_is_enough(ask, rates, runs):
    with pytest.raises(ValueError, match=f"too short for {runs} runs") as refused:
        ask(small, wide, minutes=1e-6, rates=rates)
    minutes = float(re.search(r"give minutes=([\d.]+)", str(refused.value))[1])
    found = ask(small, wide, minutes=minutes, rates=rates, most=2)
    assert list(found.rows) == [1, 2] and len(found.tried) == len(rates)


def test_a_pair_differs_in_nothing_but_the_arm(splits):
    settings = {"epochs": 1, "batch_size": 64}
    one, other = Arm(small, splits, settings), Arm(decayed, splits, settings)
    for a, b in zip(one.build(3)[0].parameters(), other.build(3)[0].parameters(), strict=True):
        assert torch.equal(a, b)
    before, again = (one.train(splits, 0.1, 3)[0].step_losses for _ in range(2))
    theirs = other.train(splits, 0.1, 3)[0].step_losses
    assert before == again and before[0] == theirs[0] and before != theirs
    assert before != one.train(splits, 0.1, 4)[0].step_losses


def test_a_stopped_comparison_goes_on_and_trains_nothing_twice(ask, monkeypatch, capsys, tmp_path):
    trained, row = [], Arm.row

    def stops(self, lr, seed, watch):
        trained.append((self.name, lr, seed))
        if len(trained) == 6:
            raise KeyboardInterrupt
        return row(self, lr, seed, watch)

    monkeypatch.setattr(Arm, "row", stops)
    found = ask(small, wide, rates=[0.1, 0.3], most=2)
    assert list(found.rows) == [] and "the same call goes on" in capsys.readouterr().out
    found = ask(small, wide, rates=[0.1, 0.3], most=2)
    assert len(trained) == len(set(trained)) + 1 == 9 and list(found.rows) == [1, 2]
    again = ask(small, wide, rates=[0.1, 0.3], most=2)
    assert again.errors(1) == found.errors(1) and again.rates == found.rates and len(trained) == 9
    ask(small, decayed, most=2)   # what was trained for one question serves another
    assert not any(name == "small" for name, *_ in trained[9:]) or found.rates[0] != 0.1
    assert {row["arm"] for row in table.read(tmp_path / "q.csv")} == {"small", "wide", "decayed"}


def test_pairs_end_with_the_minutes(ask, monkeypatch):
    row = Arm.row
    monkeypatch.setattr(Arm, "row", lambda *asked: row(*asked) | {"seconds": 25})
    assert len(ask(small, wide, minutes=3).rows) == 3   # two runs of 25 s each, 180 s


def test_seed_0_chooses_each_arms_rate_and_is_not_compared():
    rows = [dict(zip(("arm", "lr", "seed", "validation_error"), row, strict=True)) for row in (
        ("a", 0.1, 0, 0.2), ("a", 0.3, 0, 0.1), ("b", 0.1, 0, 0.1), ("b", 0.3, 0, 0.1),
        ("a", 0.3, 1, 0.5), ("b", 0.1, 1, 0.4), ("a", 0.3, 2, 0.5))]
    found = pairs(rows, ["a", "b"], [0.1, 0.3])
    assert found.rates == (0.3, 0.1), "of equal ones the first"
    assert list(found.rows) == [1] and (found.errors(0), found.errors(1)) == ([0.5], [0.4])


def test_the_worked_example_follows_the_rule_and_is_recorded():
    block = BasicBlock(4, 4)
    ours, x = your_question.StochasticDepth(block, 0.6), torch.rand(2, 4, 5, 5)
    for training in (True, False):
        ours.train(training)
        for seed in range(5):
            torch.manual_seed(seed)
            out = ours(x)
            torch.manual_seed(seed)
            assert torch.equal(out, (keep_or_drop(block.branch(x), 0.6, training) + x).relu())
    parts = [part.survival for _, part in your_question.stochastic_depth().named_modules()
             if isinstance(part, your_question.StochasticDepth)]
    assert parts == pytest.approx([1 - number / 18 for number in range(1, 10)])
    found = pairs(table.read("your_question"), ["as it is", "stochastic depth"], [0.03, 0.1])
    assert list(found.rows) == [1, 2, 3, 4, 5, 6]
    assert {(row["steps"], row["diverged"]) for both in found.rows.values() for row in both} == {
        (948, 0)}
