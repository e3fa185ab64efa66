"""*Lesions*: switch off blocks of a trained network, swap two, and measure what is left."""

import asyncio
import html
import random
from typing import NamedTuple

import ipywidgets as widgets

from resnet_lesson import figures
from resnet_lesson.experiments import small_pair
from resnet_lesson.experiments.small_pair import evaluators
from resnet_lesson.findings.intervals import wilson
from resnet_lesson.inside import lesions
from resnet_lesson.panels.base import DrawingPanel, svg

ARMS = ("residual", "plain")
NOBODY = "none"  # no block to swap
WIDTH, LEFT, STEP, BOX = 1040, 104, 88, 70  # pixels: of the drawing, to the first box, per box
ROWS = {"residual": 118, "plain": 226}  # height of each network in the drawing
BARS = {"residual": 330, "plain": 378}
PAUSE = 0.1  # seconds without a click, after which the panel begins to measure ahead


class Reading(NamedTuple):
    """What one network does with a lesion.

    Attributes:
        places: what stands in each of the network's places: the name of the block there.
        right: pictures classified correctly, or ``None`` where the lesion is impossible.
        low, share, high: the share of them with its 95 % interval (Wilson 1927).
        intact: the share without any lesion.
        trouble: why it is impossible; ``""`` where it is not.
    """

    places: tuple
    right: int | None
    low: float
    share: float
    high: float
    intact: float
    trouble: str


def names():
    """Return the names of the pair's blocks from input to output."""
    return [name for name, _ in small_pair.build("residual").blocks()]


class Lesions(DrawingPanel):
    """Both networks with their blocks, and the test accuracy that is left.

    Controls: one switch per block, by its name (pressed: switched off); ``swap`` and ``partner``,
    two blocks that change places; ``k``, how many blocks the button "Delete at random" switches
    off. It chooses among those that can be cut out of both networks.

    While nobody clicks, the panel measures what one more click would ask for, block by block, so
    that the answer is there when the click comes.
    """

    title = "Lesions"
    size = (WIDTH / 100, 4.3)

    def __init__(self, **start):
        self._seed, self._pending = 0, None
        self._shuffle = widgets.Button(icon="random", layout=widgets.Layout(width="auto"),
                                       tooltip="Switch off other blocks, drawn at random")
        super().__init__(**start)
        self._shuffle.on_click(lambda _: self.shuffle())
        switches, rest = self._switches(), [self.controls[name] for name in
                                            ("swap", "partner", "k")]
        row = next(child for child in self.children if isinstance(child, widgets.HBox))
        row.children = (*rest, self._shuffle, self._reset, self._larger)
        above = widgets.HBox([widgets.Label("switch off:"), *switches.values()],
                             layout=widgets.Layout(flex_flow="row wrap", align_items="center"))
        place = self.children.index(row)
        self.children = (*self.children[:place], above, *self.children[place:])

    def make_controls(self):
        """Return a switch for each block, the two blocks to swap, and how many to delete."""
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
                "k": widgets.IntSlider(value=2, min=0, max=len(lesions.removable(
                    *(small_pair.build(arm) for arm in ARMS))), description="at random",
                    layout=widgets.Layout(width="300px"))}

    def _switches(self):
        return {name: control for name, control in self.controls.items()
                if isinstance(control, widgets.ToggleButton)}

    def update(self):
        """Compute, draw and describe the current state."""
        for control in self._switches().values():
            control.icon = "times" if control.value else ""
            control.button_style = "warning" if control.value else ""
        self._shuffle.description = f"Delete {self.controls['k'].value} at random"
        super().update()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # not in a notebook: nobody will click
        if self._pending:
            self._pending.cancel()
        self._pending = loop.call_later(PAUSE, self._ahead, loop, self.next_clicks())

    def next_clicks(self):
        """Return what the panel measures ahead: a list of (arm, blocks switched off, swap).

        The current setting comes again after each other one: every click starts from its maps.
        """
        values, switches = self.values, self._switches()
        off = {name for name in switches if values[name]}
        pair = tuple(values[name] for name in ("swap", "partner") if values[name] != NOBODY)
        swaps = [pair] if len(pair) != 1 else [(*pair, other) for other in switches]
        others = [(off ^ {name}, pair) for name in switches] + [(off, swap) for swap in swaps]
        others.append((self._draw(self._seed + 1), pair))
        return [(arm, *lesion) for arm in ARMS for other in others
                for lesion in (other, (off, pair)) if _possible(arm, *lesion)]

    def _ahead(self, loop, clicks):
        """Take the next small piece of measuring ahead, and come back for the one after it."""
        while clicks:
            arm, off, swap = clicks[0]
            if evaluators()[arm].advance(off, swap):
                clicks.pop(0)
            else:
                break
        self._pending = loop.call_later(0, self._ahead, loop, clicks) if clicks else None

    def _draw(self, seed):
        """Return the blocks that a draw switches off."""
        return set(random.Random(seed).sample(
            lesions.removable(*(one.model for one in evaluators().values())), self.values["k"]))

    def shuffle(self):
        """Switch off ``k`` blocks drawn at random, and all others on."""
        self._seed += 1
        drawn = self._draw(self._seed)
        self.set(**{name: name in drawn for name in self._switches()})

    def reset(self):
        """Move every control back to where it started; the draws start again too."""
        self._seed = 0
        super().reset()

    @staticmethod
    def compute(swap=NOBODY, partner=NOBODY, k=0, **switches):
        """Return a ``Reading`` for each arm.

        Args:
            swap: a block that changes places with ``partner``; ``"none"`` for both: no swap.
            partner: the other one.
            k: not used; the button reads it.
            **switches: by name of the block, whether it is switched off.

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
        """Return what was done, and both accuracies with their intervals."""
        off = [name for name in self._switches() if values[name]]
        done = [f"switched off: {', '.join(off)}"] * bool(off)
        if values["swap"] != NOBODY:
            done.append(f"swapped: {values['swap']} and {values['partner']}")
        total = len(evaluators()["residual"].split)
        words = [("; ".join(done) or "both networks intact") + f" ({total:,} test pictures)"]
        for arm, reading in result.items():
            words.append(f"{arm}: {reading.trouble}" if reading.trouble else
                         f"{arm}: {reading.share:.3f} right, 95 % interval {reading.low:.3f} to "
                         f"{reading.high:.3f}"
                         + f"; intact {reading.intact:.3f}" * bool(done))
        return " ".join(map(_sentence, words))

    def render(self, result, values):
        """Return both networks, block by block, and below them the accuracies as bars."""
        parts = _stages(evaluators()["residual"].model)
        for arm, reading in result.items():
            parts += _network(arm, reading, values)
            parts += _bar(arm, reading)
        parts += _scale()
        return svg(WIDTH, 430, *parts)


def _possible(arm, off, swap):
    try:
        lesions.route(evaluators()[arm].model, off, swap)
    except ValueError:
        return False
    return True


def _sentence(words):
    return f"{words[0].upper()}{words[1:].rstrip('.')}."


def _text(x, y, words, color="black", anchor="middle", *, bold=False, size=16):
    weight = ' font-weight="bold"' if bold else ""
    return (f'<text x="{x:.0f}" y="{y:.0f}" fill="{color}" text-anchor="{anchor}" '
            f'font-size="{size}"{weight}>{html.escape(words)}</text>')


def _line(x0, y0, x1, y1, color="black", width=2.5, dash=""):
    style = f' stroke-dasharray="{dash}"' if dash else ""
    return (f'<line x1="{x0:.0f}" y1="{y0:.0f}" x2="{x1:.0f}" y2="{y1:.0f}" stroke="{color}" '
            f'stroke-width="{width}"{style}/>')


def _stages(model):
    """Return the names of the stages over their blocks."""
    parts, places = [], [name for name, _ in model.blocks()]
    for stage in model.stages:
        here = [i for i, name in enumerate(places) if name.startswith(f"{stage}.")]
        left, right = LEFT + STEP * here[0], LEFT + STEP * here[-1] + BOX
        channels = getattr(model, stage)[-1].out_channels
        parts += [_text((left + right) / 2, 22, f"{stage}: {channels} channels", figures.GREY),
                  _line(left, 32, right, 32, figures.GREY, 1.5)]
    return parts


def _network(arm, reading, values):
    """Return one network: a line through its blocks, and over each its shortcut, if it has one."""
    y, color = ROWS[arm], figures.COLORS[arm]
    model = evaluators()[arm].model
    blocks, home = dict(model.blocks()), [name for name, _ in model.blocks()]
    end = LEFT + STEP * len(home)
    parts = [_text(4, y + 6, arm, color, "start", bold=True), _line(86, y, end + 6, y),
             f'<polygon points="{end + 14},{y} {end + 2},{y - 7} {end + 2},{y + 7}"/>',
             _text(end + 20, y + 6, "logits", anchor="start")]
    for place, name in enumerate(reading.places):
        x, block, off = LEFT + STEP * place, blocks[name], values[name]
        moved = name != home[place]
        if block.residual:
            dash = "6 5" if block.downsample is not None else ""
            style = f' stroke-dasharray="{dash}"' if dash else ""
            parts.append(f'<path d="M{x - 7},{y} C{x - 7},{y - 58} {x + BOX + 7},{y - 58} '
                         f'{x + BOX + 7},{y}" fill="none" stroke="{color}" '
                         f'stroke-width="{5 if off else 2.5}"{style}/>')
        if off:
            impossible = lesions.obstacle(model, name)
            parts.append(_ghost(x, y, name, figures.ORANGE if impossible else figures.GREY,
                                through=not block.residual and not impossible))
        else:
            fill = figures.YELLOW if moved else "#D6ECF8" if arm == "residual" else "#FBE3D3"
            parts += [f'<rect x="{x}" y="{y - 22}" width="{BOX}" height="44" rx="7" '
                      f'fill="{fill}" stroke="{color}" stroke-width="2.5"/>',
                      _text(x + BOX / 2, y + 6, name.removeprefix("layer"), bold=True)]
    return parts


def _ghost(x, y, name, color, *, through):
    """Return a block that is switched off; ``through``: its input goes straight on."""
    gap = f'<rect x="{x}" y="{y - 14}" width="{BOX}" height="28" fill="white"/>'
    return (gap * (not through)
            + f'<rect x="{x}" y="{y - 22}" width="{BOX}" height="44" rx="7" fill="none" '
            f'stroke="{color}" stroke-width="2" stroke-dasharray="4 4"/>'
            + _text(x + BOX / 2, y + 42, f"{name.removeprefix('layer')} off", color))


def _x(share):
    return LEFT + share * (STEP * 9 - 18)


def _bar(arm, reading):
    """Return the accuracy of one network as a bar with its interval."""
    y, color = BARS[arm], figures.COLORS[arm]
    parts = [_text(4, y + 6, arm, color, "start", bold=True),
             f'<rect x="{LEFT}" y="{y - 15}" width="{_x(1) - LEFT:.0f}" height="30" '
             'fill="#F1F1F1"/>']
    if reading.trouble:
        parts.append(_text(LEFT + 10, y + 6, "not possible, see below", color, "start"))
    else:
        parts += [f'<rect x="{LEFT}" y="{y - 15}" width="{_x(reading.share) - LEFT:.0f}" '
                  f'height="30" fill="{color}" fill-opacity="0.75"/>',
                  _line(_x(reading.low), y, _x(reading.high), y, width=3),
                  *(_line(_x(end), y - 7, _x(end), y + 7, width=3)
                    for end in (reading.low, reading.high)),
                  _text(_x(1) + 12, y + 7, f"{reading.share:.3f}", color, "start", bold=True,
                        size=20)]
    return [*parts, _line(_x(reading.intact), y - 19, _x(reading.intact), y + 19, "black", 2.5,
                          "5 3")]


def _scale():
    """Return the axis under the bars."""
    parts = [_text(_x(share), 418, f"{share:.1f}", figures.GREY)
             for share in (0, 0.2, 0.4, 0.6, 0.8, 1.0)]
    return [*parts, _line(_x(0.1), BARS["residual"] - 19, _x(0.1), 402, figures.GREY, 2, "2 4"),
            _text(_x(0.1), 418, "guessing", figures.GREY),
            _text(_x(0.5), 296, "test accuracy (dashed: intact)", figures.GREY)]
