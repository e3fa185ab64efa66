"""Blocks against torch and torchvision: shapes, values, names, and words where they refuse."""

import random

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet as torchvision_resnet

from resnet_lesson.networks.blocks import BasicBlock, Bottleneck, Residual
from resnet_lesson.networks.parity import randomise


def theirs(ours):
    """Return torchvision's block with the weights of one of ours."""
    kind = getattr(torchvision_resnet, type(ours).__name__)
    planes = ours.out_channels // kind.expansion
    downsample = None
    if ours.downsample is not None:
        downsample = nn.Sequential(
            nn.Conv2d(ours.in_channels, ours.out_channels, 1, ours.stride, bias=False),
            nn.BatchNorm2d(ours.out_channels))
    other = kind(ours.in_channels, planes, ours.stride, downsample)
    assert list(other.state_dict()) == list(ours.state_dict())
    other.load_state_dict(ours.state_dict())
    return other


def settings(seed):
    """Return random (block class, in_channels, out_channels, stride, height, width)."""
    draw = random.Random(seed)
    block = draw.choice([BasicBlock, Bottleneck])
    out_channels = 4 * draw.randint(1, 3)
    in_channels = draw.choice([out_channels, draw.randint(1, 9)])
    return block, in_channels, out_channels, *(draw.randint(1, top) for top in (3, 9, 9))


@pytest.mark.parametrize("seed", range(30))
def test_a_block_computes_what_torchvisions_does(seed):
    block, in_channels, out_channels, stride, height, width = settings(seed)
    ours = randomise(block(in_channels, out_channels, stride), seed)
    other = theirs(ours)
    x = torch.randn(3, in_channels, height, width, generator=torch.Generator().manual_seed(seed))
    for mode in (False, True):
        ours.train(mode)
        other.train(mode)
        torch.testing.assert_close(ours(x), other(x.clone()), rtol=1e-4, atol=1e-4)
    for (name, a), b in zip(ours.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize(("attribute", "value"), [
    ("residual", False), ("preactivation", True), ("depth", 1)])
def test_the_comparison_with_torchvision_catches_a_broken_block(attribute, value):
    ours = randomise(BasicBlock(8, 8)).eval()
    x = torch.randn(3, 8, 7, 7, generator=torch.Generator().manual_seed(0))
    right = theirs(ours).eval()(x.clone())
    setattr(ours, attribute, value)
    assert not torch.allclose(ours(x), right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("options", [
    {"preactivation": True}, {"norm": False}, {"norm": False, "preactivation": True},
    {"residual": False}, {"bias": True}, {"shortcut": "C"}])
def test_every_option_keeps_the_promised_shape(seed, options):
    block, in_channels, out_channels, stride, height, width = settings(seed)
    module = block(in_channels, out_channels, stride, **options)
    x = torch.randn(2, in_channels, height, width)
    expected = (2, out_channels, -(-height // stride), -(-width // stride))
    assert module.eval()(x).shape == module.branch(x).shape == expected
    if options.get("residual", True):
        assert module.shortcut(x).shape == expected
    kinds = {type(part) for part in module.modules()}
    assert (nn.BatchNorm2d in kinds) == options.get("norm", True)
    biases = {part.bias is not None for part in module.modules() if isinstance(part, nn.Conv2d)}
    assert biases == {options.get("bias", not options.get("norm", True))}


def test_the_shortcut_is_projected_only_where_it_has_to_be():
    assert BasicBlock(8, 8).downsample is None
    assert BasicBlock(8, 4, 2, residual=False).downsample is None
    for block in (BasicBlock(8, 8, 2), BasicBlock(8, 4), BasicBlock(8, 8, shortcut="C")):
        assert isinstance(block.downsample[0], nn.Conv2d)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("preactivation", [False, True])
def test_option_a_is_strided_slicing_and_padding_without_parameters(seed, preactivation):
    block, in_channels, out_channels, stride, height, width = settings(seed)
    in_channels = min(in_channels, out_channels)
    module = randomise(block(in_channels, out_channels, stride, shortcut="A",
                             preactivation=preactivation)).eval()
    x = torch.randn(2, in_channels, height, width)
    expected = F.pad(x[..., ::stride, ::stride], (0, 0, 0, 0, 0, out_channels - in_channels))
    assert torch.equal(module.shortcut(x), expected)
    total = module.branch(x) + expected
    torch.testing.assert_close(module(x), total if preactivation else total.relu())
    plain = block(in_channels, out_channels, stride, False, preactivation=preactivation)
    assert list(module.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize("stride", [1, 2])
def test_preactivation_puts_norm_and_relu_before_each_convolution_and_none_at_the_end(stride):
    module = randomise(BasicBlock(8, 8, stride, preactivation=True)).eval()
    x = torch.randn(2, 8, 6, 6)
    inner = module.conv1(module.bn1(x).relu())
    side = x if stride == 1 else module.downsample(x)
    expected = module.conv2(module.bn2(inner).relu()) + side
    torch.testing.assert_close(module(x), expected)
    assert expected.min() < 0 and not isinstance(module.downsample, nn.Sequential)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck])
@pytest.mark.parametrize("options", [
    {}, {"preactivation": True}, {"norm": False}, {"norm": False, "preactivation": True}])
def test_a_zeroed_branch_gives_zero_and_can_learn_again(block, options):
    torch.manual_seed(0)
    module = block(8, 8, **options)
    assert not module.branch_is_zero()
    assert module.zero_branch() is module and module.branch_is_zero()
    x = torch.randn(4, 8, 5, 5)
    assert not module.branch(x).any()
    assert torch.equal(module(x), x if options.get("preactivation") else x.relu())
    (module(x) * torch.randn(x.shape)).sum().backward()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter -= 0.1 * parameter.grad
    assert not module.branch_is_zero() and module.branch(x).abs().max() > 0


@pytest.mark.parametrize("arguments, shape, expected", [
    ((3, 3), (4, 3, 6, 6), (4, 3, 6, 6)), ((2, 5, True, 3), (2, 2, 7, 10), (2, 5, 3, 4))])
def test_residual_has_the_books_shapes_and_names(arguments, shape, expected):
    names = ("input_channels", "num_channels", "use_1x1conv", "strides")
    named = Residual(**dict(zip(names, arguments, strict=False)))
    for block in (named, Residual(*arguments)):
        assert block(torch.rand(shape)).shape == expected


@pytest.mark.parametrize("project", [False, True])
def test_residual_equals_basic_block_up_to_its_two_differences(project):
    book = randomise(Residual(4, 4, use_1x1conv=project)).eval()
    ours = BasicBlock(4, 4, bias=True, shortcut="C" if project else "B").eval()
    state = {name.replace("conv3", "downsample.0"): value
             for name, value in book.state_dict().items()}
    if project:
        ours.downsample[1] = nn.Identity()
    ours.load_state_dict(state)
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(book(x), ours(x))


@pytest.mark.parametrize("build, x, words", [
    (lambda: BasicBlock(3, 8), torch.rand(2, 4, 6, 6),
     r"BasicBlock needs an input of shape \(N, 3, height, width\), got \(2, 4, 6, 6\)"),
    (lambda: Bottleneck(8, 8), torch.rand(8, 6, 6), r"Bottleneck needs .* got \(8, 6, 6\)"),
    (lambda: Residual(3, 3), torch.rand(2, 1, 6, 6), r"Residual needs .* got \(2, 1, 6, 6\)"),
    (lambda: Residual(3, 3), torch.rand(2, 3, 0, 6), r"Residual needs .* got \(2, 3, 0, 6\)"),
    (lambda: Residual(3, 6), torch.rand(2, 3, 6, 6),
     r"Residual cannot add the shortcut \(2, 3, 6, 6\) to the branch \(2, 6, 6, 6\); use_1x1conv"),
    (lambda: BasicBlock(3, 3), torch.zeros(2, 3, 6, 6, dtype=torch.uint8), "needs floats"),
    (lambda: BasicBlock(3, 3), [[1.0]], "needs a tensor of shape .* got list"),
    (lambda: BasicBlock(3, 3), torch.rand(1, 3, 1, 1), "BasicBlock got .* one value per channel"),
    (lambda: Residual(3, 3, True, 2), torch.rand(1, 3, 2, 1), "Residual got .* one value"),
])
def test_a_wrong_input_is_refused_in_words(build, x, words):
    with pytest.raises(ValueError, match=words):
        build()(x)


@pytest.mark.parametrize("in_channels, out_channels", [(1, 4), (4, 1)])
def test_an_addition_that_torch_would_broadcast_is_refused_too(in_channels, out_channels):
    x = torch.rand(2, in_channels, 5, 5)
    block = Residual(in_channels, out_channels)
    assert (block.conv1(x) + x).shape == (2, 4, 5, 5)  # torch lets it through
    with pytest.raises(ValueError, match="cannot add the shortcut"):
        block(x)
    basic = BasicBlock(in_channels, out_channels)
    basic.downsample, basic.label = None, "layer1.0 (BasicBlock)"
    with pytest.raises(ValueError, match=r"layer1.0 \(BasicBlock\) cannot add .* its downsample"):
        basic(x)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("options", [{}, {"preactivation": True}])
def test_one_value_per_channel_is_refused_exactly_where_torch_refuses(seed, options):
    draw = random.Random(seed)
    block = draw.choice([BasicBlock, Bottleneck])(4, 8, draw.randint(1, 3), **options)
    x = torch.rand(draw.randint(1, 2), 4, draw.randint(1, 3), draw.randint(1, 3))
    try:
        block.branch(x)
    except ValueError:
        with pytest.raises(ValueError, match="one value per channel"):
            block(x)
    else:
        assert block(x).shape[1] == 8
    assert block.eval()(x).shape[1] == 8
    assert BasicBlock(4, 4, norm=False)(torch.rand(1, 4, 1, 1)).shape == (1, 4, 1, 1)


@pytest.mark.parametrize("build, words", [
    (lambda: BasicBlock(0, 4), "BasicBlock's in_channels must be a whole number above 0"),
    (lambda: BasicBlock(4, 4, True), "stride .* got True"),
    (lambda: Residual(3, 3, True, -1), "strides .* got -1"),
    (lambda: Bottleneck(4, 6), "out_channels that 4 divides, got 6"),
    (lambda: Bottleneck(4, None), "out_channels .* got None"),
    (lambda: BasicBlock(4, 4, shortcut="D"), "shortcut to be one of A, B, C, got 'D'"),
    (lambda: BasicBlock(8, 4, shortcut="A"), "8 channels to make 4; use shortcut=\"B\""),
    (lambda: BasicBlock(4, 4, norm=nn.GroupNorm), "norm to be True or False, got <class"),
    (lambda: BasicBlock(4, 4, 1, 1), "residual to be True or False, got 1"),
    (lambda: Residual(3, 3, 2), "use_1x1conv to be True or False, got 2"),
])
def test_settings_that_make_no_block_are_refused_in_words(build, words):
    with pytest.raises(ValueError, match=words):
        build()
