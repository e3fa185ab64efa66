"""Panel *will it add up?*: its verdict and its repair against what torch really does."""

import itertools
import xml.etree.ElementTree as ElementTree
from functools import cache

import pytest
import torch
from torch.nn import functional as F

from resnet_lesson.panels import addition
from resnet_lesson.panels.addition import AdditionPanel

CHOICES = {"size": addition.SIZES, "in_channels": addition.CHANNELS,
           "out_channels": addition.CHANNELS, "stride": (1, 2, 3), "padding": (0, 1, 2),
           "shortcut": addition.SHORTCUTS}
EVERY = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]


def empty(*shape):
    """Return a tensor of torch's meta device, which works out shapes and errors, and no values."""
    return torch.empty(*shape, device="meta")


@cache
def branch_says(size, in_channels, out_channels, stride, padding):
    """Return what torch's two 3×3 convolutions give, or ``None`` where they raise."""
    try:
        x = F.conv2d(empty(1, in_channels, size, size), empty(out_channels, in_channels, 3, 3),
                     stride=stride, padding=padding)
        return F.conv2d(x, empty(out_channels, out_channels, 3, 3), padding=padding)
    except RuntimeError:
        return None


@cache
def shortcut_says(size, in_channels, out_channels, stride, shortcut):
    """Return what the shortcut gives, or ``None`` without one."""
    x = empty(1, in_channels, size, size)
    if shortcut in (addition.NONE, addition.IDENTITY):
        return x if shortcut == addition.IDENTITY else None
    return F.conv2d(x, empty(out_channels, in_channels, 1, 1),
                    stride=stride if shortcut == addition.PROJECTION else 1)


def torch_says(size, in_channels, out_channels, stride, padding, shortcut):
    """Return (branch shape or None, shortcut shape or None, shape of the sum or None)."""
    branch = total = branch_says(size, in_channels, out_channels, stride, padding)
    side = shortcut_says(size, in_channels, out_channels, stride, shortcut)
    if branch is not None and side is not None:
        try:
            total = branch + side
        except RuntimeError:
            total = None
    return tuple(part if part is None else tuple(part.shape[1:])
                 for part in (branch, side, total))


def compare(result, branch, side, total):
    """Return what is wrong with a result, given what torch says; ``None`` if nothing is."""
    found = result.branch[-1] if len(result.branch) == 3 else None
    if (found, result.shortcut, result.result) != (branch, side, total):
        return "shapes"
    if branch is None:
        right = "no window"
    elif side is None:
        right = "none"
    elif total is None:
        right = "refused"
    else:
        right = "equal" if branch == side else "broadcast"
    return None if result.verdict == right else "verdict"


def test_the_verdict_is_torchs_for_every_combination():
    for settings in EVERY:
        assert compare(AdditionPanel.compute(**settings), *torch_says(**settings)) is None, settings


def test_the_repair_is_applied_and_works():
    seen = {verdict: 0 for verdict in addition.COLORS}
    for settings in EVERY[::3]:
        result = AdditionPanel.compute(**settings)
        seen[result.verdict] += 1
        needs = result.verdict in ("broadcast", "refused", "no window")
        assert bool(result.repair) == needs, settings
        branch, side, total = torch_says(**settings | result.repair)
        assert branch is not None and total == branch, settings
        assert side is None if settings["shortcut"] == addition.NONE else side == branch
        after = AdditionPanel.compute(**settings | result.repair)
        assert after.repair == {} and after.verdict in ("equal", "none")
        for left_out in result.repair:  # no change that is not needed
            fewer = {name: value for name, value in result.repair.items() if name != left_out}
            assert AdditionPanel.compute(**settings | fewer).repair, settings
    assert min(seen.values()) > 40, seen


@pytest.mark.parametrize("broken", ["forgets the padding", "calls broadcasting equal",
                                    "forgets the stride of the projection"])
def test_a_wrong_verdict_would_be_caught(broken):
    def compute(**settings):
        if broken == "forgets the padding":
            return AdditionPanel.compute(**settings | {"padding": 1})
        if broken == "forgets the stride of the projection" and (
                settings["shortcut"] == addition.PROJECTION):
            return AdditionPanel.compute(**settings | {"shortcut": addition.FORGOTTEN})
        result = AdditionPanel.compute(**settings)
        if broken == "calls broadcasting equal" and result.verdict == "broadcast":
            return result._replace(verdict="equal")
        return result

    assert any(compare(compute(**settings), *torch_says(**settings)) for settings in EVERY[::7])


def test_an_accident_is_called_one():
    accident = {"size": 7, "in_channels": 3, "out_channels": 3, "stride": 2, "padding": 2,
                "shortcut": addition.IDENTITY}
    result = AdditionPanel.compute(**accident)
    assert result.verdict == "equal" and result.by_accident
    for settings in EVERY[::5]:
        result = AdditionPanel.compute(**settings)
        if result.verdict == "equal":
            fits = [AdditionPanel.compute(**settings | {"size": size}).verdict == "equal"
                    for size in range(5, 70, 3)]
            assert result.by_accident == (not all(fits)) and not (
                result.by_accident and sum(fits) > 2)


def test_captions_name_both_shapes_and_not_the_repair():
    panel = AdditionPanel()
    assert panel.values["shortcut"] == addition.IDENTITY
    assert panel.caption == (
        "Torch refuses to add branch 128 × 28 × 28 and shortcut 64 × 56 × 56 (channels 128 "
        "against 64, size 28 against 56). The shortcut is wrong: it keeps 64 channels and size "
        "56. Which setting mends it? The button shows one that does.")
    panel.set(in_channels=1, stride=1)
    assert "in silence" in panel.caption and "broadcasting" in panel.caption
    assert "it keeps 1 channel." in panel.caption
    panel.set(size=4, padding=0, shortcut=addition.NONE)
    assert "no 3×3 window fits into 128 × 2 × 2" in panel.caption
    panel.set(padding=1)
    assert panel.caption == "Nothing to add: the plain block turns 1 × 4 × 4 into 128 × 4 × 4."


def test_no_caption_is_left_half_done():
    panel = AdditionPanel()
    for settings in EVERY[::3]:
        result = panel.compute(**settings)
        caption = panel.describe(result, settings)
        assert caption.endswith(".") and "  " not in caption and "keeps ." not in caption
        assert bool(result.repair) == ("mends it" in caption) == ("is wrong" in caption)
        assert not result.repair or "1×1" not in caption


def test_mend_applies_the_repair_and_the_button_knows_when():
    panel = AdditionPanel()
    button = panel.buttons["mend"]
    assert not button.disabled
    button.click()
    assert panel.values["shortcut"] == addition.PROJECTION and panel.result.verdict == "equal"
    assert button.disabled and "8,192 weights" in panel.caption
    panel.mend()
    assert panel.result.verdict == "equal"
    panel.reset()
    assert panel.values["shortcut"] == addition.IDENTITY and not button.disabled


def test_the_drawing_names_the_input_and_shows_a_projection_as_one():
    panel = AdditionPanel()
    for settings in EVERY[::23]:
        source = panel.render(panel.compute(**settings), settings)
        text = " ".join("".join(part.itertext()) for part in ElementTree.fromstring(source).iter()
                        if "text" in part.tag)
        assert addition.words((settings["in_channels"], settings["size"], settings["size"])) in text
        projects = settings["shortcut"] in (addition.PROJECTION, addition.FORGOTTEN)
        assert ("1×1 conv" in text) == ("stroke-dasharray" in source) == projects
