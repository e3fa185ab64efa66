"""Network shapes: every number is that of the real network, and of torch's flop counter."""

import re

import pytest
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

from resnet_lesson.networks import resnet
from resnet_lesson.panels.network_shapes import DEPTHS, SIZES, STEMS, NetworkShapes, shapes

PARTS = {"stem": ("conv1", "bn1"), "stage 1": ("layer1",), "stage 2": ("layer2",),
         "stage 3": ("layer3",), "stage 4": ("layer4",), "head": ("fc",)}
LAST = {"stem": "maxpool", "head": "fc"}


def measured(depth, size, stem, in_channels=3, num_classes=1000):
    """Return size, channels, parameters and multiply-adds of each part of the real network."""
    with torch.device("meta"):
        network = getattr(resnet, f"resnet{depth}")(num_classes, in_channels, stem=stem).eval()
    shapes = {}
    for name, module in network.named_children():
        module.register_forward_hook(
            lambda module, inputs, output, name=name: shapes.update({name: output.shape}))
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, in_channels, size, size, device="meta"))
    counts = counter.get_flop_counts()
    rows = {}
    for part, layers in PARTS.items():
        shape = shapes[LAST.get(part, layers[-1])]
        rows[part] = (
            shape[-1] if len(shape) == 4 else 1, shape[1],
            sum(weight.numel() for layer in layers
                for weight in getattr(network, layer).parameters()),
            sum(sum(counts.get(f"ResNet.{layer}", {}).values()) for layer in layers) // 2)
    return rows


@pytest.mark.parametrize(("depth", "size", "stem"), [
    *zip([18] * 5, SIZES, [*STEMS.values(), "imagenet", "small"], strict=True),
    (34, 96, "small"), (50, 64, "imagenet"), (101, 32, "small/2"), (152, 28, "small"),
    (18, 1, "imagenet"), (18, 37, "imagenet"), (50, 225, "small/2"),
])
def test_every_part_is_the_real_networks(depth, size, stem):
    found = shapes(depth, size, stem)
    assert {stage.name: stage[2:] for stage in found.stages[1:]} == measured(depth, size, stem)
    assert found.stages[0][2:] == (size, 3, 0, 0)


def test_grey_pictures_and_ten_classes():
    found = shapes(18, 28, "imagenet", in_channels=1, num_classes=10)
    assert {stage.name: stage[2:] for stage in found.stages[1:]} == measured(
        18, 28, "imagenet", 1, 10)


@pytest.mark.parametrize("depth", DEPTHS)
def test_totals_are_torchvisions(depth):
    meta = torchvision.models.get_model_weights(f"resnet{depth}").IMAGENET1K_V1.meta
    found = shapes(depth, 224)
    assert found.parameters == meta["num_params"]
    assert round(found.multiply_adds / 1e9, 3) == meta["_ops"]
    panel = NetworkShapes(depth=depth)
    assert f"ResNet-{depth}" in panel.caption
    assert f"{found.parameters:,} parameters" in panel.caption
    assert f"{found.multiply_adds:,} multiply-adds" in panel.caption


def test_maps_of_one_pixel_are_said():
    panel = NetworkShapes(size=32)
    assert panel.result.stages[-2].size == 1 and "The last maps are 1×1" in panel.caption
    panel.set(stem="small")
    assert "1×1" not in panel.caption


@pytest.mark.parametrize(("settings", "words"), [
    ({"depth": 20, "size": 224}, "depth must be one of"),
    ({"depth": 18, "size": 224, "stem": "large"}, "stem must be one of"),
    ({"depth": 18, "size": 0}, "size must be a whole number above 0, got 0"),
])
def test_impossible_settings_are_refused_in_words(settings, words):
    with pytest.raises(ValueError, match=words):
        shapes(**settings)


def test_text_is_inside_the_drawing():
    words = re.findall(r'<text x="([\d.]+)"[^>]*text-anchor="middle"[^>]*>([^<]+)<',
                       NetworkShapes(depth=152).source)
    assert len(words) > 30
    for x, text in words:
        assert float(x) - 4.9 * len(text) >= 0
        assert float(x) + 4.9 * len(text) <= 960


def test_wider_networks_and_smaller_pictures_are_drawn_so():
    def boxes(**values):
        source = NetworkShapes(**values).source
        return [(float(w), float(h)) for w, h in re.findall(
            r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="([\d.]+)" fill="[^"]+" stroke',
            source)]
    large, small = boxes(size=224), boxes(size=28)
    assert len(large) == 7
    assert all(a[1] >= b[1] for a, b in zip(large, small, strict=True))
    assert large[0][1] > large[2][1] > large[5][1]
    assert boxes(depth=50)[2][0] > large[2][0]


def test_stages_cost_alike_where_they_have_equally_many_blocks():
    def largest_to_smallest(depth, size):
        work = [stage.multiply_adds for stage in shapes(depth, size).stages[2:6]]
        return max(work) / min(work)
    assert largest_to_smallest(18, 224) < 1.2 and largest_to_smallest(18, 96) < 1.2
    assert largest_to_smallest(18, 64) > 1.1 and largest_to_smallest(101, 224) > 5
