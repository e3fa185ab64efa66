"""The book's package runs here, on our pictures, and the shim is still needed."""

import pytest
import torch
from IPython import display

from resnet_lesson.networks import resnet
from resnet_lesson.training import book


@pytest.fixture
def part(mini):
    return mini._replace(train=mini.train.take(slice(80)), test=mini.test.take(slice(40)))


def test_the_shim_is_still_needed():
    assert not hasattr(display, "set_matplotlib_formats"), (
        "IPython has set_matplotlib_formats again: drop the shim in book.load")


def test_the_books_loader_gives_our_pictures(part):
    with book.loaders(part, batch_size=16, size=None, workers=0) as (train_iter, test_iter):
        X = torch.cat([X for X, _ in test_iter])
        y = torch.cat([y for _, y in test_iter])
        assert len(train_iter) == 5
    assert torch.equal(X, part.test.pixels(slice(None)))
    assert torch.equal(y, part.test.labels)


def test_the_books_loop_runs_with_its_live_plot(part, monkeypatch, capsys):
    d2l = book.load()
    shown = []
    monkeypatch.setattr(d2l.display, "display", shown.append)
    torch.manual_seed(0)
    net = resnet.small_resnet(8, widths=(2, 2, 2))
    with book.loaders(part, batch_size=16, size=28, workers=0) as (train_iter, test_iter):
        d2l.train_ch6(net, train_iter, test_iter, 2, 0.05, torch.device("cpu"))
    printed = capsys.readouterr().out
    assert "test acc" in printed and "examples/sec" in printed
    assert len(shown) == 2 * (5 + 1)  # one picture for each fifth of an epoch, one for the test
    assert len(shown[-1].axes[0].lines) == 3


def test_the_books_accuracy_is_the_share_of_right_answers_in_evaluation_mode(part):
    d2l = book.load()
    net = resnet.small_resnet(8, widths=(2, 2, 2))
    assert d2l.evaluate_accuracy_gpu(net, [(part.test.pixels(slice(None)), part.test.labels)]) == (
        (net.eval()(part.test.pixels(slice(None))).argmax(1) == part.test.labels).float().mean())


def test_too_few_steps_for_the_books_loop_are_refused_in_words(part):
    refused = pytest.raises(ValueError, match="at least 5 steps an epoch; 80 .* 32 make 3")
    with refused, book.loaders(part, batch_size=32):
        pass


def test_the_loader_leaves_no_files_and_restores_the_worker_count(part, tmp_path, monkeypatch):
    monkeypatch.setattr(book.tempfile, "tempdir", str(tmp_path))
    d2l = book.load()
    before = d2l.get_dataloader_workers
    with book.loaders(part, batch_size=16, workers=0) as (train_iter, _):
        assert list(tmp_path.iterdir()) and train_iter.num_workers == 0
    assert not list(tmp_path.iterdir()) and d2l.get_dataloader_workers is before
