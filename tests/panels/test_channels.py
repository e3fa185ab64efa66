"""The channels panel: maps by hand against torch, words, drawing."""

import base64
import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from resnet_lesson.panels.channels import COLORS, KERNELS, ChannelsPanel, convolve, layer, scene

SVG = "{http://www.w3.org/2000/svg}"


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


def texts(panel):
    return [part.text for part in ElementTree.fromstring(panel.source).iter(f"{SVG}text")]


def test_the_sum_is_called_one_and_maps_not_yet_summed_are_faint():
    panel = ChannelsPanel(channels=1)
    assert "F₀ so far" in texts(panel) and panel.source.count('opacity="0.2"') == 2
    panel.controls["channels"].value = 3
    assert "F₀" in texts(panel) and panel.source.count('opacity="0.2"') == 0
    assert "below 0.00001" in panel.caption


def test_the_drawn_pixels_are_the_picture_and_the_maps():
    panel = ChannelsPanel(output_channel=1, channels=2)
    drawn = {}
    for part in ElementTree.fromstring(panel.source).iter(f"{SVG}image"):
        assert "pixelated" in part.get("style")
        png = base64.b64decode(part.get("href").removeprefix("data:image/png;base64,"))
        drawn[part.get("x"), part.get("y")] = np.asarray(Image.open(io.BytesIO(png))).astype(int)
    assert len(drawn) == 9
    picture = np.round(scene() * 255).astype(int)
    assert (drawn["575", "30"] == picture.transpose(1, 2, 0)).all()
    for c, x in enumerate(("14", "194", "374")):
        assert (drawn[x, "30"] == picture[c, :, :, None]).all()
    total, strongest = panel.result.total, abs(panel.result.maps).max()
    warm = drawn["560", "366"][..., 0] - drawn["560", "366"][..., 2]
    assert (warm[total > 0.1 * strongest] > 0).all() and (warm[total < -0.1 * strongest] < 0).all()
    assert (drawn["560", "366"][total == 0] == 255).all()
