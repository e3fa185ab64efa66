"""The check of the machine says Ready, or what to do."""

from collections import namedtuple

from resnet_lesson.data import idx
from resnet_lesson.tools import machine


def test_a_machine_with_room_and_sound_data_is_ready(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage(9e9, 0, 9e9))
    monkeypatch.setattr(idx, "candidates", lambda root: ())
    report = machine.check()
    assert report.ready, report.problems
    assert repr(report).endswith("Ready.")
    assert set(machine.PACKAGES) <= {what for what, _ in report.rows}


def test_bfloat16_is_measured():
    speed, difference = machine.bfloat16(repeats=2)
    assert speed > 0 and 0 < difference < 0.05


def test_a_missing_package_is_named_with_a_remedy(monkeypatch):
    monkeypatch.setattr(machine, "PACKAGES", ("torch", "no-such-package-at-all"))
    report = machine.check()
    assert not report.ready and "no-such-package-at-all is missing" in repr(report)
    assert "make lab" in repr(report)


def test_a_full_disk_is_named(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    assert "make room" in repr(machine.check())


def test_damaged_data_is_named_and_not_raised(monkeypatch, tmp_path):
    for name in idx.CHECKSUMS:
        (tmp_path / name).write_bytes(b"not pictures")
    monkeypatch.setattr(idx, "candidates", lambda root: (tmp_path,))
    report = machine.check()
    assert not report.ready and "is not Fashion-MNIST's" in repr(report)


def test_without_the_full_set_mini_is_reported(monkeypatch):
    monkeypatch.setattr(idx, "candidates", lambda root: ())
    assert "mini Fashion-MNIST" in repr(machine.check())
