"""What nvidia-smi prints is read as what it is: a GPU that it cannot read is no GPU, a failure is never a count."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cluster import nvidia_smi
from cluster.masking import Masker
from cluster.nvidia_smi import Device, lost, parse, place

TWO = """\
0, GPU-5e2c6f3a-0c1d-4b7e-9d51-2f0b3f2a1c00, 00000000:18:00.0, NVIDIA A100-SXM4-80GB
1, GPU-5e2c6f3a-0c1d-4b7e-9d51-2f0b3f2a1c01, 00000000:3B:00.0, NVIDIA A100-SXM4-80GB
"""
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.90\n"


def devices(*uuids: str, first: int = 0x18) -> list[Device]:
    return [Device(index=at, uuid=one, pci=f"00000000:{first + at:02X}:00.0") for at, one in enumerate(uuids)]


def test_each_line_is_a_gpu() -> None:
    found = parse(0, TWO)
    assert [(one.index, one.uuid[-2:], one.pci) for one in found.devices] == [
        (0, "00", "00000000:18:00.0"),
        (1, "01", "00000000:3B:00.0"),
    ]
    assert (found.failure, found.unreadable, found.mismatch) == ("", (), False)
    assert str(found.devices[1]).endswith("1c01, PCI 00000000:3B:00.0)")


def test_a_warning_beside_the_gpus_is_no_failure() -> None:
    found = parse(0, f"{TWO}WARNING: infoROM is corrupted at gpu 0000:3B:00.0\n")
    assert (len(found.devices), found.failure, found.unreadable) == (2, "", ())


def test_a_corrupted_inforom_is_a_remark_below_a_whole_listing() -> None:
    said = "WARNING: infoROM is corrupted at gpu 0000:3B:00.0"
    found = parse(14, f"0, GPU-1, 00000000:3B:00.0, NVIDIA A100\n{said}\n")
    assert (len(found.devices), found.failure, found.remark) == (1, "", said)
    assert parse(14, said).failure == said


@pytest.mark.parametrize("where", ["stdout", "stderr"])
def test_another_version_of_the_library_is_recognised(where: str) -> None:
    streams = {"stdout": "", "stderr": "", where: MISMATCH}
    found = parse(18, streams["stdout"], streams["stderr"])
    assert found.mismatch
    assert found.failure == " ".join(MISMATCH.split())


def test_a_secret_is_masked_before_a_text_is_cut_and_never_decides() -> None:
    masker = Masker()
    masker.register("hunter2-very-secret")
    masker.register("mismatch")
    long = "x" * 290 + " hunter2-very-secret"
    assert "hunter2" not in parse(1, "", f"{long}\n", masker.mask).failure
    assert parse(18, MISMATCH, "", masker.mask).mismatch
    assert "mismatch" not in parse(18, MISMATCH, "", masker.mask).failure


def test_a_failure_is_passed_on_in_its_own_words() -> None:
    said = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."
    found = parse(9, f"{said}\n")
    assert (found.failure, found.mismatch, found.devices) == (said, False, ())
    assert "exited with 137" in parse(137, "").failure


def test_a_program_that_says_nothing_of_use_is_a_failure() -> None:
    assert parse(0, "").failure
    assert parse(0, "hello\n").failure == "hello"


def test_no_device_at_all_is_a_count_of_none() -> None:
    found = parse(6, "No devices were found\n")
    assert (found.devices, found.failure) == ((), "")


@pytest.mark.parametrize(
    "line",
    [
        "Unable to determine the device handle for GPU1: 0000:3B:00.0: Unknown Error",
        "1, [GPU is lost], 00000000:3B:00.0, [GPU is lost]",
        "1, [Unknown Error], 00000000:3B:00.0, [Unknown Error]",
    ],
)
def test_a_gpu_that_cannot_be_read_is_not_counted_and_is_named(line: str) -> None:
    found = parse(255, f"{TWO.splitlines()[0]}\n{line}\n")
    assert [one.index for one in found.devices] == [0]
    assert found.unreadable == (line,)
    assert found.failure == ""


def test_the_lost_one_is_named_although_the_others_were_numbered_anew() -> None:
    before = devices("GPU-a", "GPU-b", "GPU-c")
    now = [before[0], before[2].model_copy(update={"index": 1})]
    assert [one.uuid for one in lost(before, now)] == ["GPU-b"]


def test_one_in_the_same_place_is_a_replacement() -> None:
    before = devices("GPU-a", "GPU-b")
    assert lost(before, [before[0], before[1].model_copy(update={"uuid": "GPU-new"})]) == []


def test_one_that_moved_is_not_lost() -> None:
    assert lost(devices("GPU-a", "GPU-b"), devices("GPU-b", "GPU-a", first=0x80)) == []


@pytest.mark.parametrize("written", ["00000000:3B:00.0", "0000:3b:00", "0000:3b:00.0", "3B:00.0", " 0000:3B:00 "])
def test_a_place_is_one_however_it_is_written(written: str) -> None:
    assert place(written) == "0000:3b:00"


def test_the_domain_tells_two_places_apart() -> None:
    assert place("00000001:3B:00.0") == "0001:3b:00"
    assert place("N/A") == ""


@settings(max_examples=50)
@given(st.integers(0, 255), st.text(max_size=60), st.text(max_size=60))
def test_whatever_it_prints_is_read(code: int, out: str, error: str) -> None:
    found = nvidia_smi.parse(code, out, error)
    assert found.devices or found.failure or found.unreadable or "No devices were found" in out + error
