"""Exercises of notebook 04: batch norm in both modes, and folding it into a convolution."""

import inspect

import torch
from torch import nn

from resnet_lesson.exercises.base import Exercise, Mistake, same, seeded, shown, unsolved
from resnet_lesson.exercises.source import slip

# ---------------------------------------------------------------- the layer


class BatchNorm2d(nn.Module):
    """The same as ``nn.BatchNorm2d``, in training and in evaluation mode."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))   # γ
        self.bias = nn.Parameter(torch.zeros(num_features))    # β
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        """Normalise by the batch and remember it, or normalise by what is remembered."""
        if self.training:
            mean, var = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0)
            with torch.no_grad():
                m, unbiased = self.momentum, x.var(dim=(0, 2, 3), correction=1)
                self.running_mean = (1 - m) * self.running_mean + m * mean
                self.running_var = (1 - m) * self.running_var + m * unbiased
        else:
            mean, var = self.running_mean, self.running_var
        x_hat = (x - mean[:, None, None]) / torch.sqrt(var[:, None, None] + self.eps)
        return self.weight[:, None, None] * x_hat + self.bias[:, None, None]


RECORDED = ("The running statistics carry a gradient, so each batch would hang on all batches "
            "before it. Update them inside: with torch.no_grad().")


def _a_layer_class(answer):
    if not (inspect.isclass(answer) and issubclass(answer, nn.Module)):
        return ("Give the class itself, check(BatchNorm2d), derived from nn.Module; this is "
                f"{answer!r:.80}.")
    if issubclass(answer, nn.modules.batchnorm._BatchNorm):
        return "That class is PyTorch's own layer, or made from it; derive yours from nn.Module."
    return None


def _layers(draw):
    for channels in (2, 3, 4):
        yield (channels, 1e-2, round(draw.uniform(0.1, 0.4), 2),
               torch.randn(2, channels, 1, 3) * 0.3 + 1, torch.randn(3, channels, 2, 2) * 0.3)


def _at_work(answer, case):
    """Make a layer, give it random numbers, and return all that it does in both modes."""
    channels, eps, momentum, first, second = case
    layer, right = (kind(channels, eps=eps, momentum=momentum) for kind in (answer, nn.BatchNorm2d))
    seeded(2)
    state = {name: torch.rand_like(value) + 0.5 for name, value in right.state_dict().items()
             if value.is_floating_point()}
    missing = sorted(set(right.state_dict()) - set(layer.state_dict()))
    if missing:
        return f"The layer has no {', '.join(missing)}: keep __init__ as the stub has it."
    layer.load_state_dict(state, strict=False)
    outs, kept = [], True
    for batch in (first, second):
        given = batch.clone().requires_grad_() * 1   # no leaf: what writes into it is seen
        given.retain_grad()
        out = layer.train()(given)
        if not isinstance(out, torch.Tensor) or out.shape != batch.shape:
            return out if unsolved(out) else (
                f"For an input of shape {tuple(batch.shape)} the output is {shown(out)}, expected "
                "a tensor of the same shape.")
        kept = kept and torch.equal(given, batch)
        outs.append((given, out))
    found = {"training": [out for _, out in outs], "input kept": kept}
    memory = {name: getattr(layer, name).clone() for name in ("running_mean", "running_var")}
    if any(value.requires_grad for value in memory.values()):
        return RECORDED
    found |= memory
    seeded(3)
    wanted = [given for given, _ in outs] + [layer.weight, layer.bias]
    total = sum((out * torch.randn_like(out)).sum() for _, out in outs)
    gradients = torch.autograd.grad(total, wanted, allow_unused=True)
    found["gradients"] = [torch.zeros(1) if part is None else part for part in gradients]
    found["evaluation"] = layer.eval()(second[:1] + 1)
    found["memory after evaluation"] = [getattr(layer, name).clone() for name in memory]
    return found


WORDS = {"training": "In training mode the outputs differ from nn.BatchNorm2d's.",
         "input kept": "The layer changes its input.",
         "running_mean": "The outputs in training mode are right; the running mean after two "
                         "batches is not.",
         "running_var": "Outputs and running mean are right; the running variance after two "
                        "batches is not.",
         "gradients": "Outputs and statistics are right, and the gradients are not.",
         "evaluation": "Training mode is right in all; in evaluation mode the outputs differ.",
         "memory after evaluation": "A batch in evaluation mode changed the running statistics."}


def _first_difference(case, expected, given):
    part = next(part for part in WORDS if not same(given[part], expected[part], 1e-3, 1e-4))
    numbers = ""
    if part.startswith("running"):
        numbers = f" Expected {shown(expected[part])}, got {shown(given[part])}."
    return WORDS[part] + numbers


BATCH_NORM = Exercise(
    solve=BatchNorm2d, cases=_layers, look=_a_layer_class, run=_at_work, part="BatchNorm2d",
    oracle=lambda *case: _at_work(nn.BatchNorm2d, case), where=_first_difference,
    form=lambda given, case: given if isinstance(given, str) else None,
    same=lambda one, other: same(one, other, 1e-3, 1e-4),
    idea="Training: the batch's mean and variance, over pictures, rows and columns. Evaluation: "
         "the running ones. Then the same formula in both modes.",
    mistakes=tuple(Mistake(slip(BatchNorm2d, *edits), words) for words, *edits in (
        ("The weights are the wrong way round. In PyTorch momentum is the weight of the new "
         "batch: keep 1 − momentum of the old value.", ("(1 - m) *", "m *"),
         (" + m *", " + (1 - m) *")),
        ("This is the last batch alone. The memory moves only a share of the way: momentum of the "
         "new, 1 − momentum of the old.", ("(1 - m) *", "0 *"), (" + m *", " + 1 *")),
        ("The memory never moves: in training mode each batch updates both running statistics.",
         ("(1 - m) *", "1 *"), (" + m *", " + 0 *")),
        ("What is remembered is the variance that divides by n − 1: correction=1.",
         ("correction=1", "correction=0")),
        ("Normalise with the variance that divides by n: correction=0.",
         ("correction=0", "correction=1")),
        ("The memory holds variances, not standard deviations: x.var, not x.std.",
         ("unbiased = self.momentum, x.var", "unbiased = self.momentum, x.std")),
        ("The eps is missing: divide by √(variance + eps).", (" + self.eps", "")),
        ("You divide by the variance; the formula divides by its square root.",
         ("torch.sqrt(var[:, None, None] + self.eps)", "(var[:, None, None] + self.eps)")),
        ("γ is missing: multiply by self.weight.", ("self.weight[:, None, None] * ", "")),
        ("β is missing: add self.bias at the end.", (" + self.bias[:, None, None]", "")),
        ("That is γ and β with their roles exchanged: weight multiplies, bias is added.",
         ("self.weight[:", "self.swap[:"), ("self.bias[:", "self.weight[:"),
         ("self.swap[:", "self.bias[:")),
        ("In evaluation mode the batch still decides. Ask self.training.",
         ("if self.training:", "if True:")),
        ("In training mode the memory decides already. There the batch's own mean and variance "
         "normalise; the memory waits for evaluation mode.",
         ("        x_hat", "        mean, var = self.running_mean, self.running_var\n"
          "        x_hat")),
        ("No gradient goes through the batch's mean and variance: compute them outside "
         "torch.no_grad() and without detach().",
         ("x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0)",
          "x.mean(dim=(0, 2, 3)).detach(), x.var(dim=(0, 2, 3), correction=0).detach()")),
        (RECORDED, ("with torch.no_grad():", "if True:")),
    )),
    hints=("Two branches: if self.training, mean and var come from x; else from the buffers. What "
           "follows is the same in both.",
           "In the first branch, and there alone, the memory moves: new = (1 − momentum) · old + "
           "momentum · batch, inside with torch.no_grad(), with correction=1 for the variance.",
           "End with normalise(x, mean, var, self.eps), times self.weight[:, None, None], plus "
           "self.bias[:, None, None]."),
    remark="Outputs in both modes, statistics and gradients are those of nn.BatchNorm2d. It also "
           "counts its batches (num_batches_tracked), which matters only with momentum=None.",
    minutes=12, difficulty=3)

# ---------------------------------------------------------------- folding


def fold(conv, bn):
    """Return one ``nn.Conv2d`` that computes ``bn(conv(x))`` as ``bn`` does in evaluation mode."""
    scale = bn.weight / torch.sqrt(bn.running_var + bn.eps)
    bias = 0 if conv.bias is None else conv.bias
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride,
                       conv.padding)
    with torch.no_grad():
        folded.weight.copy_(conv.weight * scale.view(-1, 1, 1, 1))
        folded.bias.copy_((bias - bn.running_mean) * scale + bn.bias)
    return folded


def _pairs(draw):
    """Return convolutions, each with a batch norm that has learned something, and a batch."""
    for number in range(3):
        conv = nn.Conv2d(2 + number, 5 - number, 3, stride=1 + number % 2, padding=number % 2,
                         bias=number != 1).eval()
        bn = nn.BatchNorm2d(5 - number, eps=1e-3).eval()
        with torch.no_grad():
            bn.running_mean.normal_()
            bn.running_var.uniform_(0.001, 0.02)
            bn.weight.normal_()
            bn.bias.normal_()
        yield conv, bn, torch.randn(3, conv.in_channels, 9, 9)


def _folded_output(answer, case):
    """Return what the folded convolution makes of the batch, of shape (3, C, H, W)."""
    conv, bn, x = case
    folded = answer(conv, bn)
    if unsolved(folded) or not isinstance(folded, nn.Conv2d):
        return folded
    with torch.no_grad():
        return folded(x)


def by_both(conv, bn, x):
    """Return what the two layers make of the batch, one after the other."""
    with torch.no_grad():
        return bn(conv(x))


def _an_output(given, case):
    if not isinstance(given, torch.Tensor):
        return (f"Expected one nn.Conv2d, got {type(given).__name__}. Make a new "
                "convolution and fill in its weight and its bias.")
    expected = by_both(*case).shape
    return None if given.shape == expected else (
        f"Expected outputs of shape {tuple(expected)}, got {tuple(given.shape)}. Give the new "
        "convolution the kernel size, stride and padding of the old one.")


FOLD = Exercise(
    solve=fold, cases=_pairs, run=_folded_output, oracle=by_both, form=_an_output,
    where=lambda case, expected, given: (
        "The outputs differ from bn(conv(x)) by up to "
        f"{(given - expected).abs().max().item():.3f}."),
    idea="Each output channel is multiplied by scale = γ/√(running_var + eps): weight·scale along "
         "dim 0, and the bias becomes (bias − running_mean)·scale + β.",
    mistakes=(
        Mistake(slip(fold, ("bn.running_var + bn.eps", "bn.running_var")),
                "The eps is missing: divide by √(running_var + eps), not by √running_var."),
        Mistake(slip(fold, ("torch.sqrt", "")),
                "You divide by the variance; batch norm divides by its square root."),
        Mistake(slip(fold, ("bias - bn", "-bn")),
                "The convolution's own bias got lost: it is shifted and scaled like everything "
                "else, (bias − running_mean)·scale + β."),
        Mistake(slip(fold, ("(bias - bn.running_mean) * scale", "bias - bn.running_mean * scale")),
                "The convolution's bias passes through the norm too, so it is multiplied by the "
                "scale: (bias − running_mean)·scale + β."),
        Mistake(slip(fold, ("bn.weight / torch", "1 / torch"), ("* scale + bn.bias", "* scale")),
                "γ and β are missing: the scale is γ/√(running_var + eps), and β is added at the "
                "end."),
        Mistake(slip(fold, (" + bn.bias", "")),
                "β is missing: it is added at the end, after the scale."),
        Mistake(lambda conv, bn: conv,
                "This is the convolution alone; put the norm's scale and shift into it."),
    ),
    hints=("In evaluation mode mean and variance are fixed numbers, so batch norm is y = scale·x "
           "+ offset in each channel. What is scale?",
           "scale = γ/√(running_var + eps), and conv is linear in its weights: multiply the "
           "weights of output channel c by scale[c]. The weight has the shape (out, in, k, k).",
           "bias = (conv.bias − running_mean)·scale + β, where conv.bias may be None. Fill the "
           "new layer under torch.no_grad() with copy_."),
    remark="Programs that run trained networks do this before anything else: the norm then costs "
           "nothing. In training mode it cannot be done, since the batch decides.",
    minutes=8, difficulty=3)
