"""Lesions: what the evaluator says is what a network says from which the block was taken out."""

import copy
import itertools
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


@pytest.fixture(scope="module", params=[True, False], ids=["residual", "plain"])
def pair(request, split):
    model = network(residual=request.param)
    return model, lesions.Evaluator(model, split, chunk=50)


class Shortcut(nn.Module):
    """What is left of a projecting block: only these modules exist in it."""

    def __init__(self, downsample):
        super().__init__()
        self.downsample = downsample

    def forward(self, x):
        return torch.clamp(self.downsample(x), min=0)


def surgery(model, off=(), swap=()):
    """Return a network whose stages are rebuilt from the blocks that remain, module by module."""
    model = copy.deepcopy(model)
    named = dict(model.blocks())
    order = [{**dict([swap, swap[::-1]])}.get(name, name) if swap else name for name in named]
    for stage in model.stages:
        here = [i for i, name in enumerate(named) if name.startswith(stage)]
        kept = []
        for i in here:
            name = order[i]
            if name not in off:
                kept.append(named[name])
            elif named[name].downsample is not None:
                kept.append(Shortcut(named[name].downsample))
        setattr(model, stage, nn.Sequential(*kept))
    return model.eval()


def compare(found, direct, labels):
    """Return what differs between two sets of logits: numbers, or answers that are no tie."""
    if not torch.allclose(found, direct, rtol=1e-3, atol=1e-4):
        return "logits"
    best = direct.topk(2).values
    clear = best[:, 0] - best[:, 1] > 1e-3
    right = [(logits.argmax(1) == labels)[clear].sum() for logits in (found, direct)]
    return "accuracy" if right[0] != right[1] else None


@torch.no_grad()
def test_every_single_lesion_is_a_network_without_that_block(pair, split):
    model, evaluator = pair
    X = split.pixels(slice(None))
    for name, block in model.blocks():
        if lesions.obstacle(model, name):
            assert model.stages[0] not in name and not block.residual
            continue
        cut = surgery(model, [name])
        parts = len(list(cut.modules()))
        assert parts < len(list(model.modules())), "a module is really gone"
        assert compare(evaluator.logits([name]), cut(X), split.labels) is None, name
        best = cut(X).topk(2).values
        if (best[:, 0] - best[:, 1]).min() > 1e-3:  # no ties, so the accuracies are equal
            assert evaluator.right([name]) == (cut(X).argmax(1) == split.labels).sum()
    assert compare(evaluator.logits(), model(X), split.labels) is None


@torch.no_grad()
def test_several_lesions_and_swaps_are_networks_too(pair, split):
    model, evaluator = pair
    X, chance = split.pixels(slice(None)), random.Random(0)
    possible = [name for name in evaluator.names if not lesions.obstacle(model, name)]
    for swap in [(), *lesions.swappable(model)]:
        off = chance.sample(possible, chance.randint(0, 4))
        cut = surgery(model, off, swap)
        assert compare(evaluator.logits(off, swap), cut(X), split.labels) is None, (off, swap)


@torch.no_grad()
def test_a_wrong_lesion_would_be_caught(split):
    model = network()
    split = split.take(slice(40))
    X, evaluator = split.pixels(slice(None)), lesions.Evaluator(network(), split)
    for name, _ in model.blocks():
        found = evaluator.logits([name])
        other = evaluator.names[evaluator.names.index(name) - 1]
        assert compare(found, surgery(model, [other])(X), split.labels)
        assert compare(found, model(X), split.labels)
    no_relu = surgery(model, ["layer2.0"])
    no_relu.layer2[0] = dict(model.blocks())["layer2.0"].downsample
    assert compare(evaluator.logits(["layer2.0"]), no_relu(X), split.labels)


@pytest.mark.parametrize("options", [{"preactivation": True}, {"norm": False}])
@torch.no_grad()
def test_other_kinds_of_blocks(options, split):
    model = network(depth=14, **options)
    evaluator, X = lesions.Evaluator(model, split), split.pixels(slice(None))
    assert torch.allclose(evaluator.logits(), model(X), rtol=1e-3, atol=1e-3)
    for name, block in model.blocks():
        left = block.downsample or nn.Identity()
        if block.downsample is not None and not block.preactivation:
            left = Shortcut(left)
        cut = copy.deepcopy(model)
        stage, place = name.split(".")
        getattr(cut, stage)[int(place)] = left
        assert torch.allclose(evaluator.logits([name]), cut(X), rtol=1e-3, atol=1e-3), name


@torch.no_grad()
def test_bottlenecks_of_the_family(split):
    torch.manual_seed(0)
    model = parity.randomise(resnet.ResNet(blocks.Bottleneck, [2, 2], widths=(4, 8))).eval()
    evaluator, X = lesions.Evaluator(model, split), split.pixels(slice(None))
    for name in ("layer1.0", "layer1.1", "layer2.1"):
        cut = surgery(model, [name])
        assert compare(evaluator.logits([name]), cut(X), split.labels) is None


def test_what_is_remembered_changes_nothing(split):
    model = network(residual=False, seed=3)
    roomy, tight = (lesions.Evaluator(model, split, memory=m) for m in (10 ** 9, 1))
    names = lesions.removable(model)
    for off in [(), *itertools.combinations(names, 2), *itertools.combinations(names[::-1], 3)]:
        assert torch.equal(roomy.logits(off), tight.logits(off)), off


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
    evaluator.logits(["layer3.2"])
    assert ran == []


def test_memory_is_kept_to_and_the_stem_is_forgotten_last(split):
    evaluator, stems = lesions.Evaluator(network(), split, memory=4_000_000, chunk=1000), []
    evaluator.model.conv1.register_forward_hook(lambda *_: stems.append(1))
    for off in itertools.combinations(evaluator.names, 2):
        evaluator.logits(off)
        assert 0 < evaluator.used <= 4_000_000
    assert len(stems) == 1, "its maps are needed by every route"


def test_the_evaluator_leaves_the_network_alone(split):
    model = network().train()
    before = copy.deepcopy(model.state_dict())
    evaluator = lesions.Evaluator(model, split)
    logits = evaluator.logits(["layer1.0"])
    logits.add_(1).requires_grad_()  # an ordinary tensor, and the reader's own
    assert not torch.equal(logits, evaluator.logits(["layer1.0"]))
    assert model.training and all(torch.equal(before[key], value)
                                  for key, value in model.state_dict().items())
    assert evaluator.model.training, "its own copy keeps its mode as well"
    assert model.conv1.weight.is_contiguous()


def test_accuracy_is_a_share_of_the_split(split):
    evaluator = lesions.Evaluator(network(), split)
    assert evaluator.accuracy(["layer1.1"]) == evaluator.right(["layer1.1"]) / 120
    other = lesions.Evaluator(network(), split.take([3]))
    assert other.right() in (0, 1)


def test_routes_in_words():
    residual, plain = network(), network(residual=False)
    whole = [name for name, _ in residual.blocks()]
    assert [step.name for step in lesions.route(residual)] == whole
    route = lesions.route(residual, ["layer1.1", "layer2.0"], ("layer3.1", "layer3.2"))
    assert [step.name for step in route] == [
        "layer1.0", "layer1.2", "layer2.0", "layer2.1", "layer2.2", "layer3.0", "layer3.2",
        "layer3.1"]
    assert [step.name for step in route if not step.whole] == ["layer2.0"]
    assert lesions.removable(residual, plain) == lesions.removable(plain) == [
        name for name in whole if name not in ("layer2.0", "layer3.0")]
    assert len(lesions.swappable(plain)) == 5


@pytest.mark.parametrize(("residual", "off", "swap", "words"), [
    (False, ["layer2.0"], (), "turns 4 channels into 6 and has stride 2"),
    (True, ["layer9.0"], (), "there is no block 'layer9.0'; the blocks are layer1.0"),
    (True, "layer1.0", (), r'write \["layer1.0"\]'),
    (True, [], ("layer1.0", "layer2.1"), "only blocks of one shape"),
    (True, [], ("layer2.0", "layer2.1"), "takes 4 channels and gives 6 with stride 2"),
    (True, [], ("layer1.0", "layer1.0"), "two different blocks"),
    (True, [], ("layer1.0",), "two different blocks, got 'layer1.0'"),
    (True, [], ("layer1.0", "x"), "no block 'x'"),
])
def test_impossible_lesions_are_refused_in_words(residual, off, swap, words):
    with pytest.raises(ValueError, match=words):
        lesions.route(network(residual=residual), off, swap)


def test_bad_input_is_refused_in_words(split):
    with pytest.raises(ValueError, match="Linear has no blocks"):
        lesions.Evaluator(nn.Linear(2, 2), split)
    with pytest.raises(ValueError, match="empty"):
        lesions.Evaluator(network(), split.take([]))
    with pytest.raises(ValueError, match="draws must be a whole number above 0, got 0"):
        lesions.deletions("ab", 0)


def test_deletions_are_all_or_different_draws():
    sets = lesions.deletions("abcdefg", draws=10, seed=4)
    assert {count: len(some) for count, some in sets.items()} == {
        0: 1, 1: 7, 2: 10, 3: 10, 4: 10, 5: 10, 6: 7, 7: 1}
    for count, some in sets.items():
        assert len(set(some)) == len(some) and all(len(one) == count for one in some)
    assert sets == lesions.deletions("abcdefg", draws=10, seed=4)
    assert sets != lesions.deletions("abcdefg", draws=10, seed=5)
    everything = lesions.deletions("abc", draws=100)
    assert sum(map(len, everything.values())) == 8
