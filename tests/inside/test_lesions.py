"""Lesions: what the evaluator says is what a network says from which the block was taken out."""

import copy
import random

import pytest
import torch
from torch import nn

from resnet_lesson.inside import lesions
from resnet_lesson.networks import blocks, parity, resnet

WIDTHS = (4, 6, 8)


def network(*, residual=True, depth=20, seed=0, **options):
    torch.manual_seed(seed)
    options = {"widths": WIDTHS, "stem": "small/2", "residual": residual} | options
    return parity.randomise(resnet.small_resnet(depth, **options)).eval()


@pytest.fixture(scope="module")
def split(mini):
    return mini.test.take(slice(120))


@pytest.fixture(scope="module")
def sample(mini):
    return mini.train.pixels(slice(200))


@pytest.fixture(scope="module", params=[True, False], ids=["residual", "plain"])
def pair(request, split, sample):
    """Return a network and its evaluators: as stored, and measured again."""
    model = network(residual=request.param)
    return model, (lesions.Evaluator(model, split, chunk=50),
                   lesions.Evaluator(model, split, sample, chunk=50))


class Shortcut(nn.Module):
    """What is left of a projecting block: only these modules exist in it."""

    def __init__(self, downsample):
        super().__init__()
        self.downsample = downsample

    def forward(self, x):
        return torch.clamp(self.downsample(x), min=0)


def surgery(model, off=()):
    """Return a network whose stages are rebuilt from the blocks that remain, module by module."""
    model = copy.deepcopy(model)
    named = dict(model.blocks())
    for stage in model.stages:
        kept = [(name, block) for name, block in named.items() if name.startswith(stage)
                and (name not in off or block.downsample is not None)]
        setattr(model, stage, nn.Sequential(*(
            Shortcut(block.downsample) if name in off else block for name, block in kept)))
    return model.eval()


@torch.no_grad()
def measured_again(model, X):
    """Return a copy with the statistics of X: reset, then the plain mean over one batch."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    model.train()(X)
    return model.eval()


def differ(found, direct):
    return not torch.allclose(found, direct, rtol=1e-3, atol=1e-3)


@torch.no_grad()
def test_every_single_lesion_is_a_network_without_that_block(pair, split, sample):
    model, (stored, again) = pair
    X = split.pixels(slice(None))
    for off in [[], *([name] for name, _ in model.blocks())]:
        if off and lesions.obstacle(model, off[0]):
            assert model.stages[0] not in off[0] and not model.layer1[0].residual
            continue
        cut = surgery(model, off)
        assert not off or len(list(cut.modules())) < len(list(model.modules())), "really gone"
        assert not differ(stored.logits(off), cut(X)), off
        direct = measured_again(cut, sample)(X)
        assert not differ(again.logits(off), direct), off
        assert differ(stored.logits(off), direct), "what was measured makes a difference"
        assert stored.right(off) == (stored.logits(off).argmax(1) == split.labels).sum()


@torch.no_grad()
def test_several_lesions_in_any_order_are_networks_too(pair, split, sample):
    model, evaluators = pair
    X, chance, possible = split.pixels(slice(None)), random.Random(0), lesions.removable(model)
    for _ in range(6):
        off = chance.sample(possible, chance.randint(0, 5))
        cut = surgery(model, off)
        for evaluator, direct in zip(evaluators, (cut, measured_again(cut, sample)), strict=True):
            assert not differ(evaluator.logits(off), direct(X)), off


@torch.no_grad()
def test_a_wrong_lesion_or_wrong_statistics_would_be_caught(split, sample):
    model = network()
    X = split.pixels(slice(None))
    stored, again = lesions.Evaluator(model, split), lesions.Evaluator(model, split, sample)
    intact = measured_again(model, sample)
    for name in ("layer1.0", "layer2.0", "layer3.1"):
        other = again.model.blocks()[[n for n, _ in model.blocks()].index(name) - 1][0]
        assert differ(stored.logits([name]), surgery(model, [other])(X)), "another block"
        wrong = {"the intact network's": surgery(intact, [name]),
                 "other pictures'": measured_again(surgery(model, [name]), sample[:60]),
                 "before the cut, of test": measured_again(surgery(model, [name]), X)}
        moved = measured_again(surgery(model, [name]), sample)
        moved.fc.weight *= 1.1
        for words, broken in (*wrong.items(), ("a weight changed", moved)):
            assert differ(again.logits([name]), broken(X)), (name, words)


@pytest.mark.parametrize("options", [{"preactivation": True}, {"norm": False}])
@torch.no_grad()
def test_other_kinds_of_blocks(options, split, sample):
    model, X = network(depth=14, **options), split.pixels(slice(None))
    for name, block in model.blocks():
        left = block.downsample or nn.Identity()
        if block.downsample is not None and not block.preactivation:
            left = Shortcut(left)
        cut = copy.deepcopy(model)
        stage, place = name.split(".")
        getattr(cut, stage)[int(place)] = left
        for pictures, direct in ((None, cut), (sample, measured_again(cut, sample))):
            found = lesions.Evaluator(model, split, pictures).logits([name])
            assert not differ(found, direct(X)), name


@torch.no_grad()
def test_bottlenecks_of_the_family(split):
    torch.manual_seed(0)
    model = parity.randomise(resnet.ResNet(blocks.Bottleneck, [2, 2], widths=(4, 8))).eval()
    evaluator, X = lesions.Evaluator(model, split), split.pixels(slice(None))
    for name in ("layer1.0", "layer1.1", "layer2.1"):
        assert not differ(evaluator.logits([name]), surgery(model, [name])(X))


def test_only_blocks_behind_the_first_change_run_again(split):
    evaluator = lesions.Evaluator(network(), split, chunk=1000)
    evaluator.logits()
    ran = []
    for name, block in evaluator.model.blocks():
        block.register_forward_hook(lambda *_, name=name: ran.append(name))
    evaluator.logits(["layer2.1"])
    assert ran == ["layer2.2", "layer3.0", "layer3.1", "layer3.2"]
    ran.clear()
    evaluator.logits(["layer2.1"])
    assert ran == []


def test_the_evaluator_leaves_the_network_alone(split, sample):
    model = network().train()
    before = copy.deepcopy(model.state_dict())
    for pictures in (None, sample):
        logits = lesions.Evaluator(model, split, pictures).logits(["layer1.0"])
        logits.add_(1).requires_grad_()  # an ordinary tensor, and the reader's own
        assert model.training and all(torch.equal(before[key], value)
                                      for key, value in model.state_dict().items())
    assert model.conv1.weight.is_contiguous()


def test_no_weight_changes_where_statistics_are_measured(split, sample):
    evaluator = lesions.Evaluator(network(), split, sample)
    before = copy.deepcopy(dict(evaluator.model.named_parameters()))
    evaluator.logits(["layer1.1"])
    assert all(torch.equal(before[key], value)
               for key, value in evaluator.model.named_parameters())


def test_routes_in_words():
    residual, plain = network(), network(residual=False)
    whole = [name for name, _ in residual.blocks()]
    assert [step.name for step in lesions.route(residual)] == whole
    route = lesions.route(residual, ["layer1.1", "layer2.0"])
    assert [step.name for step in route] == [name for name in whole if name != "layer1.1"]
    assert [step.name for step in route if not step.whole] == ["layer2.0"]
    assert lesions.removable(residual) == whole
    assert lesions.removable(plain) == [
        name for name in whole if name not in ("layer2.0", "layer3.0")]


@pytest.mark.parametrize(("residual", "off", "words"), [
    (False, ["layer2.0"], "turns 4 channels into 6 and has stride 2"),
    (True, ["layer9.0"], "there is no block 'layer9.0'; the blocks are layer1.0"),
    (True, "layer1.0", r'write \["layer1.0"\]'),
])
def test_impossible_lesions_are_refused_in_words(residual, off, words):
    with pytest.raises(ValueError, match=words):
        lesions.route(network(residual=residual), off)


def test_bad_input_is_refused_in_words(split):
    with pytest.raises(ValueError, match="Linear has no blocks"):
        lesions.Evaluator(nn.Linear(2, 2), split)
    with pytest.raises(ValueError, match="empty"):
        lesions.Evaluator(network(), split.take([]))
