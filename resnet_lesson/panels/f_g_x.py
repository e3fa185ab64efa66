"""*f, g and x*: a function, what it adds to its input, and a slider from the identity to f."""

from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from matplotlib.patches import Rectangle

from resnet_lesson import figures
from resnet_lesson.panels.base import FigurePanel
from resnet_lesson.words import fixed

GRID = np.linspace(-1, 1, 101)
HIGHEST = 13.5  # |g| reaches 5 + 5 + 3 on the grid, with every coefficient at its end


class Sum(NamedTuple):
    """What ``FGX.compute`` returns: coefficients (highest power first), curves, one point."""

    f: tuple
    g: tuple
    output: tuple
    curves: dict
    point: dict


class FGX(FigurePanel):
    """f(x) = ax² + bx + c, g(x) = f(x) − x, and αg(x) + x, which goes from the identity to f.

    Controls: the coefficients ``a``, ``b``, ``c`` of f; ``alpha``, which scales g; ``x``, the
    point at which the addition is drawn as two bars on top of each other.
    """

    title = "f, g and x"
    size = (10, 4.6)

    def make_controls(self):
        def slider(name, value, low, high, step, digits):
            return widgets.FloatSlider(value, description=name, min=low, max=high, step=step,
                                       readout_format=f".{digits}f")
        return {"a": slider("a in ax²", 5, -5, 5, 0.5, 1),
                "b": slider("b in bx", 3, -4, 4, 0.5, 1),
                "c": slider("c", 2, -3, 3, 0.5, 1),
                "alpha": slider("α in α·g(x) + x", 0.5, 0, 1, 0.05, 2),
                "x": slider("x", 0.6, -1, 1, 0.05, 2)}

    @staticmethod
    def compute(a, b, c, alpha, x):
        """Return a ``Sum``: g from f by subtracting x, and the block's output αg(x) + x."""
        f, g = (a, b, c), (a, b - 1, c)
        output = (alpha * a, alpha * (b - 1) + 1, alpha * c)
        both = {name: np.polyval(coefficients, np.append(GRID, x))
                for name, coefficients in (("f", f), ("g", g), ("output", output))}
        return Sum(f, g, output, {name: values[:-1] for name, values in both.items()},
                   {name: float(values[-1]) for name, values in both.items()})

    def make_figure(self, figure):
        """Make the curves on the left and the addition at one x on the right."""
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.3, 1))
        self._output, = left.plot([], [], color=figures.GREEN, linewidth=11, alpha=0.4,
                                  label="α·g(x) + x", solid_capstyle="butt")
        self._f, = left.plot([], [], color=figures.BLUE, label="f(x)")
        self._g, = left.plot([], [], color=figures.ORANGE, linestyle="--",
                             label="g(x) = f(x) − x")
        left.plot(GRID, GRID, color=figures.GREY, linestyle=":", linewidth=3, label="x")
        self._probe = left.axvline(0, color="black", linewidth=1.2)
        left.set(xlim=(-1, 1), ylim=(-HIGHEST, HIGHEST), xlabel="x", ylabel="value",
                 xticks=np.linspace(-1, 1, 5))
        handles, labels = left.get_legend_handles_labels()
        order = [1, 3, 2, 0]
        figure.legend([handles[i] for i in order], [labels[i] for i in order],
                      loc="outside upper center", ncols=4)
        colors = (figures.GREY, figures.ORANGE, figures.GREEN)
        self._bars = [right.add_patch(Rectangle((i - 0.35, 0), 0.7, 0, facecolor=color,
                                                edgecolor="black", alpha=0.75))
                      for i, color in enumerate(colors)]
        right.axhline(0, color="black", linewidth=1.2)
        self._target, = right.plot([-0.5, 2.85], [0, 0], color=figures.BLUE)
        white = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8}
        self._numbers = [right.text(i, 0, "", ha="center", fontsize=14, bbox=white)
                         for i in range(3)]
        self._target_name = right.text(2.85, 0, "f(x)", color=figures.BLUE, fontsize=14,
                                       ha="right")
        right.set(xlim=(-0.55, 2.9), xticks=range(3), xlabel="the addition at the chosen x",
                  xticklabels=["x", "+ α·g(x)", "= output"])
        right.grid(axis="x", visible=False)
        right.tick_params(axis="y", labelleft=True)
        return [self._output, self._f, self._g, self._probe, *self._bars, *self._numbers,
                self._target, self._target_name]

    def draw(self, result, values):
        for name in ("f", "g", "output"):
            getattr(self, f"_{name}").set_data(GRID, result.curves[name])
        x, output, target = values["x"], result.point["output"], result.point["f"]
        self._probe.set_xdata([x, x])
        self._target.set_ydata([target, target])
        self._target_name.set_y(target + 0.4)
        for bar, number, (low, high) in zip(self._bars, self._numbers,
                                            [(0, x), (x, output), (0, output)], strict=True):
            bar.set_y(low)
            bar.set_height(high - low)
            number.set_text(_number(high - low, 2))
            number.set_y(high + 0.4 if high >= low else high - 0.4)
            number.set_verticalalignment("bottom" if high >= low else "top")

    def describe(self, result, values):
        alpha, x = values["alpha"], values["x"]
        words = (f"f(x) = {polynomial(*result.f)} = g(x) + x with g(x) = "
                 f"{polynomial(*result.g)}. ")
        if not any(result.g):
            return words + "f is the identity already: nothing is left to add, whatever α is."
        words += (f"With α = {_number(alpha, 2)} the block returns α·g(x) + x = "
                  f"{polynomial(*result.output)}; at x = {_number(x, 2)} that is "
                  f"{_number(alpha, 2)} · {_bracketed(result.point['g'])} + {_bracketed(x)} = "
                  f"{_number(result.point['output'], 2)}, where "
                  f"f(x) = {_number(result.point['f'], 2)}.")
        tail = {0: " That is the identity, whatever f is.", 1: " That is f."}.get(alpha, "")
        return words + tail


def polynomial(a, b, c):
    """Return ax² + bx + c as people write it: no zero terms, no factor 1.

    >>> polynomial(5, -1, 0)
    '5x² − x'
    """
    words = ""
    for coefficient, power in ((a, "x²"), (b, "x"), (c, "")):
        size = _number(abs(coefficient), 3)
        if size == "0":
            continue
        sign = "−" if coefficient < 0 else "+"
        words += f" {sign} " if words else sign.replace("+", "")
        words += power if size == "1" and power else size + power
    return words or "0"


def _number(value, digits):
    return fixed(value, digits).rstrip("0").rstrip(".")


def _bracketed(value):
    words = _number(value, 2)
    return f"({words})" if words.startswith("−") else words
