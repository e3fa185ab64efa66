"""The channels panel: maps by hand against torch, words, drawing."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.panels.channels import COLORS, KERNELS, ChannelsPanel, convolve, layer, scene


def torch_map(channel, kernel):
    return F.conv2d(torch.from_numpy(channel)[None, None],
                    torch.from_numpy(np.asarray(kernel, float))[None, None])[0, 0].numpy()


@pytest.mark.parametrize("seed", range(8))
def test_convolving_by_hand_is_conv2d(seed):
    draw = np.random.default_rng(seed)
    size = int(draw.integers(1, 5))
    channel = draw.normal(size=draw.integers(size, 12, 2))
    kernel = draw.normal(size=(size, size))
    np.testing.assert_allclose(convolve(channel, kernel), torch_map(channel, kernel), atol=1e-12)
    if size > 1:  # a flipped kernel, as in mathematics, is caught
        assert not np.allclose(convolve(channel, kernel[::-1, ::-1]), torch_map(channel, kernel))


@pytest.mark.parametrize("k", range(len(KERNELS)))
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_sum_is_torchs_on_the_channels_summed(k, channels):
    result = ChannelsPanel.compute(k, channels)
    weight = layer().weight[k, :channels].detach()
    picture = torch.from_numpy(scene()[:channels]).float()
    expected = F.conv2d(picture[None], weight[None])[0, 0].numpy()
    np.testing.assert_allclose(result.total, expected, atol=1e-5)
    for c in range(3):
        np.testing.assert_allclose(result.maps[c], torch_map(scene()[c], result.kernels[c]),
                                   atol=1e-6)
    missing = bool(weight.numel() and layer().weight[k, channels:].abs().sum() > 0)
    assert (result.difference > 1e-3) == missing


def test_the_layer_is_a_plain_conv2d_and_the_scene_a_picture():
    conv = layer()
    assert isinstance(conv, nn.Conv2d) and conv.bias is None
    assert tuple(conv.weight.shape) == (len(KERNELS), len(COLORS), 3, 3)
    assert scene().shape == (3, 32, 32) and scene().min() >= 0 and scene().max() <= 1


@pytest.mark.parametrize("values", [(4, 1), (-1, 1), (0, 0), (0, 4), ("red", 1), (None, 3)])
def test_what_is_not_there_is_refused(values):
    with pytest.raises(ValueError, match=repr(values[0]) if values[0] not in range(4)
                       else repr(values[1])):
        ChannelsPanel.compute(*values)


def test_every_state_draws_and_says_how_far_it_is():
    panel = ChannelsPanel()
    captions = set()
    for k in range(len(KERNELS)):
        for channels in (1, 2, 3):
            panel.set(output_channel=k, channels=channels)
            captions.add(panel.caption)
            tree = ElementTree.fromstring(panel._svg)
            texts = list(tree.iter("{http://www.w3.org/2000/svg}text"))
            assert all(float(text.get("font-size")) >= 16 for text in texts)
            assert ("so far" in "".join(text.text for text in texts)) == (channels < 3)
        assert "below 0.00001" in panel.caption
    assert len(captions) == 3 * len(KERNELS)


def test_maps_not_yet_summed_are_faint():
    panel = ChannelsPanel(channels=1)
    assert panel._svg.count('opacity="0.2"') == 2
    panel.controls["channels"].value = 3
    assert panel._svg.count('opacity="0.2"') == 0


def test_the_drawn_pixels_are_the_picture():
    tree = ElementTree.fromstring(ChannelsPanel()._svg)
    group = next(tree.iter("{http://www.w3.org/2000/svg}g"))
    pixels = np.empty((32, 32), object)
    for path in group.iter("{http://www.w3.org/2000/svg}path"):
        for run in path.get("d").split("z")[:-1]:
            place, rest = run[1:].split("h", 1)
            column, row = map(int, place.split())
            pixels[row, column:column + int(rest.split("v")[0])] = path.get("fill")
    expected = np.round(scene() * 255).astype(int)
    assert pixels[20, 8] == "#{:02x}{:02x}{:02x}".format(*expected[:, 20, 8])
    assert all(int(pixels[row, column][1:], 16) == expected[0, row, column] * 65536
               + expected[1, row, column] * 256 + expected[2, row, column]
               for row in range(32) for column in range(32))


def test_the_picture_for_readers_without_widgets_is_there():
    bundle = ChannelsPanel(output_channel=1, channels=2)._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Output channel 1 (edges in red), 2 of 3 maps")
    ElementTree.fromstring(bundle["image/svg+xml"])
