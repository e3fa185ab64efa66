"""The blocks that residual networks are built of, each with its shortcut or without.

``Residual`` is the block of the book (Zhang et al., "Dive into Deep Learning", section 8.6).
``BasicBlock`` and ``Bottleneck`` follow He et al., "Deep Residual Learning for Image
Recognition" (2016), figure 5, with torchvision's attribute names; with ``preactivation=True``
they follow He et al., "Identity Mappings in Deep Residual Networks" (2016).
"""

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.words import whole

SHORTCUTS = ("A", "B", "C")


def conv_layer(in_channels, out_channels, kernel_size, stride=1, *, bias):
    """Build a convolution whose padding keeps the size at stride 1; odd kernels only."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride,
                     padding=(kernel_size - 1) // 2, bias=bias)


def norm_layer(channels, norm):
    """Build a batch norm, or what stands in its place where ``norm`` is ``False``."""
    return nn.BatchNorm2d(channels) if norm else nn.Identity()


def require_switches(layer, **values):
    """Raise ``ValueError`` for a switch of a layer that is neither ``True`` nor ``False``."""
    for name, value in values.items():
        if not isinstance(value, bool):
            raise ValueError(f"{layer} needs {name} to be True or False, got {value!r}")


class Scriptable:
    """Lets ``torch.jit.script`` meet the plain operations that ``torch.fx`` finds in a module."""

    def __prepare_scriptable__(self):
        """Return the traced module, of the same names; torch asks for it."""
        return torch.fx.symbolic_trace(self)


def read_by_tool(x):
    """Return whether x stands in for a batch, its shape perhaps unknown, for a tool of torch."""
    return (isinstance(x, torch.fx.Proxy) or torch.jit.is_tracing()
            or torch.compiler.is_compiling())


def require_batch(x, channels, layer):
    """Raise ``ValueError`` for what is no float tensor of shape (N, channels, height, width).

    ``layer`` is its name for the sentence; so no layer inside meets the batch first.
    """
    if read_by_tool(x):
        return
    if not isinstance(x, torch.Tensor):
        raise ValueError(f"{layer} needs a tensor of shape (N, {channels}, height, width), "
                         f"got {type(x).__name__}")
    if x.ndim != 4 or x.shape[1] != channels or 0 in x.shape[2:]:
        raise ValueError(f"{layer} needs an input of shape (N, {channels}, height, width), "
                         f"got {tuple(x.shape)}")
    if not x.is_floating_point():
        raise ValueError(f"{layer} needs floats, got {x.dtype}; bytes become floats between "
                         "0 and 1 with x.float() / 255")


def require_values(module, x, stride, layer):
    """Raise ``ValueError`` for a batch that leaves batch norm one value per channel to train on.

    From one value no variance can be computed, so torch gives up, deep inside.
    """
    if read_by_tool(x):
        return
    n, _, height, width = x.shape
    rows, columns = -(-height // stride), -(-width // stride)
    if n * rows * columns == 1 and any(isinstance(part, nn.BatchNorm2d) and part.training
                                       for part in module.modules()):
        raise ValueError(f"{layer} got an input of shape {tuple(x.shape)} and would make maps of "
                         "1×1 from a batch of 1, which leaves batch norm one value per channel "
                         "to compute a variance from; use a larger batch, larger pictures, "
                         "or model.eval()")


def require_equal_shapes(branch, shortcut, layer, remedy):
    """Raise ``ValueError`` for unequal shapes, even where broadcasting would let them through."""
    if not read_by_tool(branch) and branch.shape != shortcut.shape:
        raise ValueError(f"{layer} cannot add the shortcut {tuple(shortcut.shape)} to the branch "
                         f"{tuple(branch.shape)}; {remedy}")


class Residual(Scriptable, nn.Module):
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
        ValueError: wrong settings or input, or an addition of unequal shapes, with both shapes.
    """

    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        input_channels = whole(input_channels, "Residual's input_channels")
        num_channels = whole(num_channels, "Residual's num_channels")
        strides = whole(strides, "Residual's strides")
        require_switches("Residual", use_1x1conv=use_1x1conv)
        self.conv1 = nn.Conv2d(input_channels, num_channels, kernel_size=3, padding=1,
                               stride=strides)
        self.conv2 = nn.Conv2d(num_channels, num_channels, kernel_size=3, padding=1)
        self.conv3 = nn.Conv2d(input_channels, num_channels, kernel_size=1,
                               stride=strides) if use_1x1conv else None
        self.bn1 = nn.BatchNorm2d(num_channels)
        self.bn2 = nn.BatchNorm2d(num_channels)

    def forward(self, X):
        """Return relu(g(X) + shortcut(X))."""
        require_batch(X, self.conv1.in_channels, "Residual")
        require_values(self, X, self.conv1.stride[0], "Residual")
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        if self.conv3 is not None:
            X = self.conv3(X)
        require_equal_shapes(Y, X, "Residual", "use_1x1conv=True gives both the same shape")
        return F.relu(Y + X)


class PaddedShortcut(nn.Module):
    """Every ``stride``-th pixel of x, with zeros for the channels that it lacks; no parameters.

    Option A of He et al. 2016, section 3.3; the zeros come last. ``ValueError`` if channels would
    have to be taken away.

    Shapes:
        (N, in_channels, H, W) → (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)
    """

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        if out_channels < in_channels:
            raise ValueError('shortcut="A" can add channels of zeros but take none away, got '
                             f'{in_channels} channels to make {out_channels}; use shortcut="B"')
        self.missing, self.stride = out_channels - in_channels, stride

    def forward(self, x):
        """Return the pixels, padded."""
        return F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.missing))


class _Block(Scriptable, nn.Module):
    """What basic and bottleneck blocks share: a branch, a shortcut, their sum."""

    expansion = 1

    def __init__(self, in_channels, out_channels, stride=1, residual=True, *, norm=True,
                 preactivation=False, bias=None, shortcut="B"):
        super().__init__()
        self.label = type(self).__name__
        in_channels = whole(in_channels, f"{self.label}'s in_channels")
        out_channels = whole(out_channels, f"{self.label}'s out_channels")
        stride = whole(stride, f"{self.label}'s stride")
        self.in_channels, self.out_channels, self.stride = in_channels, out_channels, stride
        self.residual, self.preactivation = residual, preactivation
        if shortcut not in SHORTCUTS:
            raise ValueError(f"{self.label} needs shortcut to be one of {', '.join(SHORTCUTS)}, "
                             f"got {shortcut!r}")
        bias = not norm if bias is None else bias
        require_switches(self.label, residual=residual, norm=norm, preactivation=preactivation,
                         bias=bias)
        layers = self._branch_layers(bias)
        before = [in_channels, *(conv.out_channels for conv in layers)]
        for i, conv in enumerate(layers, 1):
            setattr(self, f"conv{i}", conv)
            channels = before[i - 1] if preactivation else before[i]
            setattr(self, f"bn{i}", norm_layer(channels, norm))
        self.relu = nn.ReLU()
        self.depth = len(layers)
        self.downsample = None
        changes = stride != 1 or in_channels != out_channels
        if residual and changes and shortcut == "A":
            self.downsample = PaddedShortcut(in_channels, out_channels, stride)
        elif residual and (changes or shortcut == "C"):
            projection = conv_layer(in_channels, out_channels, 1, stride, bias=bias)
            self.downsample = (projection if preactivation
                               else nn.Sequential(projection, norm_layer(out_channels, norm)))

    def _branch_layers(self, bias):
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
        """Return x as the addition sees it: unchanged, or fitted where shapes differ."""
        return x if self.downsample is None else self.downsample(x)

    def forward(self, x):
        """Return relu(g(x) + shortcut(x)); without the ReLU if ``preactivation``."""
        require_batch(x, self.in_channels, self.label)
        require_values(self, x, self.stride, self.label)
        out = self.branch(x)
        if self.residual:
            shortcut = self.shortcut(x)
            require_equal_shapes(out, shortcut, self.label, "its downsample must be a 1×1 "
                                 "convolution to the branch's channels with the branch's stride")
            out = out + shortcut
        return out if self.preactivation else self.relu(out)

    def zero_branch(self):
        """Make g(x) zero for every x, in a way that training can leave again; return the block.

        After the last convolution comes a batch norm: its scale becomes zero (Goyal et al.,
        "Accurate, Large Minibatch SGD", 2017, section 5.1; torchvision's
        ``zero_init_residual``). With ``preactivation`` the last norm stands before a ReLU, whose
        derivative at zero is zero, so a zero scale would never learn; there, and without norm,
        the last convolution becomes zero (Zhang et al., "Fixup Initialization", 2019).
        """
        for parameter in self._last_layer().parameters():
            nn.init.zeros_(parameter)
        return self

    def branch_is_zero(self):
        """Return whether ``zero_branch`` was called and nothing has been learned since."""
        return not any(parameter.any() for parameter in self._last_layer().parameters())

    def _last_layer(self):
        """Return the last layer of the branch that multiplies: batch norm or convolution."""
        norm = getattr(self, f"bn{self.depth}")
        scales = not self.preactivation and isinstance(norm, nn.BatchNorm2d)
        return norm if scales else getattr(self, f"conv{self.depth}")


class BasicBlock(_Block):
    """Two 3×3 convolutions beside a shortcut (He et al. 2016, figure 5 left).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: stride of the first convolution and of the projection.
        residual: add the shortcut; ``False`` gives the plain twin, with equal names and shapes
            of everything but the projection, which it does not need.
        norm: batch norm after (or before) each convolution.
        preactivation: norm and ReLU before each convolution, none after the addition; a
            projection then takes x itself and has no norm.
        bias: bias in every convolution; ``None`` means only where there is no norm, since a
            norm subtracts it again.
        shortcut: the paper's three options (section 3.3). ``"A"``: where shapes change, take
            every stride-th pixel and pad the missing channels with zeros, without parameters;
            ``"B"``: project there with a 1×1 convolution; ``"C"``: project everywhere.

    Shapes:
        (N, in_channels, H, W) → (N, out_channels, ⌈H / stride⌉, ⌈W / stride⌉)

    Attributes:
        label: how errors call this block; a network puts its place there.

    Raises:
        ValueError: wrong settings, an input with the wrong number of channels or dimensions, or
            one too small for batch norm in training.
    """

    def _branch_layers(self, bias):
        return [conv_layer(self.in_channels, self.out_channels, 3, self.stride, bias=bias),
                conv_layer(self.out_channels, self.out_channels, 3, bias=bias)]


class Bottleneck(_Block):
    """1×1, 3×3, 1×1 convolutions beside a shortcut (He et al. 2016, figure 5 right).

    The 3×3 convolution works on ``out_channels // 4`` channels. The stride sits on it, as in
    torchvision ("ResNet v1.5"), not on the first 1×1 convolution as in the paper.

    Arguments, shapes and errors as in ``BasicBlock``; ``out_channels`` must be a multiple of 4.
    """

    expansion = 4

    def _branch_layers(self, bias):
        width, rest = divmod(self.out_channels, self.expansion)
        if rest:
            raise ValueError("Bottleneck needs out_channels that 4 divides, got "
                             f"{self.out_channels}")
        return [conv_layer(self.in_channels, width, 1, bias=bias),
                conv_layer(width, width, 3, self.stride, bias=bias),
                conv_layer(width, self.out_channels, 1, bias=bias)]
