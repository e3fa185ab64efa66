"""The training step, and how the same step can run faster on this machine: measured, then chosen.

A processor that claims to know a format may compute it slowly or wrongly (PyTorch issue 163347).
No flag is trusted: only what agrees with plain float32 on the same step can win.
"""

import copy
import math
import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WIDE = 128         # in_channels from which the weight gradient as a matrix product pays
PROBE_BATCH = 64   # pictures in a probe's step
HOPELESS = 1.5     # an arrangement so many times slower than the best is not timed again
LOGITS_AGREE = 0.1     # relative difference to float32; bfloat16 keeps 8 bits, so about 0.01
# Cosine of the angle to float32's gradient. Batch norm right after initialisation magnifies
# rounding: a correct bfloat16 was seen at 0.87 in ResNet-18, a wrong one is near 0.
GRADIENT_AGREE = 0.7


@dataclass(frozen=True)
class Arrangement:
    """How a step is computed."""

    precision: str = "float32"      # or "bfloat16", for autocast
    channels_last: bool = False     # keep the channels of a pixel side by side in memory
    matmul_gradients: bool = False  # use ``MatmulGradient`` in wide convolutions

    def __post_init__(self):
        """Refuse, in words, a precision that there is not."""
        if self.precision not in DTYPES:
            raise ValueError(f"precision must be one of {', '.join(DTYPES)}, "
                             f"got {self.precision!r}")

    @property
    def memory_format(self):
        """Return the ``torch`` memory format of pictures and weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self, device):
        """Return the context in which the network is called."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(torch.device(device).type, DTYPES[self.precision])

    def __str__(self):
        """Name the arrangement in words."""
        words = [self.precision]
        if self.channels_last:
            words.append("channels last")
        if self.matmul_gradients:
            words.append("weight gradients as matrix products")
        return ", ".join(words)


PLAIN = Arrangement()
ARRANGEMENTS = (PLAIN, Arrangement(channels_last=True), Arrangement("bfloat16"),
                Arrangement("bfloat16", True), Arrangement("bfloat16", True, True))


class Timing(NamedTuple):
    """What the probe found about one arrangement; ``why_not`` is empty where values agree."""

    arrangement: Arrangement
    seconds: float
    logits_difference: float
    gradient_cosine: float
    why_not: str

    def __str__(self):
        """Say it in a line."""
        verdict = self.why_not or f"agrees, logits within {self.logits_difference:.1%}"
        return f"{str(self.arrangement):63} {self.seconds:6.2f} s   {verdict}"


class DivergedError(RuntimeError):
    """The loss is no longer a number."""


def step(model, optimizer, X, y, arrangement=PLAIN, *, label_smoothing=0.0, classes=None):
    """Take one training step, the five lines of notebook 07; return (logits, loss), two tensors.

    ``fit`` takes this step, and ``probe``, ``pace`` and the benchmark time it. The model is in
    training mode, in the arrangement's memory format and under ``arranged``; pictures X
    (N, channels, height, width) and labels y (N,) are on its device.

    Raises:
        ValueError: logits for fewer than ``classes`` classes, where that is given.
        DivergedError: the loss is no number; the weights are as they were.
    """
    with arrangement.autocast(X.device):
        logits = model(X)
    if classes is not None:
        check_logits(logits, len(X), classes)
    loss = F.cross_entropy(logits.float(), y, label_smoothing=label_smoothing)
    if not math.isfinite(loss.item()):
        raise DivergedError(f"the training loss became {loss.item()}")
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return logits, loss


def check_logits(logits, n, classes):
    """Refuse what a network returns for n pictures if it is no logits, or not one a class."""
    if not isinstance(logits, torch.Tensor) or not logits.is_floating_point():
        what = getattr(logits, "dtype", type(logits).__name__)
        raise ValueError(f"the network returns {what}; what is needed is a tensor of logits, "
                         f"floats of shape (N, {classes}): wrap it in a module that returns these")
    if logits.ndim != 2 or len(logits) != n or logits.shape[1] < classes:
        found = logits.shape[1] if logits.ndim == 2 else 0
        fewer = (f"; or, if your data have fewer, name them in Split: classes=tuple(map(str, "
                 f"range({found})))" if 0 < found < classes else "")
        raise ValueError(f"the network returns {tuple(logits.shape)} for {n} pictures; {classes} "
                         f"classes need logits of shape ({n}, {classes}): build it with "
                         f"num_classes={classes}{fewer}")


def stepper(model, X, y, arrangement=PLAIN, classes=None):
    """Return a copy of a model and a function that trains it: () → (seconds, logits of a step)."""
    model = copy.deepcopy(model).to(X.device, memory_format=arrangement.memory_format).train()
    X = X.contiguous(memory_format=arrangement.memory_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def take():
        start = time.perf_counter()
        with arranged(model, arrangement):
            logits, loss = step(model, optimizer, X, y, arrangement, classes=classes)
        loss.item()  # waits until a GPU is done
        return time.perf_counter() - start, logits.detach().float()

    return model, take


def probe(model, X, y, *, arrangements=ARRANGEMENTS, repeats=3, classes=None, progress=True):
    """Time and compare one training step in several arrangements; return their ``Timing``s.

    Copies of the model are trained, on up to ``PROBE_BATCH`` of the pictures; arguments as in
    ``step``. Arrangements take turns, the fastest of ``repeats`` steps counts, and the very first,
    which is slower, does not. ``progress`` shows a bar where it takes longer than two seconds.

    Raises:
        ValueError: no pictures, or logits for too few classes.
        RuntimeError: the first arrangement, with which all are compared, fails.
    """
    if len(X) == 0:
        raise ValueError("the probe needs at least one picture, got none")
    X, y, found, steps = X[:PROBE_BATCH], y[:PROBE_BATCH], {}, {}
    with tqdm(total=len(arrangements) * (repeats + 1), file=sys.stdout, delay=2, leave=False,
              desc="how is a step fastest here?", disable=not progress) as bar:
        for arrangement in arrangements:
            bar.update()
            try:
                trained, take = stepper(model, X, y, arrangement, classes)
                logits, grads = take()[1], (p.grad for p in trained.parameters())
                result = logits, torch.cat([g.flatten().float() for g in grads if g is not None])
            except RuntimeError as error:  # of a device that lacks the type, or DivergedError
                if not steps:
                    raise
                found[arrangement] = math.nan, math.nan, str(error).split("\n")[0]
                continue
            if not steps:
                reference = result
            found[arrangement] = _compare(*result, *reference)
            steps[arrangement] = take
        seconds = dict.fromkeys(arrangements, math.inf)
        for _ in range(repeats):
            for one, take in steps.items():
                bar.update()
                if seconds[one] == math.inf or seconds[one] <= HOPELESS * min(seconds.values()):
                    seconds[one] = min(seconds[one], take()[0])
    return [Timing(arrangement, seconds[arrangement], *found[arrangement])
            for arrangement in arrangements]


def fastest(model, X, y, **options):
    """Return the fastest ``Arrangement`` whose values agree; arguments as in ``probe``."""
    agree = [timing for timing in probe(model, X, y, **options) if not timing.why_not]
    return min(agree, key=lambda timing: timing.seconds).arrangement if agree else PLAIN


def _compare(logits, gradient, logits32, gradient32):
    """Return (relative difference of logits, cosine of gradients, why they do not agree)."""
    difference = ((logits - logits32).norm() / logits32.norm().clamp(min=1e-12)).item()
    cosine = F.cosine_similarity(gradient.double(), gradient32.double(), dim=0).item()
    if not difference <= LOGITS_AGREE:
        return difference, cosine, f"logits differ by {difference:.0%}"
    if not cosine >= GRADIENT_AGREE:
        return difference, cosine, f"gradients point elsewhere (cosine {cosine:.2f})"
    return difference, cosine, ""


@contextmanager
def arranged(model, arrangement):
    """Let wide convolutions compute their weight gradient as the arrangement says, for a while."""
    layers = [module for module in model.modules()
              if type(module) is nn.Conv2d and module.in_channels >= WIDE and module.bias is None
              and module.groups == 1 and set(module.dilation) == {1}
              and module.padding_mode == "zeros" and not isinstance(module.padding, str)]
    if not arrangement.matmul_gradients:
        layers = []
    for layer in layers:
        layer.forward = partial(_forward, layer)
    try:
        yield model
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer, x):
    dtype = torch.bfloat16 if torch.is_autocast_enabled(x.device.type) else x.dtype
    return MatmulGradient.apply(x.to(dtype), layer.weight.to(dtype), layer.stride, layer.padding)


class MatmulGradient(torch.autograd.Function):
    """A 3×3-like convolution whose weight gradient is a sum of matrix products.

    For each place (i, j) of the kernel, ∂L/∂W[:, :, i, j] is the product of the output's gradient,
    (channels out × all output pixels), with the input pixels that this place met, (pixels ×
    channels in). A unit for bfloat16 matrix products is fast at this; the library's own routine is
    slow where pictures are small and channels are many. Shapes are those of ``F.conv2d``.
    """

    @staticmethod
    def forward(ctx, x, weight, stride, padding):
        """Return ``F.conv2d(x, weight)``."""
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding)

    @staticmethod
    def backward(ctx, gradient):
        """Return the gradients of x and weight."""
        x, weight = ctx.saved_tensors
        (s, t), (p, q) = ctx.stride, ctx.padding
        of_x = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, ctx.stride, ctx.padding, (1, 1), False, (0, 0), 1,
            (ctx.needs_input_grad[0], False, False))[0]
        _, channels, k, m = weight.shape
        height, width = gradient.shape[2:]
        pixels = F.pad(x, (q, q, p, p)).permute(0, 2, 3, 1)
        flat = gradient.permute(0, 2, 3, 1).reshape(-1, len(weight)).t()
        of_weight = torch.empty(k, m, *weight.shape[:2], dtype=weight.dtype, device=x.device)
        for i in range(k):
            for j in range(m):
                met = pixels[:, i:i + s * (height - 1) + 1:s, j:j + t * (width - 1) + 1:t]
                of_weight[i, j] = flat @ met.reshape(-1, channels)
        return of_x, of_weight.permute(2, 3, 0, 1), None, None
