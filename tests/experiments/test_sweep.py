"""The sweep: fair pairs, rows that can be had again, interruptions that cost nothing."""

import re
import statistics
from types import SimpleNamespace

import pytest
import torch

from resnet_lesson import data, training
from resnet_lesson.experiments import sweep, table
from resnet_lesson.experiments.studies import DEPTHS, STUDIES, Run, best_rate, final_rows, runs
from resnet_lesson.networks import resnet
from resnet_lesson.training.arrangement import Arrangement

KEY = Run("depth", "plain", 8, 0.03, 0)


@pytest.fixture
def tiny(monkeypatch, mini):
    """Train on little, so that a run takes a moment."""
    part = data.Splits(*(split.take(slice(130)) for split in mini))
    monkeypatch.setattr(sweep, "splits", lambda source: part)
    return part


def test_both_arms_start_from_equal_weights():
    for study, depth in (("depth", 20), ("no-norm", 8), ("depth", 18), ("digits", 18)):
        residual = sweep.build(Run(study, "residual", depth, 0.01, 3))
        plain = sweep.build(Run(study, "plain", depth, 0.1, 3))
        other = sweep.build(Run(study, "plain", depth, 0.1, 4))
        shared = residual.state_dict()
        assert all(torch.equal(value, shared[key]) for key, value in plain.state_dict().items())
        assert not torch.equal(plain.conv1.weight, other.conv1.weight)
        assert {block.residual for _, block in plain.blocks()} == {False}
        assert any(isinstance(m, torch.nn.BatchNorm2d) for m in plain.modules()) == (
            study != "no-norm")


def test_depth_counts_the_layers_that_it_says():
    for depth in DEPTHS:
        plain = sweep.build(Run("depth", "plain", depth, 0.01, 0))
        layers = [m for m in plain.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
        assert len(layers) == depth


def test_every_study_pairs_arms_rates_and_seeds():
    for name, study in STUDIES.items():
        if name == "full":
            continue
        listed = runs(name)
        assert len(listed) == len(set(listed)) == 2 * len(study.seeds) * sum(
            len({*study.rates, *study.wider.get(depth, ())}) for depth in study.depths)
        plain = {run[2:] for run in listed if run.arm == "plain"}
        assert plain == {run[2:] for run in listed if run.arm == "residual"}
    assert {0.005, 0.01} <= set(STUDIES["digits"].rates)  # the published pair


def test_a_run_is_what_fit_does_and_writes_its_rows(tiny):
    rows = sweep.train(KEY, epochs=2)
    model = resnet.plain_twin(sweep.build(KEY._replace(arm="residual")))
    history = training.fit(model, tiny, epochs=2, batch_size=64, lr=0.03, seed=0,
                           arrangement=Arrangement(channels_last=True), progress=False)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert [row["train_loss"] for row in rows] == pytest.approx(history.column("train_loss"))
    error = 1 - training.evaluate(model, tiny.test).accuracy
    assert rows[-1]["test_error"] == pytest.approx(error)
    assert "test_error" not in rows[0] and set(rows[-1]) == set(sweep.COLUMNS)
    assert rows[0]["gradient_norm"] > 0 and rows[-1]["first_gradient_norm"] > 0


def test_a_diverging_run_is_recorded_as_such(tiny):
    rows = sweep.train(KEY._replace(lr=1e30))
    assert len(rows) == 1 and rows[0]["diverged"] == 1 and rows[0]["epoch"] == 0
    assert 0.5 < rows[0]["train_error"] <= 1


def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path, monkeypatch):
    trained, stops = [], [5]

    def result(run):
        if len(trained) in stops:
            stops.clear()
            raise KeyboardInterrupt
        trained.append(run)
        return [run._asdict() | {"epoch": 1, "train_error": 0.5}]

    pool = SimpleNamespace(
        submit=lambda function, run: SimpleNamespace(result=lambda: result(run)),
        shutdown=lambda **options: None)
    monkeypatch.setattr(sweep, "ProcessPoolExecutor", lambda *args, **options: pool)
    monkeypatch.setattr(sweep, "as_completed", lambda pending: pending)
    path = tmp_path / "table.csv"
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(["digits"], 1, path)
    assert len(table.recorded(path, Run._fields)) == 5
    sweep.sweep(["digits"], 1, path)
    assert trained == runs("digits") and table.recorded(path, Run._fields) == set(trained)


def test_the_best_rate_is_that_of_the_lowest_mean_training_error():
    rows = [{"study": "depth", "arm": "plain", "depth": 8, "lr": lr, "seed": seed,
             "train_error": error}
            for lr, errors in ((0.01, (0.1, 0.5)), (0.03, (0.2, 0.3)), (0.1, (0.4, 0.4)))
            for seed, error in enumerate(errors)]
    rows.append(rows[0] | {"arm": "residual", "train_error": 0.0})
    assert best_rate("depth", "plain", 8, rows) == 0.03
    assert best_rate("depth", "residual", 8, rows) == 0.01
    with pytest.raises(ValueError, match="no recorded run.*depth 20.*sweep depth makes them"):
        best_rate("depth", "plain", 20, rows)


def test_a_recorded_row_can_be_had_again(monkeypatch, mini, capsys):
    """The drift between machines must stay within the spread between seeds."""
    monkeypatch.setattr(sweep, "splits", lambda source: mini)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)   # other tests go on
    sweep.main(["--only", *map(str, KEY)])
    found = dict(re.findall(r"(\w+) +again +([\d.]+ +recorded +[\d.]+)\n", capsys.readouterr().out))
    known = [row for row in final_rows(KEY.study)
             if (row["arm"], row["depth"], row["lr"]) == KEY[1:4]]
    assert len(known) >= 3, "a spread needs several seeds"
    for name in ("train_error", "test_error"):
        now, before = map(float, found[name].split("recorded"))
        spread = statistics.stdev(row[name] for row in known)
        assert now == pytest.approx(before, abs=3 * spread + 0.01)
        assert before in [row[name] for row in known if row["seed"] == KEY.seed]


def test_a_run_without_a_record_or_without_a_number_is_printed_too(monkeypatch, capsys):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    monkeypatch.setattr(sweep, "train", lambda run: [{"train_error": 0.9, "gradient_norm": ""}])
    sweep.again(KEY._replace(seed=99))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("0.9   recorded not recorded") and "no number" in lines[3]


def test_what_is_recorded_of_a_study_is_whole():
    everything = table.read("sweep")
    studies = {row["study"] for row in everything}
    assert {"depth", "digits"} <= studies
    for name in studies:
        finished = final_rows(name, everything)
        keys = [Run(*(row[field] for field in Run._fields)) for row in finished]
        assert len(keys) == len(set(keys)), "a run stands twice in the table"
        count = len({run.seed for run in keys})
        assert count >= 3, name
        assert set(keys) == {run for run in runs(name) if run.seed < count}, name
        epochs = STUDIES[name].epochs
        assert all(row["diverged"] == 1 or row["epoch"] == row["epochs"] == epochs
                   for row in finished)
        assert all(row["torch"] and row["processor"] and row["commit"] for row in finished)


@pytest.mark.parametrize(("arguments", "names"), [([], list(STUDIES)), (["full"], ["full"])])
def test_the_command_trains_all_studies_or_the_named_ones(monkeypatch, arguments, names):
    called = []
    monkeypatch.setattr(sweep, "sweep", lambda studies, workers: called.append(studies))
    monkeypatch.setattr(sweep.data, "load_fashion_mnist", lambda source: None)
    sweep.main(arguments)
    assert called == [names]


@pytest.mark.parametrize(("arguments", "words"), [
    ("deep", "no study 'deep'; there are depth"),
    ("--only deep plain 8 0.1 0", "study must be one of depth"),
    ("--only depth none 8 0.1 0", "arm must be one of plain"),
    ("--only depth plain 9 0.1 0", "6n + 2"), ("--only depth plain nine 0.1 0", "'nine'")])
def test_the_command_refuses_nonsense_in_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit):
        sweep.main(arguments.split())
    last = capsys.readouterr().err.splitlines()[-1]
    assert "error: " in last and words in last
