"""Nothing escapes a check: each way to misbehave ends in one sentence and changes nothing."""

import gc
import os
import random
import signal
import sys
import threading
import time
import warnings

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

from resnet_lesson.exercises import guard
from resnet_lesson.exercises.convolution_sizes import SIZE
from resnet_lesson.exercises.gradient_sum import TWO_TERMS
from resnet_lesson.exercises.looking_inside import CALIBRATION
from resnet_lesson.exercises.residual_idea import COEFFICIENTS
from resnet_lesson.exercises.start_here import SHARE_RIGHT
from resnet_lesson.exercises.with_and_without import STEPS_TO

EXERCISES = [SIZE, COEFFICIENTS, STEPS_TO]


def forever():
    while True:
        pass


def forever_and_catching():
    while True:
        try:
            while True:
                pass
        except BaseException:  # noqa: S110
            pass


def recurse():
    return recurse()


def grow():
    kept = []
    while True:
        kept.append(torch.ones(5_000_000))


def leave_by_hand():
    os._exit(1)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def ask():
    return input("what then? ")


MISBEHAVIOUR = {
    "loops": (forever, "ran for more than 0.3 seconds"),
    "loops and catches all": (forever_and_catching, "ran for more than 0.3 seconds"),
    "sleeps": (lambda: time.sleep(60), "ran for more than 0.3 seconds"),
    "exits": (sys.exit, "ends the program"),
    "exits by hand": (leave_by_hand, "ends the program"),
    "is interrupted": (interrupt, "interrupted"),
    "raises an interrupt": (lambda: exec("raise KeyboardInterrupt"), "interrupted"),
    "recurses": (recurse, "raised RecursionError"),
    "allocates at once": (lambda: torch.ones(10**12), "more than 0.2 GB of memory"),
    "allocates a list": (lambda: [0] * 10**10, "more than 0.2 GB of memory"),
    "allocates without end": (grow, "more than 0.2 GB of memory"),
    "asks": (ask, "raised EOFError"),
    "dtype": (lambda: torch.set_default_dtype(torch.float64), "torch's default dtype"),
    "grad mode": (lambda: torch.set_grad_enabled(False), "torch's grad mode"),
    "determinism": (lambda: torch.use_deterministic_algorithms(True), "deterministic algorithms"),
    "threads": (lambda: torch.set_num_threads(7), "number of threads"),
    "device": (lambda: torch.set_default_device("meta"), "torch's default device"),
    "anomalies": (lambda: torch.autograd.set_detect_anomaly(True), "anomaly detection"),
    "precision": (lambda: torch.set_float32_matmul_precision("medium"), "product precision"),
    "numpy's errors": (lambda: np.seterr(all="raise"), "numpy's handling of errors"),
    "recursion limit": (lambda: sys.setrecursionlimit(12_345), "recursion limit"),
    "folder": (lambda: os.chdir("/"), "the working folder"),
}


@pytest.fixture
def quick(monkeypatch, request):
    name = request.node.name
    endless = "loop" in name or "sleep" in name or "thread" in name
    monkeypatch.setattr(guard, "SECONDS", 0.3 if endless else 30)
    monkeypatch.setattr(guard, "MEMORY", 2 * 10**8)


def outside():
    """Return all that an answer could change for the rest of the notebook."""
    return ([read() for _, read, _ in guard.SETTINGS], random.getstate(),
            np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(),
            sys.stdout, sys.stdin, os._exit, threading.active_count())


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.key)
@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_misbehaviour_ends_in_one_sentence_and_changes_nothing(exercise, name, quick):
    misbehave, words = MISBEHAVIOUR[name]

    def answer(*arguments):
        misbehave()
        return exercise.solve(*arguments)

    before = outside()
    verdict = exercise.check(answer)
    assert outside() == before
    assert not verdict.right and words in verdict.words, verdict


def drawing():
    random.random()
    np.random.rand()
    torch.manual_seed(7)
    torch.rand(3)


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.key)
def test_random_generators_go_on_as_if_nothing_had_been_drawn(exercise):
    def answer(*arguments):
        drawing()
        return exercise.solve(*arguments)

    before = outside()
    assert exercise.check(answer).right
    assert outside() == before


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.key)
def test_ten_thousand_lines_are_cut_to_twenty(exercise, capsys):
    lines = iter(range(10_000))

    def answer(*arguments):
        for number in lines:   # in its first call
            print("line", number)
        return exercise.solve(*arguments)

    assert exercise.check(answer).right
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "line 0" and len(printed) == 21 and "lines more" in printed[-1]


def test_one_endless_line_is_cut_too(capsys):
    assert guard.guarded(lambda: print("x" * 10**7)).trouble == ""
    assert len(capsys.readouterr().out) < 10_000


@pytest.mark.parametrize(("exercise", "place"), [(SHARE_RIGHT, 0), (CALIBRATION, 0),
                                                 (TWO_TERMS, 2)],
                         ids=lambda value: getattr(value, "key", value))
def test_an_answer_that_writes_into_its_arguments_is_told_so(exercise, place):
    def answer(*arguments):
        found = exercise.solve(*[value.clone() if isinstance(value, torch.Tensor) else value
                                 for value in arguments])
        arguments[place].mul_(2)
        return found

    verdict = exercise.check(answer)
    assert not verdict.right and "changes what it is given" in verdict.words


def test_an_answer_may_not_empty_the_lists_that_it_is_given():
    def answer(steps, errors, target):
        found = STEPS_TO.solve(steps, errors, target)
        errors.clear()
        return found

    assert "changes what it is given" in STEPS_TO.check(answer).words


def test_a_right_answer_is_hardly_slowed():
    # no clock: the guard starts one thread, reads settings, and calls once
    calls = []
    outcome = guard.guarded(lambda: calls.append(threading.active_count()))
    assert outcome == guard.Outcome() and len(calls) == 1
    assert calls[0] <= threading.active_count() + 1


def test_without_signals_a_loop_ends_all_the_same(quick, monkeypatch):
    monkeypatch.setattr(guard, "_wake", lambda thread: pytest.fail("no need of a signal"))
    assert "ran for more than" in SIZE.check(lambda *_: forever()).words


def test_where_the_system_sets_no_limit_the_watch_sees_the_memory(quick, monkeypatch):
    monkeypatch.setattr(guard.sys, "platform", "win32")
    assert "0.2 GB of memory" in SIZE.check(lambda *_: grow()).words


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits addresses")
def test_linux_refuses_what_was_asked_for_and_not_touched(quick):
    outcome = guard.guarded(lambda: torch.empty(2 * 10**9))   # 8 GB, of which nothing is resident
    assert "0.2 GB of memory" in outcome.trouble


def test_a_check_runs_in_a_thread_other_than_the_main_one(quick):
    found = []
    thread = threading.Thread(target=lambda: found.append(SIZE.check(lambda *_: forever())))
    thread.start()
    thread.join(10)
    assert "ran for more than" in found[0].words


def test_in_a_kernel_an_answer_neither_ends_it_nor_hangs_it():
    cells = ["from resnet_lesson.exercises import guard\n"
             "from resnet_lesson.exercises.convolution_sizes import SIZE\n"
             "guard.SECONDS = 0.5",
             "SIZE.check(lambda *a: exit())",
             "def f(*a):\n    while True:\n        pass\nSIZE.check(f)",
             "import signal\nSIZE.check(lambda *a: signal.raise_signal(signal.SIGINT))",
             "SIZE.check(SIZE.solve)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120).execute()
    told = ["".join(output["data"]["text/plain"] for output in cell.outputs
                    if "data" in output).replace("\n", " ") for cell in notebook.cells]
    assert "ends the program" in told[1] and "ran for more than" in told[2]
    assert "interrupted" in told[3] and told[4].startswith("✓ Right.")


@pytest.mark.parametrize("change", [
    gc.disable, lambda: gc.set_threshold(1, 1, 1), lambda: sys.setswitchinterval(1),
    lambda: setattr(warnings, "showwarning", print), lambda: warnings.simplefilter("error")])
def test_what_is_put_back_without_a_word(change):
    def read():
        return (gc.isenabled(), gc.get_threshold(), sys.getswitchinterval(),
                warnings.showwarning, list(warnings.filters))

    before = read()
    guard.guarded(change)
    assert read() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows makes no copies of a process")
def test_a_copy_of_the_process_does_not_go_on():
    home, children = os.getpid(), []
    guard.guarded(lambda: children.append(os.fork()))
    if os.getpid() != home:   # it has escaped
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
