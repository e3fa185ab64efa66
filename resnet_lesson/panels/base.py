"""``Panel``: controls around a pure ``compute`` and a ``draw`` that only moves what moves.

A panel is written by subclassing ``FigurePanel`` (a matplotlib plot) or ``DrawingPanel`` (a
diagram in SVG) and giving it four methods:

``make_controls()``
    returns a dict of ipywidgets by name, in the order in which they are shown;
``compute(**values)``
    a static method: values of the controls in, result out, no widgets; a ``ValueError`` from
    it is an impossible setting, and its sentence is shown inside the panel;
``draw(result, values)``
    puts the result into the picture;
``describe(result, values)``
    returns the caption, one or two sentences with the numbers in them.

Every panel can be used with the keyboard alone: Tab goes from control to control, the arrow
keys move the one that has the focus. "Larger" makes the whole panel half as large again, for
the back row of a lecture hall.
"""

import base64
import html
import io
import re

import ipywidgets as widgets
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from resnet_lesson import figures
from resnet_lesson.panels.picture import (
    drawing_order,
    in_front,
    quick_png,
    rgb,
    svg,
    text_picture,
    with_caption,
)

__all__ = ["LARGER", "LOOKS", "WIDGET_VIEW", "DrawingPanel", "FigurePanel", "Panel", "svg",
           "with_caption"]
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


class Panel(widgets.VBox):
    """What all panels share. ``Panel(name=value, …)`` starts with other values than usual.

    Attributes:
        controls: the input widgets by name; setting ``panel.controls[name].value`` is the same
            as moving the control.
        values: the current value of each control.
        caption: a sentence about the current state; also the panel's ``repr``.
        result: what ``compute`` returned last, or ``None`` where the setting is impossible.
        trouble: why the current setting is impossible, in words; ``""`` where it is not.
        scale: how large the panel is shown: 1, or ``LARGER`` in a lecture hall.

    Raises:
        ValueError: a start value for a control that does not exist or does not take it.
    """

    title = ""

    def __init__(self, **start):
        self.controls = self.make_controls()
        self.result, self.trouble, self.caption = None, "", ""
        self._quiet = True
        for control in self.controls.values():
            control.style.description_width = "initial"
            control.observe(self._changed, names="value")
        self._set(start)
        self._start = self.values
        self._reset = widgets.Button(description="Reset", icon="undo",
                                     tooltip="Back to the first values")
        self._reset.on_click(lambda _: self.reset())
        self._larger = widgets.ToggleButton(description="Larger", icon="search-plus",
                                            tooltip="For the lecture hall: half as large again")
        self._larger.observe(lambda change: self._enlarge(), names="value")
        self.scale = 1
        self._picture = self.make_picture()
        self._words = widgets.HTML()
        title = f"<h3 style='margin:0'>{html.escape(self.title)}</h3>" if self.title else ""
        row = widgets.HBox([*self.controls.values(), self._reset, self._larger],
                           layout=widgets.Layout(flex_flow="row wrap", align_items="center"))
        super().__init__([widgets.HTML(LOOKS + title), row, self._picture, self._words],
                         layout=widgets.Layout(overflow="hidden"))
        self.add_class("lesson-panel")
        self._quiet = False
        self.update()

    def make_controls(self):
        """Return the controls, a dict of ipywidgets by name."""
        raise TypeError(f"{type(self).__name__} needs make_controls()")

    def make_picture(self):
        """Return the widget that shows the picture."""
        raise TypeError("derive a panel from FigurePanel or DrawingPanel")

    def paint(self):
        """Send the picture, as ``draw`` left it, to the browser."""
        raise TypeError("derive a panel from FigurePanel or DrawingPanel")

    def snapshot(self):
        """Return the current picture with its caption as a MIME bundle."""
        raise TypeError("derive a panel from FigurePanel or DrawingPanel")

    @property
    def values(self):
        """Return the current value of each control."""
        return {name: control.value for name, control in self.controls.items()}

    def update(self):
        """Compute, draw and describe the current state."""
        values = self.values
        try:
            self.result, self.trouble = self.compute(**values), ""
        except ValueError as error:
            self.result, self.trouble = None, str(error)
        if self.trouble:
            self.caption = self.trouble
            self.draw_trouble(self.trouble, values)
        else:
            self.draw(self.result, values)
            self.caption = self.describe(self.result, values)
        self.paint()
        mark = f"border-left:6px solid {figures.ORANGE};padding-left:10px;" * bool(self.trouble)
        self._words.value = (f'<p role="status" style="font-size:{16 * self.scale:.0f}px;'
                             f'line-height:1.4;margin:4px 0;max-width:{900 * self.scale:.0f}px;'
                             f'{mark}">{html.escape(self.caption)}</p>')

    def draw_trouble(self, words, values):
        """Change the picture where the setting is impossible; by default the last one fades."""

    @property
    def faded(self):
        """Return whether the picture belongs to an earlier setting, and is shown as such."""
        return bool(self.trouble) and type(self).draw_trouble is Panel.draw_trouble

    def set(self, **values):
        """Move several controls at once, with one redraw.

        Raises:
            ValueError: a control that does not exist, or a value it does not take; then every
                control stays where it was.
        """
        self._set(values)
        self.update()

    def enlarge(self, larger=True):
        """Show the panel half as large again, or, with ``False``, in its usual size."""
        self._larger.value = bool(larger)

    def _enlarge(self):
        self.scale = LARGER if self._larger.value else 1
        (self.add_class if self._larger.value else self.remove_class)("lesson-larger")
        self.resize()
        self.update()

    def resize(self):
        """Give the picture the size that ``scale`` asks for."""
        self._picture.layout.width = f"{self.size[0] * 100 * self.scale:.0f}px"

    def reset(self):
        """Move every control back to where it started."""
        self.set(**self._start)

    def _set(self, values):
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

    def __repr__(self):
        """Return the caption."""
        return self.caption

    def _repr_mimebundle_(self, **kwargs):
        """Return the live view, a picture of the current state, and the caption as text."""
        bundle = super()._repr_mimebundle_(**kwargs)
        live = bundle[0] if isinstance(bundle, tuple) else bundle
        return {WIDGET_VIEW: live[WIDGET_VIEW], **self.snapshot(), "text/plain": self.caption}


class FigurePanel(Panel):
    """A panel around one matplotlib figure whose moving artists are redrawn alone.

    Subclasses give, beside what ``Panel`` asks for:

    ``make_figure(figure)``
        makes axes and artists once, keeps them as attributes, and returns the list of artists
        that ``draw`` will move; everything else is drawn once and kept as the background.

    Where ``draw`` changes axis limits, the background is drawn anew by itself; after changing a
    title, tick labels or another artist of the background it must call ``redraw_background``. A
    panel that comes back to the same few backgrounds, with a layout that stays as it is, sets
    ``look`` to what tells them apart instead; the last ``KEPT`` of them are kept.
    """

    size = (9, 4)
    look = None
    KEPT = 6  # 2 to 4 MB each

    def make_picture(self):
        """Build the figure and return the widget that shows it."""
        with figures.style():
            self.figure = Figure(figsize=self.size, dpi=100, layout="constrained")
            self._canvas = FigureCanvasAgg(self.figure)
            self._moving = list(self.make_figure(self.figure))
        self._moving += [artist for axes in self.figure.axes
                         for artist in in_front(axes, self._moving)]
        for artist in self._moving:
            artist.set_animated(True)
        self._backgrounds = {}  # look → (limits of the axes, pixels)
        return widgets.Image(format="png", layout=widgets.Layout(
            width=f"{self.size[0] * 100:.0f}px", max_width="100%"))

    def make_figure(self, figure):
        """Make axes and artists; return those that move."""
        raise TypeError(f"{type(self).__name__} needs make_figure(figure)")

    def redraw_background(self):
        """Draw everything anew at the next paint, not only the artists that move."""
        self._backgrounds.clear()

    def paint(self):
        """Draw the moving artists over the kept background and send the picture."""
        self._picture.value = self._render()

    def _render(self):
        limits = [(*axes.get_xlim(), *axes.get_ylim()) for axes in self.figure.axes]
        with figures.style():
            drawn, background = self._backgrounds.get(self.look, (None, None))
            if limits != drawn:
                self._canvas.draw()
                background = self._canvas.copy_from_bbox(self.figure.bbox)
                self._backgrounds[self.look] = limits, background
                if len(self._backgrounds) > self.KEPT:
                    self._backgrounds.pop(next(iter(self._backgrounds)))
            self._canvas.restore_region(background)
            for artist in drawing_order(self.figure, self._moving):
                self.figure.draw_artist(artist)
        picture = rgb(self._canvas)
        if self.faded:
            picture = 255 - (255 - picture) // 4
        return quick_png(picture)

    def resize(self):
        """Draw with as many more pixels as the picture is larger, so that it stays sharp."""
        super().resize()
        self._sharpen()

    def _sharpen(self):
        self.figure.set_dpi(100 * self.scale)
        self._backgrounds.clear()

    def snapshot(self):
        """Return the picture with the caption written under it, as base64 PNG."""
        scale, self.scale = self.scale, 1
        if scale != 1:
            self._sharpen()
        picture = Image.open(io.BytesIO(self._render()))
        self.scale = scale
        if scale != 1:
            self._sharpen()
        words = Image.fromarray(text_picture(self.caption, picture.width))
        both = Image.new("RGB", (picture.width, picture.height + words.height), "white")
        both.paste(picture, (0, 0))
        both.paste(words, (0, picture.height))
        buffer = io.BytesIO()
        both.save(buffer, "png", optimize=True)
        return {"image/png": base64.b64encode(buffer.getvalue()).decode()}


class DrawingPanel(Panel):
    """A panel around a diagram in SVG; ``draw`` returns its source instead of moving artists.

    SVG is sharp at any size and takes the kernel about a millisecond. The text in it must be at
    least 16 pixels high at the diagram's natural size.
    """

    size = (9, 4)

    def make_picture(self):
        """Return the widget that shows the diagram."""
        self._svg = ""
        return widgets.HTML(layout=widgets.Layout(
            width=f"{self.size[0] * 100:.0f}px", max_width="100%"))

    def update(self):
        """Compute, draw and describe the current state."""
        super().update()
        self._picture.value = re.sub(
            r"max-width:(\d+)px", lambda found: f"max-width:{int(found[1]) * self.scale:.0f}px",
            self._labelled(), count=1)

    def paint(self):
        """Nothing to do: the source is sent once the caption, which labels it, is known."""

    def draw(self, result, values):
        """Keep the source that ``render`` returns."""
        self._svg = self.render(result, values)

    def render(self, result, values):
        """Return the SVG source of the diagram, starting with ``<svg``."""
        raise TypeError(f"{type(self).__name__} needs render(result, values)")

    def _labelled(self):
        label = html.escape(self.caption, quote=True)
        faded = ' opacity="0.3"' * self.faded
        return self._svg.replace("<svg", f'<svg role="img" aria-label="{label}"{faded}', 1)

    def snapshot(self):
        """Return the diagram with the caption written under it, as SVG."""
        return {"image/svg+xml": with_caption(self._labelled(), self.caption, self.size)}


def _takes(control, value):
    """Move a control; return whether it took the value as it is."""
    try:
        control.value = value
        chosen = getattr(control, "index", 0) is not None  # menus also take None: no choice
        return bool(control.value == value) and chosen
    except Exception:
        return False
