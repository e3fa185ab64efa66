"""What holds for every panel; what only one of them does is tested in a file of its own."""

import base64
import importlib
import io
import pkgutil
import random
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from resnet_lesson import panels
from resnet_lesson.panels import DrawingPanel, FigurePanel, Panel, gradient_flow
from resnet_lesson.panels.base import LARGER, WIDGET_VIEW

MODULES = [importlib.import_module(f"{panels.__name__}.{module.name}")
           for module in pkgutil.iter_modules(panels.__path__) if module.name != "base"]
PANELS = {name: value for module in MODULES for name, value in vars(module).items()
          if isinstance(value, type) and issubclass(value, Panel)
          and value.__module__ == module.__name__}
# what the caption does not mention, or not before there is something to tell
SILENT = {("TrainingDashboard", "smoothing")}


@pytest.fixture(scope="module", params=PANELS)
def built(request):
    """Return one panel of each class; making it takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch:  # recorded is as good as measured, and quicker
        patch.setattr(gradient_flow, "measured",
                      lambda *setting: gradient_flow.recorded()[setting[:4]][0])
        yield PANELS[request.param]()


@pytest.fixture
def panel(built):
    built.enlarge(False)
    built.reset()
    return built


def choices(control):
    """Return values that a control takes: all options of a menu, ends and middle of a slider."""
    if isinstance(getattr(control, "options", None), dict):
        return list(control.options.values())
    if hasattr(control, "options"):
        return [option[1] if isinstance(option, tuple) else option for option in control.options]
    if hasattr(control, "min"):
        return [control.min, control.max, control.value]
    return [False, True]


def at_random(panel, draws, seed=0):
    """Yield settings with a random value of every control."""
    chance = random.Random(seed)
    for _ in range(draws):
        yield {name: chance.choice(choices(control)) for name, control in panel.controls.items()}


def picture_of(panel):
    return panel.picture.value, panel.picture.layout.width


def test_the_panels_are_found():
    assert len(PANELS) >= 11 and all(panel.title for panel in PANELS.values())


def test_every_control_and_button_says_what_it_is(panel):
    assert panel.controls
    for name, control in panel.controls.items():
        assert control.description, name
        assert control.style.description_width == "initial", "labels are whole"
    for name, button in panel.buttons.items():
        assert button.description, name


def look_at(panel):
    """Check that a panel shows a picture and words, whatever its setting is."""
    assert panel.caption and panel.caption == repr(panel)
    assert not re.search(r"  |\bnan\b|None|-0\b", panel.caption), panel.caption
    assert panel.caption.endswith(".") or panel.trouble, panel.caption
    assert (panel.result is None) == bool(panel.trouble)
    if isinstance(panel, FigurePanel):
        assert bytes(panel.picture.value[:4]) == b"\x89PNG"
        return
    ElementTree.fromstring(panel.picture.value)
    sizes = re.findall(r'font-size="([\d.]+)"', panel.picture.value)
    assert all(float(size) >= 16 for size in sizes)


def test_no_value_of_a_control_raises_and_the_caption_follows(panel):
    start = panel.values
    for name, control in panel.controls.items():
        captions = set()
        for value in choices(control):
            panel.set(**start | {name: value})
            look_at(panel)
            captions.add(panel.caption)
        assert (len(captions) > 1) != ((type(panel).__name__, name) in SILENT), name


def test_no_combination_of_values_raises(panel):
    for values in at_random(panel, 3):
        panel.set(**values)
        look_at(panel)


def test_impossible_settings_are_refused_in_words_and_nothing_moves(panel):
    state = panel.values, panel.caption, picture_of(panel)
    for name in panel.controls:
        with pytest.raises(ValueError, match=f"^{re.escape(name)} does not take the value 'gone'"):
            panel.set(**{name: "gone"})
    with pytest.raises(ValueError, match="has no control 'gone'; it has"):
        panel.set(gone=1)
    assert (panel.values, panel.caption, picture_of(panel)) == state


def test_reset_restores_everything(panel):
    state = panel.values, panel.caption, picture_of(panel)
    for values in at_random(panel, 2, seed=1):
        panel.set(**values)
    panel.buttons["reset"].click()
    assert (panel.values, panel.caption, picture_of(panel)) == state


def test_larger_enlarges_everything_but_what_is_kept_in_the_notebook(panel):
    usual, kept = picture_of(panel), panel.snapshot()
    panel.enlarge()
    assert panel.scale == LARGER and "lesson-larger" in panel._dom_classes
    assert panel.picture.layout.width == f"{panel.size[0] * 100 * LARGER:.0f}px"
    assert f"font-size:{16 * LARGER:.0f}px" in panel.words.value
    if isinstance(panel, FigurePanel):
        width, height = Image.open(io.BytesIO(panel.picture.value)).size
        assert (width, height) == tuple(round(side * 100 * LARGER) for side in panel.size)
    assert panel.snapshot() == kept
    panel.enlarge(False)
    assert picture_of(panel) == usual and "lesson-larger" not in panel._dom_classes


def test_a_notebook_keeps_picture_and_caption(panel):
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == panel.caption
    assert bundle[WIDGET_VIEW]["model_id"] == panel.model_id
    if isinstance(panel, DrawingPanel):
        tree = ElementTree.fromstring(bundle["image/svg+xml"])
        text = " ".join("".join(part.itertext()) for part in tree.iter() if "text" in part.tag)
        assert panel.caption in text
        assert tree[0].get("aria-label") == panel.caption and tree[0].get("role") == "img"
    else:
        kept = np.asarray(Image.open(io.BytesIO(base64.b64decode(bundle["image/png"]))))
        picture = panel.pixels()
        assert (kept[:len(picture)] == picture).all()
        assert (kept[len(picture):] < 128).any(), "the caption is written underneath"


@pytest.mark.parametrize("name", [name for name in PANELS if issubclass(PANELS[name], FigurePanel)])
def test_moving_artists_over_the_kept_background_are_the_full_drawing(name, full_drawing):
    panel = PANELS[name]()
    for values in at_random(panel, 2, seed=5):
        panel.set(**values)
    assert not panel.faded, "another seed, please"
    assert (panel.pixels() == full_drawing(panel)).all()
