"""Residual networks assembled from blocks, with torchvision's attribute names.

Source: He et al., "Deep Residual Learning for Image Recognition" (2016), table 1 (ImageNet) and
section 4.2 (the 6n + 2 layers for small pictures).
"""

from torch import nn

from resnet_lesson.blocks import BasicBlock, Bottleneck, _conv, _norm, _require_channels

STEMS = ("imagenet", "small", "small/2")
INITIALISATIONS = ("he", "xavier", "default")


class ResNet(nn.Module):
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
        norm: batch norm, or convolutions with bias.
        preactivation: norm and ReLU before each convolution, see ``blocks.BasicBlock``.

    Shapes:
        (N, in_channels, H, W) → (N, num_classes)

    Raises:
        ValueError: a setting that makes no network, or an input that does not fit.
    """

    def __init__(self, block, layers, num_classes=10, in_channels=1, *, residual=True,
                 widths=(64, 128, 256, 512), stem="imagenet", norm=True, preactivation=False):
        super().__init__()
        if stem not in STEMS:
            raise ValueError(f"stem must be one of {', '.join(STEMS)}, got {stem!r}")
        if not 0 < len(layers) <= len(widths):
            raise ValueError(f"layers needs 1 to {len(widths)} stages, as widths has, "
                             f"got {len(layers)}")
        self.in_channels, self.preactivation = in_channels, preactivation
        channels = widths[0]
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(in_channels, channels, 7, 2, padding=3, bias=not norm)
        else:
            self.conv1 = _conv(in_channels, channels, 3, 2 if stem == "small/2" else 1,
                               bias=not norm)
        self.bn1 = _norm(channels, norm and not preactivation)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stem == "imagenet" else nn.Identity()
        self.stages = []
        for i, (count, width) in enumerate(zip(layers, widths, strict=False)):
            stage = nn.Sequential()
            for j in range(count):
                stride = 2 if i > 0 and j == 0 else 1
                out_channels = width * block.expansion
                stage.append(block(channels, out_channels, stride, residual, norm=norm,
                                   preactivation=preactivation))
                channels = out_channels
            setattr(self, f"layer{i + 1}", stage)
            self.stages.append(f"layer{i + 1}")
        if preactivation:
            self.bn2 = _norm(channels, norm)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        initialize(self, "he")

    def forward(self, x):
        """Return the logits."""
        _require_channels(x, self.in_channels, type(self).__name__)
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
    PyTorch's default under ``"he"``, as in torchvision.

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


def resnet18(num_classes=10, in_channels=1, residual=True, **options):
    """Build ResNet-18; further ``options`` as in ``ResNet``."""
    return ResNet(BasicBlock, [2, 2, 2, 2], num_classes, in_channels, residual=residual, **options)


def resnet34(num_classes=10, in_channels=1, residual=True, **options):
    """Build ResNet-34; further ``options`` as in ``ResNet``."""
    return ResNet(BasicBlock, [3, 4, 6, 3], num_classes, in_channels, residual=residual, **options)


def resnet50(num_classes=10, in_channels=1, residual=True, **options):
    """Build ResNet-50; further ``options`` as in ``ResNet``."""
    return ResNet(Bottleneck, [3, 4, 6, 3], num_classes, in_channels, residual=residual, **options)


def resnet101(num_classes=10, in_channels=1, residual=True, **options):
    """Build ResNet-101; further ``options`` as in ``ResNet``."""
    return ResNet(Bottleneck, [3, 4, 23, 3], num_classes, in_channels, residual=residual,
                  **options)


def resnet152(num_classes=10, in_channels=1, residual=True, **options):
    """Build ResNet-152; further ``options`` as in ``ResNet``."""
    return ResNet(Bottleneck, [3, 8, 36, 3], num_classes, in_channels, residual=residual,
                  **options)


def small_resnet(depth, num_classes=10, in_channels=1, residual=True, *, widths=(16, 32, 64),
                 stem="small", **options):
    """Build a network of 6n + 2 layers for small pictures (He et al. 2016, section 4.2).

    Args:
        depth: 8, 14, 20, …: 6n + 2 weighted layers, n blocks in each of three stages.
        num_classes: length of the logits.
        in_channels: channels of the pictures.
        residual: add the shortcuts. Ours project with a 1×1 convolution where shapes change
            (option B of the paper); the paper's networks of this kind pad with zeros (option A).
        widths: channels of the three stages.
        stem: see ``ResNet``; ``"small/2"`` quarters the cost.
        **options: as in ``ResNet``.

    Raises:
        ValueError: the depth is not of the form 6n + 2.
    """
    n, rest = divmod(depth - 2, 6)
    if rest or n < 1:
        raise ValueError(f"depth must be 6n + 2 (8, 14, 20, …), got {depth}; "
                         f"{6 * max(n, 1) + 2} would do")
    return ResNet(BasicBlock, [n] * 3, num_classes, in_channels, residual=residual, widths=widths,
                  stem=stem, **options)
