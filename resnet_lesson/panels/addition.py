"""Panel *will it add up?*: both paths of a residual block with their shapes, and the verdict."""

from typing import NamedTuple

import ipywidgets as widgets

from resnet_lesson.figures import AMBER, BLUE, GREEN, GREY, ORANGE, SKY
from resnet_lesson.networks.convolution import output_size
from resnet_lesson.panels.base import DrawingPanel
from resnet_lesson.panels.svg import box, element, line, svg, text
from resnet_lesson.words import count

NONE, IDENTITY = "none", "identity"
PROJECTION, FORGOTTEN = "1×1 convolution", "1×1, stride forgotten"
SHORTCUTS = (NONE, IDENTITY, PROJECTION, FORGOTTEN)
SIZES = (1, 2, 4, 7, 8, 14, 28, 56)
CHANNELS = (1, 3, 16, 64, 128)
OTHER_SIZES = (5, 6, 9, 13, 20, 35)  # where equal shapes have to stay equal
COLORS = {"equal": GREEN, "broadcast": AMBER, "refused": ORANGE, "no window": ORANGE, NONE: GREY}


class Addition(NamedTuple):
    """What becomes of one picture on both paths of a block.

    The verdict is ``"equal"`` (it adds), ``"broadcast"`` (torch adds, but copies values to make the
    shapes fit), ``"refused"`` (torch raises), ``"no window"`` (the branch ends early, torch raises
    there) or ``"none"`` (there is nothing to add). Shapes are (channels, size, size).
    """

    branch: tuple  # shapes at the input and after each convolution, as far as a window fits
    shortcut: tuple | None  # the shape that the shortcut gives
    verdict: str
    result: tuple | None  # shape of the sum, as torch gives it; None where it raises
    by_accident: bool  # the shapes are equal for this size, but not for others
    repair: dict  # values of controls that make the shapes equal, fewest changes first


def paths(size, in_channels, out_channels, stride, padding, shortcut):
    """Return ``(branch, shortcut)`` as in ``Addition``, from the sizes' formula."""
    branch = [(in_channels, size, size)]
    for step in (stride, 1):
        try:
            side = output_size(branch[-1][1], 3, step, padding)
        except ValueError:
            break
        branch.append((out_channels, side, side))
    side = output_size(size, 1, stride if shortcut == PROJECTION else 1)
    ends = {NONE: None, IDENTITY: (in_channels, size, size)}
    return tuple(branch), ends.get(shortcut, (out_channels, side, side))


def _adds(**settings):
    branch, shortcut = paths(**settings)
    return len(branch) == 3 and branch[-1] == shortcut


def _repair(**settings):
    """Return the fewest changes of padding and shortcut after which the shapes are equal."""
    padding, project = {"padding": 1}, {"shortcut": PROJECTION}
    both = padding | project
    if settings["shortcut"] == NONE:
        return {} if len(paths(**settings)[0]) == 3 else padding
    return next(change for change in ({}, padding, project, both) if _adds(**settings | change))


class AdditionPanel(DrawingPanel):
    """Choose a block's settings; see both paths with their shapes, and whether they add up.

    The branch is the block's two 3×3 convolutions, of which the first has the stride. Shapes are
    channels × height × width of one picture. ``mend()``, also a button, applies the repair; the
    caption does not give it away.
    """

    title = "Will it add up?"
    size = (9.6, 4.2)

    def make_controls(self):
        def slider(options, value, name):
            return widgets.SelectionSlider(options=options, value=value, description=name)

        return {
            "size": slider(SIZES, 56, "size"),
            "in_channels": slider(CHANNELS, 64, "in_channels"),
            "out_channels": slider(CHANNELS, 128, "out_channels"),
            "stride": slider((1, 2, 3), 2, "stride"),
            "padding": slider((0, 1, 2), 1, "padding"),
            "shortcut": widgets.Dropdown(options=SHORTCUTS, value=IDENTITY,
                                         description="shortcut"),
        }

    def more_buttons(self):
        mend = widgets.Button(description="Mend it", icon="wrench",
                              tooltip="Change as few settings as will do")
        mend.on_click(lambda _: self.mend())
        return {"mend": mend}

    def update(self):
        super().update()
        self.buttons["mend"].disabled = not self.result.repair

    def mend(self):
        """Apply the repair, if there is one."""
        self.set(**self.result.repair)

    @staticmethod
    def compute(**settings):
        """Return the ``Addition`` for the settings, by the names of the controls."""
        branch, shortcut = paths(**settings)
        repair = _repair(**settings)
        end = branch[-1]
        result, by_accident = None, False
        if len(branch) < 3:
            verdict = "no window"
        elif shortcut is None:
            verdict, result = NONE, end
        elif end == shortcut:
            verdict, result = "equal", end
            by_accident = not all(_adds(**settings | {"size": size}) for size in OTHER_SIZES)
        elif all(a == b or 1 in (a, b) for a, b in zip(end, shortcut, strict=True)):
            verdict = "broadcast"
            result = tuple(map(max, zip(end, shortcut, strict=True)))
        else:
            verdict = "refused"
        return Addition(branch, shortcut, verdict, result, by_accident, repair)

    def describe(self, result, values):
        return " ".join(filter(None, (_verdict(result, values), _fault(result, values),
                                      _advice(result, values))))

    def render(self, result, values):
        end = result.branch[-1] if len(result.branch) == 3 else None
        differ = (False, False, False)
        if end and result.shortcut:
            differ = [a != b for a, b in zip(end, result.shortcut, strict=True)]
        parts = [_map(70, 230, result.branch[0]), text(70, 190, "x", anchor="middle", bold=True),
                 _branch(result.branch, values, differ)]
        if result.shortcut:
            parts.append(_shortcut(result.shortcut, values, differ, adds=end is not None))
        if end:
            parts.append(_sum(result))
        name = {NONE: "no shortcut", IDENTITY: "shortcut: identity"}.get(
            values["shortcut"], "shortcut: projection")
        parts += [text(150, 34 if result.shortcut else 90, name, GREY),
                  text(180, 405, "branch", GREY)]
        return svg(960, 420, element("g", "".join(parts), font_size=18))


def words(shape):
    """Return a shape as text: ``64 × 56 × 56``."""
    return " × ".join(map(str, shape))


def _verdict(result, values):
    start, end = words(result.branch[0]), words(result.branch[-1])
    if result.verdict == "no window":
        return (f"Torch refuses: no 3×3 window fits into {end} with padding {values['padding']}, "
                "so the branch ends before the addition.")
    if result.verdict == NONE:
        return f"Nothing to add: the plain block turns {start} into {end}."
    if result.verdict == "equal":
        return f"It adds up: branch and shortcut both turn {start} into {end}."
    sides = zip(("channels", "size"), result.branch[-1][:2], result.shortcut[:2], strict=True)
    differences = ", ".join(f"{name} {a} against {b}" for name, a, b in sides if a != b)
    pair = f"branch {end} and shortcut {words(result.shortcut)} ({differences})"
    if result.verdict == "refused":
        return f"Torch refuses to add {pair}."
    return (f"Beware: torch adds {pair} in silence. It copies along the sides of length 1 "
            f"(broadcasting) and returns {words(result.result)}, which is not the sum of two "
            "feature maps that was meant.")


def _fault(result, values):
    faults = []
    if "padding" in result.repair:
        loses = "cuts the edges off" if values["padding"] == 0 else "adds to the edges"
        faults.append(f"The branch is wrong: a 3×3 convolution with padding {values['padding']} "
                      f"{loses}.")
    if "shortcut" in result.repair:
        channels, size = paths(**values | result.repair)[0][-1][:2]
        kept = []
        if result.shortcut[0] != channels:
            kept.append(count(result.shortcut[0], "channel"))
        if result.shortcut[1] != size:
            kept.append(f"size {result.shortcut[1]}")
        faults.append(f"The shortcut is wrong: it keeps {' and '.join(kept)}.")
    if result.by_accident:
        faults.append(f"But only by accident: at most other sizes than {values['size']} these "
                      "two paths would not fit.")
    return " ".join(faults)


def _advice(result, values):
    if result.repair:
        return "Which setting mends it? The button shows one that does."
    if result.verdict == "equal" and values["shortcut"] in (PROJECTION, FORGOTTEN):
        weights = values["in_channels"] * values["out_channels"]
        spare = (" An identity would do here, with none."
                 if _adds(**values | {"shortcut": IDENTITY}) and not result.by_accident else "")
        return f"The 1×1 convolution has {count(weights, 'weight')}.{spare}"
    return ""


def _branch(branch, values, differ):
    """Draw the two convolutions and what comes out of them, as far as a window fits."""
    parts = [line((110, 230), (150, 230), (150, 320), (178, 320), arrow=True)]
    for i, (left, stride) in enumerate(((180, values["stride"]), (430, 1))):
        parts.append(_layer(left, 320, "3×3 conv", f"stride {stride}",
                            f"padding {values['padding']}"))
        if len(branch) < i + 2:
            return "".join([*parts, line((left + 112, 320), (left + 135, 320)),
                            text(left + 142, 326, "✗ no window fits", ORANGE, bold=True)])
        parts.append(line((left + 112, 320), (left + 138, 320)))
        if i == 0:
            parts += [_map(358, 320, branch[1]), line((395, 320), (428, 320), arrow=True)]
    return "".join([*parts, _map(608, 320, branch[2], differ)])


def _shortcut(shape, values, differ, *, adds):
    """Draw the shortcut, and its way to the sum where there is one."""
    projects = values["shortcut"] in (PROJECTION, FORGOTTEN)
    dash = "8 6" if projects else None
    first = 428 if projects else 570
    parts = [line((150, 230), (150, 90), (first, 90), dash=dash, arrow=True)]
    if projects:
        stride = values["stride"] if values["shortcut"] == PROJECTION else 1
        parts += [_layer(430, 90, "1×1 conv", f"stride {stride}"),
                  line((542, 90), (568, 90), dash=dash)]
    parts.append(_map(608, 90, shape, differ))
    if adds:
        parts.append(line((645, 90), (740, 90), (740, 183), dash=dash, arrow=True))
    return "".join(parts)


def _sum(result):
    """Draw the node where the paths meet, and what comes out of it."""
    if result.verdict == NONE:
        return (line((645, 320), (740, 320), (740, 205), (818, 205), arrow=True)
                + _map(862, 205, result.result))
    sign = {"equal": "+", "broadcast": "!", "refused": "✗"}[result.verdict]
    color = COLORS[result.verdict]
    node = (line((645, 320), (740, 320), (740, 226), arrow=True)
            + element("circle", cx=740, cy=205, r=20, fill=color, stroke="black", stroke_width=2)
            + text(740, 214, sign, "white", "middle", bold=True, size=28))
    if result.result:
        return node + line((762, 205), (818, 205), arrow=True) + _map(862, 205, result.result)
    return node + text(775, 211, "cannot be added", color, bold=True)


def _layer(left, middle, *lines):
    """Draw a layer: a box of 112 pixels with its words, centred on ``middle``."""
    top = middle - 13 * len(lines) - 6
    frame = box(left, top, 112, 26 * len(lines) + 12, "white", rx=8, stroke=BLUE, stroke_width=2.5)
    return frame + "".join(text(left + 56, top + 25 + 26 * i, words, anchor="middle", bold=i == 0)
                           for i, words in enumerate(lines))


def _map(x, y, shape, marks=(False, False, False)):
    """Draw a feature map as a slab: face by its size, depth by its channels, shape below."""
    side, depth = 10 + 4.2 * shape[1] ** 0.5, 4 + 2 * (shape[0].bit_length() - 1)
    left, top = x - side / 2 - depth / 2, y - side / 2 + depth / 2
    slab = element("path", d=f"M{left:.1f},{top:.1f} l{depth},{-depth} h{side:.1f} v{side:.1f} "
                             f"l{-depth},{depth} z", fill=SKY, stroke="black")
    face = box(left, top, side, side, "#D6ECF8", stroke="black")
    spans = [element("tspan", value, fill=ORANGE, font_weight="bold") if mark else str(value)
             for value, mark in zip(shape, marks, strict=True)]
    return slab + face + element("text", " × ".join(spans), x=x, y=y + 61, text_anchor="middle")
