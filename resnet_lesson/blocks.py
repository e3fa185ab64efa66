"""The blocks that residual networks are built of, each with its shortcut or without.

``Residual`` is the block of the book (Zhang et al., "Dive into Deep Learning", section 8.6).
``BasicBlock`` and ``Bottleneck`` follow He et al., "Deep Residual Learning for Image
Recognition" (2016), figure 5, with torchvision's attribute names; with ``preactivation=True``
they follow He et al., "Identity Mappings in Deep Residual Networks" (2016).
"""

from torch import nn
from torch.nn import functional as F


def _conv(in_channels, out_channels, kernel_size, stride=1, *, bias):
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride,
                     padding=(kernel_size - 1) // 2, bias=bias)


def _norm(channels, norm):
    return nn.BatchNorm2d(channels) if norm else nn.Identity()


def _require_channels(x, channels, layer):
    """Refuse a batch that ``layer`` cannot take, in words."""
    if x.ndim != 4 or x.shape[1] != channels:
        raise ValueError(f"{layer} needs an input of shape (N, {channels}, height, width), "
                         f"got {tuple(x.shape)}")


class Residual(nn.Module):
    """The book's residual block: two 3×3 convolutions with bias, no norm on the shortcut.

    Args:
        input_channels: channels of the input.
        num_channels: channels of the output.
        use_1x1conv: send the shortcut through a 1×1 convolution. Needed as soon as channels or
            size change, since only equal shapes can be added.
        strides: stride of the first convolution and of the 1×1 convolution.

    Shapes:
        (N, input_channels, H, W) → (N, num_channels, ⌈H / strides⌉, ⌈W / strides⌉)

    Raises:
        ValueError: wrong input, or an addition of unequal shapes; the sentence names both.
    """

    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, num_channels, kernel_size=3, padding=1,
                               stride=strides)
        self.conv2 = nn.Conv2d(num_channels, num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(input_channels, num_channels, kernel_size=1,
                               stride=strides) if use_1x1conv else None
        self.bn1 = nn.BatchNorm2d(num_channels)
        self.bn2 = nn.BatchNorm2d(num_channels)

    def forward(self, X):
        """Return relu(g(X) + shortcut(X))."""
        _require_channels(X, self.conv1.in_channels, "Residual")
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        if X.shape != Y.shape:
            raise ValueError(f"Residual cannot add the shortcut {tuple(X.shape)} to the branch "
                             f"{tuple(Y.shape)}; use_1x1conv=True gives both the same shape")
        return F.relu(Y + X)


class _Block(nn.Module):
    """What basic and bottleneck blocks share: a branch, a shortcut, their sum."""

    expansion = 1

    def __init__(self, in_channels, out_channels, stride, residual, norm, preactivation):
        super().__init__()
        self.in_channels, self.out_channels, self.stride = in_channels, out_channels, stride
        self.residual, self.preactivation = residual, preactivation
        layers = self._branch_layers(norm)
        before = [in_channels] + [conv.out_channels for conv in layers]
        for i, conv in enumerate(layers, 1):
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", _norm(before[i - 1] if preactivation else before[i], norm))
        self.relu = nn.ReLU()
        self.depth = len(layers)
        self.downsample = None
        if residual and (stride != 1 or in_channels != out_channels):
            shortcut = _conv(in_channels, out_channels, 1, stride, bias=not norm)
            self.downsample = (shortcut if preactivation
                               else nn.Sequential(shortcut, _norm(out_channels, norm)))

    def _branch_layers(self, norm):
        raise TypeError("use BasicBlock or Bottleneck")

    def branch(self, x):
        """Return g(x): the convolutions, without the shortcut."""
        for i in range(1, self.depth + 1):
            conv, norm = getattr(self, f"conv{i}"), getattr(self, f"bn{i}")
            if self.preactivation:
                x = conv(self.relu(norm(x)))
            else:
                x = norm(conv(x))
                x = self.relu(x) if i < self.depth else x
        return x

    def shortcut(self, x):
        """Return x as the addition sees it: unchanged, or projected where shapes differ."""
        return x if self.downsample is None else self.downsample(x)

    def forward(self, x):
        """Return relu(g(x) + shortcut(x)); without the ReLU if ``preactivation``."""
        _require_channels(x, self.in_channels, type(self).__name__)
        out = self.branch(x)
        if self.residual:
            out = out + self.shortcut(x)
        return out if self.preactivation else self.relu(out)


class BasicBlock(_Block):
    """Two 3×3 convolutions beside a shortcut (He et al. 2016, figure 5 left).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: stride of the first convolution and of the projection.
        residual: add the shortcut; ``False`` gives the plain twin, with equal names and shapes
            of everything but the projection, which it does not need.
        norm: batch norm after (or before) each convolution; ``False`` gives the convolutions a
            bias instead.
        preactivation: norm and ReLU before each convolution, none after the addition.

    Shapes:
        (N, in_channels, H, W) → (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)

    Raises:
        ValueError: the input has the wrong number of channels or dimensions.
    """

    def __init__(self, in_channels, out_channels, stride=1, residual=True, *, norm=True,
                 preactivation=False):
        super().__init__(in_channels, out_channels, stride, residual, norm, preactivation)

    def _branch_layers(self, norm):
        return [_conv(self.in_channels, self.out_channels, 3, self.stride, bias=not norm),
                _conv(self.out_channels, self.out_channels, 3, bias=not norm)]


class Bottleneck(_Block):
    """1×1, 3×3, 1×1 convolutions beside a shortcut (He et al. 2016, figure 5 right).

    The 3×3 convolution works on ``out_channels // 4`` channels. The stride sits on it, as in
    torchvision ("ResNet v1.5"), not on the first 1×1 convolution as in the paper.

    Arguments, shapes and errors as in ``BasicBlock``; ``out_channels`` must be a multiple of 4.
    """

    expansion = 4

    def __init__(self, in_channels, out_channels, stride=1, residual=True, *, norm=True,
                 preactivation=False):
        if out_channels % self.expansion:
            raise ValueError(f"Bottleneck needs out_channels that 4 divides, got {out_channels}")
        super().__init__(in_channels, out_channels, stride, residual, norm, preactivation)

    def _branch_layers(self, norm):
        width = self.out_channels // self.expansion
        return [_conv(self.in_channels, width, 1, bias=not norm),
                _conv(width, width, 3, self.stride, bias=not norm),
                _conv(width, self.out_channels, 1, bias=not norm)]
