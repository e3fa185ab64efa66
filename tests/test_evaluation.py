"""Evaluation: what is counted is what torch says, and the network is left as it was."""

import pytest
import torch

from resnet_lesson import data, evaluation, models


@pytest.fixture(scope="module")
def few():
    return data.load_fashion_mnist("mini", quiet=True).test.take(slice(200))


def network():
    torch.manual_seed(0)
    return models.small_resnet(8, widths=(4, 8, 8), stem="small/2")


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


def test_confusion_counts_every_picture_in_its_place():
    labels = torch.randint(4, (500,))
    logits = torch.randn(500, 4)
    counts = evaluation.confusion(logits, labels)
    assert counts.sum() == 500
    for true in range(4):
        for said in range(4):
            assert counts[true, said] == ((labels == true) & (logits.argmax(1) == said)).sum()
