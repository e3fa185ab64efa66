"""The sweep: fair pairs, a table that loses and doubles nothing, rows that can be had again."""

import csv
import statistics

import pytest
import torch

from resnet_lesson import data
from resnet_lesson.experiments import sweep, table
from resnet_lesson.experiments.studies import DEPTHS, STUDIES, Run, best_rate, final_rows, runs
from resnet_lesson.networks import resnet

KEY = Run("depth", "plain", 8, 0.03, 0)


@pytest.fixture
def tiny(monkeypatch):
    """Train on little, so that a run takes a moment."""
    mini = data.load_fashion_mnist("mini", quiet=True)
    part = data.Splits(*(split.take(slice(130)) for split in mini))
    sweep.splits.cache_clear()
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
    from resnet_lesson import training
    from resnet_lesson.training.arrangement import Arrangement

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


def test_a_table_loses_and_doubles_nothing(tmp_path):
    table = tmp_path / "table.csv"
    first = [KEY._asdict() | {"epoch": epoch, "train_error": ""} for epoch in (1, 2)]
    first[-1]["train_error"] = 0.25
    second = [KEY._replace(seed=1)._asdict() | {"epoch": 0, "train_error": 1 / 3}]
    for rows in (first, second, first):
        sweep.record(rows, table)
    with table.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert sorted((row["seed"], row["epoch"]) for row in found) == [
        ("0", "1"), ("0", "2"), ("1", "0")]
    assert sweep.recorded(table) == {KEY, KEY._replace(seed=1)}
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]


def test_an_interrupted_sweep_goes_on_where_it_stopped(tmp_path, monkeypatch):
    trained = []

    class Pool:
        def __init__(self, *args, **options):
            pass

        def submit(self, function, run):
            return Done(run)

        def shutdown(self, **options):
            pass

    class Done:
        def __init__(self, run):
            self.run = run

        def result(self):
            if len(trained) == 5:
                trained.append(None)
                raise KeyboardInterrupt
            trained.append(self.run)
            return [self.run._asdict() | {"epoch": 1, "train_error": 0.5}]

    monkeypatch.setattr(sweep, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(sweep, "as_completed", lambda pending: pending)
    table = tmp_path / "table.csv"
    with pytest.raises(KeyboardInterrupt):
        sweep.sweep(["digits"], 1, table)
    assert len(sweep.recorded(table)) == 5
    sweep.sweep(["digits"], 1, table)
    done = [run for run in trained if run is not None]
    assert sorted(done) == sorted(runs("digits")) and len(done) == len(set(done))


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


@pytest.mark.parametrize(("change", "words"), [({"study": "deep"}, "study must be one of depth"),
                                               ({"arm": "none"}, "arm must be one of plain"),
                                               ({"depth": 9}, "6n [+] 2")])
def test_unknown_runs_are_refused_in_words(change, words):
    with pytest.raises(ValueError, match=words):
        sweep.build(KEY._replace(**change))


@pytest.mark.parametrize("run", [Run("depth", "plain", 8, 0.03, 0),
                                 Run("depth", "residual", 8, 0.03, 1),
                                 Run("depth", "plain", 18, 0.01, 2)])
def test_a_recorded_row_can_be_had_again(run):
    """The drift between machines must stay within the spread between seeds."""
    sweep.splits.cache_clear()
    known = [row for row in final_rows(run.study)
             if (row["arm"], row["depth"], row["lr"]) == run[1:4]]
    assert len(known) >= 3, "a spread needs several seeds"
    recorded, = (row for row in known if row["seed"] == run.seed)
    again = sweep.train(run)[-1]
    for name in ("train_error", "test_error"):
        spread = statistics.stdev(row[name] for row in known)
        assert again[name] == pytest.approx(recorded[name], abs=3 * spread + 0.01)


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


@pytest.mark.parametrize("arguments", [["deep"], ["--only", "depth", "plain", "nine", "0.1", "0"],
                                       ["--only", "depth", "plain", "9", "0.1", "0"]])
def test_the_command_refuses_nonsense_in_one_line(arguments, capsys):
    with pytest.raises(SystemExit):
        sweep.main(arguments)
    assert "error:" in capsys.readouterr().err.splitlines()[-1]
