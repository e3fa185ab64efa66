"""The command of the benchmark prints what it measured, and refuses in one line."""

import json

import pytest

from resnet_lesson import data
from resnet_lesson.data import idx
from resnet_lesson.tools.bench import command, paired
from tests.tools.test_paired import failing, flat, steady


def figures(monkeypatch, **rounds):
    made = {name: paired.Figure(f"what {name} is", "d2l's loop", 1.5, 2.5, function)
            for name, function in rounds.items()}
    monkeypatch.setattr(command, "FIGURES", made)
    return [paired.Result(name, figure) for name, figure in made.items()]


def stopped(options, notes):
    yield 3.0, 1.0
    raise KeyboardInterrupt


def test_a_stop_prints_what_was_measured_so_far(monkeypatch, tmp_path, capsys):
    figures(monkeypatch, first=steady, second=stopped, third=steady)
    path = tmp_path / "found.json"
    assert command.main(["--rounds", "2", "--json", str(path)], progress=False, peak=flat) == 130
    printed = capsys.readouterr().out
    assert "Stopped" in printed and "3 times as fast" in printed
    assert "third: what third is was not measured. Stopped before it." in printed
    written = json.loads(path.read_text(encoding="utf-8"))
    assert [len(figure["rounds"]) for figure in written["figures"]] == [2, 1, 0]
    assert written["figures"][0]["median"] == 2 and written["machine"]["threads"] > 0


def test_a_stop_while_the_peak_is_measured_keeps_the_figures_before(monkeypatch, tmp_path, capsys):
    figures(monkeypatch, first=steady, second=steady)
    path, peaks = tmp_path / "found.json", []

    def peak():
        peaks.append(flat())
        if len(peaks) == 3:
            raise KeyboardInterrupt
        return peaks[-1]

    assert command.main(["--rounds", "2", "--json", str(path)], progress=False, peak=peak) == 130
    assert "second: what second is was not measured. Stopped" in capsys.readouterr().out
    written = json.loads(path.read_text(encoding="utf-8"))
    assert [len(figure["rounds"]) for figure in written["figures"]] == [2, 0]


def test_a_stop_while_the_pictures_are_read_is_no_traceback(monkeypatch, capsys):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "load_fashion_mnist", stop)
    assert command.main([]) == 130 and "Stopped before" in capsys.readouterr().out


def test_names_choose_figures_each_once(monkeypatch, capsys):
    figures(monkeypatch, first=steady, second=failing, third=steady)
    assert command.main(["third", "first", "third", "--rounds", "1"], progress=False,
                      peak=flat) == 0
    sentences = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()
                 if "Steady." in line]
    assert sentences == ["third", "first"]


@pytest.mark.parametrize(("arguments", "words"), [
    (["nothing"], "no figure 'nothing'; there are step, loader-28"),
    (["--rounds", "0"], "whole number, at least 1, got '0'"),
    (["--rounds", "many"], "whole number, at least 1, got 'many'"),
    (["--batch-size", "1"], "whole number, at least 2"),
    (["--source", "other"], "invalid choice: 'other'"),
    (["--json", "no/such/folder/file.json"], "cannot be written"),
    (["--json", "."], "cannot be written"),
    (["--faster"], "unrecognized arguments: --faster"),
])
def test_bad_arguments_are_refused_in_one_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as refused:
        command.main(arguments)
    captured = capsys.readouterr()
    assert refused.value.code == 2 and captured.out == ""
    assert words in captured.err and captured.err.count("\n") == 1


def test_a_missing_full_set_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(idx, "find_full", lambda root=None: None)
    with pytest.raises(SystemExit):
        command.main(["--source", "full"])
    assert capsys.readouterr().err.count("\n") == 1
