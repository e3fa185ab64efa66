"""Figures: data in, a captioned matplotlib ``Figure`` out, in one house style.

Every figure carries a sentence computed from its data, ``figure.caption``; ``show`` puts it under
the picture. Colours are those of Okabe and Ito (2008), told apart by colour-blind readers too;
lines differ in dash as well as in colour.
"""

import base64
import io
import textwrap

import matplotlib as mpl
import matplotlib.style
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
SKY, AMBER, YELLOW, GREY = "#56B4E9", "#E69F00", "#F0E442", "#6E6E6E"
PALETTE = (BLUE, ORANGE, GREEN, PINK, SKY, AMBER, GREY)
# The one look of the arms: colour, dash and marker each tell them apart alone.
COLORS = {"plain": ORANGE, "residual": BLUE, "pre-activation": GREEN, "identity": GREY,
          "train": GREY, "validation": BLUE, "test": GREEN}
DASHES = {"plain": "--", "residual": "-", "pre-activation": "-.", "identity": ":",
          "train": "--", "validation": "-"}
MARKERS = {"plain": "s", "residual": "o", "pre-activation": "D"}
STYLE = {
    "font.size": 14, "axes.titlesize": 15, "axes.labelsize": 14, "legend.fontsize": 13,
    "xtick.labelsize": 13, "ytick.labelsize": 13, "lines.linewidth": 2.5,
    "lines.markersize": 7, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True, "image.cmap": "cividis",
    "axes.prop_cycle": mpl.cycler(color=PALETTE), "figure.facecolor": "white",
    "legend.frameon": False, "font.family": "DejaVu Sans",
}
SHARPNESS = 1.6  # pixels stored per pixel shown, so that zoomed and projected text stays crisp


def style():
    """Return what puts the house style in force, for ``with`` and as a decorator.

    It starts from matplotlib's defaults, so that a reader's own settings change no picture.
    """
    return mpl.style.context(["default", STYLE])


def arm_look(arm):
    """Return color, dash and marker of an arm, as options of ``plot``."""
    return {"color": COLORS[arm], "linestyle": DASHES[arm], "marker": MARKERS[arm]}


def line_look(i):
    """Return color, dash and marker of the line with number i where lines are no arms."""
    return {"color": PALETTE[i % len(PALETTE)], "linestyle": ("-", "--", "-.", ":")[i % 4],
            "marker": "osD^vPX"[i % 7]}


def new_figure(rows=1, columns=1, size=(9, 4), **options):
    """Return ``(figure, axes)`` in the house style; ``size`` in inches, 100 pixels each.

    ``options`` go to ``Figure.subplots``. The figure is not registered with pyplot, so nothing
    shows it twice and nothing has to close it.
    """
    with style():
        figure = Figure(figsize=size, dpi=100, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, **options)
    figure.caption = ""
    return figure, axes


def png(figure, sharpness=SHARPNESS):
    """Return a figure as PNG bytes."""
    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=100 * sharpness,
                       metadata={"Software": None})
    return buffer.getvalue()


def show(figure):
    """Show a figure in the notebook, and under it its caption as text."""
    width = round(figure.get_figwidth() * 100)
    display({"image/png": base64.b64encode(png(figure)).decode(), "text/plain": "(picture)"},
            metadata={"image/png": {"width": width}}, raw=True)
    print(textwrap.fill(figure.caption, 96))
