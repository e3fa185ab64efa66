import pytest
import torch
from torch import nn

from resnet_lesson.exercises import residual_idea as topic
from resnet_lesson.networks.blocks import BasicBlock


def eye(width):
    return torch.eye(width)


def edit(*names):
    """Return an answer to SILENCE that fills the named parameters with zeros."""
    def answer(block):
        for name, parameter in block.named_parameters():
            if name in names or not names:
                nn.init.zeros_(parameter)
    return answer


def no_shortcut(block):
    block.residual = False


def no_norm(block):
    block.bn2 = nn.Identity()


WRONG = {
    "COEFFICIENTS": [
        (lambda a, b, c: ..., "Not solved yet"),
        (lambda a, b, c: (a, b, c), "You returned f itself"),
        (lambda a, b, c: (a, b, c - 1), "You took the number 1 away"),
        (lambda a, b, c: (a, b + 1, c), "You added x"),
        (lambda a, b, c: (a - 1, b - 1, c - 1), "only one of the three"),
        (lambda a, b, c: (c, b - 1, a), "in reverse order"),
        (lambda a, b, c: (a - 1, b, c), "collect the terms"),
        (lambda a, b, c: b - 1, "Expected three numbers"),
        (lambda a, b, c: (a, b - 1), "Expected three numbers"),
        (lambda a, b, c: "abc", "Expected three numbers"),
    ],
    "IDENTITY": [
        (lambda width: None, "Not solved yet"),
        (lambda width: (torch.zeros(width, 2 * width), torch.zeros(2 * width, width)),
         "Every output is 0"),
        (lambda width: (torch.cat([eye(width), torch.zeros(width, width)], 1),
                        torch.cat([eye(width), torch.zeros(width, width)], 0)),
         "the others are lost in the ReLU"),
        (lambda width: (torch.cat([eye(width), -eye(width)], 1),
                        torch.cat([eye(width), eye(width)], 0)), "You get |x|"),
        (lambda width: (torch.cat([eye(width), -eye(width)], 1),
                        torch.cat([-eye(width), eye(width)], 0)), "You get −x"),
        (lambda width: (torch.cat([eye(width), -eye(width)], 1) / 2,
                        torch.cat([eye(width), -eye(width)], 0)), "x times 0.5"),
        (lambda width: (torch.randn(width, 2 * width), torch.randn(2 * width, width)),
         "Look at one number alone"),
        (lambda width: (eye(width), eye(width)), "the shapes must be"),
        (lambda width: eye(width), "Expected two tensors"),
    ],
    "SILENCE": [
        (lambda block: ..., "changes nothing"),
        (edit("bn2.weight"), "what is left is the shift"),
        (edit("bn2.bias"), "is every entry of it 0?"),
        (edit("conv2.weight"), "Which layer has the last word?"),
        (edit("bn1.weight", "bn1.bias"), "Which layer has the last word?"),
        (edit(), "lost what they had learned"),
        (no_shortcut, "how the block is built"),
        (no_norm, "how the block is built"),
        (lambda block: nn.ReLU(), "You returned another block"),
        (lambda block: block.bn3, "raised AttributeError"),
    ],
}
CASES = [(name, answer, words) for name, cases in WRONG.items() for answer, words in cases]


@pytest.mark.parametrize("name, answer, words", CASES)
def test_a_wrong_answer_gets_its_own_diagnosis(name, answer, words):
    verdict = getattr(topic, name).check(answer)
    assert not verdict
    assert words in verdict.words


@pytest.mark.parametrize("name", WRONG)
def test_at_least_three_diagnoses_and_two_hints(name):
    exercise = getattr(topic, name)
    assert len({exercise.check(answer).words for answer, _ in WRONG[name]}) >= 5
    assert len(exercise.hints) >= 2


def test_other_right_answers_pass():
    assert topic.COEFFICIENTS.check(lambda a, b, c: [a, b - 1, torch.tensor(c)])
    assert topic.IDENTITY.check(lambda width: tuple(
        3**sign * weight for sign, weight in zip((1, -1), topic.identity_weights(width),
                                                 strict=True)))

    def frozen(block):
        with torch.no_grad():
            block.bn2.weight.mul_(0)
            block.bn2.bias.mul_(0)
        return block
    assert topic.SILENCE.check(frozen)


@pytest.mark.parametrize("width", [1, 2, 5])
def test_identity_weights_pass_every_number_exactly(width):
    first, second = topic.identity_weights(width)
    x = torch.randn(50, width)
    assert torch.equal(torch.relu(x @ first) @ second, x)


@pytest.mark.parametrize("training", [True, False])
def test_a_silent_block_is_the_identity_for_inputs_that_are_not_negative(training):
    block = BasicBlock(3, 3).train(training)
    nn.init.normal_(block.bn2.bias)
    topic.silence(block)
    x = torch.randn(4, 3, 6, 6)
    assert torch.equal(block(x.relu()), x.relu())
    assert torch.equal(block(x), x.relu()) and not torch.equal(block(x), x)
    plain = BasicBlock(3, 3, residual=False).train(training)
    topic.silence(plain)
    assert not plain(x.relu()).any()
    pre = BasicBlock(3, 3, preactivation=True).train(training)
    topic.silence(pre)
    assert torch.equal(pre(x), x)
