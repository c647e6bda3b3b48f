"""A machine whose GPUs are not as they were does not pass, whatever can be allocated; and it is said which one."""

from __future__ import annotations

from typing import Any

import pytest

from cluster import gpu_checks
from cluster.config import ChecksSettings
from cluster.gpu_checks import Check, GpuFacts
from cluster.nvidia_smi import Device, Listing
from cluster.record import Found
from cluster.xid_errors import KernelLog, Xid

ALL = tuple(Device(index=at, uuid=f"GPU-{at}", pci=f"00000000:{0x18 + at:02X}:00.0") for at in range(4))
FOUR = {"nvidia.com/gpu": 4}
FOUND = Found(gpus=FOUR, devices=ALL)
LOG = KernelLog()


def judged(
    listing: Listing | None,
    log: KernelLog | None = LOG,
    found: Found = FOUND,
    enough: dict[str, int] | None = None,
    **chosen: Any,
) -> list[Check]:
    settings = ChecksSettings(**chosen)
    return gpu_checks.judge(GpuFacts(listing, log), found, FOUR if enough is None else enough, settings)


def states(checks: list[Check]) -> dict[str, str]:
    return {one.name: one.state for one in checks}


def test_a_sound_machine_passes_each_check() -> None:
    assert states(judged(Listing(ALL))) == {"driver": "passed", "gpu_count": "passed", "xid": "passed"}


def test_a_machine_without_nvidia_smi_is_left_out_and_that_is_said() -> None:
    (only,) = judged(None, None, Found(gpus=FOUR))
    assert (only.name, only.state) == ("host", "skipped")
    assert "no nvidia-smi on the machine" in only.text


def test_where_it_must_be_looked_at_a_machine_without_nvidia_smi_does_not_pass() -> None:
    assert states(judged(None, None, Found(gpus=FOUR), host="always")) == {"host": "failed"}


def test_a_machine_that_had_nvidia_smi_before_does_not_pass_without_it() -> None:
    (only,) = judged(None, None)
    assert (only.name, only.state) == ("host", "failed")
    assert "any more" in only.text


def test_a_lost_gpu_is_named_by_uuid_and_place() -> None:
    left = tuple(one for one in ALL if one.index != 2)
    (lost,) = gpu_checks.failed(judged(Listing(left)))
    assert lost.name == "gpu_count"
    assert lost.text == "nvidia-smi lists 3 of 4 GPUs; missing: GPU 2 (GPU-2, PCI 00000000:1A:00.0)"


def test_a_gpu_that_cannot_be_read_is_named_in_the_words_of_nvidia_smi() -> None:
    said = "Unable to determine the device handle for GPU0000:1A:00.0: Unknown Error"
    found = Found(gpus=FOUR)
    (lost,) = gpu_checks.failed(judged(Listing(ALL[:2], unreadable=(said,)), found=found))
    assert said in lost.text


def test_where_nothing_was_recorded_those_that_are_there_are_named() -> None:
    (lost,) = gpu_checks.failed(judged(Listing(ALL[:3]), found=Found(gpus=FOUR)))
    assert "lists 3 of 4" in lost.text
    assert "2 (PCI 00000000:1A:00.0)" in lost.text


def test_a_gpu_more_is_no_fault() -> None:
    found = Found(gpus={"nvidia.com/gpu": 3}, devices=ALL[:3])
    checks = judged(Listing(ALL), found=found, enough={"nvidia.com/gpu": 3})
    assert states(checks)["gpu_count"] == "passed"
    assert "recorded were 3" in gpu_checks.said(checks)


def test_fewer_that_a_person_accepted_are_enough_and_still_fewer_are_not() -> None:
    assert states(judged(Listing(ALL[:3]), enough={"nvidia.com/gpu": 3}))["gpu_count"] == "passed"
    assert states(judged(Listing(ALL[:2]), enough={"nvidia.com/gpu": 3}))["gpu_count"] == "failed"


@pytest.mark.parametrize(
    "found",
    [
        Found(gpus={"nvidia.com/mig-1g.5gb": 14, "nvidia.com/gpu": 2}),
        Found(gpus={"nvidia.com/gpu": 28}, labels={"nvidia.com/mig.config": "all-1g.10gb"}),
        Found(gpus={"nvidia.com/gpu": 16}, labels={"nvidia.com/gpu.replicas": "4"}),
        Found(gpus={"nvidia.com/gpu": 16}, labels={"nvidia.com/gpu.sharing-strategy": "mps"}),
    ],
)
def test_sliced_or_shared_gpus_are_counted_only_by_what_the_machine_had(found: Found) -> None:
    assert states(judged(Listing(ALL), found=found, enough=found.gpus))["gpu_count"] == "skipped"
    known = found.model_copy(update={"devices": ALL})
    assert states(judged(Listing(ALL), found=known, enough=found.gpus))["gpu_count"] == "passed"
    assert states(judged(Listing(ALL[1:]), found=known, enough=found.gpus))["gpu_count"] == "failed"


def test_a_gpu_that_cannot_be_read_does_not_pass_where_the_count_is_not_known() -> None:
    sliced = Found(gpus={"nvidia.com/mig-1g.5gb": 14})
    for listing in (Listing(ALL, unreadable=("Unable to determine the device handle for GPU0000:5E:00.0",)), Listing()):
        (_, count, _) = judged(listing, found=sliced, enough=sliced.gpus)
        assert (count.name, count.state) == ("gpu_count", "failed")
        assert f"lists {len(listing.devices)} GPUs" in count.text
        assert " ".join(listing.unreadable) in count.text


def test_xid_errors_are_seen_where_the_driver_has_no_nvidia_smi_on_the_machine() -> None:
    known = Found(gpus=FOUR)
    bad = KernelLog((Xid(79, "0000:3b:00", "GPU has fallen off the bus."),))
    assert states(judged(None, bad, known)) == {"host": "skipped", "xid": "failed"}
    assert states(judged(None, LOG, known)) == {"host": "skipped", "xid": "passed"}
    for silent in (KernelLog(whole=False), KernelLog(whole=False, failure="sudo refuses")):
        assert states(judged(None, silent, known)) == {"host": "skipped"}


def test_two_versions_of_the_driver_are_said_and_no_gpu_is_counted() -> None:
    checks = judged(Listing(failure="Failed to initialize NVML", mismatch=True))
    assert states(checks) == {"driver": "failed", "xid": "passed"}
    assert "the driver's library and its kernel module differ" in gpu_checks.said(checks)


def test_gpus_that_cannot_be_counted_do_not_pass_for_want_of_the_driver_check() -> None:
    assert states(judged(Listing(failure="no driver"), driver=False))["gpu_count"] == "failed"


def test_an_xid_error_keeps_the_node_out_unless_its_number_is_ignored() -> None:
    log = KernelLog((Xid(79, "0000:1a:00", "GPU has fallen off the bus."),))
    (found,) = gpu_checks.failed(judged(Listing(ALL), log))
    assert found.name == "xid"
    assert "Xid 79 (GPU has fallen off the bus.) of GPU 2 (GPU-2, PCI 00000000:1A:00.0)" in found.text
    assert gpu_checks.failed(judged(Listing(ALL), log, xid_ignored=[79])) == []


@pytest.mark.parametrize("log", [KernelLog(whole=False), KernelLog(whole=False, failure="sudo: a password")])
def test_a_log_that_could_not_be_read_does_not_pass(log: KernelLog) -> None:
    assert states(judged(Listing(ALL), log))["xid"] == "failed"


def test_an_xid_error_of_a_gpu_that_is_not_listed_any_more_names_it_as_it_was() -> None:
    log = KernelLog((Xid(79, "0000:1b:00", "GPU has fallen off the bus."),))
    named = [one.text for one in gpu_checks.failed(judged(Listing(ALL[:3]), log)) if one.name == "xid"]
    assert [f"of {ALL[3]}" in one for one in named] == [True]


@pytest.mark.parametrize("name", ["driver", "gpu_count", "xid"])
def test_a_check_that_is_switched_off_is_not_made(name: str) -> None:
    off: dict[str, Any] = {name: False}
    assert name not in states(judged(Listing(ALL), **off))
