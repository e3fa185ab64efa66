import base64
import io
import itertools

import ipywidgets as widgets
import numpy as np
import pytest
from PIL import Image

from resnet_lesson import figures
from resnet_lesson.panels import DrawingPanel, FigurePanel, Panel, Prediction
from resnet_lesson.panels.base import LARGER, WIDGET_VIEW, svg
from resnet_lesson.panels.picture import drawing_order, in_front, quick_png, rgb


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
        return svg(400, 100, f'<text x="5" y="30">{result:.2f}</text>')


@pytest.fixture(params=[Roots, Sketch])
def panel(request):
    return request.param()


def shown(panel):
    """Return the picture that the browser has, as an array."""
    return np.asarray(Image.open(io.BytesIO(panel._picture.value)))


def full_drawing(panel):
    """Return the same state drawn from scratch, nothing kept from before."""
    panel.figure.set_layout_engine("none")  # a second layout moves axes by 1e-9 of a pixel
    for artist in panel._moving:
        artist.set_animated(False)
    with figures.style():
        panel._canvas.draw()
    return rgb(panel._canvas)


def test_moving_a_control_computes_draws_and_describes(panel):
    before = panel._picture.value
    panel.controls["number"].value = 9
    assert panel.result == 3
    assert panel.caption == "The root of 9 is 3.00." == repr(panel)
    assert panel.caption in panel._words.value
    assert panel._picture.value != before


def test_no_combination_of_controls_raises_and_impossible_ones_become_words(panel):
    for number, power in itertools.product(range(-9, 10), (2, 3)):
        panel.controls["number"].value = number
        panel.controls["power"].value = power
        assert bool(panel.trouble) == (number < 0) == (panel.result is None)
        assert panel.caption and panel.caption == repr(panel)
        if number < 0:
            assert panel.caption == f"{number} has no real root; choose a number of at least 0"
            assert "border-left" in panel._words.value


def test_a_picture_of_an_earlier_setting_fades_and_comes_back(panel):
    panel.set(number=9)
    possible = panel._picture.value
    panel.set(number=-1)
    assert panel.faded and panel._picture.value != possible
    panel.set(number=9)
    assert not panel.faded and panel._picture.value == possible


def test_a_panel_that_draws_its_trouble_does_not_fade():
    class Own(Roots):
        def draw_trouble(self, words, values):
            self.line.set_ydata([3, 3])

    panel = Own(number=-4)
    assert panel.trouble and not panel.faded
    assert (shown(panel) == full_drawing(panel)).all()


def test_set_redraws_once_and_reset_goes_back_to_the_start(panel):
    panel = type(panel)(number=1, power=3)
    count, update = [], panel.update
    panel.update = lambda: count.append(1) or update()
    panel.set(number=8, power=2)
    assert len(count) == 1 and panel.values == {"number": 8, "power": 2}
    panel._reset.click()
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


def test_mime_bundle_holds_view_picture_and_caption(panel):
    panel.set(number=9)
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == panel.caption
    assert bundle[WIDGET_VIEW]["model_id"] == panel.model_id
    assert set(bundle) - {WIDGET_VIEW, "text/plain"} in ({"image/png"}, {"image/svg+xml"})
    if "image/png" in bundle:
        picture = Image.open(io.BytesIO(base64.b64decode(bundle["image/png"])))
        above = np.asarray(picture)[:300]
        assert picture.size[0] == 600 and (above == shown(panel)).all()
        assert (np.asarray(picture)[300:] < 128).any(), "the caption is written underneath"
    else:
        assert panel.caption in bundle["image/svg+xml"]
        assert f'aria-label="{panel.caption}"' in bundle["image/svg+xml"]


@pytest.mark.parametrize("number, power", [(0, 2), (4, 2), (9, 2), (8, 3)])
def test_kept_background_gives_the_full_drawing_pixel_by_pixel(number, power):
    panel = Roots(number=1)
    panel.set(number=number, power=power)
    assert (shown(panel) == full_drawing(panel)).all()


def test_without_the_artists_in_front_the_pixels_would_differ(monkeypatch):
    monkeypatch.setattr("resnet_lesson.panels.base.in_front", lambda axes, moving: [])
    panel = Roots(number=1)
    panel.set(number=9)
    assert (shown(panel) != full_drawing(panel)).any()


def test_artists_persist_and_background_is_drawn_anew_only_when_limits_change():
    panel = Roots()
    artists, drawings, draw = list(panel._moving), [], panel._canvas.draw
    panel._canvas.draw = lambda: drawings.append(1) or draw()
    for number in range(10):
        panel.controls["number"].value = number
    assert not drawings and panel._moving == artists
    panel.figure.axes[0].set_ylim(0, 2)
    panel.update()
    assert len(drawings) == 1
    panel.redraw_background()
    panel.update()
    assert len(drawings) == 2
    panel._repr_mimebundle_()
    assert len(drawings) == 2, "a snapshot costs no full drawing"


class Looks(Roots):
    """Has a scale for each power, in a layout that stays."""

    KEPT = 2

    def make_controls(self):
        return super().make_controls() | {
            "power": widgets.Dropdown(options=[2, 3, 4], value=2, description="power")}

    def make_figure(self, figure):
        moving = super().make_figure(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        return moving

    def draw(self, result, values):
        self.look = values["power"]
        self.figure.axes[0].set_ylim(0, values["power"])
        super().draw(result, values)


def test_a_look_that_comes_back_is_not_drawn_again_while_it_is_kept():
    panel = Looks()
    drawings, draw = [], panel._canvas.draw
    panel._canvas.draw = lambda: drawings.append(panel.look) or draw()
    for power in (3, 2, 3, 2, 4, 3, 2):  # 4 is one too many, so the oldest goes
        panel.controls["power"].value = power
    assert drawings == [3, 4, 2]
    assert (shown(panel) == full_drawing(panel)).all()
    panel.enlarge()
    assert shown(panel).shape == (300 * LARGER, 600 * LARGER, 3)


def test_larger_is_sharp_and_goes_back(panel):
    usual = panel._picture.value, panel._picture.layout.width, panel.snapshot()
    panel.enlarge()
    assert panel.scale == LARGER and "lesson-larger" in panel._dom_classes
    assert panel._picture.layout.width == f"{panel.size[0] * 100 * LARGER:.0f}px"
    assert f"font-size:{16 * LARGER:.0f}px" in panel._words.value
    if isinstance(panel, FigurePanel):
        assert shown(panel).shape == (300 * LARGER, 600 * LARGER, 3)
    else:
        assert f"max-width:{400 * LARGER:.0f}px" in panel._picture.value
    assert panel.snapshot() == usual[2], "what is committed does not depend on the size shown"
    panel._larger.value = False
    assert (panel._picture.value, panel._picture.layout.width) == usual[:2]


def test_title_and_caption_are_escaped_and_labels_are_whole():
    panel = Roots()
    assert "Roots &lt;&amp;&gt;" in panel.children[0].value
    assert all(control.description and control.style.description_width == "initial"
               for control in panel.controls.values())
    panel.caption = "a < b"
    panel.describe = lambda result, values: '1 < 2 "so"'
    panel.update()
    assert "1 &lt; 2" in panel._words.value


def test_errors_that_are_not_about_settings_are_not_swallowed():
    class Broken(Roots):
        def describe(self, result, values):
            return values["nonsense"]

    with pytest.raises(KeyError):
        Broken()


@pytest.mark.parametrize("base", [Panel, FigurePanel, DrawingPanel])
def test_base_classes_say_what_is_missing(base):
    with pytest.raises(TypeError, match="needs make_controls"):
        base()


def test_quick_png_keeps_every_pixel():
    picture = np.random.default_rng(0).integers(0, 256, (37, 53, 3)).astype(np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(quick_png(picture)))) == picture).all()


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
    assert "Your prediction: a." in guess.caption and not guess._radio.disabled
    assert guess.compare("b", "b was 3.") is guess
    assert guess.caption == "You predicted “a”. Measured: b. b was 3."
    assert guess._radio.disabled and guess.caption in guess._words.value
    assert guess.compare("a").caption == "Your prediction holds. Measured: a."


def test_a_late_reader_still_chooses_before_the_verdict_shows():
    guess = Prediction("Which?", [1, 2]).compare(2, "Two.")
    assert guess.caption == "Measured: 2. Two."
    assert "Two." not in guess._words.value and not guess._radio.disabled
    guess.choice = "2"
    assert guess.caption == "Your prediction holds. Measured: 2. Two."
    assert "Two." in guess._words.value and guess._radio.disabled


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


def test_prediction_bundle_reads_as_text():
    guess = Prediction("Which <one>?", ["a", "b"])
    asked = guess._repr_mimebundle_()
    assert asked["text/markdown"] == "**Predict:** Which \\<one>?\n\n- a\n- b"
    assert asked["text/plain"] == guess.caption and WIDGET_VIEW in asked
    assert "Which &lt;one&gt;?" in guess.children[0].value
    told = guess.compare("a", "a was *1* in __init__.")._repr_mimebundle_()
    assert told["text/markdown"].endswith("Measured: a. a was \\*1\\* in \\_\\_init\\_\\_.")
