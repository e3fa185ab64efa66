"""Residual networks assembled from blocks, with torchvision's attribute names.

Source: He et al., "Deep Residual Learning for Image Recognition" (2016), table 1 (ImageNet) and
section 4.2 (the 6n + 2 layers for small pictures).
"""

import copy

from torch import nn

from resnet_lesson.networks.blocks import (
    BasicBlock,
    Bottleneck,
    Scriptable,
    conv_layer,
    norm_layer,
    require_batch,
    require_switches,
    require_values,
)
from resnet_lesson.words import whole

# Kind of block and blocks in each stage, by depth: the paper's table 1.
LAYOUTS = {18: (BasicBlock, (2, 2, 2, 2)), 34: (BasicBlock, (3, 4, 6, 3)),
           50: (Bottleneck, (3, 4, 6, 3)), 101: (Bottleneck, (3, 4, 23, 3)),
           152: (Bottleneck, (3, 8, 36, 3))}
STEMS = {"imagenet": (7, 2), "small": (3, 1), "small/2": (3, 2)}  # kernel size and stride
INITIALISATIONS = ("he", "xavier", "default")


class ResNet(Scriptable, nn.Module):
    """A residual network: stem, stages of blocks, global average pooling, one linear layer.

    Args:
        block: ``BasicBlock`` or ``Bottleneck``.
        layers: number of blocks in each stage.
        num_classes: length of the logits.
        in_channels: channels of the pictures: 1 for grey, 3 for colour.
        residual: ``False`` builds the plain twin: the same network without shortcuts.
        widths: channels of each stage before ``block.expansion``.
        stem: ``"imagenet"`` (7×7 stride 2, 3×3 max-pool stride 2), ``"small"`` (3×3) or
            ``"small/2"`` (3×3 stride 2).
        norm: batch norm after each convolution.
        preactivation: norm and ReLU before each convolution, see ``blocks.BasicBlock``.
        bias: bias in every convolution; ``None`` means only where there is no norm.
        shortcut: ``"A"``, ``"B"`` or ``"C"``, how x is made to fit, see ``blocks.BasicBlock``.
        stem_bias: bias in the stem's convolution; ``None`` means as ``bias``.
        zero_init_residual: start with every branch at zero, so that each block begins as its
            shortcut (Goyal et al. 2017, section 5.1), see ``blocks.BasicBlock.zero_branch``.

    Shapes:
        (N, in_channels, H, W) → (N, num_classes)

    Raises:
        ValueError: a setting that makes no network, or an input that does not fit.
    """

    def __init__(self, block, layers, num_classes=10, in_channels=1, *, residual=True,
                 widths=(64, 128, 256, 512), stem="imagenet", norm=True, preactivation=False,
                 bias=None, shortcut="B", stem_bias=None, zero_init_residual=False):
        super().__init__()
        in_channels = whole(in_channels, "in_channels")
        if stem not in STEMS:
            raise ValueError(f"stem must be one of {', '.join(STEMS)}, got {stem!r}")
        if not 0 < len(layers) <= len(widths):
            raise ValueError(f"layers needs 1 to {len(widths)} stages, as widths has, "
                             f"got {len(layers)}")
        layers = [whole(count, f"layers[{i}]") for i, count in enumerate(layers)]
        widths = [whole(width, f"widths[{i}]") for i, width in enumerate(widths)]
        bias = not norm if bias is None else bias
        stem_bias = bias if stem_bias is None else stem_bias
        require_switches("ResNet", residual=residual, norm=norm, preactivation=preactivation,
                         bias=bias, stem_bias=stem_bias, zero_init_residual=zero_init_residual)
        if zero_init_residual and not residual:
            raise ValueError("zero_init_residual=True needs residual=True: a plain network whose "
                             "branches are zero gives the same logits for every picture and "
                             "passes no gradient")
        self.in_channels, self.preactivation = in_channels, preactivation
        channels = widths[0]
        self.conv1 = conv_layer(in_channels, channels, *STEMS[stem], bias=stem_bias)
        self.bn1 = norm_layer(channels, norm and not preactivation)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stem == "imagenet" else nn.Identity()
        self.stages = []
        for i, (count, width) in enumerate(zip(layers, widths, strict=False), 1):
            stage = nn.Sequential()
            for j in range(count):
                stride = 2 if i > 1 and j == 0 else 1
                stage.append(block(channels, width * block.expansion, stride, residual, norm=norm,
                                   preactivation=preactivation, bias=bias, shortcut=shortcut))
                stage[-1].label = f"layer{i}.{j} ({block.__name__})"
                channels = width * block.expansion
            setattr(self, f"layer{i}", stage)
            self.stages.append(f"layer{i}")
        if preactivation:
            self.bn2 = norm_layer(channels, norm)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, whole(num_classes, "num_classes"))
        initialize(self, "he")
        if zero_init_residual:
            for _, part in self.blocks():
                part.zero_branch()

    def forward(self, x):
        """Return the logits."""
        require_batch(x, self.in_channels, type(self).__name__)
        require_values(self.bn1, x, self.conv1.stride[0], "conv1 and bn1, the stem,")
        x = self.conv1(x)
        if not self.preactivation:
            x = self.relu(self.bn1(x))
        x = self.maxpool(x)
        for stage in self.stages:
            x = getattr(self, stage)(x)
        if self.preactivation:
            x = self.relu(self.bn2(x))
        return self.fc(self.avgpool(x).flatten(1))

    def blocks(self):
        """Return ``[(name, block), …]`` from input to output, named as in the state_dict."""
        return [(f"{stage}.{i}", block) for stage in self.stages
                for i, block in enumerate(getattr(self, stage))]


def initialize(model, scheme="he"):
    """Draw new weights for every convolution and linear layer; return the model.

    Args:
        model: any module.
        scheme: ``"he"`` (He et al. 2015, normal, fan-out, as torchvision), ``"xavier"`` (Glorot
            and Bengio 2010, uniform, as the book) or ``"default"`` (what PyTorch does).

    Convolution biases start at zero under ``"he"`` and ``"xavier"``; the linear layer keeps
    PyTorch's default under ``"he"``, as in torchvision. Batch norms stay as they are.

    Raises:
        ValueError: unknown scheme.
    """
    if scheme not in INITIALISATIONS:
        raise ValueError(f"scheme must be one of {', '.join(INITIALISATIONS)}, got {scheme!r}")
    for module in model.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        module.reset_parameters()
        if scheme == "xavier":
            nn.init.xavier_uniform_(module.weight)
        elif scheme == "he" and isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if scheme != "default" and isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return model


def plain_twin(model):
    """Return the same network without its shortcuts, with equal weights.

    Every tensor of the twin is a copy of the tensor of that name in ``model``, which stays as it
    is; what the twin lacks are the projections on shortcuts (``downsample``), if there are any.
    To compare both arms fairly, build the residual one from a seed and the plain one with this.

    Raises:
        ValueError: no residual network, or one whose branches start at zero
            (``zero_init_residual``): without shortcuts it would pass nothing at all.
    """
    if not isinstance(model, ResNet) or not all(part.residual for _, part in model.blocks()):
        raise ValueError("plain_twin needs a ResNet with residual=True, "
                         f"got {type(model).__name__}"
                         + (" without shortcuts" if isinstance(model, ResNet) else ""))
    twin = copy.deepcopy(model)
    for name, part in twin.blocks():
        if part.branch_is_zero():
            raise ValueError(f"the branch of {name} is zero (zero_init_residual=True), so its "
                             "plain twin would give the same logits for every picture; "
                             "build the network with zero_init_residual=False")
        part.residual, part.downsample = False, None
    return twin


def _builder(depth):
    block, layers = LAYOUTS[depth]

    def build(num_classes=10, in_channels=1, residual=True, **options):
        return ResNet(block, layers, num_classes, in_channels, residual=residual, **options)

    build.__name__ = build.__qualname__ = f"resnet{depth}"
    build.__doc__ = f"Build ResNet-{depth} of {block.__name__}s; ``options`` as in ``ResNet``."
    return build


# the public functions, by depth: (num_classes=10, in_channels=1, residual=True, **options)
FAMILY = {depth: _builder(depth) for depth in LAYOUTS}
resnet18, resnet34, resnet50, resnet101, resnet152 = FAMILY.values()


def small_resnet(depth, num_classes=10, in_channels=1, residual=True, *, widths=(16, 32, 64),
                 stem="small", **options):
    """Build a network of 6n + 2 layers for small pictures (He et al. 2016, section 4.2).

    Args:
        depth: 8, 14, 20, …: 6n + 2 weighted layers, n blocks in each of three stages.
        num_classes, in_channels: as in ``ResNet``.
        residual: add the shortcuts. They project with a 1×1 convolution where shapes change
            (option B); the paper's networks of this kind pad with zeros: ``shortcut="A"``.
        widths: channels of the three stages.
        stem: see ``ResNet``; ``"small/2"`` quarters the cost.
        **options: as in ``ResNet``.

    Raises:
        ValueError: the depth is not of the form 6n + 2.
    """
    n, rest = divmod(whole(depth, "depth") - 2, 6)
    if rest or n < 1:
        raise ValueError(f"depth must be 6n + 2 (8, 14, 20, …), got {depth}; "
                         f"{6 * max(n, 1) + 2} would do")
    return ResNet(BasicBlock, [n] * 3, num_classes, in_channels, residual=residual, widths=widths,
                  stem=stem, **options)
