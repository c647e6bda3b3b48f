"""What a simulated host answers to the commands that are sent to it over SSH."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from lab.simulated import etcd, gpus
from lab.simulated.answers import Answer
from lab.simulated.host import Host

OTHER_BOOT_ID = "00000000-0000-4000-8000-0123456789ab"
OTHER_MACHINE_ID = "0123456789abcdef0123456789abcdef"
OTHER_BOOT_STATUS = 79
SUDO_OPTIONS_WITH_VALUE = ("-p", "-u", "-g", "-h", "-C", "-T")


Program = Callable[[Host, Sequence[str], bool], Answer | None]


def answer(host: Host, command: str, more: Program | None = None, peers: Sequence[Host] = ()) -> Answer:
    """Carry out one command line on a host.

    Args:
        more: what it has an answer to is not looked for here.
        peers: all hosts of the lab.
    """
    if "other-machine" in host.faults:
        host = replace(host, boot_id=OTHER_BOOT_ID, machine_id=OTHER_MACHINE_ID)
    try:
        words = shlex.split(command)
    except ValueError as error:
        return Answer(2, error=f"sh: syntax error: {error}\n")
    guarded, words = _without_boot_guard(words)
    if guarded not in ("", host.boot_id):
        return Answer(OTHER_BOOT_STATUS)
    words = words[2:] if words[:2] == ["env", "LC_ALL=C"] else words
    as_root = bool(words) and words[0] == "sudo"
    if as_root:
        refused = _by_sudo(host, words)
        if refused is not None:
            return refused
        words = _without_sudo(words)
    special = more(host, words, as_root) if more is not None else None
    return special or _execute(host, words, as_root, peers)


def _by_sudo(host: Host, words: Sequence[str]) -> Answer | None:
    """What sudo itself answers; None: it executes the command."""
    if "sudo-refused" in host.faults:
        return Answer(1, error="sudo: a password is required\n")
    if "-l" in words[1:3]:
        return Answer(output=f"/usr/bin/{shlex.join(_without_sudo(words))}\n")
    return None if _without_sudo(words) else Answer(1, error="usage: sudo command\n")


def _execute(host: Host, words: Sequence[str], as_root: bool, peers: Sequence[Host]) -> Answer:
    if not words:
        return Answer()
    name = words[0].rsplit("/", 1)[-1]
    if name in OF_CLUSTER:
        return OF_CLUSTER[name](host, words[1:], peers, as_root)
    program = PROGRAMS.get(name)
    if program is None:
        return Answer(127, error=f"sh: 1: {words[0]}: not found\n")
    return program(host, words[1:], as_root)


def _without_boot_guard(words: Sequence[str]) -> tuple[str, list[str]]:
    """The boot id for which a command is meant, and it: ``sh -c 'test … || exit 79; …' sh BOOT-ID COMMAND…``."""
    if words[:2] == ["sh", "-c"] and len(words) > 5 and "exit 79" in words[2]:
        return words[4], list(words[5:])
    return "", list(words)


def _without_sudo(words: Sequence[str]) -> list[str]:
    """The command that sudo was asked to run: Fabric sends ``sudo -S -p PROMPT command``."""
    rest = list(words[1:])
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        if option in SUDO_OPTIONS_WITH_VALUE and rest:
            rest.pop(0)
    return rest


def _cat(host: Host, arguments: Sequence[str], _as_root: bool) -> Answer:
    files = {
        "/proc/sys/kernel/random/boot_id": host.boot_id,
        "/etc/machine-id": host.machine_id,
        "/proc/self/mounts": "overlay / overlay rw 0 0",
    }
    paths = [argument for argument in arguments if argument != "--"]
    missing = next((path for path in paths if path not in files), None)
    if missing:
        return Answer(1, error=f"cat: {missing}: No such file or directory\n")
    return Answer(output="".join(f"{files[path]}\n" for path in paths))


def _systemctl(host: Host, arguments: Sequence[str], as_root: bool) -> Answer:
    verbs = [argument for argument in arguments if not argument.startswith("-")]
    if verbs[1:] == ["kubelet"]:
        return _kubelet_service(host, verbs[0], as_root, now="--now" in arguments)
    if verbs not in (["poweroff"], ["reboot"]):
        return Answer(1, error=f"Unknown command verb {' '.join(verbs)}.\n")
    if not as_root:
        return Answer(1, error="Call to PowerOff failed: Interactive authentication required.\n")
    if "poweroff-ignored" in host.faults:
        return Answer()
    return Answer(power="off" if verbs == ["poweroff"] else "reset")


def _kubelet_service(host: Host, verb: str, as_root: bool, *, now: bool) -> Answer:
    if verb == "is-active":
        return Answer(output="active\n") if host.kubelet_runs else Answer(3, output="inactive\n")
    if verb == "is-enabled":
        return Answer(output="enabled\n") if host.kubelet_starts else Answer(1, output="disabled\n")
    if not as_root:
        return Answer(1, error="Interactive authentication required.\n")
    if verb in ("enable", "disable"):
        host.kubelet_starts = verb == "enable"
    if verb in ("start", "restart") or (verb == "enable" and now):
        host.start_kubelet()
    if verb == "stop" or (verb == "disable" and now):
        host.kubelet_runs = False
    return Answer(changed=True)


def _kubeadm(host: Host, arguments: Sequence[str], peers: Sequence[Host], as_root: bool) -> Answer:
    if list(arguments) != ["reset", "-f"]:
        return Answer(1, error=f"unknown command {' '.join(arguments[:1])!r}\n")
    if not as_root:
        return Answer(1, error="[ERROR IsPrivilegedUser]: user is not running as root\n")
    host.kubelet_runs = False
    host.resets += 1
    if "reset-fails" in host.faults:
        return Answer(1, error="failed to remove containers\n", changed=True)
    host.joined = False
    host.register_taints = []
    warning = etcd.leave(host, peers)
    return Answer(output="[reset] Deleted contents of the etcd data directory\n", error=warning, changed=True)


def _test(host: Host, arguments: Sequence[str], _as_root: bool) -> Answer:
    if list(arguments) == ["!", "-e", "/etc/kubernetes/kubelet.conf"]:
        return Answer(int(host.joined))
    return Answer(2, error="test: unexpected operator\n")


def _sh(_host: Host, _arguments: Sequence[str], as_root: bool) -> Answer:
    """Scripts that tidy up: there is nothing here that they would find."""
    return Answer() if as_root else Answer(1)


def _uptime(host: Host, _arguments: Sequence[str], _as_root: bool) -> Answer:
    return Answer(output=time.strftime("%Y-%m-%d %H:%M:%S\n", time.localtime(host.booted)))


PROGRAMS: dict[str, Callable[[Host, Sequence[str], bool], Answer]] = {
    "cat": _cat,
    "hostname": lambda host, _arguments, _as_root: Answer(output=f"{host.hostname}\n"),
    "id": lambda _host, _arguments, as_root: Answer(output="0\n" if as_root else "1000\n"),
    "journalctl": gpus.journalctl,
    "nvidia-smi": gpus.nvidia_smi,
    "rm": lambda _host, _arguments, as_root: Answer(0 if as_root else 1),
    "sh": _sh,
    "systemctl": _systemctl,
    "test": _test,
    "uname": lambda host, _arguments, _as_root: Answer(output=f"{host.hostname}\n"),
    "true": lambda _host, _arguments, _as_root: Answer(),
    "uptime": _uptime,
}

# What these say depends on other hosts as well.
OF_CLUSTER: dict[str, Callable[[Host, Sequence[str], Sequence[Host], bool], Answer]] = {
    "crictl": etcd.crictl,
    "etcdctl": etcd.etcdctl,
    "kubeadm": _kubeadm,
}
