"""What notebook 07 takes along, and the settings in which it turns."""

import pytest
import torch

from resnet_lesson.exercises.train_fashion_mnist import accuracy, train_step
from resnet_lesson.experiments import table
from resnet_lesson.figures import train_fashion_mnist as pictures
from resnet_lesson.findings.intervals import wilson
from resnet_lesson.networks.resnet import small_resnet


def wald(right, n):
    share = right / n
    error = 1.96 * (share * (1 - share) / n) ** 0.5
    return share - error, share, share + error


@pytest.mark.parametrize(("truth", "n", "low", "high"), [(0.9, 1000, 0.94, 0.96),
                                                         (0.98, 100, 0.85, 0.88)])
def test_walds_interval_holds_the_truth_as_often_as_it_says_until_mistakes_are_few(
        truth, n, low, high):
    assert low < pictures.coverage(wald, truth, n) < high
    assert 0.94 < pictures.coverage(wilson, truth, n) < 0.96
    assert wald(n, n)[0] == 1 > wilson(n, n).low


def test_wilsons_interval_is_that_of_the_truths_within_1_96_of_their_own_errors():
    p = torch.linspace(0, 1, 10_001)
    for right in (0, 50, 98, 100):
        kept = p[(right / 100 - p).abs() <= 1.96 * (p * (1 - p) / 100).sqrt()]
        assert [kept.min(), kept.max()] == pytest.approx(wilson(right, 100)[::2], abs=2e-4)


def flattery(truths, n, alike=0.0):
    """Return by how much the best looks too good; ``alike`` is the share of answers in common."""
    torch.manual_seed(0)
    common = torch.rand(100, n, 1).expand(-1, -1, len(truths))
    answers = torch.where(torch.rand(common.shape) < alike, common, torch.rand(common.shape))
    seen = (answers < truths).float().mean(1)
    best = seen.argmax(1)
    return (seen[range(100), best] - truths[best]).mean().item()


def test_the_best_epoch_flatters_less_on_more_pictures_and_where_epochs_err_alike():
    recorded = torch.tensor([row["validation_accuracy"] for row in table.read("recipes")
                             if row["recipe"] == "book"])
    assert 0.03 < flattery(recorded, 100) < 0.05   # hundredths
    assert 0.001 < flattery(recorded, 10_000) < flattery(torch.full((10,), 0.92), 10_000) < 0.006
    assert flattery(recorded, 1000, alike=0.95) < flattery(recorded, 1000) - 0.002


def test_momentum_goes_on_and_grows_to_ten_gradients_while_plain_steps_stand_still():
    gradients = [1.0] * 100 + [0.0]
    plain, heavy = (pictures.one_weight(gradients, lr=0.1, momentum=m) for m in (0.0, 0.9))
    assert plain[-1] == plain[-2] and heavy[-1] < heavy[-2]
    assert heavy[99] - heavy[100] == pytest.approx(10 * (plain[99] - plain[100]), rel=1e-3)
    assert pictures.one_weight([0.0], lr=0.1, weight_decay=0.5) == pytest.approx([1, 0.95])


def test_after_ten_steps_old_statistics_are_the_fault_and_measured_again_they_are_none(mini):
    torch.manual_seed(0)
    few, asked = mini.train.take(slice(320)), mini.test.take(slice(500))
    network = small_resnet(20, stem="small/2")
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    for _ in range(2):
        for X, y in few.batches(64):
            train_step(network, optimizer, X, y)
    with torch.no_grad():
        own = network.train()(asked.pixels(slice(None))).argmax(1)
    stale = accuracy(network, asked)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    network.train()(few.pixels(slice(None)))
    again = accuracy(network, asked)
    assert again > stale + 0.15
    assert again == pytest.approx((own == asked.labels).float().mean().item(), abs=0.05)
