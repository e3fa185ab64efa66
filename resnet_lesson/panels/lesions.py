"""*Lesions*: switch off blocks of the trained pair, and see how much of its accuracy is left."""

from functools import lru_cache
from typing import NamedTuple

import ipywidgets as widgets

from resnet_lesson import figures
from resnet_lesson.experiments import lesions as record
from resnet_lesson.experiments import small_pair
from resnet_lesson.findings.intervals import Interval, wilson
from resnet_lesson.inside import lesions
from resnet_lesson.panels.base import DrawingPanel, in_a_row
from resnet_lesson.panels.svg import box, element, line, svg, text

WIDTH, LEFT, STEP, BOX = 1040, 104, 88, 70  # pixels: of the drawing, to the first box, per box
ROWS = {"residual": 118, "plain": 226}  # height of each network in the drawing
BARS = {"residual": 330, "plain": 378}
PALE = {"residual": "#D6ECF8", "plain": "#FBE3D3"}


class Reading(NamedTuple):
    """What one network does with a lesion."""

    share: Interval | None  # of pictures classified correctly (Wilson 1927); None: impossible
    intact: float  # the share without any lesion, with the same statistics
    trouble: str  # why it is impossible; "" where it is not


@lru_cache(maxsize=1)
def networks():
    """Return the pair as it is built, by arm; what it does is recorded."""
    return {arm: small_pair.build(arm) for arm in ROWS}


class Lesions(DrawingPanel):
    """Both networks with their blocks, and the test accuracy that is left.

    Controls: one switch per block, by its name (pressed: switched off), and ``statistics``, which
    mean and variance the norms use. Every choice is recorded, see ``experiments.lesions``.
    """

    title = "Lesions"
    size = (WIDTH / 100, 4.3)

    def __init__(self, **start):
        super().__init__(**start)
        self.row.children = (self.controls["statistics"], *self.buttons.values())
        above = in_a_row(widgets.Label("switch off:"), *self._switches().values())
        heading, *rest = self.children
        self.children = (heading, above, *rest)

    def make_controls(self):
        switches = {name: widgets.ToggleButton(
            description=name, tooltip=f"Switch {name} off or on",
            layout=widgets.Layout(width="auto", min_width="92px", height="44px", margin="2px"))
            for name, _ in networks()["residual"].blocks()}
        return {**switches, "statistics": widgets.ToggleButtons(
            options=record.STATISTICS, description="running statistics",
            tooltips=("Mean and variance of the network with all its blocks",
                      "Mean and variance of the network that is left"))}

    def _switches(self):
        return {name: control for name, control in self.controls.items() if name != "statistics"}

    def update(self):
        for control in self._switches().values():
            control.icon = "times" if control.value else ""
            control.button_style = "warning" if control.value else ""
        super().update()

    @staticmethod
    def compute(statistics=record.STATISTICS[0], **switches):
        """Return a ``Reading`` for each arm; ``switches`` say which blocks are switched off."""
        off = frozenset(name for name, pressed in switches.items() if pressed)
        recorded, total = record.load()
        readings = {}
        for arm, found in recorded.items():
            trouble = ", and ".join(filter(None, (lesions.obstacle(networks()[arm], name)
                                                  for name in sorted(off))))
            rights = found[statistics]
            readings[arm] = Reading(None if trouble else wilson(rights[off], total),
                                    rights[frozenset()] / total, trouble)
        return readings

    def describe(self, result, values):
        off = [name for name in self._switches() if values[name]]
        done = f"switched off: {', '.join(off)}" if off else "both networks intact"
        words = [f"{done}; running statistics {values['statistics']} ({record.load()[1]:,} test "
                 "pictures)"]
        for arm, reading in result.items():
            if reading.trouble:
                words.append(f"{arm}: {reading.trouble}")
                continue
            intact = f"; intact {reading.intact:.3f}" if off else ""
            low, share, high, _ = reading.share
            words.append(f"{arm}: {share:.3f} right, 95 % interval {low:.3f} to "
                         f"{high:.3f}{intact}")
        return " ".join(f"{part[0].upper()}{part[1:]}." for part in words)

    def render(self, result, values):
        parts = [_stages(networks()["residual"])]
        for arm, reading in result.items():
            parts += [_network(arm, values), _bar(arm, reading)]
        return svg(WIDTH, 430, *parts, _scale())


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


def _network(arm, values):
    """Draw one network: a line through its blocks, and over each its shortcut, if it has one."""
    y, color, model = ROWS[arm], figures.COLORS[arm], networks()[arm]
    end = LEFT + STEP * len(model.blocks())
    parts = [text(4, y + 6, arm, color, bold=True), line((86, y), (end + 14, y), arrow=True),
             text(end + 20, y + 6, "logits")]
    for place, (name, block) in enumerate(model.blocks()):
        x, off = LEFT + STEP * place, values[name]
        if block.residual:
            left, right, top = x - 7, x + BOX + 7, y - 58
            parts.append(element(
                "path", d=f"M{left},{y} C{left},{top} {right},{top} {right},{y}", fill="none",
                stroke=color, stroke_width=5 if off else 2.5,
                stroke_dasharray="6 5" if block.downsample is not None else None))
        if off:
            parts.append(_ghost(x, y, name, block, possible=not lesions.obstacle(model, name)))
        else:
            parts += [box(x, y - 22, BOX, 44, PALE[arm], rx=7, stroke=color, stroke_width=2.5),
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
        low, middle, high = map(_x, reading.share[:3])
        parts += [box(LEFT, y - 15, middle - LEFT, 30, color, fill_opacity=0.75),
                  line((low, y), (high, y), thick=3),
                  *(line((end, y - 7), (end, y + 7), thick=3) for end in (low, high)),
                  text(_x(1) + 12, y + 7, f"{reading.share.middle:.3f}", color, bold=True, size=20)]
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
