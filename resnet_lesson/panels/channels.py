"""Panel *channels*: one output channel of a convolution as the sum of its per-channel maps."""

from functools import lru_cache
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
import torch
from torch import nn

from resnet_lesson.panels.base import DrawingPanel
from resnet_lesson.panels.svg import box, element, image, svg, text
from resnet_lesson.words import fixed

COLORS = ("red", "green", "blue")
KERNELS = ("vertical edges", "edges in red", "red against green", "random")
POSITIVE, NEGATIVE = (179, 88, 6), (84, 39, 136)  # told apart by colour-blind readers too
EQUAL = 1e-5  # float32 sums of 27 products, added in another order, differ by less
_COLUMNS = (14, 194, 374, 560, 740)  # left edges of the pictures, all of them 150 pixels wide
_LETTER = "var(--jp-widgets-font-size, 16px)"  # so that controls grow with the panel's text
_SMALL = "₀₁₂₃"


def scene():
    """Return a small picture in colour, an array (3, 32, 32) of values from 0 to 1."""
    rows, columns = np.mgrid[:32, :32]
    picture = np.empty((32, 32, 3))
    picture[:] = 0.55, 0.75, 0.95  # sky
    picture[24:] = 0.30, 0.62, 0.25  # grass
    picture[(rows - 6)**2 + (columns - 25)**2 < 16] = 0.98, 0.85, 0.20  # sun
    picture[14:27, 6:20] = 0.80, 0.18, 0.15  # house
    picture[19:27, 11:15] = 0.25, 0.15, 0.10  # door
    picture[(rows >= 7) & (rows < 14) & (abs(columns - 12.5) < rows - 6)] = 0.35, 0.30, 0.35
    return picture.transpose(2, 0, 1)


@lru_cache(maxsize=1)
def layer():
    """Return an ``nn.Conv2d(3, 4, 3)`` without bias whose kernels are those named in KERNELS."""
    generator = torch.Generator().manual_seed(3)
    conv = nn.Conv2d(3, 4, kernel_size=3, bias=False)
    edges = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[0] = edges / 3
        conv.weight[1, 0] = edges
        conv.weight[2, 0], conv.weight[2, 1] = 1 / 9, -1 / 9
        bound = 27**-0.5  # what nn.Conv2d draws from, for 27 inputs to each output
        conv.weight[3] = (torch.rand(3, 3, 3, generator=generator) * 2 - 1) * bound
    return conv


def convolve(channel, kernel):
    """Return one channel convolved with one kernel, by hand: (H, W) ∗ (k, k) → (H − k + 1, …).

    Like ``nn.Conv2d`` it does not flip the kernel.
    """
    size = kernel.shape[0]
    height, width = channel.shape[0] - size + 1, channel.shape[1] - size + 1
    total = np.zeros((height, width))
    for row in range(size):
        for column in range(size):
            total += kernel[row, column] * channel[row:row + height, column:column + width]
    return total


class Sum(NamedTuple):
    """One output channel of ``layer()`` on ``scene()``."""

    kernels: np.ndarray  # W_k0 … W_k2, (3, 3, 3)
    maps: np.ndarray  # I_c ∗ W_kc for each c, (3, 30, 30)
    total: np.ndarray  # the sum of as many of them as were asked for, (30, 30)
    expected: np.ndarray  # what nn.Conv2d computes, (30, 30)
    difference: float  # the largest absolute difference of the two


class ChannelsPanel(DrawingPanel):
    """Add up the per-channel maps of one output channel and compare with ``nn.Conv2d``.

    Controls: ``output_channel`` chooses k, ``channels`` how many of the three maps are summed.
    """

    title = "Channels: one output channel is a sum"
    size = (9, 5.3)

    def make_controls(self):
        return {"output_channel": widgets.Dropdown(
                    options=[(f"{k}: {name}", k) for k, name in enumerate(KERNELS)],
                    description="channel j",
                    layout=widgets.Layout(width=f"calc(18.5 * {_LETTER})")),
                "channels": widgets.IntSlider(3, 1, 3, description="channels summed",
                                              layout=widgets.Layout(width=f"calc(15 * {_LETTER})"))}

    @staticmethod
    def compute(output_channel, channels):
        """Return the ``Sum`` of the first ``channels`` maps of one output channel.

        Raises:
            ValueError: an output channel or a number of channels that is not there.
        """
        if output_channel not in range(len(KERNELS)):
            raise ValueError(f"output_channel must be 0 to {len(KERNELS) - 1}, "
                             f"got {output_channel!r}")
        if channels not in (1, 2, 3):
            raise ValueError(f"channels must be 1, 2 or 3, got {channels!r}")
        kernels, maps, expected = _maps(output_channel)
        total = maps[:channels].sum(0)
        return Sum(kernels, maps, total, expected, float(abs(total - expected).max()))

    def render(self, result, values):
        k, channels = values["output_channel"], values["channels"]
        name = f"F{_SMALL[k]}"
        total = name if channels == 3 else f"{name} so far"
        return svg(900, 530, _inputs(), _kernels(k, result), _sums(k, channels, result),
                   text(_COLUMNS[3], 356, total), text(_COLUMNS[4], 356, f"{name} of nn.Conv2d"))

    def describe(self, result, values):
        k, channels = values["output_channel"], values["channels"]
        maps = "all 3 maps" if channels == 3 else f"{channels} of 3 maps"
        distance = ("below 0.00001" if result.difference < EQUAL else f"{result.difference:.2f}")
        return (f"Output channel {k} ({KERNELS[k]}), {maps} summed. Largest difference from "
                f"nn.Conv2d: {distance}. Orange is positive, purple negative, white zero.")


@lru_cache(maxsize=len(KERNELS))
def _maps(k):
    """Return kernels, maps by hand and nn.Conv2d's output for one output channel."""
    picture, conv = scene(), layer()
    kernels = conv.weight[k].detach().numpy()
    maps = np.stack([convolve(picture[c], kernels[c]) for c in range(3)])
    with torch.no_grad():
        expected = conv(torch.from_numpy(picture).float().unsqueeze(0))[0, k].numpy()
    return kernels, maps, expected


@lru_cache(maxsize=1)
def _inputs():
    """Draw the colour picture and its three channels."""
    picture = scene()
    parts = [text(575, 22, "the picture"), _picture(picture * 255, 575, 30, 300)]
    for c, color in enumerate(COLORS):
        parts += [text(_COLUMNS[c], 22, f"{color}: I{_SMALL[c]}"),
                  _picture(np.stack([picture[c] * 255] * 3), _COLUMNS[c], 30)]
    return "".join(parts)


def _kernels(k, result):
    """Draw the three kernels of one output channel, with their numbers."""
    strongest, parts = abs(result.kernels).max(), []
    for c, left in enumerate(_COLUMNS[:3]):
        parts += [text(left + 20, 204, "∗", size=20),
                  text(left + 55, 204, f"W{_SMALL[k]}{_SMALL[c]}")]
        # pale, so that the numbers stay legible
        colors = _signed(result.kernels[c] / strongest * 0.55).round().astype(int)
        for row, column in np.ndindex(3, 3):
            x, y = left - 6 + 54 * column, 214 + 36 * row
            number = fixed(result.kernels[c, row, column], 2)
            parts += [box(x, y, 54, 36, "rgb({},{},{})".format(*colors[:, row, column]),
                          stroke="#8A97A3"),
                      text(x + 27, y + 24, number, anchor="middle")]
    return "".join(parts)


def _sums(k, channels, result):
    """Draw the maps of one output channel, the sum of some of them, and nn.Conv2d's."""
    strongest = max(abs(result.maps).max(), abs(result.expected).max())  # one scale for all

    def draw(values, column):
        return _picture(_signed(values / strongest), _COLUMNS[column], 366)

    parts = [text(532, 446, "=", size=24), draw(result.total, 3), draw(result.expected, 4)]
    for c in range(3):
        words = text(_COLUMNS[c], 356, f"I{_SMALL[c]} ∗ W{_SMALL[k]}{_SMALL[c]}")
        sign = text(_COLUMNS[c] - 24, 446, "+", size=24) if c else ""
        parts.append(element("g", words + sign + draw(result.maps[c], c),
                             opacity=None if c < channels else 0.2))
    return "".join(parts)


def _signed(values):
    """Return colours (3, H, W) from −1 (purple) over 0 (white) to 1 (orange)."""
    ends = np.where(values > 0, np.reshape(POSITIVE, (3, 1, 1)), np.reshape(NEGATIVE, (3, 1, 1)))
    return 255 + (ends - 255) * np.clip(abs(values), 0, 1)


def _picture(colors, x, y, width=150):
    """Draw an array (3, H, W) of values from 0 to 255 as a square with a frame."""
    pixels = np.round(colors).astype(np.uint8).transpose(1, 2, 0)
    frame = box(x, y, width, width, stroke="#333333", stroke_width=width / 160,
                shape_rendering="crispEdges")
    return image(pixels, x, y, width) + frame
