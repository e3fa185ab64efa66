"""How the same training step can run faster on this machine: measured, compared, then chosen.

Precision and memory layout change how a step is computed, hardly what. Which of them is fastest
depends on the processor, and a processor that claims to know a format may compute it slowly or
wrongly (PyTorch issue 163347). So nothing here trusts a flag: every arrangement takes the same
step, and only those whose values agree with plain float32 can win.
"""

import copy
import sys
import time
from contextlib import contextmanager, nullcontext
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


class Arrangement(NamedTuple):
    """How a step is computed.

    Attributes:
        precision: ``"float32"``, or ``"bfloat16"`` for autocast.
        channels_last: keep the channels of a pixel side by side in memory.
        matmul_gradients: under bfloat16, compute the weight gradient of wide convolutions as a
            matrix product, see ``matmul_gradients``.
    """

    precision: str = "float32"
    channels_last: bool = False
    matmul_gradients: bool = False

    @property
    def memory_format(self):
        """Return the ``torch`` memory format of pictures and weights."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self, device):
        """Return the context in which the network is called."""
        return (nullcontext() if self.precision == "float32"
                else torch.autocast(torch.device(device).type, DTYPES[self.precision]))

    def __str__(self):
        """Name the arrangement in words."""
        return ", ".join([self.precision] + ["channels last"] * self.channels_last
                         + ["weight gradients as matrix products"] * self.matmul_gradients)


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


def step(model, optimizer, X, y, arrangement=PLAIN):
    """Take one training step: the five lines of notebook 07. Return (logits, loss)."""
    with arrangement.autocast(X.device):
        logits = model(X)
    loss = F.cross_entropy(logits.float(), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return logits, loss


def probe(model, X, y, *, arrangements=ARRANGEMENTS, repeats=3, progress=True):
    """Time and compare one training step in several arrangements; return their ``Timing``s.

    Copies of the model are trained, the model stays as it is. Arrangements take turns, the fastest
    of ``repeats`` steps counts, and the first, which is slower, does not.

    Args:
        model: a network; ``X`` and ``y`` are on its device.
        X: pictures (N, channels, height, width); at most ``PROBE_BATCH`` of them are used.
        y: labels (N,).
        arrangements: what to try; the first one is what the others are compared with.
        repeats: timed steps of each.
        progress: show a bar where it takes longer than two seconds.

    Raises:
        ValueError: no pictures.
    """
    if len(X) == 0:
        raise ValueError("the probe needs at least one picture, got none")
    X, y = X[:PROBE_BATCH], y[:PROBE_BATCH]
    seconds, found, reference = {}, {}, None
    with tqdm(total=len(arrangements) * (repeats + 1), file=sys.stdout, delay=2, leave=False,
              desc="how is a step fastest here?", disable=not progress) as bar:
        steps = {}
        for arrangement in arrangements:
            try:
                steps[arrangement] = take = _stepper(model, X, y, arrangement)
                first, logits, gradient = take()
            except RuntimeError as error:  # a device that lacks the type
                found[arrangement] = (float("nan"), float("nan"), str(error).split("\n")[0])
                bar.update(repeats + 1)
                continue
            if arrangement == arrangements[0]:
                reference = logits, gradient
            if reference is None:
                found[arrangement] = (float("nan"), float("nan"), "nothing to compare it with: "
                                      f"{arrangements[0]} failed")
                bar.update(repeats + 1)
                continue
            found[arrangement] = _compare(logits, gradient, *reference)
            seconds[arrangement] = first
            bar.update()
        for i in range(repeats):
            for arrangement in list(seconds):
                # the first step is an unreliable one, so each has a second chance
                if i == 0 or seconds[arrangement] <= HOPELESS * min(seconds.values()):
                    taken = steps[arrangement]()[0]
                    seconds[arrangement] = taken if i == 0 else min(taken, seconds[arrangement])
                bar.update()
    return [Timing(arrangement, seconds.get(arrangement, float("inf")), *found[arrangement])
            for arrangement in arrangements]


def fastest(model, X, y, **options):
    """Return the fastest ``Arrangement`` whose values agree; arguments as in ``probe``."""
    timings = [timing for timing in probe(model, X, y, **options) if not timing.why_not]
    return min(timings, key=lambda timing: timing.seconds).arrangement if timings else PLAIN


def _stepper(model, X, y, arrangement):
    """Return a function that takes one step with a copy: () → (seconds, logits, gradient)."""
    model = copy.deepcopy(model).to(memory_format=arrangement.memory_format).train()
    X = X.contiguous(memory_format=arrangement.memory_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def take():
        start = time.perf_counter()
        with arranged(model, arrangement):
            logits, loss = step(model, optimizer, X, y, arrangement)
            loss.item()  # waits until a GPU is done
        seconds = time.perf_counter() - start
        gradient = torch.cat([p.grad.flatten().float() for p in model.parameters()
                              if p.grad is not None])
        return seconds, logits.detach().float(), gradient

    return take


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
    """Let wide convolutions compute their weight gradient as the arrangement says, for a while.

    Parameters, their names and the values of a forward pass stay as they are.
    """
    layers = [module for module in model.modules() if arrangement.matmul_gradients
              and type(module) is nn.Conv2d and module.in_channels >= WIDE and _simple(module)]
    for layer in layers:
        layer.forward = partial(_forward, layer)
    try:
        yield model
    finally:
        for layer in layers:
            del layer.forward


def _simple(layer):
    return (layer.groups == 1 and layer.bias is None and layer.padding_mode == "zeros"
            and not isinstance(layer.padding, str) and set(layer.dilation) == {1})


def _forward(layer, x):
    dtype = torch.bfloat16 if torch.is_autocast_enabled(x.device.type) else x.dtype
    return MatmulGradient.apply(x.to(dtype), layer.weight.to(dtype), layer.stride, layer.padding)


class MatmulGradient(torch.autograd.Function):
    """A 3×3-like convolution whose weight gradient is a sum of matrix products.

    For each place (i, j) of the kernel, ∂L/∂W[:, :, i, j] is the product of the output's gradient,
    (channels out × all output pixels), with the input pixels that this place met, (pixels ×
    channels in). Processors with a unit for bfloat16 matrix products are fast at exactly this,
    while the library's own routine is slow where pictures are small and channels are many.

    Shapes:
        x (N, C, H, W), weight (O, C, k, l) → (N, O, H', W'), as ``F.conv2d``
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
        of_x = None
        if ctx.needs_input_grad[0]:
            of_x = torch.ops.aten.convolution_backward(
                gradient, x, weight, None, ctx.stride, ctx.padding, (1, 1), False, (0, 0), 1,
                (True, False, False))[0]
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
