"""``NetworkShapes``: sizes, channels, parameters and multiply-adds through the ResNet family.

Everything is arithmetic on ``convolution.output_size``, so that a click is answered at once; the
tests compare every setting with the real networks, torch's flop counter included.
"""

import math
from typing import NamedTuple

import ipywidgets as widgets

from resnet_lesson import figures
from resnet_lesson.networks.convolution import output_size
from resnet_lesson.panels.base import DrawingPanel, svg

LAYERS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3),
          152: (3, 8, 36, 3)}
WIDTHS = (64, 128, 256, 512)
SIZES = (224, 96, 64, 32, 28)
STEMS = {"7×7 /2, max-pool /2": "imagenet", "3×3 /2": "small/2", "3×3": "small"}
COLORS = (figures.GREY, figures.AMBER, figures.SKY, figures.GREEN, figures.PINK, figures.BLUE,
          figures.ORANGE)


class Stage(NamedTuple):
    """What leaves a part of the network, and what the part costs for one picture."""

    name: str
    layers: str
    size: int
    channels: int
    parameters: int
    multiply_adds: int


class Shapes(NamedTuple):
    """A network's parts from input to logits."""

    stages: tuple

    @property
    def parameters(self):
        """Return the number of parameters of the whole network."""
        return sum(stage.parameters for stage in self.stages)

    @property
    def multiply_adds(self):
        """Return the multiply-adds of convolutions and linear layer for one picture."""
        return sum(stage.multiply_adds for stage in self.stages)


class _Counter:
    """Walks through layers, keeping size and channels, adding up parameters and multiply-adds."""

    def __init__(self, size, channels):
        self.size, self.channels = size, channels
        self.parameters = self.multiply_adds = 0

    def conv(self, out_channels, kernel_size, stride=1):
        """Add a convolution without bias and its batch norm."""
        weights = kernel_size**2 * self.channels * out_channels
        self.size = output_size(self.size, kernel_size, stride, (kernel_size - 1) // 2)
        self.channels = out_channels
        self.parameters += weights + 2 * out_channels
        self.multiply_adds += weights * self.size**2

    def block(self, width, stride, bottleneck):
        """Add a basic or a bottleneck block, with a projection where shapes change."""
        size, channels = self.size, self.channels
        plan = ((width, 1, 1), (width, 3, stride), (4 * width, 1, 1)) if bottleneck else (
            (width, 3, stride), (width, 3, 1))
        for layer in plan:
            self.conv(*layer)
        if stride != 1 or channels != self.channels:
            shortcut = _Counter(size, channels)
            shortcut.conv(self.channels, 1, stride)
            self.parameters += shortcut.parameters
            self.multiply_adds += shortcut.multiply_adds

    def stage(self, name, layers):
        """Return what was counted since the last call."""
        row = Stage(name, layers, self.size, self.channels, self.parameters, self.multiply_adds)
        self.parameters = self.multiply_adds = 0
        return row


def walk(depth, size, stem="imagenet", in_channels=3, num_classes=1000):
    """Return the ``Shapes`` of a ResNet, without building it.

    Args:
        depth: 18, 34, 50, 101 or 152.
        size: side of the pictures in pixels.
        stem: as in ``models.ResNet``.
        in_channels: channels of the pictures.
        num_classes: length of the logits.

    Raises:
        ValueError: no such depth or stem, or no window of some layer fits.
    """
    if depth not in LAYERS:
        raise ValueError(f"depth must be one of {', '.join(map(str, LAYERS))}, got {depth!r}")
    if stem not in STEMS.values():
        raise ValueError(f"stem must be one of {', '.join(STEMS.values())}, got {stem!r}")
    counter, bottleneck = _Counter(size, in_channels), depth >= 50
    rows = [counter.stage("pictures", "input")]
    if stem == "imagenet":
        counter.conv(WIDTHS[0], 7, 2)
        counter.size = output_size(counter.size, 3, 2, 1)
    else:
        counter.conv(WIDTHS[0], 3, 2 if stem == "small/2" else 1)
    words = {kind: label for label, kind in STEMS.items()}[stem].split(",")[0]
    rows.append(counter.stage("stem", words + (", pool" if stem == "imagenet" else "")))
    for i, (count, width) in enumerate(zip(LAYERS[depth], WIDTHS, strict=True), 1):
        for j in range(count):
            counter.block(width, 2 if i > 1 and j == 0 else 1, bottleneck)
        rows.append(counter.stage(f"stage {i}", f"{count} blocks"))
    weights = counter.channels * num_classes
    rows.append(Stage("head", "mean, linear", 1, num_classes, weights + num_classes, weights))
    return Shapes(tuple(rows))


class NetworkShapes(DrawingPanel):
    """Maps through the network as boxes, and under each its parameters and multiply-adds."""

    title = "Network shapes"
    size = (9.6, 5.6)

    def make_controls(self):
        """Return depth, picture size and stem."""
        def buttons(description, options, value):
            return widgets.ToggleButtons(
                options=options, value=value, description=description,
                style={"button_width": "auto"},
                layout=widgets.Layout(width="auto", margin="2px 28px 2px 2px"))
        return {"depth": buttons("ResNet", list(LAYERS), 18),
                "size": buttons("picture, pixels", list(SIZES), 224),
                "stem": buttons("stem", STEMS, "imagenet")}

    @staticmethod
    def compute(depth, size, stem):
        """Return the ``Shapes`` for colour pictures and 1,000 classes."""
        return walk(depth, size, stem)

    def describe(self, result, values):
        """Return sizes, totals, and where most of both sits."""
        stages = result.stages
        many = max(stages, key=lambda stage: stage.parameters)
        costly = max(stages, key=lambda stage: stage.multiply_adds)
        sizes = " → ".join(str(stage.size) for stage in stages)
        words = (f"ResNet-{values['depth']}: sides {sizes}. "
                 f"{result.parameters:,} parameters, {many.parameters / result.parameters:.0%} of "
                 f"them in {many.name}. {result.multiply_adds:,} multiply-adds a picture, "
                 f"{costly.multiply_adds / result.multiply_adds:.0%} of them in {costly.name}.")
        if stages[-2].size == 1:
            words += (" The last maps are 1×1: there a 3×3 kernel meets one pixel and eight zeros "
                      "of padding.")
        return words

    def render(self, result, values):
        """Return the diagram: seven columns, boxes above, two rows of bars below."""
        parts, width = [], 960 / len(result.stages)
        for i, (stage, color) in enumerate(zip(result.stages, COLORS, strict=True)):
            middle = width * (i + 0.5)
            parts += [_words(middle, 22, stage.name, "bold"), _words(middle, 44, stage.layers),
                      _box(middle, 200, stage, color),
                      _words(middle, 226, f"{stage.size}×{stage.size}", "bold"),
                      _words(middle, 248, f"{stage.channels} "
                             + ("classes" if i == len(result.stages) - 1 else "channels"))]
        for base, name, what in ((392, "parameters", "parameters"),
                                 (538, "multiply_adds", "multiply-adds for one picture")):
            counts = [getattr(stage, name) for stage in result.stages]
            parts.append(f'<text x="8" y="{base - 108}" font-weight="bold">{what}: '
                         f"{sum(counts):,} in all</text>")
            parts.append(f'<line x1="0" y1="{base}" x2="960" y2="{base}" stroke="#333"/>')
            for i, (value, color) in enumerate(zip(counts, COLORS, strict=True)):
                if i == 0:
                    continue  # the picture itself costs nothing
                height, middle = 70 * value / max(counts), width * (i + 0.5)
                parts.append(f'<rect x="{middle - 40:.1f}" y="{base - height:.1f}" width="80" '
                             f'height="{height:.1f}" fill="{color}"/>')
                parts.append(_words(middle, base - height - 6, _short(value)))
        return svg(960, 560, *parts)


def _short(value):
    """Return a count in a few characters: 9.5 k, 11.7 M, 1.81 G."""
    for unit, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit * 0.9995:
            return f"{value / unit:.3g}{letter}"
    return f"{value}"


def _words(x, y, words, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" font-weight="{weight}">'
            f"{words}</text>")


def _box(middle, base, stage, color):
    """Return a box whose height is the map's side and whose width is its channels.

    Both grow like a root or a logarithm, since they span factors of 200 and 700.
    """
    height = 6 + 92 * math.sqrt(stage.size / 224)
    width = 6 * math.log2(stage.channels)
    slant = 0.32 * height
    x, y = middle - (width + slant) / 2, base - height
    top = f"{x},{y} {x + slant},{y - slant} {x + width + slant},{y - slant} {x + width},{y}"
    side = (f"{x + width},{y} {x + width + slant},{y - slant} "
            f"{x + width + slant},{base - slant} {x + width},{base}")
    edge = 'stroke="#333" stroke-linejoin="round"'
    return (f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="{color}" {edge}/>'
            f'<polygon points="{top}" fill="{color}" fill-opacity="0.45" {edge}/>'
            f'<polygon points="{side}" fill="{color}" fill-opacity="0.7" {edge}/>')
