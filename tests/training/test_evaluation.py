"""Evaluation: what is counted is what torch says, and the network is left as it was."""

import pytest
import torch

from resnet_lesson import data
from resnet_lesson.networks import resnet
from resnet_lesson.training import evaluation


@pytest.fixture(scope="module")
def few():
    return data.load_fashion_mnist("mini", quiet=True).test.take(slice(200))


def network():
    torch.manual_seed(0)
    return resnet.small_resnet(8, widths=(4, 8, 8), stem="small/2")


def test_evaluate_uses_running_statistics_and_leaves_the_mode_alone(few):
    model = network().train()
    whole = evaluation.evaluate(model, few)
    assert model.training
    by_one = evaluation.evaluate(model, few, batch_size=1)
    assert by_one.accuracy == whole.accuracy  # batch statistics would differ with the batch
    assert by_one.loss == pytest.approx(whole.loss, rel=1e-4)


def test_predicting_leaves_every_modules_mode_even_after_an_error(few):
    model = network().train()
    model.bn1.eval()
    evaluation.predict(model, few)
    assert model.training and model.layer1.training and not model.bn1.training
    with pytest.raises(ValueError):
        evaluation.predict(model, data.Split(torch.zeros(2, 3, 8, 8).byte(), torch.zeros(2).long()))
    assert model.training and not model.bn1.training


def test_ten_crops_are_torchvisions():
    from torchvision.transforms.functional import pad, ten_crop
    X = torch.rand(3, 2, 5, 7)
    for margin in (1, 2):
        theirs = ten_crop(pad(X, margin), (5, 7))
        ours = evaluation.ten_crops(X, margin)
        assert len(ours) == 10
        for view in theirs:   # the order of the mirrored ones differs
            assert sum(torch.equal(view, other) for other in ours) == 1


@pytest.mark.parametrize(("count", "made"), [
    (2, lambda X: [X, torch.flip(X, [3])]), (10, evaluation.ten_crops)])
def test_several_views_average_probabilities(few, count, made):
    model = network().eval()
    with torch.no_grad():
        views = [model(view).softmax(1) for view in made(few.pixels(slice(None)))]
    assert len(views) == count
    logits = evaluation.predict(model, few, views=count, batch_size=64)
    torch.testing.assert_close(logits.exp(), sum(views) / count)
    assert not torch.allclose(logits.exp(), model(few.pixels(slice(None))).softmax(1))
    score = evaluation.evaluate(model, few, views=count)
    assert score.accuracy == (sum(views).argmax(1) == few.labels).float().mean().item()


@pytest.mark.parametrize("views", [0, 5, "10", None, [2]])
def test_other_numbers_of_views_are_refused(few, views):
    with pytest.raises(ValueError, match="views must be 1 .*, 2 .* or 10"):
        evaluation.predict(network(), few, views=views)


@pytest.mark.parametrize(("call", "words"), [
    (lambda few: evaluation.predict(network(), few, batch_size=0), "batch_size must be"),
    (lambda few: evaluation.predict(network(), few, batch_size=None), "batch_size must be"),
    (lambda few: evaluation.ten_crops(few.pixels(slice(2)), -1), "margin must be at least 0")])
def test_senseless_numbers_are_refused_in_words(few, call, words):
    with pytest.raises(ValueError, match=words):
        call(few)


def test_confusion_counts_every_picture_in_its_place():
    labels = torch.randint(4, (500,))
    logits = torch.randn(500, 4)
    counts = evaluation.confusion(logits, labels)
    assert counts.sum() == 500
    for true in range(4):
        for said in range(4):
            assert counts[true, said] == ((labels == true) & (logits.argmax(1) == said)).sum()
