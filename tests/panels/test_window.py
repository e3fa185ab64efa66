"""The window panel: highlighted cells against probes of torch, words, buttons, drawing."""

import random
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from resnet_lesson.networks.convolution import output_size
from resnet_lesson.panels.window import LIMITS, WindowPanel

SVG = "{http://www.w3.org/2000/svg}"
LAYER = {name: st.integers(*ends) for name, ends in LIMITS.items()}


def fits(layer):
    """Return the output size of a layer, or 0 where no window fits."""
    try:
        return output_size(**layer)
    except ValueError:
        return 0


def one_hot_probe(input_size, kernel_size, **settings):
    """Return (outputs, n, n): what each output cell reads, found with one-hot pictures."""
    n = input_size
    pictures = torch.eye(n * n, dtype=torch.float64).reshape(n * n, 1, n, n)
    weight = torch.ones(1, 1, kernel_size, kernel_size, dtype=torch.float64)
    maps = F.conv2d(pictures, weight, **settings)
    return maps.reshape(n * n, -1).T.reshape(-1, n, n)


def gradient_probe(number, input_size, kernel_size, **settings):
    """Return the cells that one output cell reads, found with the gradient of the input."""
    x = torch.zeros(1, 1, input_size, input_size, dtype=torch.float64, requires_grad=True)
    weight = torch.ones(1, 1, kernel_size, kernel_size, dtype=torch.float64)
    F.conv2d(x, weight, **settings).flatten()[number].backward()
    return [tuple(cell) for cell in x.grad[0, 0].nonzero().tolist()]


@settings(max_examples=40, derandomize=True, deadline=None)
@given(layer=st.fixed_dictionaries(LAYER), data=st.data())
def test_the_cells_of_a_step_are_those_that_torch_reads(layer, data):
    assume(fits(layer))
    number = data.draw(st.integers(0, fits(layer)**2 - 1))
    step = WindowPanel.compute(**layer, step=number)
    assert step.cells(layer["input_size"]) == gradient_probe(number, **layer)
    assert (step.row, step.column) == divmod(number, fits(layer)) and step.number == number


@settings(max_examples=25, derandomize=True, deadline=None)
@given(layer=st.fixed_dictionaries({**LAYER, "input_size": st.integers(1, 8)}))
def test_all_steps_and_unread_cells_are_what_one_hot_pictures_find(layer):
    assume(fits(layer))
    n = layer["input_size"]
    reads = one_hot_probe(**layer)
    assert len(reads) == fits(layer)**2
    for number in range(0, len(reads), max(1, len(reads) // 20)):
        step = WindowPanel.compute(**layer, step=number)
        assert step.cells(n) == [tuple(cell) for cell in reads[number].nonzero().tolist()]
    assert step.unread(n) == int((reads.sum(0) == 0).sum())
    assert list(step.missed) == (reads.sum((0, 1)) == 0).nonzero().flatten().tolist()


def test_a_probe_with_another_setting_is_told_apart():
    """Were the panel's windows wrong by one cell or by one step, the probes would differ."""
    right = WindowPanel.compute(8, 3, 2, 1, 1, step=5).cells(8)
    for wrong in [(8, 3, 2, 0, 1), (8, 3, 1, 1, 1), (8, 2, 2, 1, 1), (8, 3, 2, 1, 2)]:
        assert gradient_probe(5, **dict(zip(LIMITS, wrong, strict=True))) != right


def test_the_drawing_highlights_those_cells_and_stays_in_its_frame():
    panel, chance, troubles = WindowPanel(), random.Random(0), 0
    for _ in range(100):
        layer = {name: chance.randint(*ends) for name, ends in LIMITS.items()}
        for name, value in {**layer, "step": chance.randint(0, 600)}.items():
            panel.controls[name].value = value  # as the mouse does, one after the other
        boxes = {}
        for box in ElementTree.fromstring(panel.source).iter(f"{SVG}rect"):
            x, y, width, height = (float(box.get(key)) for key in ("x", "y", "width", "height"))
            assert x >= 9.9 and y >= 43.9 and x + width <= 895 and y + height <= 480, box.attrib
            boxes.setdefault(box.get("class"), []).append((x, y))
        assert bool(panel.trouble) == (not fits(layer))
        if panel.trouble:
            troubles += 1
            assert "no window fits" in panel.caption and "is negative" in panel.source
            continue
        assert panel.controls["step"].max == panel.play.max == fits(layer)**2 - 1
        n, padding, number = layer["input_size"], layer["padding"], panel.controls["step"].value
        cell = min(40, 400 / (n + 2 * padding))
        read = sorted((round((y - 44) / cell - padding), round((x - 10) / cell - padding))
                      for x, y in boxes.get("read", []))
        assert read == gradient_probe(number, **layer)
        assert len(read) + len(boxes.get("zero", [])) == layer["kernel_size"]**2
        (x, y), = boxes["written"]
        assert divmod(number, fits(layer)) == (round((y - 44) / cell), round((x - 490) / cell))
        crosses = panel.source.split('class="missed" d="')[1].split('"')[0]
        assert crosses.count("M") == panel.result.unread(n)
    assert 10 < troubles < 90


@pytest.mark.parametrize("layer, numbers", [
    ((8, 3, 2, 0, 1), "⌊(8 + 2·0 − 3) / 2⌋ + 1 = ⌊2.5⌋ + 1 = 3"),
    ((8, 3, 1, 1, 1), "⌊(8 + 2·1 − 3) / 1⌋ + 1 = ⌊7⌋ + 1 = 8"),
    ((12, 4, 3, 0, 2), "span = 2·(4 − 1) + 1 = 7;  ⌊(12 + 2·0 − 7) / 3⌋ + 1 = ⌊1.67⌋ + 1 = 2"),
])
def test_the_formula_holds_the_numbers(layer, numbers):
    panel = WindowPanel(**dict(zip(LIMITS, layer, strict=True)))
    assert panel.result.numbers == numbers and numbers in panel.source


def test_without_the_formula_nothing_gives_it_away():
    for layer in ({"kernel_size": 3, "stride": 2}, {"input_size": 2, "kernel_size": 5}):
        shown, hidden = WindowPanel(**layer), WindowPanel(formula=False, **layer)
        assert "span = dilation·(kernel − 1) + 1" in shown.source
        assert "dilation·" not in hidden.source and "2·0" not in hidden.source
        assert hidden.caption == shown.caption


def test_player_and_slider_go_together():
    panel = WindowPanel(stride=2, step=4)
    assert panel.play.value == 4 and panel.caption.startswith("Window 5 of 9")
    panel.play.value = 7
    assert panel.controls["step"].value == 7 and panel.caption.startswith("Window 8 of 9")
    panel.controls["step"].value = 2
    assert panel.play.value == 2 and panel.caption.startswith("Window 3 of 9")


def test_the_buttons_move_the_window_and_go_round():
    panel = WindowPanel(stride=2)
    panel.buttons["step"].click()
    panel.buttons["step"].click()
    assert panel.result.number == 2
    for _ in range(3):
        panel.buttons["back"].click()
    assert panel.result.number == 8
    panel.buttons["step"].click()
    assert panel.result.number == 0


def test_fewer_windows_take_the_window_back_and_more_leave_it():
    panel = WindowPanel(step=30)
    panel.controls["stride"].value = 3
    assert panel.controls["step"].value == panel.play.value == panel.result.number == 3
    panel.controls["stride"].value = 1
    assert panel.controls["step"].value == panel.result.number == 3


def test_reset_stops_the_player_and_goes_back():
    panel = WindowPanel(stride=2, step=4)
    panel.play.playing = True
    panel.set(input_size=12, padding=6, stride=1, step=200)
    assert panel.result.number == panel.play.value == 200
    panel.reset()
    assert not panel.play.playing and panel.caption.startswith("Window 5 of 9")
    assert panel.play.value == 4


def test_the_speed_control_reaches_ten_windows_a_second_and_more():
    panel = WindowPanel()
    assert panel.play.interval <= 100
    panel.speed.value = panel.speed.max
    assert panel.play.interval <= 50
    panel.speed.value = 1
    assert 900 <= panel.play.interval <= 1000


@pytest.mark.parametrize(("step", "number"), [(-5, 0), (10**9, 35)])
def test_a_step_out_of_range_is_the_nearest_one(step, number):
    assert WindowPanel.compute(8, 3, step=step).number == number


def test_a_refused_step_leaves_the_range_of_steps_alone():
    panel = WindowPanel()
    before = panel.controls["step"].max
    with pytest.raises(ValueError, match="step does not take the value 600"):
        panel.set(step=600)
    assert panel.controls["step"].max == panel.play.max == before
