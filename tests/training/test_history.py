"""History: it names what it lacks, and comes back from its file as it was."""

import pytest

from resnet_lesson.training.history import History


def test_an_unfinished_first_epoch_has_no_best(network):
    history = History({})
    with pytest.raises(ValueError, match="no epoch has finished"):
        history.best  # noqa: B018
    with pytest.raises(ValueError, match="no best weights"):
        history.load_best(network())


def test_the_first_of_equally_good_epochs_is_the_best():
    rows = [{"epoch": epoch, "validation_accuracy": accuracy}
            for epoch, accuracy in enumerate((0.5, 0.7, 0.6, 0.7), 1)]
    history = History({}, epochs=rows)
    assert history.best is rows[1] and history.column("epoch") == [1, 2, 3, 4]


def test_a_file_gives_back_what_was_saved(tmp_path):
    history = History({"lr": 0.1}, epochs=[{"epoch": 1, "validation_accuracy": 0.3}],
                      step_losses=[2.5, 1 / 3], interrupted=True)
    history.save(tmp_path / "history.json")
    assert History.load(tmp_path) == history
    with pytest.raises(FileNotFoundError, match="passed to fit as checkpoint"):
        History.load(tmp_path / "elsewhere")
