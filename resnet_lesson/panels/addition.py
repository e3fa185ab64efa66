"""Panel *will it add up?*: both paths of a residual block with their shapes, and the verdict."""

import html
from dataclasses import dataclass

import ipywidgets as widgets

from resnet_lesson.figures import AMBER, BLUE, GREEN, GREY, ORANGE, SKY
from resnet_lesson.networks.convolution import output_size
from resnet_lesson.panels.base import DrawingPanel, svg

NONE, IDENTITY = "none", "identity"
PROJECTION, FORGOTTEN = "1×1 convolution", "1×1, stride forgotten"
SHORTCUTS = (NONE, IDENTITY, PROJECTION, FORGOTTEN)
SIZES = (1, 2, 4, 7, 8, 14, 28, 56)
CHANNELS = (1, 3, 16, 64, 128)
OTHER_SIZES = (5, 6, 9, 13, 20, 35)  # where equal shapes have to stay equal
COLORS = {"equal": GREEN, "broadcast": AMBER, "refused": ORANGE, "no window": ORANGE, NONE: GREY}


@dataclass(frozen=True)
class Addition:
    """What becomes of one picture on both paths of a block.

    Attributes:
        branch: shapes (channels, size, size) along the branch: input, after the first and after
            the second convolution; it ends early where no window fits.
        shortcut: the shape that the shortcut gives, or ``None`` without one.
        verdict: ``"equal"`` (it adds), ``"broadcast"`` (torch adds, but copies values to make
            the shapes fit), ``"refused"`` (torch raises), ``"no window"`` (the branch ends
            early, torch raises there) or ``"none"`` (there is nothing to add).
        result: shape of the sum, as torch gives it; ``None`` where it raises.
        by_accident: the shapes are equal for this size, but not for others.
        repair: values of controls that make the shapes equal, fewest changes first; empty where
            nothing needs mending.
    """

    branch: tuple
    shortcut: tuple | None
    verdict: str
    result: tuple | None
    by_accident: bool
    repair: dict


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
    channels × height × width of one picture. ``mend()``, also a button, applies the repair that
    the caption suggests.
    """

    title = "Will it add up?"
    size = (9.6, 4.2)

    def __init__(self, **start):
        super().__init__(**start)
        self._mend = widgets.Button(description="Mend it", icon="wrench",
                                    tooltip="Apply the repair that the sentence suggests")
        self._mend.on_click(lambda _: self.mend())
        row = next(child for child in self.children if isinstance(child, widgets.HBox))
        row.children = (*row.children, self._mend)
        self._mend.disabled = not self.result.repair

    def make_controls(self):
        """Return the six controls."""
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

    def update(self):
        """Compute, draw and describe the current state."""
        super().update()
        if hasattr(self, "_mend"):
            self._mend.disabled = not self.result.repair

    def mend(self):
        """Apply the suggested repair, if there is one."""
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
        """Return verdict, fault and repair as sentences."""
        return " ".join(filter(None, (_verdict(result, values), _fault(result, values),
                                      _advice(result, values))))

    def render(self, result, values):
        """Return both paths as SVG: branch below, shortcut above, sum to the right."""
        end = result.branch[-1] if len(result.branch) == 3 else None
        color = COLORS[result.verdict]
        differ = ([a != b for a, b in zip(end, result.shortcut, strict=True)]
                  if end and result.shortcut else [False] * 3)
        parts = [_map(70, 230, result.branch[0], "x")]
        parts += _line((110, 230), (150, 230), (150, 320), (178, 320), arrow=True)
        for i, (left, step) in enumerate(((180, values["stride"]), (430, 1))):
            parts += _box(left, 320, "3×3 conv", f"stride {step}", f"padding {values['padding']}")
            if len(result.branch) < i + 2:
                parts += _line((left + 112, 320), (left + 135, 320))
                parts.append(_text(left + 142, 326, "✗ no window fits", ORANGE, "start", bold=True))
                break
            parts += _line((left + 112, 320), (left + 138, 320))
            shape = result.branch[i + 1]
            parts.append(_map(left + 178, 320, shape, marks=differ if i else ()))
            if i == 0:
                parts += _line((left + 215, 320), (left + 248, 320), arrow=True)
        if result.shortcut:
            projected = values["shortcut"] in (PROJECTION, FORGOTTEN)
            dash = "8 6" if projected else ""
            first = 428 if projected else 570
            parts += _line((150, 230), (150, 90), (first, 90), dash=dash, arrow=True)
            if projected:
                step = values["stride"] if values["shortcut"] == PROJECTION else 1
                parts += _box(430, 90, "1×1 conv", f"stride {step}")
                parts += _line((542, 90), (568, 90), dash=dash)
            parts.append(_map(608, 90, result.shortcut, marks=differ))
            if end:
                parts += _line((645, 90), (740, 90), (740, 183), dash=dash, arrow=True)
        if end:
            parts += _sum(result, color)
        parts.append(_text(150, 34 if result.shortcut else 90, {
            NONE: "no shortcut", IDENTITY: "shortcut: identity"}.get(
                values["shortcut"], "shortcut: projection"), GREY, "start"))
        parts.append(_text(180, 405, "branch", GREY, "start"))
        return svg(960, 420, '<g font-size="18">', *parts, "</g>")


def words(shape):
    """Return a shape as text: ``64 × 56 × 56``."""
    return " × ".join(map(str, shape))


def _differences(result):
    pairs = zip(("channels", "size"), result.branch[-1][:2], result.shortcut[:2], strict=True)
    return ", ".join(f"{name} {a} against {b}" for name, a, b in pairs if a != b)


def _verdict(result, values):
    start, end = words(result.branch[0]), words(result.branch[-1])
    if result.verdict == "no window":
        return (f"Torch refuses: no 3×3 window fits into {end} with padding {values['padding']}, "
                "so the branch ends before the addition.")
    if result.verdict == NONE:
        return f"Nothing to add: the plain block turns {start} into {end}."
    if result.verdict == "equal":
        return f"It adds up: branch and shortcut both turn {start} into {end}."
    pair = f"branch {end} and shortcut {words(result.shortcut)} ({_differences(result)})"
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
        target = paths(**values | result.repair)[0][-1]
        kept = [_channels(result.shortcut[0])] * (result.shortcut[0] != target[0])
        kept += [f"size {result.shortcut[1]}"] * (result.shortcut[1] != target[1])
        faults.append(f"The shortcut is wrong: it keeps {' and '.join(kept)}.")
    if result.by_accident:
        faults.append(f"But only by accident: at most other sizes than {values['size']} these "
                      "two paths would not fit.")
    return " ".join(faults)


def _advice(result, values):
    mends = []
    if "padding" in result.repair:
        mends.append("set padding to 1")
    if "shortcut" in result.repair:
        mends.append("send the shortcut through a 1×1 convolution to "
                     f"{_channels(values['out_channels'])} with stride {values['stride']}")
    if mends:
        return f"To mend it, {' and '.join(mends)}."
    if result.verdict == "equal" and values["shortcut"] in (PROJECTION, FORGOTTEN):
        weights = values["in_channels"] * values["out_channels"]
        spare = (" An identity would do here, with none."
                 if _adds(**values | {"shortcut": IDENTITY}) and not result.by_accident else "")
        return f"The 1×1 convolution has {weights:,} weight{'s' * (weights > 1)}.{spare}"
    return ""


def _channels(count):
    return f"{count} channel{'s' * (count > 1)}"


def _text(x, y, content, color="black", anchor="middle", *, bold=False):
    weight = ' font-weight="bold"' if bold else ""
    return (f'<text x="{x}" y="{y}" fill="{color}" text-anchor="{anchor}"{weight}>'
            f"{html.escape(content)}</text>")


def _line(*points, dash="", arrow=False):
    """Return a line through points, as a list of SVG elements, ending in an arrow or not."""
    route = " ".join(f"{x},{y}" for x, y in points)
    style = f' stroke-dasharray="{dash}"' if dash else ""
    parts = [f'<polyline points="{route}" fill="none" stroke="black" stroke-width="2.5"{style}/>']
    if arrow:
        (x0, y0), (x, y) = points[-2:]
        across, down = (x > x0) - (x < x0), (y > y0) - (y < y0)
        tips = ((x, y), (x - 10 * across - 6 * down, y - 10 * down - 6 * across),
                (x - 10 * across + 6 * down, y - 10 * down + 6 * across))
        parts.append(f'<polygon points="{" ".join(f"{a},{b}" for a, b in tips)}"/>')
    return parts


def _box(left, middle, *lines):
    """Return a layer: a box of 112 pixels with its words, centred on ``middle``."""
    top = middle - 13 * len(lines) - 6
    parts = [f'<rect x="{left}" y="{top}" width="112" height="{26 * len(lines) + 12}" rx="8" '
             f'fill="white" stroke="{BLUE}" stroke-width="2.5"/>']
    return parts + [_text(left + 56, top + 25 + 26 * i, line, bold=i == 0)
                    for i, line in enumerate(lines)]


def _map(x, y, shape, name="", marks=()):
    """Return a feature map as a slab: face by its size, depth by its channels, shape below."""
    side, depth = 10 + 4.2 * shape[1] ** 0.5, 4 + 2 * (shape[0].bit_length() - 1)
    left, top = x - side / 2 - depth / 2, y - side / 2 + depth / 2
    face = (f'<path d="M{left:.1f},{top:.1f} l{depth},{-depth} h{side:.1f} v{side:.1f} '
            f'l{-depth},{depth} z" fill="{SKY}" stroke="black"/>'
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{side:.1f}" height="{side:.1f}" '
            f'fill="#D6ECF8" stroke="black"/>')
    spans = " × ".join(
        f'<tspan fill="{ORANGE}" font-weight="bold">{value}</tspan>' if mark else str(value)
        for value, mark in zip(shape, marks or [False] * 3, strict=True))
    label = f'<text x="{x}" y="{y + 61}" text-anchor="middle">{spans}</text>'
    return face + label + (_text(x, y - 40, name, bold=True) if name else "")


def _sum(result, color):
    """Return the node where the paths meet, and what comes out of it."""
    sign = {"equal": "+", "broadcast": "!", "refused": "✗", NONE: ""}[result.verdict]
    if result.verdict == NONE:
        parts = _line((645, 320), (740, 320), (740, 205), (818, 205), arrow=True)
    else:
        parts = [*_line((645, 320), (740, 320), (740, 226), arrow=True),
                 f'<circle cx="740" cy="205" r="20" fill="{color}" stroke="black" '
                 f'stroke-width="2"/>',
                 f'<text x="740" y="214" font-size="28" font-weight="bold" fill="white" '
                 f'text-anchor="middle">{sign}</text>']
        if result.result:
            parts += _line((762, 205), (818, 205), arrow=True)
    if result.result:
        return [*parts, _map(862, 205, result.result)]
    return [*parts, _text(775, 211, "cannot be added", color, "start", bold=True)]
