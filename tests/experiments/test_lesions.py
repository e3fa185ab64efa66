"""The record of lesions is what direct computation gives, and what notebook 09 says follows."""

import math

import pytest
import torch

from resnet_lesson.exercises.looking_inside import measure_again, without_block
from resnet_lesson.experiments import lesions, small_pair
from resnet_lesson.figures import looking_inside
from resnet_lesson.inside.lesions import removable

CHOICES = [(arm, name) for arm, none in (("residual", ()), ("plain", ("layer2.0", "layer3.0")))
           for name in [f"layer{i}.{j}" for i in (1, 2, 3) for j in (0, 1, 2)] if name not in none]


@pytest.mark.parametrize(("arm", "name"), CHOICES, ids=".".join)
@torch.no_grad()
def test_every_block_of_the_figure_agrees_with_a_network_really_cut(arm, name, mini):
    recorded, total = lesions.load()
    cut = without_block(getattr(small_pair.load(), arm), name)
    X = mini.test.pixels(slice(None))
    again = measure_again(cut, mini.train.pixels(slice(lesions.SAMPLE)))
    for statistics, network in zip(lesions.STATISTICS, (cut, again), strict=True):
        logits = torch.cat([network(part) for part in X.split(250)])
        best = logits.topk(2).values
        ties = int((best[:, 0] - best[:, 1] < 0.01).sum())   # answers that rounding decides
        right = int((logits.argmax(1) == mini.test.labels).sum())
        assert abs(recorded[arm][statistics][frozenset({name})] - right) <= ties
    assert total == len(mini.test)


def test_all_choices_are_recorded_once():
    recorded, _ = lesions.load()
    for arm, kinds in recorded.items():
        names = removable(getattr(small_pair.load(), arm))
        for rights in kinds.values():
            counts = [sum(len(off) == k for off in rights) for k in range(len(names) + 1)]
            assert counts == [math.comb(len(names), k) for k in range(len(names) + 1)]


def singles(arm, statistics):
    rights = lesions.load()[0][arm][statistics]
    return {"intact": rights[frozenset()]} | {
        next(iter(off)): right for off, right in rights.items() if len(off) == 1}


def test_what_the_notebook_says_of_single_blocks():
    kinds = {arm: [singles(arm, name) for name in lesions.STATISTICS]
             for arm in ("residual", "plain")}
    back = {arm: looking_inside.regained(*found) for arm, found in kinds.items()}
    assert back["residual"] > 0.6 and back["plain"] < 0.4, "far from the half that is asked for"
    losses = [[(found["intact"] - right) / 1000 for name, right in found.items()
               if name != "intact"] for found in kinds["residual"]]
    assert sum(loss > 0.15 for loss in losses[0]) == 3, "three seem to matter a lot"
    assert 0.3 < max(losses[0]) < 0.34 and max(losses[1]) <= 0.05, "a third, and a few points"
    assert max(kinds["plain"][1][name] for name in kinds["plain"][1] if name != "intact") < 350


def test_what_the_notebook_says_of_several_blocks():
    recorded, total = lesions.load()
    stored, again = (looking_inside.by_number(recorded["residual"][name], total)
                     for name in lesions.STATISTICS)
    first = [looking_inside.wrong_from(recorded["residual"][name], total)
             for name in lesions.STATISTICS]
    assert first[0] == 3 and first[1] in (5, 6)
    assert again[4] > 0.6 and again[6] < 0.4, "5 or 6, and not by a hair"
    assert all(again[k] > stored[k] for k in range(8)), "the fall is slower"


def test_a_choice_is_measured_as_it_is_recorded(mini, monkeypatch):
    monkeypatch.setattr(lesions.lesions, "removable", lambda model: ["layer3.1", "layer3.2"])
    monkeypatch.setattr(lesions, "SAMPLE", 100)
    small = mini._replace(test=mini.test.take(slice(100)))
    rows = lesions.measure("plain", small)
    assert [row["off"] for row in rows] == ["", "layer3.2", "layer3.1", "layer3.1 layer3.2"]
    assert rows[0]["as stored"] > 85 > 40 > rows[3]["as stored"] and rows[0]["pictures"] == 100
