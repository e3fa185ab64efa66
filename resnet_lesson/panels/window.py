"""Panel *step through a convolution*: a window moves over a padded input, cell by cell."""

from typing import NamedTuple

import ipywidgets as widgets

from resnet_lesson import figures
from resnet_lesson.networks.convolution import output_size, span_size, unreached, windows
from resnet_lesson.panels.base import DrawingPanel, in_a_row
from resnet_lesson.panels.svg import box, element, svg, text

LIMITS = {"input_size": (1, 12), "kernel_size": (1, 7), "stride": (1, 5), "padding": (0, 6),
          "dilation": (1, 4)}
MOST = (12 + 2 * 6)**2 - 1  # number of the last window, where there are most of them
FASTEST = 20  # windows a second
PALE, ZERO, DONE = "#DDE6EE", "#FBE3C0", "#BBDDF3"
_LEFT, _RIGHT, _TOP, _ROOM = 10, 490, 44, 400  # where the two grids are, and how large at most
_LEGEND, _RULE, _NUMBERS = 474, 506, 534  # heights of the three lines of text under them


class Step(NamedTuple):
    """One step of a convolution over a square picture."""

    size: int  # the output's, along one side
    number: int  # which window, 0 … size² − 1, row by row
    row: int  # of the output cell
    column: int
    rows: range  # those that the window reads, padding included
    columns: range
    missed: tuple  # rows (and, the picture being square, columns) that no window reads
    numbers: str  # the formula with the numbers of this setting in it

    def cells(self, input_size):
        """Return the input cells that the window reads, a list of (row, column)."""
        inside = range(input_size)
        return [(row, column) for row in self.rows for column in self.columns
                if row in inside and column in inside]

    def unread(self, input_size):
        """Return how many cells of the square input no window reads."""
        return input_size**2 - (input_size - len(self.missed))**2


class WindowPanel(DrawingPanel):
    """Move the window of a convolution over its input: play, pause, or step by step.

    With ``formula=False`` the size formula, which notebook 03 lets its reader find, is not shown.

    Controls: ``input_size``, ``kernel_size``, ``stride``, ``padding``, ``dilation`` and ``step``,
    the number of the window. Beside them, ``play`` moves ``step`` by itself, ``speed`` windows a
    second.
    """

    title = "Step through a convolution"
    size = (9, 5.5)

    def __init__(self, formula=True, **start):
        self.formula = formula
        super().__init__(**start)
        step = self.controls["step"]
        self.play = widgets.Play(min=0, max=step.max, value=step.value, show_repeat=True,
                                 tooltip="Play and pause, stop, repeat")
        self.speed = widgets.IntSlider(10, 1, FASTEST, description="per second",
                                       style={"description_width": "initial"},
                                       layout=widgets.Layout(width=_wide(14.5)),
                                       tooltip="How many windows a second play shows")
        self.speed.observe(self._set_interval, names="value")
        self._set_interval()
        # The player leads the slider through the kernel. A link in the browser would send two
        # messages for each window.
        widgets.dlink((step, "max"), (self.play, "max"))
        widgets.link((self.play, "value"), (step, "value"))
        back, on = (widgets.Button(description=words, layout=widgets.Layout(width=_wide(5)))
                    for words in ("Back", "Step"))
        back.on_click(lambda _: self.move(-1))
        on.on_click(lambda _: self.move(1))
        self.buttons |= {"back": back, "step": on}
        self.row.children = [child for child in self.row.children if child is not step]
        heading, *rest = self.children
        self.children = [heading, self.row, in_a_row(self.play, back, on, step, self.speed),
                         *rest[1:]]

    def make_controls(self):
        first = {"input_size": 8, "kernel_size": 3, "stride": 1, "padding": 0, "dilation": 1}
        controls = {name: widgets.IntSlider(first[name], low, high, description=name,
                                            layout=widgets.Layout(width=_wide(15.3)))
                    for name, (low, high) in LIMITS.items()}
        controls["step"] = widgets.IntSlider(0, 0, MOST, description="window", readout=False,
                                             layout=widgets.Layout(width=_wide(13.7)))
        return controls

    @staticmethod
    def compute(input_size, kernel_size, stride=1, padding=0, dilation=1, step=0):
        """Return one ``Step`` of a convolution; a number beyond the last means the last one.

        Raises:
            ValueError: no window fits, or a value makes no sense; the sentence names it.
        """
        layer = input_size, kernel_size, stride, padding, dilation
        along = windows(*layer)
        size = len(along)
        number = min(max(step, 0), size**2 - 1)
        row, column = divmod(number, size)
        return Step(size, number, row, column, along[row], along[column],
                    tuple(unreached(*layer)), _numbers(*layer))

    def move(self, by):
        """Go some windows on or back; after the last comes the first."""
        step = self.controls["step"]
        step.value = (step.value + by) % (step.max + 1)

    def reset(self):
        self.play.playing = False
        super().reset()

    def update(self):
        """Draw the current state, and let slider and player end at the last window."""
        super().update()
        if self.result is not None:
            self.controls["step"].max = self.result.size**2 - 1

    def render(self, result, values):
        n, padding = values["input_size"], values["padding"]
        cell = _cell(n + 2 * padding)
        return _document(
            result.numbers if self.formula else "", "black",
            _input(n, padding, cell, result.missed),
            _window(result, n, padding, cell), _output(result, cell),
            _legend(result.missed, padding))

    def draw_trouble(self, words, values):
        n, padding = values["input_size"], values["padding"]
        span = span_size(values["kernel_size"], values["dilation"])
        padded = n + 2 * padding
        cell = _cell(max(span, padded))
        numbers = _numbers(**{name: values[name] for name in LIMITS}) if self.formula else ""
        self.source = _document(
            numbers, figures.ORANGE,
            _input(n, padding, cell, ()), _frame(_LEFT, _TOP, span * cell, stroke_dasharray="10 6"),
            text(_RIGHT, 120, "No window fits.", figures.ORANGE, size=20, bold=True),
            text(_RIGHT, 150, f"The window spans {span} × {span} cells,"),
            text(_RIGHT, 174, f"the padded input has {padded} × {padded}."))

    def describe(self, result, values):
        n = values["input_size"]
        unread = result.unread(n)
        tail = ("Every input cell is read by some window." if not unread else
                f"{unread} of the {n * n} input cells are read by no window.")
        return (f"Window {result.number + 1} of {result.size**2} reads "
                f"{_positions('row', result.rows)} and {_positions('column', result.columns)} and "
                f"writes output cell ({result.row}, {result.column}). {tail}")

    def set(self, **values):
        """Move several controls at once, ``step`` as far as the others will let it."""
        step = self.controls["step"]
        before, step.max = step.max, MOST  # update() takes it back
        try:
            super().set(**values)
        except ValueError:
            step.max = before
            raise

    def _set_interval(self, change=None):
        # The browser spends a few milliseconds on each window before it waits again.
        self.play.interval = max(1000 // self.speed.value - 8, 1)


def _wide(letters):
    """Return a width that grows with the panel's text."""
    return f"calc({letters} * var(--jp-widgets-font-size, 16px))"


def _numbers(input_size, kernel_size, stride, padding, dilation):
    """Return the formula of ``output_size`` with its numbers and its floor."""
    span = span_size(kernel_size, dilation)
    first = "" if dilation == 1 else f"span = {dilation}·({kernel_size} − 1) + 1 = {span};  "
    room = input_size + 2 * padding - span
    start = f"{first}({input_size} + 2·{padding} − {span}) / {stride}"
    if room < 0:
        return f"{start}: {input_size + 2 * padding} − {span} = −{-room} is negative"
    start = f"{first}⌊({input_size} + 2·{padding} − {span}) / {stride}⌋ + 1"
    quotient = f"{room / stride:.2f}".rstrip("0").rstrip(".")
    size = output_size(input_size, kernel_size, stride, padding, dilation)
    return f"{start} = ⌊{quotient}⌋ + 1 = {size}"


def _positions(name, positions):
    listed = ", ".join(str(position).replace("-", "−") for position in positions)
    return f"{name} {listed}" if len(positions) == 1 else f"{name}s {listed}"


def _cell(cells):
    return min(40.0, _ROOM / cells)  # pixels


def _document(numbers, color, *parts):
    """Return the drawing with the formula under it, in letters and in numbers, or without."""
    if not numbers:
        return svg(900, 490, *parts)
    return svg(900, 550, *parts, text(_LEFT, _NUMBERS, numbers, color, size=18, bold=True),
               text(_LEFT, _RULE, "output = ⌊(input + 2·padding − span) / stride⌋ + 1,   "
                                  "span = dilation·(kernel − 1) + 1", figures.GREY))


def _input(n, padding, cell, missed):
    """Draw the input, its padding around it, and crosses on what no window reads."""
    inner, edge = _LEFT + padding * cell, _TOP + padding * cell
    around = f", padding {padding}" if padding else ""
    parts = [text(_LEFT, 28, f"input {n} × {n}{around}", bold=True),
             _grid(_LEFT, _TOP, n + 2 * padding, cell, "#BBBBBB", stroke_dasharray="3 3"),
             box(inner, edge, n * cell, n * cell, PALE), _grid(inner, edge, n, cell, "#8A97A3")]
    crosses = "".join(f"M{inner + (column + 0.28) * cell:.1f} {edge + (row + 0.28) * cell:.1f}"
                      f"l{0.44 * cell:.1f} {0.44 * cell:.1f}m0 {-0.44 * cell:.1f}"
                      f"l{-0.44 * cell:.1f} {0.44 * cell:.1f}"
                      for row in range(n) for column in range(n)
                      if row in missed or column in missed)
    parts.append(element("path", class_="missed", d=crosses, stroke="#333333", stroke_width=2,
                         fill="none"))
    return "".join(parts)


def _window(result, n, padding, cell):
    """Draw the cells that the window reads, and a frame around them."""
    inside, parts = result.cells(n), []
    for row in result.rows:
        for column in result.columns:
            name, color = ("read", figures.AMBER) if (row, column) in inside else ("zero", ZERO)
            parts.append(box(_LEFT + (column + padding) * cell, _TOP + (row + padding) * cell,
                             cell, cell, color, stroke="#7A5200", class_=name))
    left, top = result.columns[0] + padding, result.rows[0] + padding
    width = result.columns[-1] - result.columns[0] + 1
    return "".join(parts) + _frame(_LEFT + left * cell, _TOP + top * cell, width * cell)


def _output(result, cell):
    """Draw the output: cells done, the one being written, those to come."""
    size, row, column = result.size, result.row, result.column
    return "".join([
        text(_RIGHT, 28, f"output {size} × {size}", bold=True),
        box(_RIGHT, _TOP, size * cell, row * cell, DONE),
        box(_RIGHT, _TOP + row * cell, column * cell, cell, DONE),
        _grid(_RIGHT, _TOP, size, cell, "#8A97A3"),
        _frame(_RIGHT + column * cell, _TOP + row * cell, cell, figures.ORANGE, class_="written")])


def _legend(missed, padding):
    """Draw what the colours and crosses mean, as far as they occur."""
    entries = [(figures.AMBER, "read by the window"), (figures.ORANGE, "written"), (DONE, "done")]
    if padding:
        entries.insert(1, (ZERO, "padding in it"))
    x, parts = _LEFT, []
    for color, words in entries:
        parts += [box(x, _LEGEND - 14, 18, 18, color, stroke="#7A5200"),
                  text(x + 25, _LEGEND, words)]
        x += round(50 + 9.4 * len(words))
    if missed:
        parts.append(text(x, _LEGEND, "✕ read by no window", bold=True))
    return "".join(parts)


def _frame(x, y, width, fill="none", **look):
    return box(x, y, width, width, fill, stroke=figures.ORANGE, stroke_width=4, **look)


def _grid(x, y, cells, cell, color, **look):
    """Draw the lines of a square grid as one path."""
    length = cells * cell
    lines = "".join(f"M{x:.1f} {y + i * cell:.1f}h{length:.1f}M{x + i * cell:.1f} {y:.1f}"
                    f"v{length:.1f}" for i in range(cells + 1))
    return element("path", d=lines, stroke=color, fill="none", **look)
