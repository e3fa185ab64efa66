import pytest
import torch
from torch import nn

from resnet_lesson.exercises import resnet18 as exercises
from resnet_lesson.networks.blocks import BasicBlock
from resnet_lesson.networks.parity import mismatches, randomise
from resnet_lesson.networks.resnet import ResNet

ALL = (exercises.stage, exercises.parameters, exercises.check)


@pytest.mark.parametrize("exercise", ALL)
@pytest.mark.parametrize("answer", [7, "text", lambda: 1, lambda *args: "text",
                                    lambda *args: 1 / 0])
def test_nonsense_never_raises(exercise, answer):
    verdict = exercise.check(answer)
    assert not verdict.right or answer == "text"


def test_make_stage_builds_the_stages_of_the_family():
    network = ResNet(BasicBlock, [2, 3], widths=(4, 8))
    assert mismatches(network.layer1, exercises.make_stage(4, 4, 2, 1)) == []
    stage = exercises.make_stage(4, 8, 3, 2)
    assert mismatches(network.layer2, stage) == []
    x = torch.randn(1, 4, 10, 10)
    assert stage(x).shape == network.layer2(x).shape


def stage_of(strides, widths=None, wrap=nn.Sequential):
    def make(in_channels, out_channels, blocks, stride):
        return wrap(*(BasicBlock(in_channels if i == 0 or widths else out_channels, out_channels,
                                 strides(i, blocks, stride)) for i in range(blocks)))
    return make


def first(i, blocks, stride):
    return stride if i == 0 else 1


def test_a_list_of_blocks():
    answer = stage_of(first, wrap=lambda *blocks: list(blocks))
    assert "nn.Sequential(*blocks)" in repr(exercises.stage.check(answer))


def test_the_stride_in_every_block():
    answer = stage_of(lambda i, blocks, stride: stride)
    assert "A stage shrinks its maps" in repr(exercises.stage.check(answer))


def test_the_stride_in_the_last_block():
    answer = stage_of(lambda i, blocks, stride: stride if i == blocks - 1 else 1)
    assert "in its first block" in repr(exercises.stage.check(answer)).replace("\n", " ")


def test_channels_that_do_not_follow():
    answer = stage_of(first, widths="wrong")
    assert "After the first block" in repr(exercises.stage.check(answer)).replace("\n", " ")


def test_one_block_too_many():
    def answer(in_channels, out_channels, blocks, stride):
        return exercises.make_stage(in_channels, out_channels, blocks + 1, stride)
    assert "Count the first one too" in repr(exercises.stage.check(answer)).replace("\n", " ")


def test_the_same_block_repeated():
    def answer(in_channels, out_channels, blocks, stride):
        again = BasicBlock(out_channels, out_channels)
        return nn.Sequential(BasicBlock(in_channels, out_channels, stride),
                             *[again] * (blocks - 1))
    words = repr(exercises.stage.check(answer)).replace("\n", " ")
    assert "same block object" in words


def test_plain_blocks():
    def answer(in_channels, out_channels, blocks, stride):
        return nn.Sequential(*(BasicBlock(in_channels if i == 0 else out_channels, out_channels,
                                          stride if i == 0 else 1, residual=False)
                               for i in range(blocks)))
    assert "downsample" in repr(exercises.stage.check(answer))


RIGHT = exercises.stage_parameters


@pytest.mark.parametrize(("answer", "diagnosis"), [
    (lambda i, o, n: RIGHT(i, o, n) - i * o - 2 * o, "projection on the first shortcut"),
    (lambda i, o, n: RIGHT(i, o, n) - 4 * n * o - 2 * o, "batch norms are missing"),
    (lambda i, o, n: RIGHT(i, o, n) - 2 * o, "norm behind the projection"),
    (lambda i, o, n: RIGHT(i, o, n) - 4 * n * o - 2 * o - i * o, "batch norms and projection"),
    (lambda i, o, n: RIGHT(i, o, n) + 4 * n * o + 2 * o, "those are buffers"),
    (lambda i, o, n: RIGHT(i, o, n) + 2 * n * o + o, "counted with a bias"),
    (lambda i, o, n: RIGHT(i, o, n) - 9 * i * o + 9 * o * o, "takes in_channels"),
    (lambda i, o, n: 17, "count 3·3·in·out"),
    (lambda i, o, n: RIGHT(o // 2, o, n), "Perhaps"),   # never looks at in_channels
])
def test_each_miscount_has_its_diagnosis(answer, diagnosis):
    verdict = exercises.parameters.check(answer)
    assert not verdict.right
    assert diagnosis in repr(verdict).replace("\n", " ")


def compare(ours, theirs, *, copy=True, shuffle=True, evaluate=True):
    if shuffle:
        randomise(theirs)
    if copy:
        ours.load_state_dict(theirs.state_dict())
    if evaluate:
        ours.eval()
        theirs.eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        return torch.allclose(ours(x), theirs(x), rtol=1e-4, atol=1e-4)


def only_shapes(ours, theirs):
    x = torch.randn(2, 3, 64, 64)
    return ours(x).shape == theirs(x).shape


def with_itself(ours, theirs):
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 3, 64, 64)
    return torch.allclose(theirs(x), theirs(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("answer", "diagnosis"), [
    (only_shapes, "ReLU after each addition is missing"),
    (with_itself, "ReLU after each addition is missing"),
    (lambda ours, theirs: True, "ReLU after each addition is missing"),
    (lambda ours, theirs: compare(ours, theirs, evaluate=False), "call eval() on both"),
    (lambda ours, theirs: compare(ours, theirs, shuffle=False), "fresh running mean is zero"),
    (lambda ours, theirs: compare(ours, theirs, copy=False), "Copy the weights first"),
    (lambda ours, theirs: False, "two equal networks differ"),
])
def test_each_weak_check_has_its_diagnosis(answer, diagnosis):
    verdict = exercises.check.check(answer)
    assert not verdict.right
    assert diagnosis in repr(verdict).replace("\n", " ")


def test_the_judge_leaves_the_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    exercises.check.check(exercises.same_network)
    assert torch.equal(torch.rand(1), expected)
