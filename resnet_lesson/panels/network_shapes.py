"""``NetworkShapes``: sizes, channels, parameters and multiply-adds through the ResNet family.

The networks are built on torch's meta device, where tensors have shapes and no values; so the
largest one takes a fifth of a second, and only once.
"""

import functools
import math
from typing import NamedTuple

import ipywidgets as widgets
import torch

from resnet_lesson import figures
from resnet_lesson.networks import resnet
from resnet_lesson.panels.base import DrawingPanel
from resnet_lesson.panels.svg import box, element, line, svg, text
from resnet_lesson.words import whole

DEPTHS = (18, 34, 50, 101, 152)
SIZES = (224, 96, 64, 32, 28)
STEMS = {"7×7 /2, max-pool /2": "imagenet", "3×3 /2": "small/2", "3×3": "small"}
STEM_WORDS = {"imagenet": "7×7 /2, pool", "small/2": "3×3 /2", "small": "3×3"}
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
    """A network's parts from input to logits, and what all of it costs for one picture."""

    stages: tuple
    parameters: int
    multiply_adds: int  # of convolutions and linear layer


@functools.lru_cache(maxsize=256)
def shapes(depth, size, stem="imagenet", in_channels=3, num_classes=1000):
    """Return the ``Shapes`` of a ResNet for pictures of ``size`` × ``size`` pixels.

    Raises:
        ValueError: no such depth or stem, or no whole number above 0.
    """
    if depth not in DEPTHS:
        raise ValueError(f"depth must be one of {', '.join(map(str, DEPTHS))}, got {depth!r}")
    size = whole(size, "size")
    with torch.device("meta"):
        network = getattr(resnet, f"resnet{depth}")(num_classes, in_channels, stem=stem).eval()
        pictures = torch.empty(1, in_channels, size, size)
    costs, outputs = dict.fromkeys(dict(network.named_children()), 0), {}

    def add_cost(module, inputs, output, part):
        costs[part] += module.weight.numel() * output[0, 0].numel()  # weights × places

    def keep_shape(module, inputs, output, part):
        outputs[part] = output.shape

    for part, child in network.named_children():
        child.register_forward_hook(functools.partial(keep_shape, part=part))
        for module in child.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                module.register_forward_hook(functools.partial(add_cost, part=part))
            elif isinstance(module, torch.nn.BatchNorm2d):
                module.forward = lambda x: x  # keeps the shape; the real one takes twice as long
    with torch.inference_mode():
        network(pictures)

    def stage(name, layers, parts):
        shape = outputs[parts[-1]]
        side = shape[-1] if len(shape) == 4 else 1
        weights = sum(weight.numel() for part in parts
                      for weight in getattr(network, part).parameters())
        return Stage(name, layers, side, shape[1], weights, sum(costs[part] for part in parts))

    stages = (
        Stage("pictures", "input", size, in_channels, 0, 0),
        stage("stem", STEM_WORDS[stem], ("conv1", "bn1", "maxpool")),
        *(stage(f"stage {i}", f"{len(getattr(network, part))} blocks", (part,))
          for i, part in enumerate(network.stages, 1)),
        stage("head", "mean, linear", ("fc",)))
    return Shapes(stages, sum(part.parameters for part in stages),
                  sum(part.multiply_adds for part in stages))


class NetworkShapes(DrawingPanel):
    """Maps through the network as boxes, and under each its parameters and multiply-adds."""

    title = "Network shapes"
    size = (9.6, 5.6)

    def make_controls(self):
        def buttons(description, options, value):
            return widgets.ToggleButtons(
                options=options, value=value, description=description,
                style={"button_width": "auto"},
                layout=widgets.Layout(width="auto", margin="2px 28px 2px 2px"))

        return {"depth": buttons("ResNet", list(DEPTHS), 18),
                "size": buttons("picture, pixels", list(SIZES), 224),
                "stem": buttons("stem", STEMS, "imagenet")}

    @staticmethod
    def compute(depth, size, stem):
        """Return the ``Shapes`` for colour pictures and 1,000 classes."""
        return shapes(depth, size, stem)

    def describe(self, result, values):
        stages = result.stages
        many = max(stages, key=lambda stage: stage.parameters)
        costly = max(stages, key=lambda stage: stage.multiply_adds)
        sizes = " → ".join(str(stage.size) for stage in stages)
        words = (f"ResNet-{values['depth']}: sides {sizes}. "
                 f"{result.parameters:,} parameters, {many.parameters / result.parameters:.0%} of "
                 f"them in {many.name}. {result.multiply_adds:,} multiply-adds a picture, "
                 f"{costly.multiply_adds / result.multiply_adds:.0%} of them in {costly.name}. "
                 "Boxes grow by the root of the side and the logarithm of the channels.")
        if stages[-2].size == 1:
            words += (" The last maps are 1×1: there a 3×3 kernel meets one pixel and eight zeros "
                      "of padding.")
        return words

    def render(self, result, values):
        parts, width = [], 960 / len(result.stages)
        for i, (stage, color) in enumerate(zip(result.stages, COLORS, strict=True)):
            middle = width * (i + 0.5)
            kind = "classes" if stage.name == "head" else "channels"
            parts += [_words(middle, 22, stage.name, bold=True), _words(middle, 44, stage.layers),
                      _block(middle, 200, stage, color),
                      _words(middle, 226, f"{stage.size}×{stage.size}", bold=True),
                      _words(middle, 248, f"{stage.channels} {kind}")]
        for base, name, what in ((392, "parameters", "parameters"),
                                 (538, "multiply_adds", "multiply-adds for one picture")):
            counts = [getattr(stage, name) for stage in result.stages]
            parts += [text(8, base - 108, f"{what}: {sum(counts):,} in all", bold=True),
                      line((0, base), (960, base), color="#333", thick=1)]
            for i in range(1, len(counts)):  # the picture itself costs nothing
                height, middle = 70 * counts[i] / max(counts), width * (i + 0.5)
                parts += [box(middle - 40, base - height, 80, height, COLORS[i]),
                          _words(middle, base - height - 6, _short(counts[i]))]
        return svg(960, 560, *parts)


def _short(value):
    """Return a count in a few characters: 9.5 k, 11.7 M, 1.81 G."""
    for unit, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= unit * 0.9995:
            return f"{value / unit:.3g}{letter}"
    return f"{value}"


def _words(middle, y, words, *, bold=False):
    return text(middle, y, words, anchor="middle", bold=bold)


def _block(middle, base, stage, color):
    """Return a box whose height is the map's side and whose width is its channels.

    They span factors of 200 and 700, so the height grows like a root, the width like a logarithm.
    """
    height, width = 6 + 92 * math.sqrt(stage.size / 224), 6 * math.log2(stage.channels)
    slant = 0.32 * height
    x, y = middle - (width + slant) / 2, base - height
    edge = {"stroke": "#333", "stroke_linejoin": "round"}
    top = f"M{x:.1f},{y:.1f} l{slant:.1f},{-slant:.1f} h{width:.1f} l{-slant:.1f},{slant:.1f} z"
    side = (f"M{x + width:.1f},{y:.1f} l{slant:.1f},{-slant:.1f} v{height:.1f} "
            f"l{-slant:.1f},{slant:.1f} z")
    return (box(x, y, width, height, color, **edge)
            + element("path", d=top, fill=color, fill_opacity=0.45, **edge)
            + element("path", d=side, fill=color, fill_opacity=0.7, **edge))
