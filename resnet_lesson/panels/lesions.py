"""*Lesions*: switch off blocks of a trained network, swap two, and measure what is left."""

import random
from typing import NamedTuple

import ipywidgets as widgets

from resnet_lesson import figures
from resnet_lesson.experiments.small_pair import evaluators
from resnet_lesson.findings.intervals import wilson
from resnet_lesson.inside import lesions
from resnet_lesson.panels.base import DrawingPanel, in_a_row, paragraph
from resnet_lesson.panels.svg import box, element, line, svg, text

NOBODY = "none"  # no block to swap
WIDTH, LEFT, STEP, BOX = 1040, 104, 88, 70  # pixels: of the drawing, to the first box, per box
ROWS = {"residual": 118, "plain": 226}  # height of each network in the drawing
BARS = {"residual": 330, "plain": 378}
PALE = {"residual": "#D6ECF8", "plain": "#FBE3D3"}


class Reading(NamedTuple):
    """What one network does with a lesion."""

    places: tuple  # names of the blocks in the order in which they stand now
    right: int | None  # pictures classified correctly, or None where the lesion is impossible
    low: float  # end of the share's 95 % interval (Wilson 1927)
    share: float  # of pictures classified correctly
    high: float  # the interval's other end
    intact: float  # the share without any lesion
    trouble: str  # why it is impossible; "" where it is not


def names():
    """Return the names of the pair's blocks from input to output."""
    return evaluators()["residual"].names


class Lesions(DrawingPanel):
    """Both networks with their blocks, and the test accuracy that is left.

    Controls: one switch per block, by its name (pressed: switched off); ``swap`` and ``partner``,
    two blocks that change places; ``k``, how many blocks the button "Delete at random" switches
    off. It chooses among those that can be cut out of both networks.

    What was measured once is remembered. A lesion that is new takes about half a second, in which
    the words under the picture say so.
    """

    title = "Lesions"
    size = (WIDTH / 100, 4.3)

    def __init__(self, **start):
        self._seed = 0
        super().__init__(**start)
        rest = [self.controls[name] for name in ("swap", "partner", "k")]
        self.row.children = (*rest, self.buttons["shuffle"], self.buttons["reset"],
                             self.buttons["larger"])
        above = in_a_row(widgets.Label("switch off:"), *self._switches().values())
        heading, *rest = self.children
        self.children = (heading, above, *rest)

    def make_controls(self):
        blocks = names()
        switches = {name: widgets.ToggleButton(
            description=name, tooltip=f"Switch {name} off or on",
            layout=widgets.Layout(width="auto", min_width="92px", height="44px", margin="2px"))
            for name in blocks}

        def choice(description):
            return widgets.Dropdown(options=(NOBODY, *blocks), description=description,
                                    layout=widgets.Layout(width="max-content",
                                                          margin="2px 10px 2px 2px"))
        return {**switches, "swap": choice("swap"), "partner": choice("with"),
                "k": widgets.IntSlider(value=2, min=0, max=len(_removable()),
                                       description="at random",
                                       layout=widgets.Layout(width="300px"))}

    def more_buttons(self):
        shuffle = widgets.Button(icon="random", layout=widgets.Layout(width="auto"),
                                 tooltip="Switch off other blocks, drawn at random")
        shuffle.on_click(lambda _: self.shuffle())
        return {"shuffle": shuffle}

    def _switches(self):
        return {name: control for name, control in self.controls.items()
                if isinstance(control, widgets.ToggleButton)}

    def update(self):
        for control in self._switches().values():
            control.icon = "times" if control.value else ""
            control.button_style = "warning" if control.value else ""
        self.buttons["shuffle"].description = f"Delete {self.controls['k'].value} at random"
        self.words.value = paragraph(f"Measuring … Still shown: {self.caption}", scale=self.scale)
        super().update()

    def shuffle(self):
        """Switch off ``k`` blocks drawn at random, and all others on."""
        self._seed += 1
        drawn = random.Random(self._seed).sample(_removable(), self.values["k"])
        self.set(**{name: name in drawn for name in self._switches()})

    def reset(self):
        self._seed = 0  # the draws start again too
        super().reset()

    @staticmethod
    def compute(swap=NOBODY, partner=NOBODY, k=0, **switches):
        """Return a ``Reading`` for each arm; ``switches`` say which blocks are switched off.

        Raises:
            ValueError: only one of two blocks is chosen, or two that cannot be swapped.
        """
        off = [name for name, pressed in switches.items() if pressed]
        pair = tuple(name for name in (swap, partner) if name != NOBODY)
        if len(pair) == 1:
            raise ValueError(f"A swap needs two blocks; with {pair[0]}, choose another one of its "
                             f"shape, or “{NOBODY}” in both menus.")
        readings = {}
        for arm, evaluator in evaluators().items():
            try:
                places = [step.name for step in lesions.route(evaluator.model, swap=pair)]
            except ValueError as error:
                raise ValueError(_sentence(str(error))) from None
            intact, total, trouble, right = evaluator.accuracy(), len(evaluator.split), "", None
            try:
                right = evaluator.right(off, pair)
            except ValueError as error:
                trouble = str(error)
            low, share, high, _ = wilson(right or 0, total)
            readings[arm] = Reading(tuple(places), right, low, share, high, intact, trouble)
        return readings

    def describe(self, result, values):
        off = [name for name in self._switches() if values[name]]
        done = []
        if off:
            done.append(f"switched off: {', '.join(off)}")
        if values["swap"] != NOBODY:
            done.append(f"swapped: {values['swap']} and {values['partner']}")
        total = len(evaluators()["residual"].split)
        words = [("; ".join(done) or "both networks intact") + f" ({total:,} test pictures)"]
        for arm, reading in result.items():
            if reading.trouble:
                words.append(f"{arm}: {reading.trouble}")
                continue
            intact = f"; intact {reading.intact:.3f}" if done else ""
            words.append(f"{arm}: {reading.share:.3f} right, 95 % interval {reading.low:.3f} to "
                         f"{reading.high:.3f}{intact}")
        return " ".join(map(_sentence, words))

    def render(self, result, values):
        parts = [_stages(evaluators()["residual"].model)]
        for arm, reading in result.items():
            parts += [_network(arm, reading, values), _bar(arm, reading)]
        return svg(WIDTH, 430, *parts, _scale())


def _removable():
    return lesions.removable(*(one.model for one in evaluators().values()))


def _sentence(words):
    return f"{words[0].upper()}{words[1:].rstrip('.')}."


def _stages(model):
    """Draw the names of the stages over their blocks."""
    parts, places = [], [name for name, _ in model.blocks()]
    for stage in model.stages:
        here = [i for i, name in enumerate(places) if name.startswith(f"{stage}.")]
        left, right = LEFT + STEP * here[0], LEFT + STEP * here[-1] + BOX
        channels = getattr(model, stage)[-1].out_channels
        parts += [text((left + right) / 2, 22, f"{stage}: {channels} channels", figures.GREY,
                       "middle"),
                  line((left, 32), (right, 32), color=figures.GREY, thick=1.5)]
    return "".join(parts)


def _network(arm, reading, values):
    """Draw one network: a line through its blocks, and over each its shortcut, if it has one."""
    y, color, model = ROWS[arm], figures.COLORS[arm], evaluators()[arm].model
    blocks, home = dict(model.blocks()), [name for name, _ in model.blocks()]
    end = LEFT + STEP * len(home)
    parts = [text(4, y + 6, arm, color, bold=True), line((86, y), (end + 14, y), arrow=True),
             text(end + 20, y + 6, "logits")]
    for place, name in enumerate(reading.places):
        x, block, off = LEFT + STEP * place, blocks[name], values[name]
        if block.residual:
            left, right, top = x - 7, x + BOX + 7, y - 58
            parts.append(element(
                "path", d=f"M{left},{y} C{left},{top} {right},{top} {right},{y}", fill="none",
                stroke=color, stroke_width=5 if off else 2.5,
                stroke_dasharray="6 5" if block.downsample is not None else None))
        if off:
            parts.append(_ghost(x, y, name, block, possible=not lesions.obstacle(model, name)))
        else:
            fill = figures.YELLOW if name != home[place] else PALE[arm]
            parts += [box(x, y - 22, BOX, 44, fill, rx=7, stroke=color, stroke_width=2.5),
                      text(x + BOX / 2, y + 6, name.removeprefix("layer"), anchor="middle",
                           bold=True)]
    return "".join(parts)


def _ghost(x, y, name, block, *, possible):
    """Draw a block that is switched off; in a plain network its input goes straight on."""
    color = figures.GREY if possible else figures.ORANGE
    parts = [box(x, y - 22, BOX, 44, rx=7, stroke=color, stroke_width=2, stroke_dasharray="4 4"),
             text(x + BOX / 2, y + 42, f"{name.removeprefix('layer')} off", color, "middle")]
    if block.residual or not possible:
        parts.insert(0, box(x, y - 14, BOX, 28, "white"))
    return "".join(parts)


def _x(share):
    return LEFT + share * (STEP * 9 - 18)


def _bar(arm, reading):
    """Draw the accuracy of one network as a bar with its interval."""
    y, color = BARS[arm], figures.COLORS[arm]
    parts = [text(4, y + 6, arm, color, bold=True),
             box(LEFT, y - 15, _x(1) - LEFT, 30, "#F1F1F1")]
    if reading.trouble:
        parts.append(text(LEFT + 10, y + 6, "not possible, see below", color))
    else:
        low, high = _x(reading.low), _x(reading.high)
        parts += [box(LEFT, y - 15, _x(reading.share) - LEFT, 30, color, fill_opacity=0.75),
                  line((low, y), (high, y), thick=3),
                  *(line((end, y - 7), (end, y + 7), thick=3) for end in (low, high)),
                  text(_x(1) + 12, y + 7, f"{reading.share:.3f}", color, bold=True, size=20)]
    intact = _x(reading.intact)
    return "".join([*parts, line((intact, y - 19), (intact, y + 19), dash="5 3")])


def _scale():
    """Draw the axis under the bars."""
    parts = [text(_x(share), 418, f"{share:.1f}", figures.GREY, "middle")
             for share in (0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    return "".join([
        *parts, text(_x(0.5), 296, "test accuracy (dashed: intact)", figures.GREY, "middle"),
        text(_x(0.1), 418, "guessing", figures.GREY, "middle"),
        line((_x(0.1), BARS["residual"] - 19), (_x(0.1), 402), color=figures.GREY, thick=2,
             dash="2 4")])
