"""Evaluation: what is counted is what torch says, and the network is left as it was."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torchvision.transforms.functional import pad, ten_crop

from resnet_lesson import data, training
from resnet_lesson.training import evaluation


@pytest.fixture
def few(splits):
    return splits.test


def test_evaluate_uses_running_statistics_and_leaves_the_mode_alone(few, network):
    model = network().train()
    whole = evaluation.evaluate(model, few)
    assert model.training
    by_one = evaluation.evaluate(model, few, batch_size=1)
    assert by_one.accuracy == whole.accuracy  # batch statistics would differ with the batch
    assert by_one.loss == pytest.approx(whole.loss, rel=1e-4)


def test_predicting_leaves_every_modules_mode_even_after_an_error(few, network):
    model = network().train()
    model.bn1.eval()
    evaluation.predict(model, few)
    assert model.training and model.layer1.training and not model.bn1.training
    with pytest.raises(ValueError):
        evaluation.predict(model, data.Split(torch.zeros(2, 3, 8, 8).byte(), torch.zeros(2).long()))
    assert model.training and not model.bn1.training


def test_ten_crops_move_by_a_pixel_and_mirror():
    X = torch.rand(3, 2, 5, 7, generator=torch.Generator().manual_seed(0))
    ours = evaluation.ten_crops(X)
    for view, theirs in zip(ours, ten_crop(pad(X, 1), (5, 7)), strict=True):
        assert torch.equal(view, theirs)
    assert torch.equal(ours[4], X) and torch.equal(ours[9], X.flip(-1))
    assert torch.equal(ours[0][..., 1:, 1:], X[..., :-1, :-1]) and not ours[0][..., 0, :].any()


@pytest.mark.parametrize(("count", "made"), [
    (2, lambda X: [X, torch.flip(X, [3])]), (10, evaluation.ten_crops)])
def test_several_views_average_probabilities(few, network, count, made):
    model = network().eval()
    with torch.no_grad():
        views = [model(view).softmax(1) for view in made(few.pixels(slice(None)))]
    assert len(views) == count
    logits = evaluation.predict(model, few, views=count, batch_size=64)
    torch.testing.assert_close(logits.exp(), sum(views) / count)
    assert not torch.allclose(logits.exp(), model(few.pixels(slice(None))).softmax(1))
    score = evaluation.evaluate(model, few, views=count)
    assert score.accuracy == (sum(views).argmax(1) == few.labels).float().mean().item()


@pytest.mark.parametrize(("call", "words"), [
    *((lambda model, few, views=views: evaluation.predict(model, few, views=views),
       "views must be 1 .*, 2 .* or 10") for views in (0, "10", [2])),
    (lambda model, few: evaluation.predict(model, few, batch_size=0), "batch_size must be"),
    (lambda model, few: evaluation.predict(model, few.take([])), "the test split is empty")])
def test_what_makes_no_sense_is_refused_in_words(few, network, call, words):
    with pytest.raises(ValueError, match=words):
        call(network(), few)


def test_confusion_counts_every_picture_in_its_place():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (500,), generator=generator)
    logits = torch.randn(500, 4, generator=generator)
    expected = torch.zeros(4, 4).index_put_((labels, logits.argmax(1)), torch.tensor(1.0),
                                            accumulate=True)
    assert torch.equal(evaluation.confusion(logits, labels), expected.long())


class Returns(nn.Module):
    """A network that returns what a function makes of its logits."""

    def __init__(self, change):
        super().__init__()
        self.body, self.change = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), change

    def forward(self, x):
        return self.change(self.body(x))


@pytest.mark.parametrize(("change", "words"), [
    (lambda x: (x, x), "returns tuple; .*logits, floats of shape \\(N, 10\\)"),
    (lambda x: {"logits": x}, "returns dict"), (lambda x: None, "returns NoneType"),
    (lambda x: x.argmax(1), "returns torch.int64"), (lambda x: x.mean(), r"returns \(\) for"),
    (lambda x: x[:, :, None, None], r", 10, 1, 1\) for"), (lambda x: x[:7], r"\(7, 10\) for"),
    (lambda x: x[:, :3], r"num_classes=10; or, .* in Split: classes=tuple\(map\(str, range\(3\)"),
])
def test_what_is_no_logits_is_refused_in_words(splits, change, words):
    for call in (lambda net: training.evaluate(net, splits.test),
                 lambda net: training.fit(net, splits, epochs=1, batch_size=100)):
        with pytest.raises(ValueError, match=words):
            call(Returns(change))


def test_three_classes_of_ones_own_are_named_as_the_words_say(splits):
    few = splits._replace(**{name: data.Split(getattr(splits, name).images,
                                              getattr(splits, name).labels % 3)
                             for name in ("train", "validation")})
    three = Returns(lambda x: x[:, :3])
    with pytest.raises(ValueError) as error:
        training.fit(three, few, epochs=1)
    remedy = str(error.value).split("classes=")[-1]
    named = [replace(split, classes=eval(remedy)) for split in few[:2]]
    with pytest.raises(ValueError, match="train split has 3 classes and the validation split 10"):
        training.fit(three, few._replace(train=named[0]), epochs=1)
    training.fit(three, few._replace(train=named[0], validation=named[1]), epochs=1)
    logits = three.eval()(few.validation.pixels(slice(None)))
    assert training.evaluate(three, named[1]).loss == pytest.approx(
        nn.functional.cross_entropy(logits, few.validation.labels).item(), rel=1e-5)
