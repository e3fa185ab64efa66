"""Measurements agree with autograd, with brute force and with finite differences."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from resnet_lesson.inside import gradients
from resnet_lesson.networks import resnet
from resnet_lesson.networks.blocks import BasicBlock, Bottleneck, Residual

TOLERANCE = 1e-5


def draw_block(kind, channels, out_factor, stride, residual, norm, preactivation, seed):
    torch.manual_seed(seed)
    block = kind(4 * channels, 4 * channels * out_factor, stride, residual, norm=norm,
                 preactivation=preactivation).double()
    for part in block.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 2)
            nn.init.normal_(part.bias)
    return block


def batch(block, n, side):
    x = torch.randn(n, block.in_channels, side, side, dtype=torch.float64)
    return x, torch.randn_like(block(x).detach())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(kind=st.sampled_from([BasicBlock, Bottleneck]), channels=st.integers(1, 3),
       out_factor=st.integers(1, 2), stride=st.integers(1, 2), residual=st.booleans(),
       norm=st.booleans(), preactivation=st.booleans(), n=st.integers(2, 4),
       side=st.integers(3, 7), training=st.booleans(), seed=st.integers(0, 10 ** 6))
def test_skip_plus_branch_is_autograds_gradient(n, side, training, **options):
    block = draw_block(**options).train(training)
    assert gradients.sum_error(block, *batch(block, n, side)) < TOLERANCE


def block_with(forward):
    return type("Broken", (BasicBlock,), {"forward": forward})(4, 4).double()


@pytest.mark.parametrize("forward", [
    lambda block, x: block.relu(block.branch(x)),
    lambda block, x: block.relu(block.branch(x) + 0.99 * block.shortcut(x)),
    lambda block, x: block.relu(block.branch(x).detach() + block.shortcut(x)),
    lambda block, x: block.relu(block.relu(block.branch(x)) + block.shortcut(x)),
], ids=["no skip", "scaled skip", "detached branch", "two ReLUs"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_broken_block_is_caught(forward, seed):
    torch.manual_seed(seed)
    block = block_with(forward)
    assert gradients.sum_error(block, *batch(block, 3, 5)) > 10 * TOLERANCE


def test_the_identity_shortcut_passes_v_itself_and_a_plain_block_nothing():
    torch.manual_seed(0)
    x, v = torch.randn(2, 2, 4, 5, 5)
    assert torch.equal(gradients.gradient_terms(BasicBlock(4, 4, preactivation=True), x, v).skip, v)
    block = BasicBlock(4, 4)
    assert torch.equal(gradients.gradient_terms(block, x, v).skip, v * (block(x) > 0))
    assert not gradients.gradient_terms(BasicBlock(4, 4, residual=False), x, v).skip.any()


def network(seed=0, **options):
    torch.manual_seed(seed)
    model = resnet.ResNet(BasicBlock, [2, 1], widths=(4, 6), stem="small", **options).double()
    return model, torch.rand(5, 1, 8, 8, dtype=torch.float64), torch.randint(10, (5,))


OPTIONS = [{}, {"residual": False}, {"preactivation": True}, {"norm": False}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_profile_matches_retained_gradients(options):
    model, X, y = network(**options)
    found = gradients.profile(model, X, y)
    outputs = []

    def keep(_, args, out):
        out.retain_grad()
        outputs.append(out)

    for _, block in model.blocks():
        block.register_forward_hook(keep)
    loss = F.cross_entropy(model(X), y)
    loss.backward()
    assert found.names == ("layer1.0", "layer1.1", "layer2.0")
    assert found.loss == pytest.approx(loss.item())
    assert found.gradients == pytest.approx([out.grad.norm().item() for out in outputs])
    assert found.weights == pytest.approx(
        [torch.cat([block.conv1.weight.grad.flatten(), block.conv2.weight.grad.flatten()])
         .norm().item() for _, block in model.blocks()])
    assert found.activations == pytest.approx(
        [(out.detach() - out.detach().mean(0)).square().mean().sqrt().item() for out in outputs])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_shares_match_the_gradients_of_a_whole_backward_pass(options):
    model, X, y = network(**options)
    found = gradients.shares(model, X, y)
    steps = []
    for _, block in model.blocks():
        block.register_forward_hook(lambda block, args, out: steps.append((block, *args, out)))
    loss = F.cross_entropy(model(X), y)
    totals, upstream = (torch.autograd.grad(loss, tensors, retain_graph=True)
                        for tensors in zip(*[step[1:] for step in steps], strict=True))
    for share, (block, x, _), total, v in zip(found, steps.copy(), totals, upstream, strict=True):
        skip = gradients.gradient_terms(block, x, v).skip
        part = (total - skip).norm() / skip.norm() if block.residual else torch.tensor(math.inf)
        assert share.branch_to_skip == pytest.approx(part.item())
        branch = block.branch(x).norm()
        both = branch + (block.shortcut(x).norm() if block.residual else 0)
        assert share.output_branch == pytest.approx((branch / both).item())


@pytest.mark.parametrize("measure", [
    gradients.profile, gradients.shares, gradients.gradient_by_path_length,
    lambda model, X, y: gradients.input_gradients(model, X),
    lambda model, X, y: gradients.settle_batch_norm(model, X)])
@pytest.mark.parametrize("training", [True, False])
def test_nothing_changes_in_the_model(measure, training):
    model, X, y = network()
    model.train(training)
    model.layer1[0].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    buffers = {name: id(value) for name, value in model.named_buffers()}
    measure(model, X, y)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {name: id(value) for name, value in model.named_buffers()} == buffers
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training == training and not model.layer1[0].training
    assert not any(module._forward_hooks for module in model.modules())


def test_the_hooks_go_even_where_the_model_fails():
    model, X, y = network()
    with pytest.raises(ValueError, match="shape"):
        gradients.profile(model, X[:, :, 0], y)
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("options", [{}, {"preactivation": True}, {"norm": False}], ids=str)
def test_path_lengths_match_all_paths_one_by_one(options):
    model, X, y = network(**options)
    model.eval()  # so that running a block again gives the same output
    inputs = []
    hooks = [block.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
             for _, block in model.blocks()]
    whole = torch.autograd.grad(F.cross_entropy(model(X), y), inputs[0])[0]
    for hook in hooks:
        hook.remove()
    found = gradients.gradient_by_path_length(model, X, y)
    blocks = [block for _, block in model.blocks()]
    expected = [torch.zeros_like(whole) for _ in range(4)]
    for choice in itertools.product([0, 1], repeat=3):
        v = found.upstream
        for block, x, through in zip(blocks[::-1], inputs[::-1], choice[::-1], strict=True):
            v = gradients.gradient_terms(block, x, v)[through]
        expected[sum(choice)] += v
    assert len(found.parts) == 4
    for part, right in zip(found.parts, expected, strict=True):
        torch.testing.assert_close(part, right)
    torch.testing.assert_close(sum(found.parts), whole)
    assert sum(gradients.projected_shares(found.parts)) == pytest.approx(1)


def test_a_plain_network_has_one_path():
    model, X, y = network(residual=False)
    parts = gradients.gradient_by_path_length(model, X, y).parts
    assert [bool(part.any()) for part in parts] == [False, False, False, True]


def test_input_gradients_match_central_differences_of_their_own_label_alone():
    model, X, y = network(norm=False)
    direction = torch.randn_like(X[0])
    slopes = (gradients.input_gradients(model, X, label=3) * direction).sum((1, 2, 3))
    with torch.no_grad():
        ahead, behind = (model.eval()(X + step * direction) for step in (1e-6, -1e-6))
    right, wrong = ((ahead - behind)[:, label] / 2e-6 for label in (3, 2))
    torch.testing.assert_close(slopes, right, rtol=1e-5, atol=1e-8)
    assert not torch.allclose(slopes, wrong, rtol=1e-2)


def test_no_picture_sees_another_in_input_gradients():
    model, X, y = network()
    assert model.training
    torch.testing.assert_close(gradients.input_gradients(model, X)[:2],
                               gradients.input_gradients(model, X[:2]))


def test_correlation_of_equal_opposed_and_random_gradients():
    torch.manual_seed(0)
    one = torch.randn(1, 3, 4)
    assert gradients.correlation_by_distance(one.repeat(5, 1, 1)).tolist() == pytest.approx([1] * 5)
    signs = torch.tensor([1., -1, 1, -1]).view(4, 1, 1)
    assert gradients.correlation_by_distance(signs * one).tolist() == pytest.approx([1, -1, 1, -1])
    noise = gradients.correlation_by_distance(torch.randn(64, 1000))
    assert noise[0] == pytest.approx(1) and noise[1:30].abs().max() < 0.05


def test_line_goes_straight_from_end_to_end():
    start, end = torch.rand(2, 1, 3, 3)
    line = gradients.line(start, end, 5)
    assert line.shape == (5, 1, 3, 3)
    torch.testing.assert_close(line[[0, 2, 4]], torch.stack([start, (start + end) / 2, end]))


def test_settled_statistics_are_those_of_the_batch():
    model, X, _ = network()
    settled = gradients.settle_batch_norm(model, X)
    assert not settled.training
    torch.testing.assert_close(settled.bn1.running_mean, model.conv1(X).mean((0, 2, 3)))
    # Evaluation divides by the unbiased variance, training by the biased one.
    torch.testing.assert_close(settled(X), model(X), rtol=0.05, atol=0.02)


def test_a_norm_does_not_underflow_in_squares():
    assert gradients.norm(torch.full((4,), 1e-30)) == pytest.approx(2e-30)
    assert gradients.norm(torch.zeros(4)) == 0


def test_a_gradient_that_is_zero_counts_as_right_only_if_both_are():
    x = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    nothing = block_with(lambda block, x: 0 * x)
    assert gradients.sum_error(BasicBlock(4, 4).double(), x, torch.zeros_like(x)) == 0
    assert gradients.sum_error(nothing, x, torch.ones_like(x)) == float("inf")


@pytest.mark.parametrize(("call", "words"), [
    (lambda: gradients.profile(nn.Linear(1, 1), torch.ones(1, 1), torch.zeros(1)), "no blocks"),
    (lambda: gradients.profile(network()[0], torch.ones(2, 1, 8, 8), torch.zeros(3)),
     "2 pictures and 3 labels"),
    (lambda: gradients.profile(network()[0], torch.ones(0, 1, 8, 8), torch.zeros(0)),
     "at least one"),
    (lambda: gradients.gradient_terms(Residual(2, 2), torch.ones(2, 2, 3, 3),
                                    torch.ones(2, 2, 3, 3)), "which part is its branch"),
    (lambda: gradients.gradient_terms(BasicBlock(2, 2), torch.ones(2, 2, 3, 3),
                                    torch.ones(2, 2, 3, 1)), "shape of the block's output"),
    (lambda: gradients.projected_shares([torch.zeros(3)]), "add up to zero"),
    (lambda: gradients.line(torch.ones(1, 2, 2), torch.ones(1, 3, 3), 4), "one shape"),
    (lambda: gradients.line(torch.ones(1, 2, 2), torch.ones(1, 2, 2), 1), "at least 2, got 1"),
    (lambda: gradients.input_gradients(network()[0], network()[1], label=10), "between 0 and 9"),
    (lambda: gradients.correlation_by_distance(torch.zeros(3, 2)), "3 are zero"),
])
def test_bad_input_is_refused_in_words(call, words):
    with pytest.raises(ValueError, match=words):
        call()
