"""Panel *lesions*: what it shows was measured on the trained pair, and nothing makes it raise."""

import random
import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch

from resnet_lesson.exercises.looking_inside import without_block
from resnet_lesson.experiments import small_pair
from resnet_lesson.experiments.small_pair import ARMS, evaluators
from resnet_lesson.inside import lesions
from resnet_lesson.panels.lesions import NOBODY, Lesions, names
from resnet_lesson.training.evaluation import predict

pytestmark = pytest.mark.usefixtures("few_pictures")


def test_the_evaluators_hold_the_pair_and_a_thousand_test_pictures():
    pair = small_pair.load()
    for arm, one in evaluators().items():
        assert len(one.split) == 1000 and one.split.name == "test"
        for key, value in getattr(pair, arm).state_dict().items():
            assert torch.equal(value, one.model.state_dict()[key])
    assert evaluators() is evaluators(), "made once, so that what is measured is remembered"


def test_each_block_of_each_network_is_really_removed(few_pictures):
    pair = small_pair.load()
    for name in names():
        shown = Lesions.compute(**{name: True})
        for arm in ARMS:
            model, split = getattr(pair, arm), few_pictures[arm].split
            if lesions.obstacle(model, name):
                assert arm == "plain" and shown[arm].right is None and name in shown[arm].trouble
                continue
            logits = predict(without_block(model, name), split, progress=False)
            best = logits.topk(2).values
            ties = int((best[:, 0] - best[:, 1] < 1e-3).sum())  # answers that rounding decides
            direct = int((logits.argmax(1) == split.labels).sum())
            assert abs(shown[arm].right - direct) <= ties, (arm, name)


def test_a_reading_carries_wilsons_interval_and_the_intact_share(few_pictures):
    shown = Lesions.compute(**{"layer1.2": True})
    for arm in ARMS:
        reading, few = shown[arm], len(few_pictures[arm].split)
        assert reading.share == pytest.approx(reading.right / few)
        assert reading.low < reading.share < reading.high
        for end in (reading.low, reading.high):
            sigma = (end * (1 - end) / few) ** 0.5
            assert abs(reading.share - end) == pytest.approx(1.96 * sigma, rel=1e-4)
        assert reading.intact == few_pictures[arm].accuracy()


def test_the_caption_says_what_was_done():
    panel = Lesions()
    assert panel.caption.startswith("Both networks intact (150 test pictures). Residual: 0.")
    assert "; intact" not in panel.caption
    panel.set(**{"layer1.1": True, "layer2.0": True})
    assert "Switched off: layer1.1, layer2.0" in panel.caption and "; intact 0." in panel.caption
    assert "Plain: layer2.0 turns 24 channels into 48 and has stride 2" in panel.caption
    assert panel.trouble == "", "the residual network can do without it"
    panel.set(**{"layer2.0": False, "swap": "layer3.1", "partner": "layer3.2"})
    assert "swapped: layer3.1 and layer3.2" in panel.caption


def test_while_it_measures_the_words_say_so():
    panel, said = Lesions(), []
    before = panel.caption
    panel.words.observe(lambda change: said.append(change["new"]), names="value")
    panel.controls["layer3.1"].value = True
    assert len(said) == 2 and f"Measuring … Still shown: {before}" in said[0]
    assert panel.caption in said[1] and panel.caption != before


@pytest.mark.parametrize(("setting", "words"), [
    ({"swap": "layer1.0"}, "A swap needs two blocks; with layer1.0"),
    ({"partner": "layer3.0"}, "A swap needs two blocks; with layer3.0"),
    ({"swap": "layer1.0", "partner": "layer2.1"}, "Only blocks of one shape can be swapped"),
    ({"swap": "layer1.0", "partner": "layer1.0"}, "A swap needs two different blocks"),
])
def test_impossible_swaps_are_words_in_the_panel(setting, words):
    panel = Lesions()
    before = panel.source
    panel.set(**setting)
    assert panel.trouble.startswith(words) and panel.trouble.endswith(".")
    assert panel.result is None and panel.source == before and panel.faded
    panel.set(swap=NOBODY, partner=NOBODY)
    assert panel.trouble == ""


def test_what_is_switched_off_is_drawn_so_in_both_networks():
    panel, chance = Lesions(), random.Random(0)
    for _ in range(4):
        setting = {name: chance.random() < 0.7 for name in names()}
        panel.set(**setting)
        text = [part.text for part in ElementTree.fromstring(panel.source).iter()
                if part.tag.endswith("text")]
        assert sum(words.endswith(" off") for words in text) == 2 * sum(setting.values())
        assert ("not possible, see below" in text) == bool(panel.result["plain"].trouble)


def test_a_swap_is_drawn_in_its_new_places():
    panel = Lesions(swap="layer1.0", partner="layer1.2")
    assert panel.result["plain"].places[:3] == ("layer1.2", "layer1.1", "layer1.0")
    labels = re.findall(r">(\d\.\d)<", panel.source)
    assert labels[:4] == ["1.2", "1.1", "1.0", "2.0"]


def test_shuffle_deletes_as_many_as_asked_among_those_both_can_lose():
    panel, seen = Lesions(), set()
    possible = set(lesions.removable(*(one.model for one in evaluators().values())))
    for k in (0, 3, 3, 3, len(possible)):
        panel.set(k=k, **{"layer2.0": True})
        assert panel.buttons["shuffle"].description == f"Delete {k} at random"
        panel.buttons["shuffle"].click()
        off = frozenset(name for name in names() if panel.values[name])
        assert len(off) == k and off <= possible and panel.result["plain"].right is not None
        seen.add(off)
    assert len(seen) > 3
    panel.reset()
    assert not any(panel.values[name] for name in names())


def test_after_a_reset_the_draws_start_again():
    panel, captions = Lesions(k=3), []
    for _ in range(2):
        panel.shuffle()
        captions.append(panel.caption)
        panel.reset()
    assert captions[0] == captions[1]


def test_switches_show_their_state_and_take_the_keyboard():
    panel = Lesions()
    switch = panel.controls["layer3.1"]
    assert switch.tabbable is not False and switch.icon == "" and "layer3.1" in switch.tooltip
    switch.value = True
    assert switch.icon == "times" and switch.button_style == "warning"
    panel.reset()
    assert switch.icon == "" and not switch.value
