"""The study to the end of training: fair arms, whole runs alone, resumed and repeated alike."""

import csv
import re
from collections import Counter

import pytest
import torch

from resnet_lesson import data
from resnet_lesson.experiments import long, table
from resnet_lesson.networks import resnet
from resnet_lesson.training.arrangement import Arrangement
from resnet_lesson.training.evaluation import evaluate
from resnet_lesson.training.fit import fit

RUN = long.Run("grid", "plain", 8, 0.03, 0)


class Pool:
    """Stands for the pool of processes, in this one."""

    def __init__(self, *args, **options):
        self.map = map

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


@pytest.fixture
def tiny(mini, monkeypatch, tmp_path):
    """Train networks of 8 layers on 130 pictures, two epochs and seeds, into an empty folder."""
    part = data.Splits(*(split.take(slice(130)) for split in mini))
    monkeypatch.setattr(long, "splits", lambda source: part)
    monkeypatch.setattr(long, "MEASURED", slice(95))
    monkeypatch.setattr(long, "DEPTHS", (8,))
    monkeypatch.setattr(long, "ProcessPoolExecutor", Pool)
    monkeypatch.setitem(long.PARTS, "grid",
                        long.Part(epochs=2, seeds=range(2), rates=(0.03,)))
    monkeypatch.setitem(long.PARTS, "end", long.Part(epochs=2, rates=(), best=1))
    monkeypatch.setattr(table, "RESULTS", tmp_path / "results")
    table.RESULTS.mkdir()
    monkeypatch.chdir(tmp_path)
    return part


def alike(rows):
    """Return rows without what differs from one machine's minute to the next."""
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def stored():
    with (table.RESULTS / "long.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_arms_start_from_the_weights_that_they_share():
    for part, arms in (("grid", ("residual", "residual-A")), ("zero-start", ("residual",))):
        plain = long.build(long.Run(part, "plain", 20, 0.01, 3))
        for arm in arms:
            other = long.build(long.Run(part, arm, 20, 0.1, 3)).state_dict()
            assert all(torch.equal(value, other[key])
                       for key, value in plain.state_dict().items()), (part, arm)
        assert not torch.equal(plain.conv1.weight,
                               long.build(long.Run(part, "plain", 20, 0.01, 4)).conv1.weight)
    padded = long.build(long.Run("option-A", "residual-A", 20, 0.1, 3))
    assert all(block.residual for _, block in padded.blocks())
    plain = long.build(long.Run("grid", "plain", 20, 0.01, 3))
    assert ([value.shape for value in padded.parameters()]
            == [value.shape for value in plain.parameters()])


def test_a_zero_start_differs_in_the_last_convolutions_alone():
    he, zero = (long.build(long.Run("zero-start", arm, 8, 0.01, 0)).state_dict()
                for arm in ("residual", "residual-zero"))
    differ = {key for key in he if not torch.equal(he[key], zero[key])}
    assert differ == {f"layer{i}.0.conv2.weight" for i in (1, 2, 3)}
    assert not any(zero[key].any() for key in differ) and not any("running" in key for key in he)


def made_up(errors, **changes):
    """Return last rows of ``grid``: ``errors`` maps a rate to training and validation error."""
    return [{"part": "grid", "arm": arm, "depth": depth, "lr": lr, "seed": seed,
             "train_error": train, "validation_error": validation, "test_error": 0.5} | changes
            for arm in long.PAIR for depth in long.DEPTHS for seed in range(5)
            for lr, (train, validation) in errors.items()]


@pytest.mark.parametrize(("errors", "order"), [
    ({0.01: (0.2, 0.1), 0.03: (0.1, 0.3), 0.1: (0.3, 0.2), 0.003: (0.4, 0)}, [0.03, 0.01, 0.1]),
    ({0.01: (0.0, 0.3), 0.03: (0.0, 0.1), 0.1: (0.0, 0.2), 0.003: (0.2, 0)}, [0.03, 0.1, 0.01]),
    ({0.01: (0.3, 0.3), 0.03: (0.2, 0.1), 0.1: (0.1 + 0.1, 0.1), 0.003: (0.4, 0)},
     [0.03, 0.1, 0.01]),
])
def test_rates_are_ordered_by_training_then_validation_error_then_the_lower(errors, order):
    rows = made_up(errors) + made_up({lr: (0, 0) for lr in errors}, test_error="")
    rows += made_up({0.1: (0, 0)}, part="end")
    assert long.best_rates("plain", 20, rows) == [*order, 0.003]
    assert {run.lr for run in long.runs("end", rows)} == {order[0]}
    assert {run.lr for run in long.runs("full", rows)} == set(order[:2])


def test_the_parts_are_as_large_as_planned_and_seed_by_seed():
    rows = made_up({0.01: (0.2, 0.1), 0.03: (0.1, 0.3), 0.1: (0.3, 0.2), 0.003: (0.4, 0)})
    counts = {part: len(set(long.runs(part, rows))) for part in long.PARTS}
    assert counts == {"grid": 80, "end": 20, "full": 24, "option-A": 40, "zero-start": 120}
    seeds = [run.seed for run in long.runs("grid")]
    assert seeds == sorted(seeds)
    some = long.runs("full", rows, [2, 0])
    assert [run.seed for run in some] == [0] * 8 + [2] * 8
    assert [run.lr for run in some] == 2 * (4 * [0.03] + 4 * [0.01])   # the best rates first
    with pytest.raises(ValueError, match="residual, 56 layers, need all runs of grid"):
        long.best_rates("residual", 56, [row for row in rows if row["arm"] == "plain"])
    with pytest.raises(ValueError, match="need all runs of grid"):
        long.runs("end", rows[1:])


def test_a_run_is_what_fit_does_and_measures_what_it_says(tiny, tmp_path):
    rows = long.train(RUN._replace(seed=1), tmp_path / "run")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = resnet.plain_twin(resnet.small_resnet(8, stem="small/2"))
    measured, norms = [], []

    def watch(progress):
        if progress.step:
            norms.append([torch.cat([value.grad.flatten() for value in values]).norm().item()
                          for values in ([model.conv1.weight], model.parameters())])
        else:
            measured.append(evaluate(model, tiny.train.take(slice(95))))

    history = fit(model, tiny, epochs=2, batch_size=64, lr=0.03, seed=1, watch=watch,
                  arrangement=Arrangement(channels_last=True), progress=False)
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 3), (2, 6)]
    assert [row["running_loss"] for row in rows] == history.column("train_loss")
    for i, row in enumerate(rows):
        assert row["train_loss"] == pytest.approx(measured[i].loss, rel=1e-4)
        assert row["train_error"] == pytest.approx(1 - measured[i].accuracy)
        first, whole = torch.tensor(norms[3 * i:3 * i + 3]).mean(0).tolist()
        assert (row["conv1_gradient"], row["gradient"]) == pytest.approx((first, whole), rel=1e-5)
        for name, column in (("running_error", "train_accuracy"),
                             ("validation_error", "validation_accuracy")):
            assert row[name] == pytest.approx(1 - history.column(column)[i], abs=1e-6)
    assert rows[0]["test_error"] == ""
    assert rows[1]["test_error"] == pytest.approx(1 - evaluate(model, tiny.test).accuracy)


@pytest.mark.parametrize(("ending", "step", "next_step"), [
    ("stopped", 2, 3), ("killed", 2, 1), ("killed before the checkpoint", 3, 1)])
def test_a_run_that_was_cut_short_goes_on_as_if_nothing_had_been(tiny, tmp_path, monkeypatch,
                                                                 ending, step, next_step):
    whole, gauge, taken = long.train(RUN, tmp_path / "whole"), long.Gauge.__call__, []

    def cut(self, progress):
        gauge(self, progress)
        taken.append((progress.epoch, progress.step))
        if taken.count((1, step)) == 1 and taken[-1] == (1, step):
            if ending == "stopped":
                return True
            raise SystemExit
        return None

    monkeypatch.setattr(long.Gauge, "__call__", cut)
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        long.train(RUN, tmp_path / "run")
    if ending != "stopped":   # the process was gone before it could write any more
        gauged = long.Gauge(tmp_path / "run" / "measured.json", tiny.train)
        gauged.norms.clear()
        gauged.save()
    before = len(taken)
    assert alike(long.train(RUN, tmp_path / "run")) == alike(whole)
    assert taken[before] == (1, next_step)


def test_a_diverging_run_is_recorded_as_such_and_other_errors_are_not(tiny, tmp_path, monkeypatch):
    rows = long.train(RUN._replace(lr=1e30), tmp_path / "run")
    assert [(row["epoch"], row["diverged"]) for row in rows] == [(1, 1)]
    assert 0 < rows[0]["step"] < 3 and rows[0]["running_loss"] == ""
    assert all(0.5 < rows[0][f"{name}_error"] <= 1 for name in ("train", "validation", "test"))

    def full_disk(*args, **options):
        raise RuntimeError("cannot write the checkpoint")

    monkeypatch.setattr(long, "fit", full_disk)
    with pytest.raises(RuntimeError, match="cannot write"):
        long.train(RUN, tmp_path / "other")


def test_a_recording_goes_on_where_it_stopped_and_doubles_nothing(tiny, tmp_path, monkeypatch):
    train, trained = long.train, []

    def interrupted(run, folder):
        if len(trained) == 2:
            trained.append(None)
            raise KeyboardInterrupt
        trained.append(run)
        return train(run, folder)

    monkeypatch.setattr(long, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        long.main(["grid"])
    assert len(stored()) == 4
    long.main(["grid", "--seeds", "0"])
    assert len(stored()) == 4   # had been recorded
    for _ in range(2):
        long.main(["grid"])
    assert trained[:2] + trained[3:] == long.runs("grid")
    counts = Counter((row["arm"], row["seed"], row["epoch"]) for row in stored())
    assert len(counts) == 8 and set(counts.values()) == {1}
    assert list((tmp_path / "runs" / "long").iterdir()) == []


def test_the_best_rates_of_both_arms_are_found_in_the_record(tiny):
    long.main(["grid"])
    long.main(["end", "--seeds", "1"])
    found = {(row["arm"], row["seed"]) for row in stored() if row["part"] == "end"}
    assert found == {("plain", "1"), ("residual", "1")}


def test_a_row_can_be_had_again_by_one_command(tiny, capsys):
    long.study("grid", 1)
    before = stored()
    capsys.readouterr()
    long.main(["--only", "grid", "residual", "8", "0.03", "1"])
    head, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines] == [["1", "again"], ["1", "recorded"],
                                            ["2", "again"], ["2", "recorded"]]
    assert lines[0][2:] == lines[1][2:] and lines[2][2:] == lines[3][2:]
    wanted = [row for row in before if (row["arm"], row["seed"]) == ("residual", "1")][-1]
    assert lines[-1][2:] == [wanted[name] for name in head[1:]]
    assert stored() == before


@pytest.mark.parametrize(("arguments", "words"), [
    (["deep"], "no part 'deep'; there are grid"),
    (["--only", "deep", "plain", "20", "0.01", "0"], "part must be one of grid"),
    (["--only", "grid", "none", "20", "0.01", "0"], "arm must be one of plain"),
    (["--only", "grid", "plain", "21", "0.01", "0"], "6n [+] 2"),
    (["end"], "need all runs of grid"),
    (["grid", "--seeds", "7"], "invalid choice: 7"),
])
def test_what_cannot_be_trained_is_refused_in_words(tiny, capsys, arguments, words):
    with pytest.raises(SystemExit):
        long.main(arguments)
    assert re.search(words, capsys.readouterr().err)
