"""``Panel``: controls around a pure ``compute`` and a ``draw`` that only moves what moves.

A panel derives from ``FigurePanel`` (a plot of matplotlib) or ``DrawingPanel`` (a diagram in SVG).
It must define

``make_controls()``
    returns a dict of ipywidgets by name, in the order in which they are shown;
``compute(**values)``
    a static method: values of the controls in, result out, no widgets; a ``ValueError`` from
    it is an impossible setting, and its sentence is shown inside the panel;
``describe(result, values)``
    returns the caption, one or two sentences with the numbers in them;
``render(result, values)``, in a ``DrawingPanel``
    returns the diagram, made with ``svg``; its text is at least 16 pixels high;
``make_figure(figure)`` and ``draw(result, values)``, in a ``FigurePanel``
    the first makes axes and artists once, keeps them as attributes and returns those that the
    second will move; everything else is drawn once and kept as the background. The layout is
    found once too, so the first leaves the axes with the widest tick labels that may come.

It may define

``title``, ``size``
    a heading, and the size of the picture in units of 100 pixels;
``more_buttons()``
    returns a dict of buttons that stand behind "Reset" and "Larger";
``draw_trouble(words, values)``
    the picture of an impossible setting; without it, the last picture fades;
``look``, in a ``FigurePanel``
    the background is drawn anew where the limits of axes change. Where ``draw`` changes a title,
    ticks or something else of it, it also sets ``look`` to what tells the backgrounds apart.

Every panel can be used with the keyboard alone: Tab goes from control to control, the arrow
keys move the one that has the focus. "Larger" makes the whole panel half as large again, for
the back row of a lecture hall.
"""

import base64
import html
import io

import ipywidgets as widgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from resnet_lesson import figures
from resnet_lesson.panels.picture import drawing_order, in_front, quick_png, rgb, text_picture
from resnet_lesson.panels.svg import with_caption

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
LARGER = 1.5  # how much "Larger" enlarges
LOOKS = """<style>
.lesson-panel {--jp-widgets-font-size: 16px; --jp-widgets-inline-height: 32px}
.lesson-panel.lesson-larger {--jp-widgets-font-size: 22px; --jp-widgets-inline-height: 42px;
    --jp-widgets-inline-width: 400px}
.lesson-panel .widget-label {margin-right: 10px}
.lesson-panel .widget-readout {min-width: 3.5em}
.lesson-panel :focus-visible {outline: 3px solid #0072B2; outline-offset: 2px}
</style>"""


def in_a_row(*children):
    """Return widgets side by side, in several rows where one is too narrow."""
    return widgets.HBox(children, layout=widgets.Layout(flex_flow="row wrap",
                                                        align_items="center"))


def paragraph(words, color=None, scale=1):
    """Return words as HTML that a screen reader reads out, beside a bar of a colour."""
    bar = f"border-left:6px solid {color};padding-left:10px;" if color else ""
    return (f'<p role="status" style="font-size:{16 * scale:.0f}px;line-height:1.4;margin:4px 0;'
            f'max-width:{900 * scale:.0f}px;{bar}">{html.escape(words)}</p>')


class Captioned(widgets.VBox):
    """Widgets that a notebook also keeps without a kernel: as ``snapshot()`` and as ``caption``."""

    def __init__(self, children, **options):
        super().__init__(children, **options)
        self.add_class("lesson-panel")

    def __repr__(self):
        """Return the caption."""
        return self.caption

    def _repr_mimebundle_(self, **kwargs):
        """Return the live view, what a reader without a kernel sees, and the caption as text."""
        bundle = super()._repr_mimebundle_(**kwargs)
        live = bundle[0] if isinstance(bundle, tuple) else bundle
        return {WIDGET_VIEW: live[WIDGET_VIEW], **self.snapshot(), "text/plain": self.caption}


class Panel(Captioned):
    """What all panels share. ``Panel(name=value, …)`` starts with other values than usual.

    Attributes:
        controls: the input widgets by name; setting ``panel.controls[name].value`` is the same
            as moving the control.
        buttons: ``"reset"``, ``"larger"`` and those of ``more_buttons``, by name.
        row, picture, words: the widgets that show controls and buttons, picture, and caption.
        caption: a sentence about the current state; also the panel's ``repr``.
        result: what ``compute`` returned last, or ``None`` where the setting is impossible.
        trouble: why the current setting is impossible, in words; ``""`` where it is not.
        faded: the picture belongs to an earlier setting, and is shown as such.
        scale: how large the panel is shown: 1, or ``LARGER`` in a lecture hall.

    Raises:
        ValueError: a start value for a control that does not exist or does not take it.
    """

    must_define = ("make_controls", "compute", "describe")
    title = ""
    size = (9, 4)

    def __init__(self, **start):
        for name in self.must_define:
            if not hasattr(self, name):
                raise TypeError(f"{type(self).__name__} needs {name}(); derive it from FigurePanel "
                                "or DrawingPanel, as the top of panels/base.py says")
        self.controls = self.make_controls()
        self.result, self.trouble, self.caption = None, "", ""
        self.scale, self.faded, self._quiet = 1, False, True
        for control in self.controls.values():
            control.style.description_width = "initial"
            control.observe(self._changed, names="value")
        self._move(start)
        self._start = self.values
        self.buttons = {
            "reset": widgets.Button(description="Reset", icon="undo",
                                    tooltip="Back to the first values"),
            "larger": widgets.ToggleButton(description="Larger", icon="search-plus",
                                           tooltip="For the lecture hall: half as large again"),
            **self.more_buttons()}
        self.buttons["reset"].on_click(lambda _: self.reset())
        self.buttons["larger"].observe(lambda change: self.rescale(), names="value")
        self.row = in_a_row(*self.controls.values(), *self.buttons.values())
        self.picture, self.words = self.make_picture(), widgets.HTML()
        self.picture.layout.max_width = "100%"
        self.resize()
        title = f"<h3 style='margin:0'>{html.escape(self.title)}</h3>" if self.title else ""
        super().__init__([widgets.HTML(LOOKS + title), self.row, self.picture, self.words],
                         layout=widgets.Layout(overflow="hidden"))
        self._quiet = False
        self.update()

    def more_buttons(self):
        """Return buttons of this panel alone, a dict by name."""
        return {}

    @property
    def values(self):
        """Return the current value of each control."""
        return {name: control.value for name, control in self.controls.items()}

    def update(self):
        """Compute, draw and describe the current state."""
        values, self.faded = self.values, False
        try:
            self.result, self.trouble = self.compute(**values), ""
        except ValueError as error:
            self.result, self.trouble = None, str(error)
        if self.trouble:
            self.draw_trouble(self.trouble, values)
            self.caption = self.trouble
        else:
            self.draw(self.result, values)
            self.caption = self.describe(self.result, values)
        self.paint()
        self.words.value = paragraph(self.caption, figures.ORANGE if self.trouble else None,
                                     self.scale)

    def draw_trouble(self, words, values):
        """Change the picture where the setting is impossible."""
        self.faded = True

    def set(self, **values):
        """Move several controls at once, with one redraw.

        Raises:
            ValueError: a control that does not exist, or a value it does not take; then every
                control stays where it was.
        """
        self._move(values)
        self.update()

    def reset(self):
        """Move every control back to where it started."""
        self.set(**self._start)

    def enlarge(self, larger=True):
        """Show the panel half as large again, or, with ``False``, in its usual size."""
        self.buttons["larger"].value = bool(larger)

    def rescale(self):
        """Take the size that the button "Larger" asks for."""
        if self.buttons["larger"].value:
            self.scale = LARGER
            self.add_class("lesson-larger")
        else:
            self.scale = 1
            self.remove_class("lesson-larger")
        self.resize()
        self.update()

    def resize(self):
        """Give the picture the size that ``scale`` asks for."""
        self.picture.layout.width = f"{self.size[0] * 100 * self.scale:.0f}px"

    def _move(self, values):
        unknown = set(values) - set(self.controls)
        if unknown:
            raise ValueError(f"{type(self).__name__} has no control {sorted(unknown)[0]!r}; "
                             f"it has {', '.join(self.controls)}")
        quiet, self._quiet, before = self._quiet, True, self.values
        try:
            for name, value in values.items():
                if not _takes(self.controls[name], value):
                    for other, old in before.items():
                        self.controls[other].value = old
                    raise ValueError(f"{name} does not take the value {value!r}")
        finally:
            self._quiet = quiet

    def _changed(self, change):
        if not self._quiet:
            self.update()


class FigurePanel(Panel):
    """A panel around one matplotlib figure whose moving artists are redrawn alone."""

    must_define = (*Panel.must_define, "make_figure", "draw")
    look = None

    def make_picture(self):
        """Build the figure and return the widget that shows it."""
        with figures.style():
            self.figure = Figure(figsize=self.size, dpi=100, layout="constrained")
            self._canvas = FigureCanvasAgg(self.figure)
            self._moving = list(self.make_figure(self.figure))
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")
        self._moving += [artist for axes in self.figure.axes
                         for artist in in_front(axes, self._moving)]
        for artist in self._moving:
            artist.set_animated(True)
        self._shown = None  # what the background was drawn for
        return widgets.Image(format="png")

    def paint(self):
        """Send the picture, as ``draw`` left it, to the browser."""
        self.picture.value = quick_png(self.pixels())

    def pixels(self):
        """Return the picture: the moving artists over the kept background, (height, width, 3)."""
        limits = [(*axes.get_xlim(), *axes.get_ylim()) for axes in self.figure.axes]
        with figures.style():
            if self._shown != (self.look, limits):
                self._shown = self.look, limits
                self._canvas.draw()
                self._background = self._canvas.copy_from_bbox(self.figure.bbox)
            self._canvas.restore_region(self._background)
            for artist in drawing_order(self.figure, self._moving):
                self.figure.draw_artist(artist)
        picture = rgb(self._canvas)
        return 255 - (255 - picture) // 4 if self.faded else picture

    def resize(self):
        """Draw with as many more pixels as the picture is larger, so that it stays sharp."""
        super().resize()
        self._sharpen(self.scale)

    def _sharpen(self, scale):
        if self.figure.get_dpi() != 100 * scale:
            self.figure.set_dpi(100 * scale)
            self._shown = None

    def snapshot(self):
        """Return the picture in its usual size, the caption written under it, as base64 PNG."""
        self._sharpen(1)
        picture = self.pixels()
        self._sharpen(self.scale)
        both = np.vstack([picture, text_picture(self.caption, picture.shape[1])])
        buffer = io.BytesIO()
        Image.fromarray(both).save(buffer, "png", optimize=True)
        return {"image/png": base64.b64encode(buffer.getvalue()).decode()}


class DrawingPanel(Panel):
    """A panel around a diagram in SVG, which is sharp at any size and quickly made.

    Attributes:
        source: the diagram.
    """

    must_define = (*Panel.must_define, "render")
    source = ""

    def make_picture(self):
        """Return the widget that shows the diagram."""
        return widgets.HTML()

    def draw(self, result, values):
        """Keep what ``render`` returns."""
        self.source = self.render(result, values)

    def paint(self):
        """Send the diagram to the browser."""
        self.picture.value = self.labelled()

    def labelled(self):
        """Return the diagram with the caption as its label, faded where it belongs elsewhere."""
        label = html.escape(self.caption, quote=True)
        faded = ' opacity="0.3"' if self.faded else ""
        return self.source.replace("<svg", f'<svg role="img" aria-label="{label}"{faded}', 1)

    def snapshot(self):
        """Return the diagram with the caption written under it, as SVG."""
        return {"image/svg+xml": with_caption(self.labelled(), self.caption, self.size)}


def _takes(control, value):
    """Move a control; return whether it took the value as it is."""
    try:
        control.value = value
        chosen = getattr(control, "index", 0) is not None  # menus also take None: no choice
        return bool(control.value == value) and chosen
    except Exception:
        return False
