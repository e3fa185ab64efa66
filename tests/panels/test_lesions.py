"""Panel *lesions*: what it shows was measured on the trained pair, and nothing makes it raise."""

import asyncio
import itertools
import random
import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch

from resnet_lesson.exercises.looking_inside import without_block
from resnet_lesson.experiments import small_pair
from resnet_lesson.experiments.small_pair import evaluators
from resnet_lesson.inside import lesions
from resnet_lesson.panels import lesions as module
from resnet_lesson.panels.lesions import ARMS, NOBODY, Lesions
from resnet_lesson.training.evaluation import predict

FEW = 150


@pytest.fixture(autouse=True, scope="module")
def fewer_pictures():
    """Measure on fewer pictures, so that the tests are quick; the code is the same."""
    full = evaluators()
    few = {arm: lesions.Evaluator(one.model, one.split.take(slice(FEW)))
           for arm, one in full.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "evaluators", lambda: few)
        yield few


def test_the_evaluators_hold_the_pair_and_a_thousand_test_pictures():
    pair = small_pair.load()
    for arm, one in evaluators().items():
        assert len(one.split) == 1000 and one.split.name == "test"
        for key, value in getattr(pair, arm).state_dict().items():
            assert torch.equal(value, one.model.state_dict()[key])
    assert evaluators() is evaluators(), "made once, so that what is measured is remembered"
    assert module.names() == evaluators()["plain"].names


def test_each_block_of_each_network_is_really_removed(fewer_pictures):
    pair = small_pair.load()
    for name in module.names():
        shown = Lesions.compute(**{name: True})
        for arm in ARMS:
            model, split = getattr(pair, arm), fewer_pictures[arm].split
            if lesions.obstacle(model, name):
                assert arm == "plain" and shown[arm].right is None and name in shown[arm].trouble
                continue
            logits = predict(without_block(model, name), split, progress=False)
            best = logits.topk(2).values
            ties = int((best[:, 0] - best[:, 1] < 1e-3).sum())  # answers that rounding decides
            direct = int((logits.argmax(1) == split.labels).sum())
            assert abs(shown[arm].right - direct) <= ties, (arm, name)


def test_a_reading_carries_wilsons_interval_and_the_intact_share(fewer_pictures):
    shown = Lesions.compute(**{"layer1.2": True})
    for arm in ARMS:
        reading = shown[arm]
        assert reading.share == pytest.approx(reading.right / FEW)
        assert reading.low < reading.share < reading.high
        for end in (reading.low, reading.high):
            sigma = (end * (1 - end) / FEW) ** 0.5
            assert abs(reading.share - end) == pytest.approx(1.96 * sigma, rel=1e-4)
        assert reading.intact == fewer_pictures[arm].accuracy()


def test_the_caption_says_what_was_done():
    panel = Lesions()
    assert panel.caption.startswith(f"Both networks intact ({FEW} test pictures). Residual: 0.")
    assert "; intact" not in panel.caption
    panel.set(**{"layer1.1": True, "layer2.0": True})
    assert "Switched off: layer1.1, layer2.0" in panel.caption and "; intact 0." in panel.caption
    assert "Plain: layer2.0 turns 24 channels into 48 and has stride 2" in panel.caption
    assert panel.trouble == "", "the residual network can do without it"
    panel.set(**{"layer2.0": False, "swap": "layer3.1", "partner": "layer3.2"})
    assert "swapped: layer3.1 and layer3.2" in panel.caption


@pytest.mark.parametrize(("setting", "words"), [
    ({"swap": "layer1.0"}, "A swap needs two blocks; with layer1.0"),
    ({"partner": "layer3.0"}, "A swap needs two blocks; with layer3.0"),
    ({"swap": "layer1.0", "partner": "layer2.1"}, "Only blocks of one shape can be swapped"),
    ({"swap": "layer1.0", "partner": "layer1.0"}, "A swap needs two different blocks"),
])
def test_impossible_swaps_are_words_in_the_panel(setting, words):
    panel = Lesions()
    before = panel._svg
    panel.set(**setting)
    assert panel.trouble.startswith(words) and panel.trouble.endswith(".")
    assert panel.result is None and panel._svg == before and 'opacity="0.3"' in panel._picture.value
    panel.set(swap=NOBODY, partner=NOBODY)
    assert panel.trouble == ""


def test_no_setting_raises_and_every_drawing_is_well_formed():
    panel, chance = Lesions(), random.Random(0)
    blocks = module.names()
    pairs = [(NOBODY, NOBODY), *itertools.product(blocks[:2] + blocks[-2:], repeat=2)]
    for pair in pairs:
        setting = {name: chance.random() < 0.7 for name in blocks}
        panel.set(**setting, swap=pair[0], partner=pair[1], k=chance.randint(0, 7))
        source = panel._labelled()
        tree = ElementTree.fromstring(source)
        assert all(int(size) >= 16 for size in re.findall(r'font-size="(\d+)"', source))
        if not panel.trouble:
            text = ["".join(part.itertext()) for part in tree.iter() if part.tag.endswith("text")]
            assert sum(words.endswith(" off") for words in text) == 2 * sum(setting.values())
            assert ("not possible, see below" in text) == bool(panel.result["plain"].trouble)


def test_a_swap_is_drawn_in_its_new_places():
    panel = Lesions(swap="layer1.0", partner="layer1.2")
    assert panel.result["plain"].places[:3] == ("layer1.2", "layer1.1", "layer1.0")
    labels = re.findall(r">(\d\.\d)<", panel._svg)
    assert labels[:4] == ["1.2", "1.1", "1.0", "2.0"]


def test_shuffle_deletes_as_many_as_asked_among_those_both_can_lose():
    panel, seen = Lesions(), set()
    possible = set(lesions.removable(*(one.model for one in evaluators().values())))
    for k in (0, 3, 3, 3, len(possible)):
        panel.set(k=k, **{"layer2.0": True})
        assert panel._shuffle.description == f"Delete {k} at random"
        panel._shuffle.click()
        off = frozenset(name for name in module.names() if panel.values[name])
        assert len(off) == k and off <= possible and panel.result["plain"].right is not None
        seen.add(off)
    assert len(seen) > 3
    panel.reset()
    assert not any(panel.values[name] for name in module.names())
    panel.set(k=3)
    panel.shuffle()
    first = panel.caption
    panel.reset()
    panel.set(k=3)
    panel.shuffle()
    assert panel.caption == first, "after a reset the draws start again"


def test_moving_k_measures_nothing_new(fewer_pictures):
    panel = Lesions()
    known = len(fewer_pictures["plain"]._logits)
    panel.set(k=5)
    assert len(fewer_pictures["plain"]._logits) == known


def test_switches_show_their_state_and_take_the_keyboard():
    panel = Lesions()
    switch = panel.controls["layer3.1"]
    assert switch.tabbable is not False and switch.icon == "" and "layer3.1" in switch.tooltip
    switch.value = True
    assert switch.icon == "times" and switch.button_style == "warning"
    assert "Switched off: layer3.1" in panel.caption
    panel.reset()
    assert switch.icon == "" and not switch.value


def test_the_bundle_has_picture_and_words():
    panel = Lesions()
    bundle = panel._repr_mimebundle_()
    assert "image/svg+xml" in bundle and bundle["text/plain"] == panel.caption == repr(panel)
    panel.enlarge()
    assert panel.scale > 1 and panel.trouble == ""


async def idle(panel):
    while panel._pending:
        await asyncio.sleep(0.01)


def test_while_nobody_clicks_the_panel_measures_what_a_click_would_ask_for(
        fewer_pictures, monkeypatch):
    pair = {arm: lesions.Evaluator(one.model, one.split.take(slice(20)))
            for arm, one in fewer_pictures.items()}
    monkeypatch.setattr(module, "evaluators", lambda: pair)
    monkeypatch.setattr(module, "PAUSE", 0)

    async def use():
        panel = Lesions()
        panel.set(**{"layer1.1": True})
        assert unknown(panel, pair), "nothing is measured ahead before the loop is free"
        await idle(panel)
        assert not unknown(panel, pair)
        panel.set(**{"layer3.2": True})
        first = panel._pending
        panel.set(**{"layer2.1": True})
        assert first.cancelled(), "what was begun for an earlier setting is given up"
        await idle(panel)
        assert not unknown(panel, pair)
        panel.set(swap="layer3.1")
        assert panel.trouble
        await idle(panel)
        known = {arm: len(one._logits) for arm, one in pair.items()}
        panel.set(partner="layer3.2")
        panel.set(swap=NOBODY, partner=NOBODY)
        assert known == {arm: len(one._logits) for arm, one in pair.items()}
        panel.set(k=5)
        await idle(panel)
        known = {arm: len(one._logits) for arm, one in pair.items()}
        panel.shuffle()
        assert known == {arm: len(one._logits) for arm, one in pair.items()}

    asyncio.run(use())


def unknown(panel, pair):
    """Return the single switches whose answer is not measured yet, by arm."""
    off = {name for name in module.names() if panel.values[name]}
    return [(arm, name) for arm, one in pair.items() for name in module.names()
            if not any(lesions.obstacle(one.model, other) for other in off ^ {name})
            and lesions.route(one.model, off ^ {name}) not in one._logits]


def test_without_a_notebook_nothing_is_measured_ahead(fewer_pictures):
    panel = Lesions()
    assert panel._pending is None
