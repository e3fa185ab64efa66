"""Networks against torchvision's: names, counts, values; twins; words where they refuse."""

import copy
import inspect
import pickle

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from resnet_lesson import networks
from resnet_lesson.networks import blocks, parity, resnet


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def small(depth=14, **options):
    return resnet.small_resnet(depth, widths=(4, 8, 12), **options)


@pytest.mark.parametrize("depth", resnet.FAMILY)
def test_names_shapes_and_order_are_torchvisions_and_loading_is_strict_both_ways(depth):
    with torch.device("meta"):
        ours = resnet.FAMILY[depth](num_classes=1000, in_channels=3)
        theirs = getattr(torchvision.models, f"resnet{depth}")()
    assert ([(name, value.shape, value.dtype) for name, value in ours.state_dict().items()]
            == [(name, value.shape, value.dtype) for name, value in theirs.state_dict().items()])
    assert count(ours) == count(theirs)
    ours.load_state_dict(theirs.state_dict(), assign=True)
    theirs.load_state_dict(ours.state_dict(), assign=True)
    assert depth == sum(isinstance(part, nn.Conv2d | nn.Linear) and "downsample" not in name
                        for name, part in ours.named_modules())


def test_the_family_has_public_functions_of_its_names():
    for depth, build in resnet.FAMILY.items():
        assert build is getattr(networks, f"resnet{depth}") is pickle.loads(pickle.dumps(build))
        assert list(inspect.signature(build).parameters) == [
            "num_classes", "in_channels", "residual", "options"]


@pytest.mark.parametrize("options, total", [({"stem_bias": True}, 11_175_434),
                                            ({"bias": True}, 11_180_170)])
def test_published_totals(options, total):
    with torch.device("meta"):
        assert count(resnet.resnet18(**options)) == total


@pytest.mark.parametrize("options", [
    {}, {"stem": "small"}, {"stem": "small/2"}, {"preactivation": True}, {"norm": False},
    {"preactivation": True, "stem": "small"}, {"preactivation": True, "stem": "small/2"},
    {"shortcut": "A"}, {"residual": False}, {"bias": True}, {"zero_init_residual": True}])
def test_no_picture_size_fails_inside(options):
    model = resnet.ResNet(blocks.BasicBlock, [1, 2], 5, 2, widths=(4, 8), **options)
    for size in [(side, side) for side in range(1, 12)] + [(9, 5), (28, 28)]:
        assert model.train()(torch.rand(2, 2, *size)).shape == (2, 5)
        assert model.eval()(torch.rand(1, 2, *size)).shape == (1, 5)
        try:
            model.train()(torch.rand(1, 2, *size))
        except ValueError as error:
            assert "one value per channel to compute" in str(error)


@pytest.mark.parametrize(("stem", "side"), [("imagenet", 8), ("small", 32), ("small/2", 16)])
def test_stems_shrink_as_they_say(stem, side):
    model = resnet.ResNet(blocks.BasicBlock, [1], widths=(4,), stem=stem)
    seen = []
    model.layer1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    model(torch.rand(2, 1, 32, 32))
    assert seen == [(2, 4, side, side)]


@pytest.mark.parametrize(("depth", "millions"), [
    (20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_with_option_a_both_arms_have_the_papers_parameters(depth, millions):
    """He et al. 2016, table 6."""
    model = resnet.small_resnet(depth, in_channels=3, shortcut="A")
    assert float(f"{count(model) / 1e6:.2g}") == millions
    assert count(resnet.plain_twin(model)) == count(model)
    assert depth == sum(isinstance(part, nn.Conv2d | nn.Linear) for part in model.modules())


def test_blocks_are_named_as_in_the_state_dict_and_know_their_place():
    model = small(14)
    names, parts = zip(*model.blocks(), strict=True)
    assert list(names) == [f"layer{i}.{j}" for i in (1, 2, 3) for j in (0, 1)]
    assert [part.label for part in parts] == [f"{name} (BasicBlock)" for name in names]
    assert {f"{name}.conv1.weight" for name in names} <= set(model.state_dict())


@pytest.mark.parametrize("options", [{}, {"preactivation": True}, {"norm": False},
                                     {"shortcut": "A"}])
def test_a_plain_twin_has_equal_weights_and_no_shortcuts(options):
    torch.manual_seed(0)
    model = small(**options).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    twin, reference = resnet.plain_twin(model), small(residual=False, **options).eval()
    assert list(twin.state_dict()) == list(reference.state_dict())
    assert all(torch.equal(value, before[name]) for name, value in twin.state_dict().items())
    missing = set(before) - set(twin.state_dict())
    assert all("downsample" in name for name in missing)
    assert bool(missing) == ("shortcut" not in options)
    x = torch.rand(2, 1, 12, 12)
    assert not twin.training and not torch.allclose(twin(x), model(x))
    reference.load_state_dict(twin.state_dict())
    assert torch.equal(reference(x), twin(x))
    for parameter in twin.parameters():
        nn.init.ones_(parameter)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("wrong, words", [
    (lambda: small(residual=False), "ResNet without shortcuts"),
    (lambda: small(zero_init_residual=True), "the branch of layer1.0 is zero"),
    (lambda: torchvision.models.resnet18(), "got ResNet$"),
])
def test_plain_twin_refuses_what_has_none(wrong, words):
    with pytest.raises(ValueError, match=words):
        resnet.plain_twin(wrong())


@pytest.mark.parametrize("block", [blocks.BasicBlock, blocks.Bottleneck])
def test_zero_init_residual_is_torchvisions(block):
    kind = getattr(torchvision.models.resnet, block.__name__)
    theirs = torchvision.models.ResNet(kind, [1, 1, 1, 1], zero_init_residual=True)
    ours = resnet.ResNet(block, [1, 1, 1, 1], widths=(4, 8, 16, 32), zero_init_residual=True)
    zeros = [[name for name, value in model.named_parameters()
              if name.endswith("weight") and not value.any()] for model in (ours, theirs)]
    assert zeros[0] == zeros[1] and len(zeros[0]) == 4


def test_initialisation_is_he_with_fan_out():
    torch.manual_seed(0)
    model = resnet.ResNet(blocks.BasicBlock, [1, 1], widths=(64, 128))
    weight = model.layer2[0].conv2.weight
    assert weight.std().item() == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.01)
    assert model.layer2[0].downsample[0].weight.std().item() == pytest.approx(
        (2 / 128) ** 0.5, rel=0.05)
    resnet.initialize(model, "xavier")
    assert weight.abs().max().item() == pytest.approx((6 / (2 * 128 * 9)) ** 0.5, rel=0.01)
    with pytest.raises(ValueError, match="scheme must be one of"):
        resnet.initialize(model, "magic")


@pytest.mark.parametrize("build, words", [
    (lambda: resnet.resnet18(num_classes=0), "num_classes must be a whole number above 0, got 0"),
    (lambda: resnet.resnet18(stem="tiny"), "stem must be one of"),
    (lambda: resnet.resnet18(norm=nn.GroupNorm), "norm to be True or False, got <class"),
    (lambda: resnet.resnet18(zero_init_residual=0), "zero_init_residual to be .*, got 0"),
    (lambda: resnet.resnet18(shortcut="a"), "shortcut to be one of A, B, C, got 'a'"),
    (lambda: resnet.resnet18(residual=False, zero_init_residual=True), "needs residual=True"),
    (lambda: resnet.ResNet(blocks.BasicBlock, [1] * 5), "1 to 4 stages.* got 5"),
    (lambda: resnet.ResNet(blocks.BasicBlock, [1, 0]), r"layers\[1\] .* got 0"),
    (lambda: resnet.small_resnet(10), "depth must be 6n \\+ 2 .* got 10"),
    (lambda: resnet.small_resnet(20.0), "depth .* got 20.0"),
])
def test_settings_that_make_no_network_are_refused_in_words(build, words):
    with pytest.raises(ValueError, match=words):
        build()


@pytest.mark.parametrize("x, words", [
    (torch.rand(2, 3, 12, 12), r"ResNet needs .*\(N, 1, height, width\), got \(2, 3, 12, 12\)"),
    (torch.zeros(2, 1, 12, 12, dtype=torch.uint8), "needs floats, got torch.uint8"),
    (torch.rand(1, 1, 4, 4), r"layer3.0 \(BasicBlock\) got .* one value per channel"),
    (torch.rand(1, 1, 1, 1), "the stem, got .* one value per channel"),
])
def test_a_wrong_picture_is_refused_in_words(x, words):
    with pytest.raises(ValueError, match=words):
        small()(x)


DYNAMIC = ({0: torch.export.Dim("batch", min=2, max=64)},)
TOOLS = {
    "fx": lambda net, x: torch.fx.symbolic_trace(net)(x),
    "script": lambda net, x: torch.jit.script(net)(x),
    "trace": lambda net, x: torch.jit.trace(net, x)(x),
    "export": lambda net, x: torch.export.export(net, (x,)).module()(x),
    "any batch": lambda net, x: torch.export.export(
        net, (torch.cat([x, x]),), dynamic_shapes=DYNAMIC).module()(x),
    "compile": lambda net, x: torch.compile(net, backend="eager", fullgraph=True)(x),
    "features": lambda net, x: torch.cat([value.flatten() for value in create_feature_extractor(
        net, {"layer4": "4", "layer2.0": "2", "layer1.0.relu": "1", "fc": "0"})(x).values()]),
    "vmap": lambda net, x: torch.func.vmap(lambda picture: net(picture[None])[0])(x),
    "double": lambda net, x: copy.deepcopy(net).double()(x.double()),
    "half": lambda net, x: copy.deepcopy(net).half()(x.half()),
    "bfloat16": lambda net, x: copy.deepcopy(net).bfloat16()(x.bfloat16()),
    "autocast": lambda net, x: torch.autocast("cpu", torch.bfloat16)(net)(x),
}


@pytest.mark.filterwarnings("error::torch.jit.TracerWarning")
@pytest.mark.parametrize("block", ["BasicBlock", "Bottleneck"])
@pytest.mark.parametrize("tool", TOOLS)
def test_what_tools_do_with_torchvisions_network_they_do_with_ours(tool, block):
    torch._dynamo.reset()
    kind = getattr(torchvision.models.resnet, block)
    theirs = parity.randomise(torchvision.models.ResNet(kind, [1] * 4), 0).eval()
    ours = resnet.ResNet(getattr(blocks, block), [1] * 4, 1000, 3).eval()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 40, 40, generator=torch.Generator().manual_seed(1))
    found, expected = TOOLS[tool](ours, x), TOOLS[tool](theirs, x)
    assert found.dtype == expected.dtype
    scale = expected.abs().max()
    rough = 0.05 if found.dtype in (torch.half, torch.bfloat16) else 1e-5
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=rough)


@pytest.mark.parametrize("options", [{"preactivation": True}, {"shortcut": "A"}, {"norm": False},
                                     {"residual": False}, {"stem": "small"}])
def test_every_kind_of_network_and_block_is_scripted_in_both_modes(options, tmp_path):
    model, x = small(**options), torch.rand(2, 1, 12, 12)
    torch.jit.script(copy.deepcopy(model)).save(tmp_path / "net.pt")
    scripted = torch.jit.load(tmp_path / "net.pt")
    assert scripted.state_dict().keys() == model.state_dict().keys()
    for mode in (True, False):
        torch.testing.assert_close(scripted.train(mode)(x), model.train(mode)(x))
    block = blocks.Residual(1, 4, True, 2).eval()
    torch.testing.assert_close(torch.jit.script(copy.deepcopy(block))(x), block(x))
    with pytest.raises(ValueError, match="ResNet needs .* got str"):
        model("no tensor")


@pytest.mark.parametrize("norm", [True, False])
def test_a_kernel_before_a_norm_moves_less_the_larger_it_is(norm):
    """Notebook 06: c times as large means relatively c² times smaller steps; not without norm."""
    torch.manual_seed(0)
    first, x = small(8, norm=norm), torch.rand(8, 1, 12, 12)
    larger, steps = copy.deepcopy(first), []
    with torch.no_grad():
        larger.layer2[0].conv2.weight.mul_(4)
    for model in (first, larger):
        nn.functional.cross_entropy(model.train()(x), torch.arange(8)).backward()
        kernel = model.layer2[0].conv2.weight
        steps.append((kernel.grad.norm() / kernel.norm()).item())
    assert (steps[0] / steps[1] == pytest.approx(16, rel=0.02)) is norm
