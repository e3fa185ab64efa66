"""What notebook 04 writes out is what torch does; the check catches what is nearly right."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from resnet_lesson.networks.blocks import BasicBlock
from resnet_lesson.networks.resnet import initialize

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebooks" / "04_batch_norm.ipynb"


def code(start):
    """Return the one code cell of the notebook that begins with ``start``."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    (found,) = [source for source in sources if source.startswith(start)]
    return found


def written(change=("", "")):
    """Return the notebook's ``BatchNormByHand``, with one string of its source replaced."""
    source = code("def normalise") + "\n\n" + code("class BatchNormByHand")
    assert change[0] in source
    namespace = {"torch": torch, "nn": nn}
    exec(source.replace(*change), namespace)
    return namespace["BatchNormByHand"]


def largest_difference(kind, seed, dtype=torch.float64, gradients=True):
    """Train both layers on several batches, then evaluate; return the largest difference.

    Outputs in both modes, running statistics, and gradients of input, γ and β are compared.
    """
    draw = torch.Generator().manual_seed(seed)

    def integer(low, high):
        return int(torch.randint(low, high, (), generator=draw))

    channels, momentum = integer(1, 5), 0.05 + 0.4 * torch.rand((), generator=draw).item()
    ours = kind(channels, eps=1e-3, momentum=momentum).to(dtype)
    theirs = nn.BatchNorm2d(channels, eps=1e-3, momentum=momentum).to(dtype)
    pairs = []
    with torch.no_grad():
        for name in ("weight", "bias"):
            values = torch.randn(channels, generator=draw, dtype=dtype)
            getattr(ours, name).copy_(values)
            getattr(theirs, name).copy_(values)
    for step in range(6):
        if step == 4:
            ours.eval()
            theirs.eval()
        x = torch.randn(integer(2, 5), channels, integer(1, 4), integer(1, 4), generator=draw,
                        dtype=dtype) * 0.2 + 1.5
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        y, z = ours(a), theirs(b)
        upstream = torch.randn(y.shape, generator=draw, dtype=dtype)
        pairs.append((y, z))
        if gradients:
            y.backward(upstream)
            z.backward(upstream)
            pairs.append((a.grad, b.grad))
    for name in ("running_mean", "running_var"):
        pairs.append((getattr(ours, name), getattr(theirs, name)))
    for name in ("weight", "bias") if gradients else ():
        pairs.append((getattr(ours, name).grad, getattr(theirs, name).grad))
    return max(float("inf") if p is None else (p - q).abs().max().item() for p, q in pairs)


@pytest.mark.parametrize("seed", range(20))
def test_the_layer_by_hand_is_torchs_in_both_modes(seed):
    assert largest_difference(written(), seed) < 1e-6


@pytest.mark.parametrize("seed", range(5))
def test_it_holds_in_single_precision_too(seed):
    assert largest_difference(written(), seed, torch.float32, gradients=False) < 1e-5


@pytest.mark.parametrize("change", [
    pytest.param(("x.var((0, 2, 3), correction=1)", "var"), id="biased running variance"),
    pytest.param(("correction=0", "correction=1"), id="unbiased variance in the output"),
    pytest.param(("lerp_(mean, self.momentum)", "lerp_(mean, 1 - self.momentum)"),
                 id="momentum the other way round"),
    pytest.param((" + eps", ""), id="eps forgotten"),
    pytest.param(("mean, var, self.eps", "mean, var"), id="eps not handed on"),
    pytest.param(("if self.training:", "if True:"), id="batch statistics in evaluation"),
    pytest.param(("self.weight[:, None, None] * ", ""), id="γ forgotten"),
    pytest.param((" + self.bias[:, None, None]", ""), id="β forgotten"),
    pytest.param(("x.mean((0, 2, 3)), ", "x.mean((0, 2, 3)).detach(), "),
                 id="no gradient through the mean"),
])
def test_what_is_nearly_right_is_caught(change):
    assert max(largest_difference(written(change), seed) for seed in range(5)) > 1e-3


def test_running_statistics_are_buffers_and_the_state_loads_into_torchs_layer():
    ours, theirs = written()(3), nn.BatchNorm2d(3)
    ours(torch.randn(4, 3, 2, 2))
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(theirs.running_var, ours.running_var)
    assert [name for name, _ in ours.named_parameters()] == ["weight", "bias"]


@pytest.fixture(scope="module")
def variances():
    namespace = {"torch": torch, "BasicBlock": BasicBlock, "initialize": initialize}
    exec(code("@torch.no_grad()\ndef variances"), namespace)
    return namespace["variances"]


def test_variance_grows_by_a_factor_without_norm_and_by_a_sum_with_it(variances):
    small = {"blocks": 12, "channels": 32}
    without = torch.tensor([variances(False, seed, **small) for seed in range(3)])
    with_norm = torch.tensor([variances(True, seed, **small) for seed in range(3)])
    factor = (without[:, 1:] / without[:, :-1]).mean().item()
    assert 1.6 < factor < 2.05
    assert 0.75 < with_norm.diff(dim=1).mean().item() < 1.15


def test_the_cell_that_explains_the_factor_counts_the_windows_on_the_picture(capsys):
    exec(code("side = 14"), {})
    conv = nn.Conv2d(1, 1, 3, padding=1, bias=False)
    nn.init.ones_(conv.weight)
    with torch.no_grad():
        once = conv(torch.ones(1, 1, 14, 14)) / 9
        twice = (conv(once) / 9).mean().item()
    told = capsys.readouterr().out
    assert f"1 + {twice:.2f} = {1 + twice:.2f}" in told
    assert f"each should add {twice / once.mean().item():.2f}" in told
    assert f"{once.mean().item() ** 2:.2f}" not in told, "the square of the mean is another number"
