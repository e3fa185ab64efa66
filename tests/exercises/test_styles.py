"""Right answers in other correct styles than the solution's: four and more for every exercise."""

import copy
import functools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional as F

from resnet_lesson.exercises import (
    batch_norm,
    convolution_sizes,
    gradient_sum,
    looking_inside,
    python_corner,
    residual_block,
    residual_idea,
    resnet18,
    start_here,
    train_fashion_mnist,
    with_and_without,
)
from resnet_lesson.networks.blocks import BasicBlock
from resnet_lesson.networks.parity import randomise


def share_by_loop(a, b):
    right = 0
    for one, other in zip(a, b, strict=True):
        right += int(one == other)
    return right / len(a)


SHARE_RIGHT = [lambda a, b: torch.mean((a == b).double()),                  # a 0-d tensor
               lambda a, b: np.mean(a.numpy() == b.numpy()),                # numpy's number
               lambda y_hat, y: torch.eq(y_hat, y).sum() / y.numel(),       # other names
               share_by_loop]

COEFFICIENTS = [lambda a, b, c: [a, b - 1, c], lambda a, b, c: np.array([a, b - 1, c]),
                lambda a, b, c: torch.tensor([a, b - 1, c]),
                lambda *f: (f[0], f[1] - 1, f[2])]


def identity_in_numpy(width):
    one = np.eye(width, dtype=np.float32)
    return (torch.from_numpy(np.concatenate([one, -one], 1)),
            torch.from_numpy(np.concatenate([one, -one], 0)))


def identity_by_slices(width):
    first = torch.zeros(width, 2 * width)
    first[:, :width], first[:, width:] = torch.eye(width), -torch.eye(width)
    return first, first.t()


IDENTITY = [lambda n: [torch.cat([torch.eye(n), -torch.eye(n)], d) for d in (1, 0)],
            lambda n: (torch.hstack([-torch.eye(n), torch.eye(n)]),         # halves swapped
                       torch.vstack([-torch.eye(n), torch.eye(n)])),
            identity_in_numpy, identity_by_slices]


def stack_with_if(x, blocks, residual):
    for layer in blocks:
        answer = layer(x)
        if residual:
            answer = answer + x
        x = answer
    return x


def stack_by_recursion(x, blocks, residual):
    if len(blocks) == 0:
        return x
    return stack_by_recursion(blocks[0](x) + residual * x, blocks[1:], residual)


STACK = [stack_with_if, stack_by_recursion,
         lambda x, blocks, residual: functools.reduce(
             lambda h, block: torch.add(block(h), h) if residual else block(h), blocks, x),
         lambda x, blocks, residual: functools.reduce(
             lambda h, block: block(h) + h * int(residual), blocks, x)]


def start_by_randn_like(width, noise):
    return [weight + torch.randn_like(weight) * noise for weight in identity_in_numpy(width)]


def start_by_normal(width, noise):
    return tuple(torch.normal(weight, noise) for weight in identity_by_slices(width))


def start_in_numpy(width, noise):
    return [torch.tensor(weight.numpy() + np.random.normal(0, noise, weight.shape))
            for weight in identity_in_numpy(width)]


START = [start_by_randn_like, start_by_normal, start_in_numpy,
         lambda n, s: [w + s * torch.randn(w.shape) for w in IDENTITY[1](n)]]   # halves swapped


def zero_in_place(block):
    with torch.no_grad():
        block[-1].weight.zero_()
        block[-1].bias.zero_()
    return block


def zero_data(block):
    for parameter in block[2].parameters():
        parameter.data.fill_(0)


def zero_new_parameters(block):
    block[2].weight = nn.Parameter(torch.zeros_like(block[2].weight))
    block[2].bias = nn.Parameter(torch.zeros_like(block[2].bias))


def zero_state(block):
    state = block.state_dict()
    block.load_state_dict(state | {name: state[name] * 0 for name in ("2.weight", "2.bias")})


SILENCE = [zero_in_place, zero_data, zero_new_parameters, zero_state]


def terms_by_backward(g, x, v):
    x = x.clone().requires_grad_(True)
    g(x).backward(v)
    return v, x.grad


def terms_by_vjp(g, x, v):
    return v, torch.autograd.functional.vjp(g, x, v)[1]


def terms_by_func(g, x, v):
    return [v.clone(), torch.func.vjp(g, x)[1](v)[0]]


def terms_by_difference(g, x, v):
    x = x.detach().requires_grad_()
    whole, = torch.autograd.grad(x + g(x), x, v)
    return v, whole - v


TWO_TERMS = [terms_by_backward, terms_by_vjp, terms_by_func, terms_by_difference]


def shares_by_scipy(depth, w):
    return stats.binom.pmf(np.arange(depth + 1), depth, w / (1 + w))


def shares_by_products(depth, w):
    parts = [1.0]
    for _ in range(depth):
        parts = [a + w * b for a, b in zip([*parts, 0], [0, *parts], strict=True)]
    return torch.tensor(parts, dtype=torch.float64) / sum(parts)


LENGTH_SHARES = [shares_by_scipy, shares_by_products,
                 lambda L, w: tuple(math.comb(L, k) * w**k / (1 + w)**L for k in range(L + 1)),
                 lambda L, w: np.flip((np.poly1d([w, 1])**L).coeffs) / (1 + w)**L]

SIZE = [lambda n, k, s, p, d: math.floor((n + 2 * p - d * (k - 1) - 1) / s + 1),
        lambda n, k, s, p, d: np.int64((n + 2 * p - d * (k - 1) - 1) // s + 1),
        lambda n, k, s, p, d: torch.tensor((n + 2 * p - d * (k - 1) - 1) // s + 1),
        lambda size, kernel, stride, pad, dil: len(range(0, size + 2 * pad - dil * (kernel - 1),
                                                         stride)),
        lambda n, k, s, p, d: nn.Conv1d(1, 1, k, s, p, d)(torch.zeros(1, 1, n)).shape[-1]]

SIMPLE_CNN = [[(32, 32, 32), (32, 16, 16), (64, 16, 16), (64, 8, 8), 4096, 512, 10],
              ((32, 32, 32), (32, 16, 16), (64, 16, 16), (64, 8, 8), (4096,), (512,), (10,)),
              [[32, 32, 32], [32, 16, 16], [64, 16, 16], [64, 8, 8], [4096], [512], [10]],
              [torch.Size(shape) for shape in convolution_sizes.simple_cnn_shapes()]]

COUNTEREXAMPLE = [(28, 3, 2), [9, 5, 3], (224, 7, 2), tuple(np.array([28, 3, 2])),
                  lambda: (32, 5, 4)]

SAME = [lambda n, k, s: (n - 1) * s - n + k, lambda n, k, s: np.int64((n - 1) * s + k - n),
        lambda n, k, s: float(s * (n - 1) + k - n),
        lambda n, k, s: torch.tensor(n * (s - 1) + k - s),
        lambda size, kernel, stride: stride * size - stride + kernel - size]


def update_by_lerp(mean, var, x, momentum=0.1):
    flat = x.transpose(0, 1).flatten(1)
    return mean.lerp(flat.mean(1), momentum), var.lerp(flat.var(1), momentum)


def update_by_layer(running_mean, running_var, x, momentum=0.1):
    running_mean, running_var = running_mean.clone(), running_var.clone()
    F.batch_norm(x, running_mean, running_var, training=True, momentum=momentum)
    return running_mean, running_var


def update_by_hand(m, v, x, momentum=0.1):
    n = x.shape[0] * x.shape[2] * x.shape[3]
    mean = x.sum((0, 2, 3)) / n
    var = ((x - mean.view(1, -1, 1, 1))**2).sum((0, 2, 3)) / (n - 1)
    return [m + momentum * (mean - m), v + momentum * (var - v)]


def update_by_var_mean(running_mean, running_var, x, momentum=0.1):
    var, mean = torch.var_mean(x, (0, 2, 3))
    return ((1 - momentum) * running_mean + momentum * mean,
            (1 - momentum) * running_var + momentum * var)


UPDATE = [update_by_lerp, update_by_layer, update_by_hand, update_by_var_mean]


def batches_by_loop(momentum, tolerance):
    left, count = 1.0, 0
    while left > tolerance:
        left, count = left * (1 - momentum), count + 1
    return count


BATCHES = [batches_by_loop, lambda m, t: int(np.ceil(np.log(t) / np.log(1 - m))),
           lambda m, t: np.ceil(np.log2(t) / np.log2(1 - m)),
           lambda m, t: torch.tensor(math.ceil(math.log(t, 1 - m))),
           lambda m, t: math.floor(math.log(t) / math.log(1 - m)) + 1]


def fold_by_library(conv, bn):
    from torch.nn.utils.fusion import fuse_conv_bn_eval
    return fuse_conv_bn_eval(conv, bn)


def fold_by_einsum(conv, bn):
    folded = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, stride=conv.stride,
                       padding=conv.padding, bias=True)
    scale = bn.weight * (bn.running_var + bn.eps).rsqrt()
    folded.weight = nn.Parameter(torch.einsum("oikl,o->oikl", conv.weight, scale))
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    folded.bias = nn.Parameter(bn.bias + scale * (bias - bn.running_mean))
    return folded


def fold_a_copy(conv, bn):
    folded = copy.deepcopy(conv)
    scale = (bn.weight / (bn.running_var + bn.eps)**0.5).detach()
    folded.weight.data *= scale[:, None, None, None]
    bias = 0 if conv.bias is None else conv.bias.detach()
    folded.bias = nn.Parameter((bias - bn.running_mean) * scale + bn.bias.detach())
    return folded


def fold_by_state(conv, bn):
    folded = fold_by_einsum(conv, bn)
    other = nn.Conv2d(conv.in_channels, conv.out_channels, 3, conv.stride, conv.padding)
    other.load_state_dict(folded.state_dict())
    return other.eval()


FOLD = [fold_by_library, fold_by_einsum, fold_a_copy, fold_by_state]


class WithReluModules(nn.Module):
    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.Conv2d(input_channels, num_channels, 3, strides, 1)
        self.conv2 = nn.Conv2d(num_channels, num_channels, 3, padding="same")
        self.conv3 = nn.Conv2d(input_channels, num_channels, 1, strides) if use_1x1conv else None
        self.bn1, self.bn2 = nn.BatchNorm2d(num_channels), nn.BatchNorm2d(num_channels)
        self.relu = nn.ReLU()

    def forward(self, x):
        identity = self.conv3(x) if self.conv3 else x
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))) + identity)


class Lazy(nn.Module):
    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        super().__init__()
        self.conv1 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1, stride=strides)
        self.conv2 = nn.LazyConv2d(num_channels, kernel_size=3, padding=1)
        if use_1x1conv:
            self.conv3 = nn.LazyConv2d(num_channels, kernel_size=1, stride=strides)
        else:
            self.conv3 = None
        self.bn1, self.bn2 = nn.LazyBatchNorm2d(), nn.LazyBatchNorm2d()

    def forward(self, X):
        Y = F.relu(self.bn1(self.conv1(X)))
        Y = self.bn2(self.conv2(Y))
        return F.relu(Y + (X if self.conv3 is None else self.conv3(X)))


class TorchFunctions(residual_block.Residual):
    def forward(self, X):
        Y = torch.relu(self.bn1(self.conv1(X)))
        Y = torch.add(self.bn2(self.conv2(Y)), self.conv3(X) if self.conv3 else X)
        return Y.clamp(min=0)


class SequentialInForward(residual_block.Residual):
    def forward(self, X):
        branch = nn.Sequential(self.conv1, self.bn1, nn.ReLU(inplace=True), self.conv2, self.bn2)
        shortcut = nn.Identity() if self.conv3 is None else self.conv3
        return F.relu(shortcut(X) + branch(X), inplace=True)


class NoConv3Attribute(nn.Module):
    def __init__(self, input_channels, num_channels, use_1x1conv=False, strides=1):
        nn.Module.__init__(self)
        self.strides, self.use = strides, use_1x1conv
        self.conv1 = nn.Conv2d(input_channels, num_channels, (3, 3), padding=(1, 1), stride=strides)
        self.bn1 = nn.BatchNorm2d(num_features=num_channels)
        self.conv2 = nn.Conv2d(num_channels, num_channels, (3, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(num_features=num_channels)
        if use_1x1conv:
            self.conv3 = nn.Conv2d(input_channels, num_channels, (1, 1), stride=strides)

    def forward(self, X):
        Y = self.bn2(self.conv2(self.bn1(self.conv1(X)).relu()))
        if self.use:
            X = self.conv3(X)
        return (X + Y).relu()


RESIDUAL = [WithReluModules, Lazy, TorchFunctions, SequentialInForward, NoConv3Attribute]

PROJECTION = [lambda i, o, s: not (i == o and s == 1), lambda i, o, s: int(i != o or s > 1),
              lambda a, b, c: np.bool_(a != b) | np.bool_(c != 1),
              lambda i, o, s: torch.tensor(i != o or s != 1), lambda i, o, s: (i, 1) != (o, s)]

BOTTLENECK = [lambda c: 17 * (c // 4)**2, lambda c: np.int64(c * c // 2 + 9 * (c // 4)**2),
              lambda c: torch.tensor(17 * (c // 4)**2), lambda c: 17 * (c / 4)**2,
              lambda channels: sum(w.numel() for w in nn.Sequential(
                  nn.Conv2d(channels, channels // 4, 1, bias=False),
                  nn.Conv2d(channels // 4, channels // 4, 3, bias=False),
                  nn.Conv2d(channels // 4, channels, 1, bias=False)).parameters())]


def stage_by_modules(i, o, n, s):
    stage = nn.Sequential()
    for number in range(n):
        stage.add_module(f"block{number}", BasicBlock(o if number else i, o, 1 if number else s))
    return stage


class Stage(nn.Module):
    def __init__(self, in_channels, out_channels, blocks, stride):
        super().__init__()
        self.first = BasicBlock(in_channels, out_channels, stride)
        self.rest = nn.ModuleList(BasicBlock(out_channels, out_channels)
                                  for _ in range(blocks - 1))

    def forward(self, x):
        x = self.first(x)
        for block in self.rest:
            x = block(x)
        return x


STAGE = [stage_by_modules,
         lambda i, o, n, s: nn.Sequential(*(BasicBlock(o if k else i, o, 1 if k else s)
                                            for k in range(n))),
         lambda i, o, blocks, stride: nn.Sequential(
             BasicBlock(in_channels=i, out_channels=o, stride=stride),
             *[BasicBlock(o, o, 1) for _ in range(1, blocks)]),
         lambda i, o, n, s: nn.Sequential().extend([BasicBlock(i, o, s)] + [
             BasicBlock(o, o) for _ in range(n - 1)])]

PARAMETERS = [lambda i, o, n: 10 * i * o + 6 * o + 9 * o * o + (n - 1) * (18 * o * o + 4 * o),
              lambda i, o, n: np.int64(resnet18.stage_parameters(i, o, n)),
              lambda i, o, n: torch.tensor(resnet18.stage_parameters(i, o, n)),
              lambda i, o, n: sum(map(torch.numel, resnet18.make_stage(i, o, n, 2).parameters()))]


def same_on_many(ours, theirs):
    randomise(theirs, seed=3)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    ours, theirs = ours.eval(), theirs.eval()
    with torch.inference_mode():
        return all(torch.allclose(ours(x), theirs(x), atol=1e-4)
                   for x in torch.rand(2, 1, 3, 64, 64))


def same_by_difference(ours, theirs):
    randomise(theirs)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 3, 64, 64)
    gap = (ours.eval()(x) - theirs.eval()(x)).abs().max()
    return gap < 1e-3


def same_by_numpy(ours, theirs):
    randomise(theirs)
    with torch.no_grad():
        for one, other in zip(ours.state_dict().values(), theirs.state_dict().values(),
                              strict=True):
            one.copy_(other)
        x = torch.randn(2, 3, 64, 64)
        return np.allclose(ours.eval()(x).numpy(), theirs.eval()(x).numpy(), atol=1e-4)


def same_by_assert(ours, theirs):
    randomise(theirs)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    try:
        torch.testing.assert_close(ours.eval()(x), theirs.eval()(x), rtol=1e-3, atol=1e-3)
    except AssertionError:
        return False
    return True


SAME_NETWORK = [same_on_many, same_by_difference, same_by_numpy, same_by_assert]


def step_zeroing_first(model, optimizer, X, y):
    optimizer.zero_grad()
    loss = nn.CrossEntropyLoss()(model(X), y)
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def step_zeroing_last(net, trainer, features, labels):
    loss = F.cross_entropy(net(features), labels)
    loss.backward()
    trainer.step()
    trainer.zero_grad(set_to_none=False)
    return loss.detach().item()


def step_by_log_softmax(model, optimizer, X, y):
    model.train()
    loss = F.nll_loss(model(X).log_softmax(-1), y)
    model.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.tolist()


def step_by_hand(model, optimizer, X, y):
    loss = -model(X).log_softmax(1)[range(len(y)), y].mean()
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    with torch.no_grad():
        for weight, gradient in zip(model.parameters(), gradients, strict=True):
            weight -= optimizer.param_groups[0]["lr"] * gradient
    return loss.item()


TRAIN_STEP = [step_zeroing_first, step_zeroing_last, step_by_log_softmax, step_by_hand]


def confounds_by_loop(plain, residual):
    found = []
    for name in {**plain, **residual}:
        both = name in plain and name in residual
        if name != "arm" and not (both and plain[name] == residual[name]):
            found.append(name)
    return found


CONFOUNDS = [confounds_by_loop, lambda p, r: frozenset(confounds_by_loop(p, r)),
             lambda p, r: {name for name, _ in set(p.items()) ^ set(r.items())} - {"arm"},
             lambda p, r: tuple(n for n in sorted(p.keys() | r.keys()) if n != "arm"
                                and p.get(n, "missing") != r.get(n, "missing"))]


def interval_in_numpy(plain, residual):
    difference = np.array(plain) - np.array(residual)
    half = stats.t.ppf(0.975, len(difference) - 1) * stats.sem(difference)
    return difference.mean() - half, difference.mean(), difference.mean() + half


def interval_in_torch(plain, residual):
    gap = torch.tensor(plain, dtype=torch.float64) - torch.tensor(residual, dtype=torch.float64)
    half = float(stats.t.ppf(0.975, len(gap) - 1)) * gap.std() / len(gap)**0.5
    return torch.stack([gap.mean() - half, gap.mean(), gap.mean() + half])


PAIRED_INTERVAL = [interval_in_numpy, interval_in_torch,
                   lambda p, r: list(with_and_without.by_scipy(p, r)),
                   lambda p, r: np.array(interval_in_numpy(p, r))]


def without_by_forward(model, name):
    class OnlyShortcut(nn.Module):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def forward(self, x):
            return F.relu(x if self.block.downsample is None else self.block.downsample(x))

    model = copy.deepcopy(model)
    stage, position = name.split(".")
    blocks = model.get_submodule(stage)
    blocks[int(position)] = OnlyShortcut(blocks[int(position)])
    return model


def without_by_zeros(model, name):
    model = copy.deepcopy(model)
    norm = model.get_submodule(name).bn2
    with torch.no_grad():
        norm.weight.zero_()
        norm.bias.zero_()
    return model


def without_by_hook(model, name):
    model = copy.deepcopy(model)
    model.get_submodule(name).bn2.register_forward_hook(lambda *args: torch.zeros_like(args[-1]))
    return model


def without_by_setattr(net, where):
    net = copy.deepcopy(net)
    stage, position = where.split(".")
    block = net.get_submodule(where)
    rest = nn.Sequential(*([block.downsample] if block.downsample else []), nn.ReLU())
    setattr(getattr(net, stage), position, rest)
    return net


WITHOUT_BLOCK = [without_by_forward, without_by_zeros, without_by_hook, without_by_setattr]


def calibration_in_numpy(confidence, right, bins=10):
    confidence, right = confidence.numpy().astype(float), right.numpy().astype(float)
    place = np.clip(np.digitize(confidence, np.linspace(0, 1, bins + 1), right=True), 1, bins)
    return sum((place == b).mean() * abs(right[place == b].mean() - confidence[place == b].mean())
               for b in np.unique(place))


def calibration_by_sums(confidence, right, bins=10):
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    gap = right.double() - confidence.double()
    return torch.zeros(bins, dtype=torch.float64).index_add(0, place, gap).abs().sum() / len(gap)


def calibration_by_edges(confidence, right, bins=10):
    total = 0
    for number in range(bins):
        here = (confidence > number / bins) & (confidence <= (number + 1) / bins)
        if here.sum() > 0:
            total += abs((right[here] * 1.0).mean() - confidence[here].mean()) * here.sum()
    return (total / len(right)).item()


CALIBRATION = [calibration_in_numpy, calibration_by_sums, calibration_by_edges,
               lambda c, r, bins=10: np.float32(calibration_in_numpy(c, r, bins))]


class DiaryWithTyping:
    losses: list

    def __init__(self, name="anna"):
        self.name, self.losses = name, list()

    def note(self, value):
        self.losses = [*self.losses, value]


class DiaryDefaultNone:
    def __init__(self, losses=None):
        self.losses = [] if losses is None else losses

    def note(self, loss):
        self.losses += [loss]


class DiaryExtends:
    def __init__(self):
        self.losses = []

    def note(self, loss):
        self.losses.extend([loss])


class DiaryIsAList(list):
    @property
    def losses(self):
        return self

    def note(self, loss):
        self.append(loss)


DIARY = [DiaryWithTyping, DiaryDefaultNone, DiaryExtends, DiaryIsAList]


class GainScalar(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(0.0))

    def forward(self, inputs):
        return torch.mul(inputs, self.alpha)


class GainRegistered(nn.Module):
    def __init__(self):
        super(GainRegistered, self).__init__()  # noqa: UP008
        self.register_parameter("gain", nn.Parameter(torch.zeros(1, 1)))

    def forward(self, x):
        return x * self.gain.view(())


class GainInAList(nn.Module):
    def __init__(self):
        nn.Module.__init__(self)
        self.gains = nn.ParameterList([nn.Parameter(torch.zeros(()))])

    def forward(self, x):
        return self.gains[0] * x


class GainByLinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.linear.weight)

    def forward(self, x):
        return self.linear(x.unsqueeze(-1)).squeeze(-1)


GAIN = [GainScalar, GainRegistered, GainInAList, GainByLinear]


def peek_with_function(net, layer, x):
    kept = {}

    def keep(module, args, output):
        kept["output"] = output.detach()

    with torch.no_grad():
        handle = layer.register_forward_hook(keep)
        try:
            net(x)
        finally:
            handle.remove()
    return kept["output"]


def peek_by_place(net, layer, x):
    for part in net:
        x = part(x)
        if part is layer:
            return x


def peek_by_slices(net, layer, x):
    return net[:list(net).index(layer) + 1](x)


def peek_with_context(network, module, batch):
    seen = []
    with module.register_forward_hook(lambda *args: seen.append(args[-1])):
        network(batch)
    return seen[-1]


PEEK = [peek_with_function, peek_by_place, peek_by_slices, peek_with_context]


def tower_by_append(depth, width):
    net = nn.Sequential()
    for _ in range(depth):
        net.append(nn.Linear(width, width))
        net.append(nn.ReLU())
    return net


TOWER = [tower_by_append,
         lambda n, w: nn.Sequential(*[part for _ in range(n)
                                      for part in (nn.Linear(w, w), nn.ReLU())]),
         lambda n, w: nn.Sequential(*sum(([nn.Linear(w, w), nn.ReLU()] for _ in range(n)), [])),
         lambda n, w: nn.Sequential(*(nn.ReLU() if i % 2 else nn.Linear(in_features=w,
                                                                      out_features=w)
                                      for i in range(2 * n)))]

BY_MODULE = {
    start_here: ("SHARE_RIGHT",), residual_idea: ("COEFFICIENTS", "STACK", "IDENTITY",
                                                      "START", "SILENCE"),
    gradient_sum: ("TWO_TERMS", "LENGTH_SHARES"),
    convolution_sizes: ("SIZE", "SIMPLE_CNN", "COUNTEREXAMPLE", "SAME"),
    batch_norm: ("UPDATE", "BATCHES", "FOLD"),
    residual_block: ("RESIDUAL", "PROJECTION", "BOTTLENECK"),
    resnet18: ("STAGE", "PARAMETERS", "SAME_NETWORK"), train_fashion_mnist: ("TRAIN_STEP",),
    with_and_without: ("CONFOUNDS", "PAIRED_INTERVAL"),
    looking_inside: ("WITHOUT_BLOCK", "CALIBRATION"),
    python_corner: ("DIARY", "GAIN", "PEEK", "TOWER")}
STYLES = [(getattr(module, name), number, answer) for module, names in BY_MODULE.items()
          for name in names for number, answer in enumerate(globals()[name])]


@pytest.mark.parametrize(("exercise", "answer"), [
    pytest.param(exercise, answer, id=f"{exercise.key}-{number}")
    for exercise, number, answer in STYLES])
def test_a_right_answer_in_another_style_is_right(exercise, answer):
    for seed in (0, 1):
        verdict = exercise.check(answer, seed)
        assert verdict.right, verdict


@pytest.mark.parametrize("exercise", {id(exercise): exercise for exercise, *_ in STYLES}.values(),
                         ids=lambda exercise: exercise.key)
def test_there_are_four_styles(exercise):
    assert sum(other is exercise for other, *_ in STYLES) >= 4
