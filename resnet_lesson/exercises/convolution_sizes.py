"""Exercises of notebook 03: a convolution, the size formula, shapes, "same", what a cell sees."""

import torch
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises.base import Exercise, Mistake, call, is_number, shown, unsolved
from resnet_lesson.exercises.source import slip

# ---------------------------------------------------------------- one convolution by hand


def convolve(picture, kernel):
    """Return what a k×k kernel makes of a picture (H, W): shape (H − k + 1, W − k + 1)."""
    k = len(kernel)
    rows, columns = picture.shape[0] - k + 1, picture.shape[1] - k + 1
    output = torch.zeros(rows, columns)
    for row in range(rows):
        for column in range(columns):
            window = picture[row:row + k, column:column + k]
            output[row, column] = (window * kernel).sum()
    return output


def _pictures(draw):
    return [(torch.randn(height, width), torch.randn(k, k))
            for height, width, k in ((4, 4, 3), (5, 8, 3), (7, 6, 2), (6, 6, 1))]


def _torch_makes(picture, kernel):
    return F.conv2d(picture[None, None], kernel[None, None])[0, 0]


def _a_picture(given, case):
    right = tuple(_torch_makes(*case).shape)
    if not hasattr(given, "shape") or tuple(given.shape) != right:
        found = tuple(given.shape) if hasattr(given, "shape") else type(given).__name__
        return (f"A {len(case[1])}×{len(case[1])} kernel fits into {tuple(case[0].shape)} pixels "
                f"at {right} places, so the output has that shape; yours is {found}.")
    return None


def _where_it_differs(case, expected, given):
    given = torch.as_tensor(given)
    apart = ~torch.isclose(given.double(), expected.double(), rtol=1e-4, atol=1e-5)
    row, column = apart.nonzero()[0].tolist()
    return (f"For a picture of shape {tuple(case[0].shape)} and a {len(case[1])}×{len(case[1])} "
            f"kernel, at [{row}, {column}]: expected {shown(expected[row, column])}, got "
            f"{shown(given[row, column])}.")


CONVOLVE = Exercise(
    solve=convolve, cases=_pictures, oracle=_torch_makes, form=_a_picture, where=_where_it_differs,
    idea="Take one window, multiply it with the kernel number by number, add up.",
    mistakes=(
        Mistake(slip(convolve, ("window * kernel", "window * kernel.flip(0, 1)")),
                "The kernel is turned round. Mathematics defines a convolution so; torch does not "
                "turn it, which is a cross-correlation by name."),
        Mistake(slip(convolve, ("window * kernel", "window * kernel.t()")),
                "Rows and columns of the kernel are exchanged."),
        Mistake(slip(convolve, (".sum()", ".mean()")), "Add up; do not average."),
        Mistake(slip(convolve, ("window * kernel", "window @ kernel")),
                "Multiply number by number, with *; @ is the matrix product."),
        Mistake(slip(convolve, ("picture[row:row + k, column:column + k]", "picture[:k, :k]")),
                "Every place of the output has its own window: it begins at [row, column]."),
        Mistake(slip(convolve, ("column:column + k]", "row:row + k]")),
                "The window's columns begin at column, not at row."),
    ),
    hints=("How many places are there? A k×k kernel fits H − k + 1 times from top to bottom.",
           "The window at [row, column] is picture[row:row + k, column:column + k].",
           "Two loops, over rows and columns; in them (window * kernel).sum()."),
    remark="The same k·k weights at every place: that is weight sharing, and it is why a shifted "
           "picture gives a shifted output.",
    minutes=6, difficulty=2)

# ---------------------------------------------------------------- the size formula


def output_size(input_size, kernel_size, stride=1, padding=0, dilation=1):
    """Return how many windows fit along one side of a picture."""
    span = dilation * (kernel_size - 1) + 1
    return (input_size + 2 * padding - span) // stride + 1


def _layers(draw):
    """Return 200 settings (n, k, s, p, d) of which torch takes each; four of them plain."""
    layers = [(7, 3, 1, 0, 1), (7, 3, 1, 1, 1), (8, 3, 2, 0, 1), (9, 2, 1, 0, 3)]
    while len(layers) < 200:
        n, k, s, p, d = (draw.randint(*ends) for ends in
                         ((5, 40), (1, 6), (1, 4), (0, 3), (1, 3)))
        if n + 2 * p >= d * (k - 1) + 1:
            layers.append((n, k, s, p, d))
    return layers


def torch_size(n, k, s, p, d):
    """Return the size that torch makes of one row of n zeros."""
    return F.conv1d(torch.zeros(1, 1, n), torch.zeros(1, 1, k), stride=s, padding=p,
                    dilation=d).shape[-1]


def _a_size(given, case):
    if not is_number(given):
        return f"A size is a whole number, but you return {type(given).__name__}."
    if isinstance(given, float) and given == torch_size(*case):
        return (f"{given!r} is the right number but a {type(given).__name__}: a size counts "
                "cells. Python's // divides and floors in one step.")
    return None


def _half_windows(case, expected, given):
    if not float(given).is_integer():
        return "There are no half windows: round down, with // for example."
    return "How many steps of the stride fit into the room that the first window leaves?"


SIZE = Exercise(
    solve=output_size, cases=_layers, oracle=torch_size, form=_a_size, idea=_half_windows,
    part="output_size",
    mistakes=(
        Mistake(slip(output_size, (" // stride + 1", " // stride")),
                "One window fits even before the first step: add 1."),
        Mistake(slip(output_size, ("2 * padding", "padding")),
                "Padding is added at both ends, so it counts twice."),
        Mistake(slip(output_size, ("dilation * (kernel_size - 1) + 1", "kernel_size")),
                "With dilation the window spans dilation · (kernel_size − 1) + 1 cells."),
        Mistake(slip(output_size, (" // stride", "")),
                "From one window to the next it is stride cells: divide by it."),
        Mistake(slip(output_size, ("dilation * (kernel_size - 1) + 1", "dilation * kernel_size")),
                "kernel_size weights have one gap less between them, each dilation long."),
        Mistake(slip(output_size, ("(input_size + 2 * padding", "-((-input_size - 2 * padding"),
                     (" - span)", " + span)"), ("stride + 1", "stride) + 1")),
                "A window that sticks out does not count: round down."),
        Mistake(slip(output_size, (" + 2 * padding", "")),
                "The padding is missing: it stands at both ends."),
        Mistake(slip(output_size, ("//", "/")),
                "a size counts cells. Python's // divides and floors in one step."),
    ),
    hints=("How many cells does the kernel span, from its first weight to its last? With dilation "
           "1 it is kernel_size; each gap adds dilation − 1.",
           "The padded input has input_size + 2·padding cells. The first window takes up a span; "
           "every further one needs stride cells more.",
           "Steps: (input_size + 2 * padding − span) // stride. Windows: one more than steps."),
    remark="Your formula agrees with torch on 200 random layers, floor and dilation included.",
    minutes=6, difficulty=2)

# ---------------------------------------------------------------- SimpleCNN's shapes


def simple_cnn_shapes():
    """Return the shape after each step of SimpleCNN for one picture of shape (3, 32, 32)."""
    return [(32, 32, 32), (32, 16, 16), (64, 16, 16), (64, 8, 8), (64 * 8 * 8,), (512,), (10,)]


STEPS = ("conv 3×3, 32 kernels, padding 1", "max-pool 2×2", "conv 3×3, 64 kernels, padding 1",
         "max-pool 2×2", "flatten", "linear to 512", "linear to 10")


def simple_cnn():
    """Return the network itself: the oracle for its shapes."""
    return nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.MaxPool2d(2),
                         nn.Conv2d(32, 64, 3, padding=1), nn.MaxPool2d(2), nn.Flatten(),
                         nn.Linear(64 * 8 * 8, 512), nn.Linear(512, 10))


def _list_of_shapes(answer, case):
    """Return the answer's shapes as tuples; a number stands for a shape of one number."""
    answer = answer() if callable(answer) else answer
    if not isinstance(answer, list | tuple):
        return answer
    return [(shape,) if is_number(shape) else shape if unsolved(shape) else tuple(shape)
            for shape in answer]


def _seven_shapes(given, case):
    if not isinstance(given, list) or len(given) != len(STEPS):
        return f"Expected a list of {len(STEPS)} shapes, one for each step, got {given!r:.80}."
    missing = [step for step, shape in zip(STEPS, given, strict=True) if unsolved(shape)]
    return f"The shape after {missing[0]} is still missing." if missing else None


def _first_wrong(expected, given):
    return next(i for i, (a, b) in enumerate(zip(expected, given, strict=True)) if a != b)


def _where_shapes(case, expected, given):
    i = _first_wrong(expected, given)
    before = expected[i - 1] if i else (3, 32, 32)
    return f"After {STEPS[i]}: {before} becomes {expected[i]}, you say {given[i]}."


IDEAS = {
    "order": "PyTorch puts channels first: (channels, height, width).",
    "kernels": "The number of output channels is the number of kernels.",
    "padding": "Padding 1 at both ends gives back the two cells that a 3×3 kernel costs.",
    "stride": "Pooling moves by its own size unless told otherwise, so 2×2 halves each side.",
    "channels": "Pooling works inside each channel: their number stays.",
    "flatten": "Flatten keeps every number: channels times height times width.",
    "else": "Work out one side with the size formula, and the channels from the kernels."}


def _shape_idea(case, expected, given):
    i = _first_wrong(expected, given)
    step, right, said = STEPS[i], expected[i], given[i]
    before = expected[i - 1] if i else (3, 32, 32)
    three, conv, pool = len(said) == 3, "conv" in step, "pool" in step
    fits = {"order": three and said[-1:] + said[:-1] == right,
            "kernels": three and conv and said[0] == before[0],
            "padding": three and conv and said[1:] == (before[1] - 2, before[2] - 2),
            "stride": pool and said == before,
            "channels": three and pool and said[0] != right[0],
            "flatten": step == "flatten", "else": True}
    return IDEAS[next(name for name, fit in fits.items() if fit)]


def _instead(position, shape):
    """Return a wrong answer: the right list with one other shape."""
    def answer():
        shapes = simple_cnn_shapes()
        shapes[position] = shape
        return shapes
    return answer


SIMPLE_CNN = Exercise(
    solve=simple_cnn_shapes, cases=lambda draw: [()], run=_list_of_shapes, form=_seven_shapes,
    where=_where_shapes, idea=_shape_idea,
    # a wrong shape can stand at any step; the idea sees which
    mistakes=tuple(Mistake(_instead(position, shape), IDEAS[idea]) for position, shape, idea in (
        (0, (32, 30, 30), "padding"), (0, (3, 32, 32), "kernels"), (0, (31, 32, 32), "else"),
        (1, (32, 32, 32), "stride"), (1, (16, 16, 16), "channels"), (1, (16, 16, 32), "order"),
        (4, (64,), "flatten"))),
    hints=("Write (channels, height, width) for the first four, then a single number in "
           "brackets, (n,).",
           "Convolution: channels = number of kernels, side = (n + 2·1 − 3) / 1 + 1. "
           "Pooling: channels stay, side = (n − 2) / 2 + 1.",
           "After the second pooling there are 64 maps of 8×8 numbers to flatten."),
    remark="Most of this network's weights sit in the first linear layer; you count them next.",
    minutes=3, difficulty=1)

# ---------------------------------------------------------------- "same" at a stride


def same_padding(n, k, s):
    """Return how many cells of padding, both ends together, keep the size n at stride s."""
    return (n - 1) * s + k - n


def _strided(draw):
    return [(7, 3, 1), (6, 2, 1), (8, 3, 2), (9, 5, 3)] + [
        (draw.randint(1, 30), draw.randint(1, 7), draw.randint(1, 4)) for _ in range(100)]


def _cells(given, case):
    n, k, s = case
    if not is_number(given) or not float(given).is_integer() or given < 0:
        return (f"For n={n}, k={k}, s={s} you say {given!r:.40}: padding is a whole number "
                "of cells, 0 or more. Return the cells of both ends together.")
    return None


def _where_same(case, expected, given):
    n, k, s = case
    came = "nothing: no window fits"
    if n + int(given) >= k:
        came = torch_size(n + int(given), k, s, 0, 1)
    return (f"For n={n}, k={k}, s={s} you add {shown(given)} cells in all, and torch makes {came}; "
            f"wanted: {n}, from as few cells as possible.")


SAME = Exercise(
    solve=same_padding, cases=_strided, run=call, form=_cells, where=_where_same,
    idea=lambda case, expected, given: (
        "Fewer cells give the same size." if given > expected
        else "Ask from where to where n windows reach that are s cells apart."),
    mistakes=(
        Mistake(lambda n, k, s: ((n - 1) * s + k - n) // 2,
                "That is the padding of one end: return both ends together."),
        Mistake(lambda n, k, s: (k - 1) // 2,
                "That is the padding of one end: return both ends together."),
        Mistake(lambda n, k, s: (k - 1) * s,
                "The n is missing: the longer the side, the more there is to make up for."),
        Mistake(lambda n, k, s: k - 1,
                "That keeps the size at stride 1 only; each further cell of stride costs n − 1."),
        Mistake(lambda n, k, s: n * s + k - n - 1, "Fewer cells give the same size."),
    ),
    hints=("Set the formula equal to n and solve for the padding: (n + total − k) / s + 1 = n.",
           "n windows, s cells apart, the last one k cells long: they reach over (n − 1)·s + k "
           "cells in all.",
           "What the n input cells do not fill is padding: (n − 1)·s + k − n."),
    remark="At stride 1 it is k − 1, whatever n is; at any other it grows with n.",
    minutes=3, difficulty=2)

# ---------------------------------------------------------------- the receptive field


def receptive_field(layers):
    """Return how many input cells, along one side, one output cell can see."""
    field, step = 1, 1
    for kernel_size, stride in layers:
        field = field + (kernel_size - 1) * step
        step = step * stride
    return field


def _networks(draw):
    """Return lists of (kernel_size, stride), from the last of which no layer is missing."""
    networks = [[(3, 1)], [(3, 1), (3, 1)], [(3, 2), (3, 1)], [(7, 2), (3, 2)]]
    return [(layers,) for layers in networks + [
        [(draw.choice((1, 2, 3, 5)), draw.randint(1, 2)) for _ in range(draw.randint(2, 4))]
        for _ in range(12)]]


def seen(layers):
    """Return the field that a gradient finds: cells on which one output cell depends."""
    x = torch.zeros(1, 1, 200, requires_grad=True)
    y = x
    for kernel_size, stride in layers:
        y = F.conv1d(y, torch.ones(1, 1, kernel_size), stride=stride)
    y[0, 0, y.shape[-1] // 2].backward()
    where = x.grad[0, 0].nonzero().flatten()
    return int(where.max() - where.min()) + 1


RECEPTIVE_FIELD = Exercise(
    solve=receptive_field, cases=_networks, oracle=seen,
    idea="Go from the input to the output. What does each layer add?",
    mistakes=(
        Mistake(slip(receptive_field, ("step = step * stride", "pass")),
                "After a stride, neighbouring cells are further apart in the picture: each weight "
                "there adds more than one cell."),
        Mistake(slip(receptive_field, ("(kernel_size - 1)", "kernel_size")),
                "Windows of neighbours overlap: a layer adds kernel_size − 1, not kernel_size."),
        Mistake(slip(receptive_field, ("field, step = 1, 1", "field, step = 0, 1")),
                "Before the first layer a cell sees itself: begin with 1."),
        Mistake(slip(receptive_field, (
            "        field = field + (kernel_size - 1) * step\n        step = step * stride",
            "        step = step * stride\n        field = field + (kernel_size - 1) * step")),
                "A layer's own stride counts for the layers after it."),
        Mistake(slip(receptive_field, ("step * stride", "step + stride")),
                "Strides multiply: two layers of stride 2 put cells 4 apart."),
        Mistake(slip(receptive_field, ("+ (kernel_size - 1) * step", "* kernel_size")),
                "Fields add up; they do not multiply. Two 3×3 layers see 5 cells, not 9."),
    ),
    hints=("Without layers the field is 1. One 3×3 layer makes it 3, a second one 5.",
           "Keep a second number: how far apart in the picture two neighbouring cells are. It "
           "begins with 1, and every layer multiplies it with its stride.",
           "field grows by (kernel_size − 1) · step, then step by the factor stride."),
    remark="It says what a cell can see. What it makes use of is less: the middle counts most, as "
           "your picture of five layers shows.",
    minutes=5, difficulty=2)
