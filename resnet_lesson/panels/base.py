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
"""

import base64
import html
import io
import textwrap

import ipywidgets as widgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from resnet_lesson import figures

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class Panel(widgets.VBox):
    """What all panels share. ``Panel(name=value, …)`` starts with other values than usual.

    Attributes:
        controls: the input widgets by name; setting ``panel.controls[name].value`` is the same
            as moving the control.
        values: the current value of each control.
        caption: a sentence about the current state; also the panel's ``repr``.
        result: what ``compute`` returned last, or ``None`` where the setting is impossible.
        trouble: why the current setting is impossible, in words; ``""`` where it is not.

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
        self._picture = self.make_picture()
        self._words = widgets.HTML()
        heading = [widgets.HTML(f"<h3 style='margin:0'>{html.escape(self.title)}</h3>")]
        row = widgets.HBox([*self.controls.values(), self._reset],
                           layout=widgets.Layout(flex_flow="row wrap", align_items="center"))
        super().__init__([*(heading if self.title else []), row, self._picture, self._words],
                         layout=widgets.Layout(overflow="hidden"))
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
        color = figures.ORANGE if self.trouble else "inherit"
        self._words.value = (f'<p role="status" style="font-size:16px;line-height:1.4;'
                             f'margin:4px 0;max-width:900px;color:{color}">'
                             f"{html.escape(self.caption)}</p>")

    def draw_trouble(self, words, values):
        """Change the picture where the setting is impossible; by default it stays as it was."""

    def set(self, **values):
        """Move several controls at once, with one redraw."""
        self._set(values)
        self.update()

    def reset(self):
        """Move every control back to where it started."""
        self.set(**self._start)

    def _set(self, values):
        unknown = set(values) - set(self.controls)
        if unknown:
            raise ValueError(f"{type(self).__name__} has no control {sorted(unknown)[0]!r}; "
                             f"it has {', '.join(self.controls)}")
        quiet, self._quiet = self._quiet, True
        try:
            for name, value in values.items():
                try:
                    self.controls[name].value = value
                    refused = self.controls[name].value != value
                except Exception:
                    refused = True
                if refused:
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
    title, tick labels or another artist of the background it must call ``redraw_background``.
    """

    size = (9, 4)

    def make_picture(self):
        """Build the figure and return the widget that shows it."""
        with figures.style():
            self.figure = Figure(figsize=self.size, dpi=100, layout="constrained")
            self._canvas = FigureCanvasAgg(self.figure)
            self._moving = list(self.make_figure(self.figure))
        for artist in self._moving:
            artist.set_animated(True)
        self._background = self._limits = None
        return widgets.Image(format="png", layout=widgets.Layout(
            width=f"{self.size[0] * 100:.0f}px", max_width="100%"))

    def make_figure(self, figure):
        """Make axes and artists; return those that move."""
        raise TypeError(f"{type(self).__name__} needs make_figure(figure)")

    def redraw_background(self):
        """Draw everything anew at the next paint, not only the artists that move."""
        self._background = None

    def paint(self):
        """Draw the moving artists over the kept background and send the picture."""
        self._picture.value = self._render()

    def _render(self):
        limits = [(*axes.get_xlim(), *axes.get_ylim()) for axes in self.figure.axes]
        with figures.style():
            if self._background is None or limits != self._limits:
                self._canvas.draw()
                self._background = self._canvas.copy_from_bbox(self.figure.bbox)
                self._limits = limits
            self._canvas.restore_region(self._background)
            for artist in sorted(self._moving, key=lambda artist: artist.get_zorder()):
                self.figure.draw_artist(artist)
        buffer = io.BytesIO()
        Image.fromarray(_rgb(self._canvas)).save(buffer, "png", compress_level=1)
        return buffer.getvalue()

    def snapshot(self):
        """Return the picture with the caption written under it, as base64 PNG."""
        for artist in self._moving:
            artist.set_animated(False)
        with figures.style():
            self._canvas.draw()
            picture = Image.fromarray(_rgb(self._canvas))
        for artist in self._moving:
            artist.set_animated(True)
        self._background = None
        words = Image.fromarray(_text_picture(self.caption, picture.width))
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
        self._picture.value = self._labelled()

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
        return self._svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)

    def snapshot(self):
        """Return the diagram with the caption written under it, as SVG."""
        return {"image/svg+xml": with_caption(self._labelled(), self.caption, self.size)}


def svg(width, height, *parts):
    """Return an SVG document of the given size in pixels from its parts."""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="100%" style="max-width:{width}px;background:white" '
            f'font-family="DejaVu Sans, Verdana, sans-serif" font-size="16">'
            f"{''.join(parts)}</svg>")


def with_caption(source, caption, size):
    """Return an SVG document that holds ``source`` and, under it, the caption in lines."""
    width, height = size[0] * 100, size[1] * 100
    lines = textwrap.wrap(caption, int(width / 9))
    text = "".join(f'<text x="8" y="{height + 24 + 22 * i:.0f}">{html.escape(line)}</text>'
                   for i, line in enumerate(lines))
    inner = source.replace('width="100%"', f'width="{width:.0f}" height="{height:.0f}"', 1)
    return svg(round(width), round(height + 22 * len(lines) + 16), inner, text)


def _rgb(canvas):
    """Return what is on an Agg canvas as an array (height, width, 3), without transparency."""
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _text_picture(words, width):
    """Return words as a picture of the given width in pixels, black on white."""
    lines = textwrap.wrap(words, int(width / 9)) or [""]
    figure = Figure(figsize=(width / 100, (len(lines) * 22 + 16) / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    with figures.style():
        figure.text(8 / width, 1 - 0.3 / len(lines), "\n".join(lines), va="top", fontsize=12,
                    linespacing=1.25)
        canvas.draw()
    return _rgb(canvas)
