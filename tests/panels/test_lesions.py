"""Panel *lesions*: what it shows is what is recorded, and nothing makes it raise."""

import random
import xml.etree.ElementTree as ElementTree

import pytest

from resnet_lesson.experiments import lesions as record
from resnet_lesson.panels.lesions import Lesions, networks

NAMES = [name for name, _ in networks()["residual"].blocks()]


def test_a_reading_is_the_record_with_wilsons_interval():
    recorded, total = record.load()
    for statistics in record.STATISTICS:
        for off in ({"layer1.0"}, {"layer1.2", "layer3.1"}, set()):
            shown = Lesions.compute(statistics, **{name: name in off for name in NAMES})
            for arm, reading in shown.items():
                share, rights = reading.share, recorded[arm][statistics]
                assert share.middle * total == pytest.approx(rights[frozenset(off)])
                assert reading.intact * total == pytest.approx(rights[frozenset()])
                for end in (share.low, share.high):
                    sigma = (end * (1 - end) / total) ** 0.5
                    assert abs(share.middle - end) == pytest.approx(1.96 * sigma, rel=1e-4)


def test_the_statistics_are_switched_and_said():
    panel = Lesions(**{"layer1.0": True})
    assert "running statistics as stored (1,000 test pictures). Residual: 0.609" in panel.caption
    panel.set(statistics="measured again")
    assert "running statistics measured again" in panel.caption
    assert "Residual: 0.890" in panel.caption and "; intact 0.938" in panel.caption


def test_the_caption_says_what_was_done():
    panel = Lesions()
    assert panel.caption.startswith("Both networks intact; running statistics as stored")
    assert "; intact" not in panel.caption
    panel.set(**{"layer1.1": True, "layer2.0": True})
    assert "Switched off: layer1.1, layer2.0" in panel.caption and "; intact 0." in panel.caption
    assert "Plain: layer2.0 turns 24 channels into 48 and has stride 2" in panel.caption
    assert panel.trouble == "", "the residual network can do without it"


def test_what_is_switched_off_is_drawn_so_in_both_networks():
    panel, chance = Lesions(), random.Random(0)
    for _ in range(4):
        setting = {name: chance.random() < 0.7 for name in NAMES}
        panel.set(**setting)
        text = [part.text for part in ElementTree.fromstring(panel.source).iter()
                if part.tag.endswith("text")]
        assert sum(words.endswith(" off") for words in text) == 2 * sum(setting.values())
        assert ("not possible, see below" in text) == bool(panel.result["plain"].trouble)


def test_switches_show_their_state_and_take_the_keyboard():
    panel = Lesions()
    switch = panel.controls["layer3.1"]
    assert switch.tabbable is not False and switch.icon == "" and "layer3.1" in switch.tooltip
    switch.value = True
    assert switch.icon == "times" and switch.button_style == "warning"
    panel.reset()
    assert switch.icon == "" and not switch.value
