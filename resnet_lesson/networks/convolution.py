"""Arithmetic of convolutions along one side of a picture: sizes, padding, windows, coverage.

A convolution of a picture does the same along its height and along its width, so everything here
is about one side; call it once for each. The tests compare every function with torch.

Positions count from the first input cell: 0 … input_size − 1 are input cells, negative positions
and those from input_size on are padding.

Source: the shape section of PyTorch's ``Conv2d``;
Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016).
"""

from resnet_lesson.words import whole

PADDINGS = ("valid", "same")


def output_size(input_size, kernel_size, stride=1, padding=0, dilation=1):
    """Return how many windows fit along one side: the output size of a convolution.

    ⌊(input_size + before + after − dilation · (kernel_size − 1) − 1) / stride⌋ + 1

    Args:
        input_size: cells along one side of the input, at least 1.
        kernel_size: weights along one side of the kernel, at least 1.
        stride: cells from one window to the next, at least 1.
        padding: cells added on each side, at least 0; or a pair (before, after); or ``"valid"`` or
            ``"same"``, see ``pads``.
        dilation: distance between neighbouring weights of the kernel, at least 1.

    Raises:
        ValueError: no window fits, or a value makes no sense; the sentence names it.
    """
    before, after = pads(padding, kernel_size, stride, dilation)
    input_size, stride = _along("input_size", input_size), _along("stride", stride)
    padded, span = input_size + before + after, span_size(kernel_size, dilation)
    if span > padded:
        missing = span - padded
        raise ValueError(
            f"no window fits: kernel_size {kernel_size} at dilation {dilation} spans {span} cells, "
            f"but input_size {input_size} with padding {before} + {after} has only {padded}; "
            f"add padding ({missing} more in all) or take a smaller kernel")
    return (padded - span) // stride + 1


def span_size(kernel_size, dilation=1):
    """Return how many cells a window spans, from its first weight to its last.

    dilation · (kernel_size − 1) + 1. Raises ``ValueError`` where a value makes no sense.
    """
    return _along("dilation", dilation) * (_along("kernel_size", kernel_size) - 1) + 1


def pads(padding, kernel_size, stride=1, dilation=1):
    """Return ``(before, after)``: the cells of padding at either end of one side.

    Args:
        padding: a whole number for both ends, a pair for each its own, or a word:
            ``"valid"``: none, so that windows stay inside the input;
            ``"same"``: as much as keeps the size at stride 1; where that is odd in all, the
            extra cell goes after the input, as in PyTorch.
        kernel_size, stride, dilation: as in ``output_size``.

    Raises:
        ValueError: a value that makes no sense, or ``"same"`` with a stride above 1, which
            PyTorch refuses too: it would need padding that grows with the input.
    """
    stride = _along("stride", stride)
    if isinstance(padding, str):
        if padding not in PADDINGS:
            raise ValueError('padding must be a whole number, a pair of them, "valid" or "same", '
                             f'got {padding!r}')
        extra = span_size(kernel_size, dilation) - 1
        if padding == "same" and stride > 1:
            raise ValueError(
                f'padding "same" with stride {stride} is refused, as in PyTorch: at stride '
                f"{stride} the same size would need padding that grows with the input; use "
                "stride=1, or give the padding as a number")
        return {"valid": (0, 0), "same": (extra // 2, extra - extra // 2)}[padding]
    if isinstance(padding, tuple | list):
        if len(padding) != 2:
            raise ValueError("padding as a pair means (before, after) along one side, got "
                             f"{padding!r}")
        return tuple(whole(cells, "padding", least=0) for cells in padding)
    padding = whole(padding, "padding", least=0)
    return padding, padding


def windows(input_size, kernel_size, stride=1, padding=0, dilation=1):
    """Return the positions that each window reads, a list of ``range`` of kernel_size positions.

    Window number i reads i · stride − before, then every ``dilation``-th position.
    Arguments and errors as in ``output_size``.
    """
    count = output_size(input_size, kernel_size, stride, padding, dilation)
    before, _ = pads(padding, kernel_size, stride, dilation)
    stride, dilation = whole(stride, "stride"), whole(dilation, "dilation")
    span = span_size(kernel_size, dilation)
    return [range(start, start + span, dilation)
            for start in range(-before, -before + count * stride, stride)]


def coverage(input_size, kernel_size, stride=1, padding=0, dilation=1):
    """Return for each input cell how many windows read it, a list of ``input_size`` numbers.

    In two dimensions a cell's number is the product of its row's and its column's.
    Arguments and errors as in ``windows``.
    """
    positions = windows(input_size, kernel_size, stride, padding, dilation)
    seen = [0] * whole(input_size, "input_size")
    for window in positions:
        for position in window:
            if 0 <= position < len(seen):
                seen[position] += 1
    return seen


def unreached(input_size, kernel_size, stride=1, padding=0, dilation=1):
    """Return the input cells that no window reads, in order.

    They lie in gaps (a stride longer than the kernel, a dilation that skips them), or at the end,
    where the floor of ``output_size`` leaves a rest. Arguments and errors as in ``windows``.
    """
    counts = coverage(input_size, kernel_size, stride, padding, dilation)
    return [cell for cell, count in enumerate(counts) if not count]


def _along(name, value):
    """Return a setting above 0, a number for one side; torch's layers take two, these do not."""
    if isinstance(value, tuple | list):
        raise ValueError(f"{name} must be one whole number, got {value!r}; "
                         "call once for each side of the picture")
    return whole(value, name)
