"""The base of all panels, tried with two small ones, and the question with its answer."""

import io

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from PIL import Image

from resnet_lesson import figures
from resnet_lesson.panels import DrawingPanel, FigurePanel, Panel, Prediction
from resnet_lesson.panels.base import WIDGET_VIEW
from resnet_lesson.panels.picture import drawing_order, in_front, quick_png
from resnet_lesson.panels.svg import element, line, svg, text


def root(number, power):
    """Return a root of a number, as a panel's compute would: impossible settings in words."""
    if number < 0:
        raise ValueError(f"{number} has no real root; choose a number of at least 0")
    return number ** (1 / power)


class Roots(FigurePanel):
    """Crosses the spines, lies behind a legend and a text, ties with a line that stays."""

    title = "Roots <&>"
    size = (6, 3)
    compute = staticmethod(root)

    def make_controls(self):
        return {"number": widgets.IntSlider(4, min=-9, max=9, description="number"),
                "power": widgets.Dropdown(options=[2, 3], value=2, description="power")}

    def make_figure(self, figure):
        axes = figure.subplots()
        self.line, = axes.plot([0, 10], [0, 0], linewidth=6, label="root")
        axes.plot([0, 10], [3, 0], linestyle=":", linewidth=4, label="stays", color=figures.GREY)
        axes.legend(loc="upper center")
        axes.text(5, 1.5, "in front", fontsize=14)
        axes.set(xlim=(0, 10), ylim=(0, 3), xlabel="x", ylabel="y")
        return [self.line]

    def draw(self, result, values):
        self.line.set_ydata([0, result])

    def describe(self, result, values):
        return f"The root of {values['number']} is {result:.2f}."


class Sketch(DrawingPanel):
    size = (4, 1)
    compute = staticmethod(root)
    make_controls = Roots.make_controls
    describe = Roots.describe

    def render(self, result, values):
        return svg(400, 100, text(5, 30, f"{result:.2f}"))


@pytest.fixture(params=[Roots, Sketch])
def panel(request):
    return request.param()


def shown(panel):
    """Return the picture that the browser has, as an array."""
    return np.asarray(Image.open(io.BytesIO(panel.picture.value)))


def count_drawings(panel):
    """Return a list that grows with every drawing of the background."""
    drawings, draw = [], panel.figure.canvas.draw
    panel.figure.canvas.draw = lambda: drawings.append(panel.look) or draw()
    return drawings


def test_moving_a_control_computes_draws_and_describes(panel):
    before = panel.picture.value
    panel.controls["number"].value = 9
    assert panel.result == 3 and panel.trouble == ""
    assert panel.caption == "The root of 9 is 3.00." == repr(panel)
    assert panel.caption in panel.words.value
    assert panel.picture.value != before


def test_an_impossible_setting_becomes_words_in_the_panel(panel):
    panel.controls["number"].value = -4
    assert panel.result is None
    assert panel.caption == "-4 has no real root; choose a number of at least 0" == panel.trouble
    assert "border-left" in panel.words.value


def test_a_picture_of_an_earlier_setting_fades_and_comes_back(panel):
    panel.set(number=9)
    possible = panel.picture.value
    panel.set(number=-1)
    assert panel.faded and panel.picture.value != possible
    panel.set(number=9)
    assert not panel.faded and panel.picture.value == possible


def test_set_redraws_once_and_reset_goes_back_to_the_start(panel):
    panel = type(panel)(number=1, power=3)
    count, update = [], panel.update
    panel.update = lambda: count.append(1) or update()
    panel.set(number=8, power=2)
    assert len(count) == 1 and panel.values == {"number": 8, "power": 2}
    panel.buttons["reset"].click()
    assert len(count) == 2 and panel.values == {"number": 1, "power": 3}


@pytest.mark.parametrize("values, words", [
    ({"nombre": 1}, "has no control 'nombre'; it has number, power"),
    ({"number": 99}, "number does not take the value 99"),
    ({"number": 1.5}, "number does not take the value 1.5"),
    ({"number": float("nan")}, "number does not take the value nan"),
    ({"number": np.arange(3)}, "number does not take"),
    ({"power": 7}, "power does not take the value 7"),
    ({"power": None}, "power does not take the value None"),
])
def test_impossible_values_are_refused_in_words_and_nothing_moves(panel, values, words):
    state = panel.values, panel.caption
    with pytest.raises(ValueError, match=words):
        panel.set(**{"number": 5, **values})
    assert (panel.values, panel.caption) == state
    panel.set(number=9)
    assert panel.result == 3
    with pytest.raises(ValueError, match=words):
        type(panel)(**values)


@pytest.mark.parametrize("number, power", [(0, 2), (4, 2), (9, 2), (8, 3)])
def test_kept_background_gives_the_full_drawing_pixel_by_pixel(number, power, full_drawing):
    panel = Roots(number=1)
    panel.set(number=number, power=power)
    assert (shown(panel) == full_drawing(panel)).all()


def test_without_the_artists_in_front_the_pixels_would_differ(monkeypatch, full_drawing):
    monkeypatch.setattr("resnet_lesson.panels.base.in_front", lambda axes, moving: [])
    panel = Roots(number=1)
    panel.set(number=9)
    assert (shown(panel) != full_drawing(panel)).any()


def test_the_background_is_drawn_anew_only_when_limits_or_look_change():
    panel = Roots()
    drawings = count_drawings(panel)
    for number in range(10):
        panel.controls["number"].value = number
    assert drawings == []
    panel.figure.axes[0].set_ylim(0, 2)
    panel.update()
    assert drawings == [None]
    panel.figure.axes[0].set_title("another title")
    panel.look = "another title"
    panel.update()
    panel.update()
    assert drawings == [None, "another title"]
    panel.snapshot()
    assert len(drawings) == 2, "a snapshot costs no full drawing"


def test_title_and_caption_are_escaped():
    panel = Roots()
    assert "Roots &lt;&amp;&gt;" in panel.children[0].value
    panel.describe = lambda result, values: '1 < 2 "so"'
    panel.update()
    assert "1 &lt; 2" in panel.words.value


def test_errors_that_are_not_about_settings_are_not_swallowed():
    class Broken(Roots):
        def describe(self, result, values):
            return values["nonsense"]

    with pytest.raises(KeyError):
        Broken()


@pytest.mark.parametrize("base, missing", [
    (Panel, "make_controls"), (FigurePanel, "make_figure"), (DrawingPanel, "render")])
def test_base_classes_say_what_is_missing(base, missing):
    parts = {} if base is Panel else {"make_controls": Roots.make_controls, "compute": root,
                                      "describe": Roots.describe}
    with pytest.raises(TypeError, match=f"Half needs {missing}.*as the top of panels/base.py"):
        type("Half", (base,), parts)()


def test_quick_png_keeps_every_pixel():
    picture = np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(quick_png(picture)))) == picture).all()


def test_shapes_leave_out_what_is_not_given_and_escape_words():
    assert element("rect", x=1.50, fill=None, stroke_width=2, class_="a") == (
        '<rect x="1.5" stroke-width="2" class="a"></rect>')
    assert ">a &lt; b</text>" in text(1, 2, "a < b")
    heads = [line((0, 0), end, arrow=True).split('points="')[2].split('"')[0]
             for end in ((30, 0), (0, -30))]
    assert heads == ["30,0 20,-6 20,6", "0,-30 6,-20 -6,-20"]


def test_drawing_order_is_that_of_matplotlib():
    figure, axes = figures.new_figure(1, 2)
    late, = axes[0].plot([0, 1], zorder=5)
    early, = axes[0].plot([0, 1])
    tie, = axes[0].plot([0, 1])
    other, = axes[1].plot([0, 1])
    above = figure.text(0.5, 0.5, "on top")
    shuffled = [above, other, late, tie, early]
    assert drawing_order(figure, shuffled) == [early, tie, late, other, above]
    assert tie in in_front(axes[0], [early]) and early not in in_front(axes[0], [tie])
    assert in_front(axes[1], [late]) == []


def test_prediction_asks_then_compares():
    guess = Prediction("Which?", ["a", "b"])
    assert guess.choice is None and "none yet" in guess.caption and "a; b" in repr(guess)
    guess.choice = "a"
    assert "Your prediction: a." in guess.caption and not guess.radio.disabled
    assert guess.compare("b", "b was 3.") is guess
    assert guess.caption == "You predicted “a”. Measured: b. b was 3."
    assert guess.radio.disabled and guess.caption in guess.words.value
    assert guess.compare("a").caption == "Your prediction holds. Measured: a."


def test_a_late_reader_still_chooses_before_the_verdict_shows():
    guess = Prediction("Which?", [1, 2]).compare(2, "Two.")
    assert guess.caption == "Measured: 2. Two."
    assert "Two." not in guess.words.value and not guess.radio.disabled
    guess.choice = "2"
    assert guess.caption == "Your prediction holds. Measured: 2. Two."
    assert "Two." in guess.words.value and guess.radio.disabled


@pytest.mark.parametrize("options", [[], ["a"], ["a", "a"], [1, "1"]])
def test_a_prediction_needs_different_options(options):
    with pytest.raises(ValueError, match="at least two different options"):
        Prediction("Which?", options)


def test_prediction_refuses_other_answers_in_words():
    guess = Prediction("Which?", ["a", "b"])
    with pytest.raises(ValueError, match="choose one of a, b; got 'c'"):
        guess.choice = "c"
    with pytest.raises(ValueError, match="measured must be one of a, b; got 'c'"):
        guess.compare("c")
    assert guess.measured is None


def test_a_prediction_turns_what_was_measured_into_an_answer():
    sizes = Prediction("How much?", ["little", "some", "much"], limits=[0.05, 0.5])
    for number, answer in ((-3, "little"), (0.05, "some"), (torch.tensor(0.4), "some"),
                           (np.float64(0.5), "much"), ("little", "little")):
        assert sizes.compare(number).measured == answer
    with pytest.raises(ValueError, match="measured must be a number, got nan"):
        sizes.compare(float("nan"))
    for limits in ([1], [2, 1], [1, 1], [1, 2, 3]):
        with pytest.raises(ValueError, match="3 options need 2 limits, from small to large"):
            Prediction("How much?", ["little", "some", "much"], limits)
    works = Prediction("Does it work?", {"yes": True, "no": False})
    assert works.options == ["yes", "no"]
    assert works.compare(np.bool_(True)).measured == "yes"
    assert works.compare(False).measured == "no"
    with pytest.raises(ValueError, match="measured must be one of yes, no; got '2'"):
        works.compare(2)


def test_prediction_bundle_reads_as_text():
    guess = Prediction("Which <one>?", ["a", "b"])
    asked = guess._repr_mimebundle_()
    assert asked["text/markdown"] == "**Predict:** Which \\<one>?\n\n- a\n- b"
    assert asked["text/plain"] == guess.caption and WIDGET_VIEW in asked
    assert "Which &lt;one&gt;?" in guess.children[0].value
    told = guess.compare("a", "a was *1* in __init__.")._repr_mimebundle_()
    assert told["text/markdown"].endswith("Measured: a. a was \\*1\\* in \\_\\_init\\_\\_.")
