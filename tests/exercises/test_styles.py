"""Right answers in other correct styles than the solution's: four and more for every exercise."""

import copy
import functools
import io
import itertools
import math

import numpy as np
import pytest
import torch
import torchvision
from scipy import signal, stats
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from resnet_lesson import training
from resnet_lesson.exercises import (
    batch_norm,
    convolution_sizes,
    gradient_sum,
    ladder_of_speed,
    looking_inside,
    python_corner,
    residual_block,
    residual_idea,
    resnet18,
    start_here,
    train_fashion_mnist,
    two_networks_equal,
    with_and_without,
    your_turn,
)
from resnet_lesson.exercises.base import same
from resnet_lesson.exercises.source import slip
from resnet_lesson.networks import parity, resnet
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


def silent_in_place(block):
    with torch.no_grad():
        block[-1].weight.zero_()
        block[-1].bias.zero_()
    return block


def silent_data(block):
    for parameter in block[2].parameters():
        parameter.data.fill_(0)


def silent_new_parameters(block):
    block[2].weight = nn.Parameter(torch.zeros_like(block[2].weight))
    block[2].bias = nn.Parameter(torch.zeros_like(block[2].bias))


def silent_state(block):
    state = block.state_dict()
    block.load_state_dict(state | {name: state[name] * 0 for name in ("2.weight", "2.bias")})


SILENT = [silent_in_place, silent_data, silent_new_parameters, silent_state]


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


def slope_by_lists(layers, x, shortcut):
    slopes = []
    for value, slope in layers:
        slopes.append(slope(x) + int(shortcut))
        x = value(x) + shortcut * x
    return np.prod(slopes)


def slope_by_autograd(layers, x, shortcut):
    start = torch.tensor(float(x), requires_grad=True, dtype=torch.float64)
    end = start
    for g, _ in layers:
        end = g(end) + (end if shortcut else 0)
    end.backward()
    return start.grad


def slope_by_recursion(layers, x, shortcut):
    if not layers:
        return 1
    (g, slope), *others = layers
    return (slope(x) + shortcut) * slope_by_recursion(others, g(x) + shortcut * x, shortcut)


def slope_by_difference(layers, x, shortcut, h=1e-6):
    ends = []
    for end in (x + h, x - h):
        for g, _ in layers:
            end = g(end) + end if shortcut else g(end)
        ends.append(end)
    return (ends[0] - ends[1]) / (2 * h)


SLOPE = [slope_by_lists, slope_by_autograd, slope_by_recursion, slope_by_difference]


def shares_by_all_paths(slopes):
    found = [0] * (len(slopes) + 1)
    for choice in itertools.product([0, 1], repeat=len(slopes)):
        found[sum(choice)] += math.prod(w for w, through in zip(slopes, choice, strict=True)
                                        if through)
    return [value / sum(found) for value in found]


def shares_in_place(slopes):
    found = [1.0] + [0.0] * len(slopes)
    for w in slopes:
        for k in range(len(slopes), 0, -1):
            found[k] += w * found[k - 1]
    return torch.tensor(found) / math.prod(1 + w for w in slopes)


PATH_SHARES = [shares_by_all_paths, shares_in_place,
               lambda slopes: np.poly(-np.array(slopes)) / np.prod(1 + np.array(slopes)),
               lambda w: tuple(sum(map(math.prod, itertools.combinations(w, k)))
                               / math.prod(1 + one for one in w) for k in range(len(w) + 1))]


def norms_by_retain(blocks, loss, x):
    outputs = []
    for block in blocks:
        x = block(x)
        x.retain_grad()
        outputs.append(x)
    loss(x).backward()
    return [output.grad.norm() for output in outputs]


def norms_by_hooks(blocks, loss, x):
    found = []
    for block in blocks:
        x = block(x)
        x.register_hook(lambda gradient: found.append(gradient.norm().item()))
    loss(x).backward()
    return found[::-1]


def norms_by_parts(blocks, loss, x):
    found = []
    for number in range(1, len(blocks) + 1):
        middle = nn.Sequential(*blocks[:number])(x).detach().requires_grad_()
        end = nn.Sequential(*blocks[number:])(middle)
        found.append(torch.autograd.grad(loss(end), middle)[0].square().sum().sqrt())
    return torch.stack(found)


def norms_in_numpy(blocks, loss, x):
    outputs = [blocks[0](x)]
    for block in blocks[1:]:
        outputs += [block(outputs[-1])]
    return np.array([np.linalg.norm(part.numpy()) for part in
                     torch.autograd.grad(loss(outputs[-1]), outputs)])


BLOCK_GRADIENTS = [norms_by_retain, norms_by_hooks, norms_by_parts, norms_in_numpy]

SIZE = [lambda n, k, s, p, d: math.floor((n + 2 * p - d * (k - 1) - 1) / s + 1),
        lambda n, k, s, p, d: np.int64((n + 2 * p - d * (k - 1) - 1) // s + 1),
        lambda n, k, s, p, d: torch.tensor((n + 2 * p - d * (k - 1) - 1) // s + 1),
        lambda size, kernel, stride, pad, dil: len(range(0, size + 2 * pad - dil * (kernel - 1),
                                                         stride)),
        lambda n, k, s, p, d: nn.Conv1d(1, 1, k, s, p, d)(torch.zeros(1, 1, n)).shape[-1]]

def convolve_by_offsets(image, kernel):
    k = kernel.shape[0]
    h, w = image.shape[0] - k + 1, image.shape[1] - k + 1
    return sum(kernel[i, j] * image[i:i + h, j:j + w] for i in range(k) for j in range(k))


def convolve_in_numpy(image, kernel):
    windows = np.lib.stride_tricks.sliding_window_view(image.numpy(), kernel.shape)
    return np.einsum("ijkl,kl->ij", windows, kernel.numpy())


CONVOLVE = [convolve_by_offsets, convolve_in_numpy,
            lambda x, w: (x.unfold(0, len(w), 1).unfold(1, len(w), 1) * w).sum((2, 3)),
            lambda x, w: signal.correlate2d(x, w, "valid"),
            lambda x, w: F.conv2d(x[None, None], w[None, None]).squeeze(0, 1)]


def field_backwards(layers):
    field = 1
    for k, s in reversed(layers):
        field = (field - 1) * s + k
    return field


RECEPTIVE_FIELD = [field_backwards, lambda layers: torch.tensor(field_backwards(layers)),
                   lambda layers: 1 + sum((k - 1) * math.prod(s for _, s in layers[:i])
                                          for i, (k, _) in enumerate(layers)),
                   lambda layers: np.int64(1 + np.dot(
                       [k - 1 for k, _ in layers],
                       np.cumprod([1, *(s for _, s in layers[:-1])]))),
                   lambda convs: float(field_backwards(convs))]

SIMPLE_CNN = [[(32, 32, 32), (32, 16, 16), (64, 16, 16), (64, 8, 8), 4096, 512, 10],
              ((32, 32, 32), (32, 16, 16), (64, 16, 16), (64, 8, 8), (4096,), (512,), (10,)),
              [[32, 32, 32], [32, 16, 16], [64, 16, 16], [64, 8, 8], [4096], [512], [10]],
              [torch.Size(shape) for shape in convolution_sizes.simple_cnn_shapes()]]

SAME = [lambda n, k, s: (n - 1) * s - n + k, lambda n, k, s: np.int64((n - 1) * s + k - n),
        lambda n, k, s: float(s * (n - 1) + k - n),
        lambda n, k, s: torch.tensor(n * (s - 1) + k - s),
        lambda size, kernel, stride: stride * size - stride + kernel - size]


class NormByFlattening(batch_norm.BatchNorm2d):
    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            flat = x.transpose(0, 1).flatten(1)
            mean, var = flat.mean(1), flat.var(1, correction=0)
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(flat.var(1).detach(), self.momentum)
            self.num_batches_tracked += 1
        out = (x.movedim(1, -1) - mean) * (var + self.eps).rsqrt()
        return (out * self.weight + self.bias).movedim(-1, 1)


class NormByCounting(batch_norm.BatchNorm2d):
    def forward(self, x):
        if not self.training:
            return self.line(x, self.running_mean, self.running_var)
        n = x.numel() / x.shape[1]
        mean = x.sum((0, 2, 3)) / n
        var = (x - mean.view(1, -1, 1, 1)).square().sum((0, 2, 3)) / n
        for old, new in ((self.running_mean, mean), (self.running_var, var * n / (n - 1))):
            old += self.momentum * (new.detach() - old)
        return self.line(x, mean, var)

    def line(self, x, mean, var):
        scale = self.weight / (var + self.eps)**0.5
        return x * scale[:, None, None] + (self.bias - mean * scale)[:, None, None]


class NormKeepingDims(nn.Module):
    def __init__(self, channels, eps=1e-5, momentum=0.1):
        super().__init__()
        for name in ("weight", "bias"):
            setattr(self, name, nn.Parameter(torch.full((channels,), float(name == "weight"))))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.register_buffer("num_batches_tracked", torch.tensor(0))
        self.eps, self.momentum = eps, momentum

    def forward(self, x):
        if self.training:
            var, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
            m, n = self.momentum, x[:, 0].numel()
            self.running_mean.data = (1 - m) * self.running_mean + m * mean.data.flatten()
            self.running_var.data = (1 - m) * self.running_var + (
                m * n / (n - 1) * var.data.flatten())
        else:
            mean, var = (v.view(1, -1, 1, 1) for v in (self.running_mean, self.running_var))
        x = (x - mean) / torch.sqrt(var + self.eps)
        return torch.einsum("nchw,c->nchw", x, self.weight) + self.bias.view(1, -1, 1, 1)


class NormByFunction(batch_norm.BatchNorm2d):
    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias,
                            self.training, self.momentum, self.eps)


BATCH_NORM = [NormByFlattening, NormByCounting, NormKeepingDims, NormByFunction]


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

class FromResidual(residual_block.Residual):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, False, stride)
        self.conv1 = nn.Conv2d(in_channels, out_channels, (3, 3), stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding="same", bias=False)
        if (in_channels, 1) != (out_channels, stride):
            self.downsample = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride,
                                                      bias=False), nn.BatchNorm2d(out_channels))
        else:
            self.downsample = nn.Identity()

    def forward(self, X):
        Y = self.bn2(self.conv2(self.bn1(self.conv1(X)).relu()))
        return torch.relu(self.downsample(X) + Y)


class AsTorchvisions(nn.Module):
    def __init__(self, inplanes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(planes), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2, self.downsample = nn.BatchNorm2d(planes), None
        if stride > 1 or inplanes != planes:
            self.downsample = nn.Sequential(nn.Conv2d(inplanes, planes, 1, stride, bias=False),
                                            nn.BatchNorm2d(planes))

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ByParts(nn.Module):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        for number, channels in enumerate((in_channels, out_channels), 1):
            step, bias = stride if number == 1 else 1, False
            setattr(self, f"conv{number}", nn.Conv2d(channels, out_channels, 3, step, 1, bias=bias))
            setattr(self, f"bn{number}", nn.BatchNorm2d(out_channels))
        self.downsample = nn.Sequential()
        if not (in_channels == out_channels and stride == 1):
            self.downsample.append(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False))
            self.downsample.append(nn.BatchNorm2d(out_channels))

    def forward(self, x):
        branch = nn.Sequential(self.conv1, self.bn1, nn.ReLU(), self.conv2, self.bn2)
        return (branch(x) + self.downsample(x)).clamp(min=0)


class Norm(nn.Module):
    """A batch norm written by hand, with the names of torch's."""

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias,
                            self.training, self.momentum, self.eps)


class WithOwnNorm(AsTorchvisions):
    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__(in_channels, out_channels, stride)
        self.bn1, self.bn2 = Norm(out_channels), Norm(out_channels)
        if self.downsample is not None:
            self.downsample[1] = Norm(out_channels)


BASIC_BLOCK = [FromResidual, AsTorchvisions, ByParts, WithOwnNorm]


def zero_in_place(block):
    with torch.no_grad():
        block.bn2.weight.zero_()
        block.bn2.bias.zero_()
    return block


def zero_data(block):
    for parameter in block.bn2.parameters():
        parameter.data.fill_(0)


def zero_new_parameters(block):
    block.bn2.weight = nn.Parameter(torch.zeros_like(block.bn2.weight))
    block.bn2.bias = nn.Parameter(torch.zeros_like(block.bn2.bias))


def zero_state(block):
    state = block.state_dict()
    block.load_state_dict(state | {name: state[name] * 0 for name in ("bn2.weight", "bn2.bias")})


SILENCE = [zero_in_place, zero_data, zero_new_parameters, zero_state]


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


def stage_of_torchvision(in_channels, out_channels, blocks, stride):
    network = torchvision.models.resnet18()
    network.inplanes = in_channels
    return network._make_layer(torchvision.models.resnet.BasicBlock, out_channels, blocks, stride)


STAGE.append(stage_of_torchvision)   # blocks that somebody else has written


class OfTorchvision(torchvision.models.ResNet):
    def __init__(self, in_channels=3, num_classes=1000):
        super().__init__(torchvision.models.resnet.BasicBlock, [2] * 4, num_classes)
        self.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)


RESNET18 = [OfTorchvision, *(slip(resnet18.ResNet18, *edits) for edits in (
    [("self.maxpool(F.relu(self.bn1(self.conv1(x))))",
      "F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)"), ("self.avgpool(x)", "x"),
     ("torch.flatten(x, 1)", "x.mean((2, 3))")],
    [("x = self.layer4(x)", "for block in self.layer4:\n            x = block(x)"),
     ("torch.flatten(x, 1)", "x[:, :, 0, 0]")],
    [("super().__init__()", "super().__init__()\n        self.one = torch.tensor(1.0)"),
     ("self.conv1(x)", "self.conv1(x * self.one)")]))]   # needs numbers, so no meta device

COST = [lambda i, o, k, side: (k * k * i * o, k * k * i * o * side * side),
        lambda a, b, c, d: [a * b * c**2, np.int64(a * b * c**2) * d**2],
        lambda i, o, k, n: torch.tensor([1, n * n]) * i * o * k * k,
        lambda i, o, k, n: ((w := nn.Conv2d(i, o, k, bias=False).weight.numel()), w * n**2)]


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


def accuracy_by_loop(net, pictures):
    before, hits = net.training, 0
    net.train(False)
    for features, labels in pictures.batches(64):
        hits += sum(a == b for a, b in zip(net(features).argmax(-1), labels, strict=True))
    net.train(before)
    return hits / len(pictures)


def all_right(model, split):
    return (model.eval()(split.pixels(slice(None))).argmax(1) == split.labels).float()


ACCURACY = [accuracy_by_loop, lambda model, split: all_right(model, split).mean(),
            lambda model, split: np.mean(all_right(model, split).numpy()),
            lambda model, split: training.evaluate(model, split, progress=False).accuracy]


def train_by_loader(model, optimizer, splits, epochs):
    pictures = TensorDataset(splits.train.pixels(slice(None)), splits.train.labels)
    loader, accuracies, best = DataLoader(pictures, batch_size=64, shuffle=True), [], -1
    for _ in range(epochs):
        model.train()
        for X, y in loader:
            step_zeroing_last(model, optimizer, X, y)
        accuracies += [all_right(model, splits.validation).mean()]
        if accuracies[-1] > best:
            best = accuracies[-1]
            state = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(state)
    return accuracies


def train_by_permutation(model, optimizer, splits, epochs):
    states, reached = [], np.zeros(epochs)
    for epoch in range(epochs):
        for chosen in torch.randperm(len(splits.train)).split(64):
            step_by_log_softmax(model, optimizer, splits.train.images[chosen] / 255,
                                splits.train.labels[chosen])
        reached[epoch] = accuracy_by_loop(model, splits.validation)
        states.append(copy.deepcopy(model))
    model.load_state_dict(states[reached.argmax()].state_dict())
    return reached


def train_seeded(model, optimizer, splits, epochs, judge=accuracy_by_loop):
    accuracies, kept = (), io.BytesIO()
    for epoch in range(epochs):
        for batch in splits.train.batches(64, generator=torch.Generator().manual_seed(epoch)):
            step_zeroing_first(model.train(), optimizer, *batch)
        accuracies += (judge(model, splits.validation),)
        if max(accuracies) == accuracies[-1]:
            kept = io.BytesIO()
            torch.save(model.state_dict(), kept)
    kept.seek(0)
    model.load_state_dict(torch.load(kept))
    return accuracies


TRAIN = [train_by_loader, train_by_permutation, train_seeded,
         lambda *given: train_seeded(*given, judge=ACCURACY[3])]


STEPS_TO = [lambda s, e, t: next((a for a, b in zip(s, e, strict=True) if b <= t), np.inf),
            lambda s, e, t: min([a for a, b in zip(s, e, strict=True) if b <= t], default=math.inf),
            lambda s, e, t: s[int(np.argmax(np.array(e) <= t))] if min(e) <= t else float("inf"),
            lambda s, e, t: torch.tensor([*(float(a) for a, b in zip(s, e, strict=True) if b <= t),
                                          torch.inf])[0]]


def pair_by_twin(depth, seed, train):
    torch.manual_seed(seed)
    residual = resnet.small_resnet(depth, stem="small/2")
    plain = resnet.plain_twin(residual)
    errors = {"residual": train(residual, 0.01, seed)}
    return errors | {"plain": train(plain, 0.01, seed)}


def pair_loosely(depth, seed, train):
    plain = resnet.small_resnet(depth, stem="small/2", residual=False)
    torch.manual_seed(seed + 5)
    residual = resnet.small_resnet(depth, stem="small/2")
    plain.load_state_dict(residual.state_dict(), strict=False)
    return dict(zip(("plain", "residual"), [train(net, lr=0.03, seed=seed)
                                            for net in (plain, residual)], strict=True))


FAIR_PAIR = [pair_by_twin, pair_loosely,
             slip(with_and_without.fair_pair, ("lr=0.03", "lr=0.1"), ("=seed)", "=7 * seed)")),
             slip(with_and_without.fair_pair, ("plain.load_state_dict({name: start[name]",
                                               "residual.load_state_dict(start | {name: value"),
                  ("name in plain.state_dict()", "name, value in plain.state_dict().items()"))]


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


def again_after_reset(model, X):
    model = copy.deepcopy(model)
    for norm in model.modules():
        if hasattr(norm, "running_mean"):
            norm.reset_running_stats()
            norm.momentum = None
    model.train()
    with torch.no_grad():
        model(X)
    model.eval()
    return model


def again_with_gradients(network, pictures):
    network = copy.deepcopy(network).train()
    for part in network.modules():
        if hasattr(part, "momentum"):
            part.momentum = 1.0
    network(pictures)
    return network.eval()


@torch.no_grad()
def again_by_hooks(model, X):
    model, seen = copy.deepcopy(model).train(), {}
    hooks = [norm.register_forward_pre_hook(lambda norm, args: seen.update({norm: args[0]}))
             for norm in model.modules() if isinstance(norm, nn.BatchNorm2d)]
    model(X)
    for norm, x in seen.items():
        norm.running_mean, norm.running_var = x.mean((0, 2, 3)), x.var((0, 2, 3))
    for hook in hooks:
        hook.remove()
    return model.eval()


def again_many_times(model, X):
    model = copy.deepcopy(model).train()
    with torch.no_grad():
        for _ in range(150):
            model(X)
    return model.eval()


MEASURE_AGAIN = [again_after_reset, again_with_gradients, again_by_hooks, again_many_times]
TEMPERATURE = [
    lambda z, y, Ts: min(Ts, key=lambda T: F.cross_entropy(z / T, y)),
    lambda z, y, Ts: Ts[torch.stack([F.cross_entropy(z / T, y) for T in Ts]).argmin()],
    lambda z, y, Ts: torch.tensor(Ts)[np.argmin([F.cross_entropy(z / T, y).item() for T in Ts])],
    lambda z, y, Ts: max(Ts, key=lambda T: (z / T).log_softmax(1)[range(len(y)), y].mean())]


class CurveWithTyping:
    losses: list

    def __init__(self, name="plain"):
        self.name, self.losses = name, list()

    def note(self, value):
        self.losses = [*self.losses, value]


class CurveDefaultNone:
    def __init__(self, losses=None):
        self.losses = [] if losses is None else losses

    def note(self, loss):
        self.losses += [loss]


class CurveExtends:
    def __init__(self):
        self.losses = []

    def note(self, loss):
        self.losses.extend([loss])


class CurveIsAList(list):
    @property
    def losses(self):
        return self

    def note(self, loss):
        self.append(loss)


CURVE = [CurveWithTyping, CurveDefaultNone, CurveExtends, CurveIsAList]


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
    return x


def peek_by_slices(net, layer, x):
    return (net if layer is net else net[:list(net).index(layer) + 1])(x)


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

FIRST_DIFFERENCE = [
    lambda a, b: next((n for n in b if a[n].shape != b[n].shape
                       or (a[n] - b[n]).abs().max() > 1e-8), "nowhere"),
    lambda a, b: ([n for n in b if not same(a[n], b[n])] or ["nowhere"])[0],
    lambda a, b: next((n for n, t in a.items() if t.shape != b[n].shape
                       or not np.allclose(t.numpy(), b[n].numpy())), "nowhere"),
    lambda found, expected: ([*(n for n, v in parity.differences(found, expected).items()
                                if v > parity.TOLERANCE), "nowhere"])[0]]
MISSED = [lambda t, c: [m for m, s in t.items() if not s & set(c)],
          lambda t, c: {m for m in t if set(c).isdisjoint(t[m])},
          lambda t, c: tuple(m for m in t if all(k not in t[m] for k in c)),
          lambda t, c: list(filter(lambda m: sum(k in t[m] for k in c) == 0, t))]



def turns_reversed(before, after, rounds):
    found = []
    for i in rounds:
        seconds = {side: side() for side in (before, after)[::-1 if i % 2 else 1]}
        found += [seconds[before] / seconds[after]]
    return np.array(found)


IN_TURNS = [turns_reversed, lambda b, a, rounds: tuple(1 / (a() / b()) if n % 2 else b() / a()
                                                       for n in rounds),
            lambda b, a, rounds: torch.tensor([b() / a() if n % 2 == 0 else 1 / (a() / b())
                                               for n in rounds]),
            lambda one, other, turns: [(lambda x, y: y / x)(other(), one()) if n % 2 else
                                       one() / other() for n in turns]]
AMDAHL = [lambda share, factor: factor / (factor * (1 - share) + share),
          lambda p, s: torch.tensor(1 / (1 - p * (1 - 1 / s))),
          lambda s, f: np.float64((1 - s) + s / f) ** -1,
          lambda s, f: 100 / (100 - 100 * s + 100 * s / f)]


def pictures_by_counting(one, other):
    b, c, n = (one & ~other).sum(), (other & ~one).sum(), len(one)
    return (c - b) / n, 1.96 * (b + c - (b - c) ** 2 / n).sqrt() / n


def pictures_in_numpy(one, other):
    d = other.numpy().astype(int) - one.numpy().astype(int)
    return np.array([d.mean(), stats.norm.ppf(0.975) * stats.sem(d)])


PAIRED_PICTURES = [pictures_by_counting, pictures_in_numpy,
                   lambda a, b: [(b * 1. - a * 1.).mean(), 1.96 * math.sqrt(
                       (b * 1. - a * 1.).var(correction=0) / len(a))],
                   lambda a, b: torch.stack([(b.double() - a.double()).mean(), 1.96 * (
                       b.double() - a.double()).var().div(len(a)).sqrt()])]


def keep_by_leaving_early(branch, survival, training):
    if training and torch.rand(1).item() >= survival:
        return torch.zeros_like(branch)
    return branch if training else survival * branch


def keep_for_each_picture(branch, p, training):
    if not training:
        return p * branch
    return torch.bernoulli(torch.full((len(branch), 1, 1, 1), p)) * branch


STOCHASTIC_DEPTH = [
    keep_by_leaving_early, keep_for_each_picture,
    lambda x, p, training: torchvision.ops.stochastic_depth(x, 1 - p, "batch", training),
    lambda x, p, training: torchvision.ops.stochastic_depth(x, 1 - p, "row", training),
    lambda x, p, training: (np.random.random() < p) * x if training else x * p,
    lambda x, p, training: (x if np.random.random() < p else 0) if training else x * p]
DECIDE = [lambda low, mean, high: ("not decided", "first", "second")[(high < 0) + 2 * (low > 0)],
          lambda *found: "not decided" if min(found) <= 0 <= max(found) else
          "first" if found[1] < 0 else "second",
          lambda low, mean, high: "not decided" if low * high <= 0 else
          {True: "first", False: "second"}[mean < 0],
          lambda a, m, b: np.array(["first", "not decided", "second"])[
              1 + (a > 0) - (b < 0)].item()]

BY_MODULE = {
    start_here: ("SHARE_RIGHT",),
    residual_idea: ("COEFFICIENTS", "STACK", "IDENTITY", "START", "SILENT"),
    gradient_sum: ("SLOPE", "PATH_SHARES", "TWO_TERMS", "BLOCK_GRADIENTS"),
    convolution_sizes: ("CONVOLVE", "SIZE", "SAME", "RECEPTIVE_FIELD", "SIMPLE_CNN"),
    batch_norm: ("BATCH_NORM", "FOLD"),
    residual_block: ("RESIDUAL", "BASIC_BLOCK", "SILENCE"),
    resnet18: ("STAGE", "RESNET18", "COST"),
    train_fashion_mnist: ("TRAIN_STEP", "ACCURACY", "TRAIN"),
    with_and_without: ("STEPS_TO", "FAIR_PAIR", "PAIRED_INTERVAL"),
    looking_inside: ("WITHOUT_BLOCK", "MEASURE_AGAIN", "CALIBRATION", "TEMPERATURE"),
    your_turn: ("STOCHASTIC_DEPTH", "DECIDE"),
    python_corner: ("CURVE", "GAIN", "PEEK", "TOWER"),
    two_networks_equal: ("FIRST_DIFFERENCE", "MISSED", "SAME_NETWORK"),
    ladder_of_speed: ("IN_TURNS", "AMDAHL", "PAIRED_PICTURES"),
}
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
