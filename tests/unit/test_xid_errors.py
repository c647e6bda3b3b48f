"""Xid errors are read from the kernel log; a log that could not be read, or not whole, is never one without errors."""

from __future__ import annotations

import pytest

from cluster.nvidia_smi import Device
from cluster.xid_errors import OF_PROGRAMS, parse, telling

LOADED = "NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.54.15\n"
OPEN = "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  550.54.15\n"
FALLEN = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.\n"
PROGRAM = "NVRM: Xid (PCI:0000:18:00): 31, pid=4242, name=python3, Ch 00000008, MMU Fault\n"
OLD = "NVRM: Xid (PCI:0000:86:00): 48, An uncorrectable double bit error (DBE) has been detected\n"
GPU = Device(index=3, uuid="GPU-three", pci="00000000:3B:00.0")


@pytest.mark.parametrize("first", [LOADED, OPEN])
def test_a_log_without_errors(first: str) -> None:
    found = parse(0, first)
    assert (found.xids, found.whole, found.failure) == ((), True, "")


def test_each_error_has_its_number_its_place_and_its_words() -> None:
    found = parse(0, LOADED + FALLEN + PROGRAM + OLD)
    assert [(one.number, one.pci) for one in found.xids] == [
        (79, "0000:3b:00"),
        (31, "0000:18:00"),
        (48, "0000:86:00"),
    ]
    assert found.xids[0].text == "GPU has fallen off the bus."


def test_lines_with_a_time_before_them_are_read_as_well() -> None:
    assert parse(0, f"Nov 24 10:41:07 gpu-1 kernel: {FALLEN}").xids[0].number == 79


def test_a_log_that_begins_too_late_is_not_whole() -> None:
    assert not parse(0, FALLEN).whole
    assert parse(1, "") == parse(1, "", " \n")
    assert not parse(1, "").whole
    assert parse(1, "").failure == ""


@pytest.mark.parametrize(
    ("code", "error"),
    [(1, "Compiled without pattern matching support\n"), (0, "Compiled without pattern matching support\n"), (127, "")],
)
def test_a_log_that_cannot_be_read_says_so(code: int, error: str) -> None:
    found = parse(code, "", error)
    assert found.failure
    assert not found.whole


def test_errors_of_programs_say_nothing_of_the_gpu() -> None:
    found = parse(0, LOADED + PROGRAM)
    assert telling(found.xids, OF_PROGRAMS) == []
    assert len(telling(found.xids, ())) == 1


def test_an_error_is_said_once_with_how_often_and_of_which_gpu() -> None:
    found = parse(0, LOADED + FALLEN * 3 + OLD)
    assert telling(found.xids, OF_PROGRAMS, [GPU]) == [
        "Xid 48 (An uncorrectable double bit error (DBE) has been detected) of the GPU at PCI 0000:86:00",
        "Xid 79 (GPU has fallen off the bus.), 3 times of GPU 3 (GPU-three, PCI 00000000:3B:00.0)",
    ]
