"""The check of the machine says Ready, or what to do."""

from collections import namedtuple
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from resnet_lesson.data import idx
from resnet_lesson.tools import machine
from resnet_lesson.training import device
from resnet_lesson.training.evaluation import evaluate

Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def small_and_roomy(monkeypatch):
    """Let no test read the full set or depend on this machine's disk."""
    monkeypatch.setattr(idx, "candidates", lambda root: ())
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: Usage(9e9, 0, 9e9))


def test_a_machine_with_room_is_ready_and_the_mini_set_will_do():
    report = machine.check()
    assert report.ready, report.problems
    assert repr(report).endswith("Ready.") and "mini Fashion-MNIST" in repr(report)
    assert set(machine.PACKAGES) <= {what for what, _ in report.rows}


def test_a_missing_package_is_named_with_a_remedy(monkeypatch):
    monkeypatch.setattr(machine, "PACKAGES", ("torch", "no-such-package-at-all"))
    report = machine.check()
    assert not report.ready and "no-such-package-at-all is missing" in repr(report)
    assert "make lab" in repr(report)


def test_a_full_disk_is_named(monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: Usage(1, 1, 1000))
    assert "make room" in repr(machine.check())


def test_damaged_data_is_named_and_not_raised(monkeypatch, tmp_path):
    for name in idx.CHECKSUMS:
        (tmp_path / name).write_bytes(b"not pictures")
    monkeypatch.setattr(idx, "candidates", lambda root: (tmp_path,))
    report = machine.check()
    assert not report.ready and "is not Fashion-MNIST's" in repr(report)


@pytest.mark.parametrize(("home", "shown"), [
    ("/", "/srv/ann/data"), ("/srv/ann", "~/data"), ("/srv/an", "/srv/ann/data"),
    ("/srv/ann/data", "~"), ("", "/srv/ann/data"), (None, "/srv/ann/data"),
])
def test_paths_are_plain_whatever_home_is(monkeypatch, home, shown):
    monkeypatch.setattr(idx, "find_full", lambda: Path("/srv/ann/data"))
    monkeypatch.setattr(idx, "CHECKSUMS", {})
    if home is None:   # as for a user whom the system does not know
        monkeypatch.setattr(Path, "home", Mock(side_effect=RuntimeError("no home")))
    else:
        monkeypatch.setenv("HOME", home)
        monkeypatch.setenv("USERPROFILE", home)
    report = machine.check()
    assert dict(report.rows)["data"] == f"full Fashion-MNIST in {shown}" and report.ready


def broken(*arguments, **options):
    raise RuntimeError("Found no NVIDIA driver on your system.\nPlease check.")


@pytest.mark.parametrize(("kind", "seen"), [("cuda", "cuda.is_available"),
                                            ("mps", "backends.mps.is_available")])
def test_a_gpu_that_is_seen_and_does_not_work_is_named_and_the_cpu_is_used(
        monkeypatch, splits, kind, seen):
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    expected = evaluate(model, splits.test)
    monkeypatch.setattr(f"torch.{seen}", lambda: True)
    monkeypatch.setattr("torch.ones", broken)
    row = dict(machine.check().rows)["GPU"]
    assert row == (f"a GPU ({kind}) is seen but does not work (Found no NVIDIA driver on your "
                   "system.); the CPU is used")
    with pytest.warns(RuntimeWarning, match=f"{kind}.* does not work"):
        assert evaluate(model, splits.test) == expected


def test_a_gpu_that_works_is_taken_and_nothing_is_said(monkeypatch, recwarn):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr(device, "why_unusable", lambda name: "")
    assert device.pick_device() == torch.device("cuda") and not recwarn.list
    assert "used for training (cuda)" in repr(machine.check())


def test_a_device_is_tried_with_a_convolution_and_the_answer_is_waited_for(monkeypatch):
    assert device.why_unusable("cpu") == "" and "meta" in device.why_unusable("meta")
    monkeypatch.setattr("torch.nn.functional.conv2d", broken)
    assert device.why_unusable("cpu") == "Found no NVIDIA driver on your system."
