"""The window panel: highlighted cells against probes of torch, words, buttons, drawing."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from resnet_lesson.networks.convolution import output_size
from resnet_lesson.panels.window import LIMITS, WindowPanel

some = settings(max_examples=150, derandomize=True, deadline=None)
LAYER = {name: st.integers(*ends) for name, ends in LIMITS.items()}


def fits(layer):
    """Return the output size of a layer, or 0 where no window fits."""
    try:
        return output_size(**layer)
    except ValueError:
        return 0


def one_hot_probe(n, kernel, stride, padding, dilation):
    """Return (outputs, n, n): what each output cell reads, found with one-hot pictures."""
    pictures = torch.eye(n * n, dtype=torch.float64).reshape(n * n, 1, n, n)
    weight = torch.ones(1, 1, kernel, kernel, dtype=torch.float64)
    maps = F.conv2d(pictures, weight, stride=stride, padding=padding, dilation=dilation)
    return maps.reshape(n * n, -1).T.reshape(-1, n, n)


def gradient_probe(number, n, kernel, stride, padding, dilation):
    """Return (n, n): what one output cell reads, found with the gradient of the input."""
    x = torch.zeros(1, 1, n, n, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(1, 1, kernel, kernel, dtype=torch.float64) + 0.5
    F.conv2d(x, weight, stride=stride, padding=padding,
             dilation=dilation).flatten()[number].backward()
    return x.grad[0, 0]


def drawn(panel, name):
    """Return the (x, y, width) of the rectangles of one class in the drawing."""
    tree = ElementTree.fromstring(panel._svg)
    return [tuple(float(box.get(key)) for key in ("x", "y", "width"))
            for box in tree.iter("{http://www.w3.org/2000/svg}rect") if box.get("class") == name]


@some
@given(layer=st.fixed_dictionaries(LAYER), data=st.data())
def test_the_cells_of_a_step_are_those_that_torch_reads(layer, data):
    assume(fits(layer))
    n = layer["input_size"]
    number = data.draw(st.integers(0, fits(layer)**2 - 1))
    step = WindowPanel.compute(**layer, step=number)
    reads = gradient_probe(number, *(layer[name] for name in LIMITS))
    assert step.cells(n) == [tuple(cell) for cell in reads.nonzero().tolist()]
    assert (step.row, step.column) == divmod(number, fits(layer)) and step.number == number


@settings(max_examples=40, derandomize=True, deadline=None)
@given(layer=st.fixed_dictionaries({**LAYER, "input_size": st.integers(1, 8)}))
def test_all_steps_and_unread_cells_are_what_one_hot_pictures_find(layer):
    assume(fits(layer))
    n = layer["input_size"]
    reads = one_hot_probe(*(layer[name] for name in LIMITS))
    assert len(reads) == fits(layer)**2
    for number in range(0, len(reads), max(1, len(reads) // 20)):
        step = WindowPanel.compute(**layer, step=number)
        assert step.cells(n) == [tuple(cell) for cell in reads[number].nonzero().tolist()]
    assert step.unread(n) == int((reads.sum(0) == 0).sum())
    assert list(step.missed) == (reads.sum((0, 1)) == 0).nonzero().flatten().tolist()


def test_the_drawing_highlights_those_cells_and_no_others():
    panel = WindowPanel()
    generator = torch.Generator().manual_seed(0)
    checked = 0
    while checked < 60:
        layer = {name: int(torch.randint(low, high + 1, (), generator=generator))
                 for name, (low, high) in LIMITS.items()}
        if not fits(layer):
            continue
        number = int(torch.randint(0, fits(layer)**2, (), generator=generator))
        panel.set(**layer, step=number)
        n, padding = layer["input_size"], layer["padding"]
        cell = min(40, 400 / (n + 2 * padding))
        reads = gradient_probe(number, *(layer[name] for name in LIMITS)).nonzero().tolist()
        at = sorted([round((y - 44) / cell - padding), round((x - 10) / cell - padding)]
                    for x, y, _ in drawn(panel, "read"))
        assert at == reads
        assert len(drawn(panel, "read")) + len(drawn(panel, "zero")) == layer["kernel_size"]**2
        (x, y, _), = drawn(panel, "written")
        assert divmod(number, fits(layer)) == (round((y - 44) / cell), round((x - 490) / cell))
        crosses = re.search('class="missed" d="([^"]*)"', panel._svg)
        assert (crosses[1].count("M") if crosses else 0) == panel.result.unread(n)
        checked += 1


def test_a_probe_with_another_setting_is_told_apart():
    """Were the panel's windows wrong by one cell or by one step, the probes would differ."""
    right = WindowPanel.compute(8, 3, 2, 1, 1, step=5).cells(8)
    for wrong in [(8, 3, 2, 0, 1), (8, 3, 1, 1, 1), (8, 2, 2, 1, 1), (8, 3, 2, 1, 2)]:
        assert [tuple(cell) for cell in gradient_probe(5, *wrong).nonzero().tolist()] != right


@pytest.mark.parametrize("layer, numbers", [
    ((8, 3, 2, 0, 1), "⌊(8 + 2·0 − 3) / 2⌋ + 1 = ⌊2.5⌋ + 1 = 3"),
    ((8, 3, 1, 1, 1), "⌊(8 + 2·1 − 3) / 1⌋ + 1 = ⌊7⌋ + 1 = 8"),
    ((12, 4, 3, 0, 2), "span = 2·(4 − 1) + 1 = 7;  ⌊(12 + 2·0 − 7) / 3⌋ + 1 = ⌊1.67⌋ + 1 = 2"),
])
def test_the_formula_holds_the_numbers(layer, numbers):
    panel = WindowPanel(**dict(zip(LIMITS, layer, strict=True)))
    assert panel.result.numbers == numbers and numbers in panel._svg


@some
@given(layer=st.fixed_dictionaries(LAYER), step=st.integers(0, 600))
def test_no_setting_raises_and_the_drawing_stays_in_its_frame(layer, step):
    panel = test_no_setting_raises_and_the_drawing_stays_in_its_frame.panel
    for name, value in {**layer, "step": step}.items():
        panel.controls[name].value = value  # as the mouse does, one after the other
    assert panel.caption == repr(panel)
    assert bool(panel.trouble) == (not fits(layer))
    if panel.trouble:
        assert "no window fits" in panel.caption and "is negative" in panel._svg
    else:
        assert panel.controls["step"].max == panel.play.max == fits(layer)**2 - 1
    tree = ElementTree.fromstring(panel._svg)
    for box in tree.iter("{http://www.w3.org/2000/svg}rect"):
        x, y, width, height = (float(box.get(key)) for key in ("x", "y", "width", "height"))
        assert x >= 9.9 and y >= 43.9 and x + width <= 895 and y + height <= 480, box.attrib
    assert all(float(text.get("font-size")) >= 16
               for text in tree.iter("{http://www.w3.org/2000/svg}text"))


test_no_setting_raises_and_the_drawing_stays_in_its_frame.panel = WindowPanel()


def test_every_setting_at_both_ends_in_every_combination():
    panel, troubles = WindowPanel(), 0
    for bits in range(2**5):
        layer = {name: ends[bits >> i & 1] for i, (name, ends) in enumerate(LIMITS.items())}
        panel.set(**layer)
        troubles += bool(panel.trouble)
        assert bool(panel.trouble) == (not fits(layer))
    assert 0 < troubles < 32


def test_player_and_slider_go_together():
    panel = WindowPanel(stride=2, step=4)
    assert panel.play.value == 4 and panel.caption.startswith("Window 5 of 9")
    panel.play.value = 7
    assert panel.controls["step"].value == 7 and panel.caption.startswith("Window 8 of 9")
    panel.controls["step"].value = 2
    assert panel.play.value == 2 and panel.caption.startswith("Window 3 of 9")


def test_step_and_back_go_round():
    panel = WindowPanel(stride=2)
    panel.move(-1)
    assert panel.result.number == 8
    panel.move(1)
    assert panel.result.number == 0


def test_the_buttons_move_the_window():
    panel = WindowPanel()
    back, on = panel.children[2].children[1:3]
    on.click()
    on.click()
    assert panel.result.number == 2
    back.click()
    assert panel.result.number == 1


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


@pytest.mark.parametrize("values", [{"input_size": 13}, {"step": 10_000}, {"kernel_size": 0},
                                    {"padding": 1.5}, {"colour": 1}])
def test_start_values_that_no_control_takes_are_refused(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        WindowPanel(**values)


@pytest.mark.parametrize("step", [-5, 10**9])
def test_a_step_out_of_range_is_the_nearest_one(step):
    assert WindowPanel.compute(8, 3, step=step).number == (0 if step < 0 else 35)


def test_the_picture_for_readers_without_widgets_has_the_caption_in_words():
    bundle = WindowPanel(input_size=5, kernel_size=7)._repr_mimebundle_()
    assert "no window fits" in bundle["text/plain"]
    ElementTree.fromstring(bundle["image/svg+xml"])


def test_a_refused_step_leaves_the_range_of_steps_alone():
    panel = WindowPanel()
    before = panel.controls["step"].max
    with pytest.raises(ValueError, match="step does not take the value 600"):
        panel.set(step=600)
    assert panel.controls["step"].max == panel.play.max == before
