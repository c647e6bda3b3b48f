"""The lab's hosts tell of their GPUs what the product reads: each fault is seen as the one that it is."""

from __future__ import annotations

import ast
import json
import shlex

from cluster import gpu_checks, nvidia_smi, xid_errors
from cluster.config import ChecksSettings
from cluster.gpu_checks import Check, GpuFacts
from cluster.record import Found
from lab import gpus
from lab.simulated.commands import answer
from lab.simulated.host import FAULTS, Host

MACHINE = "5e2c6f3a0c1d4b7e9d512f0b3f2a1c00"


def host(*faults: str) -> Host:
    assert set(faults) <= set(FAULTS)
    return Host("gpu-1", "gpu", "127.1.0.1", 22, 8, "", "", machine_id=MACHINE, faults=list(faults))


def facts(of: Host) -> GpuFacts:
    smi = answer(of, shlex.join(("nvidia-smi", *nvidia_smi.QUERY)))
    log = answer(of, shlex.join(("env", "LC_ALL=C", "sudo", "-n", "--", *xid_errors.JOURNAL)))
    listing = None if smi.status == 127 else nvidia_smi.parse(smi.status, smi.output, smi.error)
    return GpuFacts(listing, xid_errors.parse(log.status, log.output, log.error))


def failing(*faults: str, before: Host | None = None) -> list[Check]:
    listing = facts(before or host()).listing
    eight = {"nvidia.com/gpu": 8}
    found = Found(gpus=eight, devices=listing.devices if listing is not None else ())
    return gpu_checks.failed(gpu_checks.judge(facts(host(*faults)), found, eight, ChecksSettings()))


def test_a_host_without_a_fault_passes() -> None:
    assert failing() == []


def test_each_fault_fails_its_own_check_alone() -> None:
    of = {fault: [one.name for one in failing(fault)] for fault in ("gpu-lost-on-host", "xid", "driver-mismatch")}
    assert of == {"gpu-lost-on-host": ["gpu_count"], "xid": ["xid"], "driver-mismatch": ["driver"]}
    assert "GPU-5e2c6f3a-0003, PCI 00000000:1B:00.0" in failing("gpu-lost-on-host")[0].text
    assert "of GPU 3 (GPU-5e2c6f3a-0003" in failing("xid")[0].text


def test_a_host_without_nvidia_smi() -> None:
    assert facts(host("no-nvidia-smi")).listing is None
    assert failing("no-nvidia-smi", before=host("no-nvidia-smi")) == []
    assert [one.name for one in failing("no-nvidia-smi")] == ["host"], "it was there before"


def test_hosts_that_are_not_simulated_have_faults_of_the_same_names_and_meaning() -> None:
    assert set(gpus.FAULTS) - {"gpu-fails"} <= set(FAULTS)
    truth = gpus.truth("lab", "gpu-1", ["gpu-lost", "xid"])
    assert [one["healthy"] for one in truth["devices"]] == [one["listed"] for one in truth["devices"]] == [1, 1, 1, 0]
    log = xid_errors.parse(0, "\n".join(truth["kernel_log"]))
    assert log.whole
    assert [(one.number, one.pci) for one in log.xids] == [(79, nvidia_smi.place(truth["devices"][3]["pci"]))]
    uuids = {one["uuid"] for node in ("gpu-1", "gpu-2") for one in gpus.truth("lab", node, ())["devices"]}
    assert len(uuids) == 8


def test_truth_about_gpus_is_read_by_a_python_that_has_no_json() -> None:
    for faults in ((), tuple(gpus.FAULTS)):
        truth = gpus.truth("lab", "gpu-1", faults)
        assert ast.literal_eval(json.dumps(truth)) == truth
