"""The lab's command line: up, down, status, power, fault, database, exec-fault."""

from __future__ import annotations

import argparse
import json
import secrets
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from lab import locks, state
from lab.errors import LabError
from lab.layout import Lab
from lab.network import claimed
from lab.progress import Progress
from lab.spec import SIMULATED_BY_DEFAULT, Spec

DONE, FAILED, INTERRUPTED = 0, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0, or 1 after an error that is told on standard error."""
    options = _parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return INTERRUPTED


def paths(lab: Lab) -> dict[str, str]:
    """Where the things of a lab are."""
    names = ("folder", "kubeconfig", "config", "known_hosts", "ssh_key", "store", "logs", "bin", "power")
    return {"name": lab.name, **{name: str(getattr(lab, name)) for name in names}}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab", description="A Run:ai-like cluster on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("--name", default="lab", metavar="LAB", help="which lab (default: lab)")
        sub.set_defaults(command=run)
        return sub

    up = command("up", _up, "make a lab, and wait until it works")
    up.add_argument("--no-hosts", action="store_true", help="a control plane with simulated nodes; needs no root")
    up.add_argument("--control-planes", type=int, default=1, metavar="N", help="control-plane nodes (default: 1)")
    up.add_argument("--workers", type=int, default=2, metavar="N", help="GPU worker hosts (default: 2)")
    up.add_argument("--systems", type=int, metavar="N", help="Run:ai system nodes (default: 1; 2 with --no-hosts)")
    up.add_argument("--simulated", type=int, metavar="N", help="simulated GPU nodes (default: 0; 3 with --no-hosts)")
    up.add_argument("--no-backup", action="store_true", help="without a backup set: 'downtime backup' takes the first")
    up.add_argument("--saas", action="store_true", help="without a Run:ai control plane on the cluster")
    up.add_argument(
        "--runai-api", action="store_true", help="with a stand-in of Run:ai's REST API, named by its configuration"
    )
    up.add_argument(
        "--no-runai-kinds", action="store_true", help="without Run:ai's own kinds, and what is of them; takes no backup"
    )
    up.add_argument(
        "--default-detection",
        action="store_true",
        help="notice failures as late as Kubernetes does by default (leases of 40 s, NotReady after 50 s)",
    )
    down = command("down", _down, "remove a lab with all that belongs to it")
    status = command("status", _status, "print what is there; exit status 1 unless it is up and healthy")
    for sub in (up, down, status):
        sub.add_argument("--output", choices=("text", "json"), default="text")
    power = command("power", _power, "power a node's machine from outside")
    power.add_argument("node")
    power.add_argument("action", choices=("on", "off", "reset", "status"))
    fault = command("fault", _fault, "set or clear a fault of a host, or of runai-api; without a fault, list them all")
    fault.add_argument("node", nargs="?")
    fault.add_argument("fault", nargs="?")
    fault.add_argument("--clear", action="store_true", help="clear it")
    fault.add_argument("--times", type=int, default=-1, metavar="N", help="of runai-api: only so often")
    database = command("database", _database, "the database of Run:ai's control plane: how large it is, and more")
    database.add_argument("--grow", type=int, default=0, metavar="MB", help="add about so much to it")
    database.add_argument(
        "--other-password", action="store_true", help="the server takes another password than Helm and the Secret tell"
    )
    execs = command("exec-fault", _exec_fault, "what goes wrong with the next commands in simulated pods; or clear it")
    execs.add_argument("--times", type=int, default=1, metavar="N", help="with how many (default: 1)")
    execs.add_argument("--refuse", action="store_true", help="they are refused before they start, as after a restart")
    execs.add_argument("--kill-after", type=int, metavar="BYTES", help="they are killed after so much output")
    return parser


def _up(options: argparse.Namespace) -> int:
    simulated = options.simulated if options.simulated is not None else SIMULATED_BY_DEFAULT * options.no_hosts
    spec = Spec(
        name=options.name,
        hosts=not options.no_hosts,
        control_planes=options.control_planes,
        workers=options.workers,
        systems=options.systems if options.systems is not None else 1 + options.no_hosts,
        simulated=simulated,
        saas=options.saas,
        default_detection=options.default_detection,
        backup=not (options.no_backup or options.no_runai_kinds),
        runai_kinds=not options.no_runai_kinds,
        runai_api=options.runai_api,
    )
    lab, progress = Lab(spec.name), Progress()
    with locks.of_lab(lab):
        if _is_up(lab, spec, progress):
            return _report(lab, options.output)
        try:
            if spec.hosts:
                from lab import hosts

                hosts.up(lab, spec, progress)
            else:
                from lab.simulated import cluster

                cluster.up(lab, spec, progress)
        except BaseException as error:
            _clean_up(lab, spec, progress, error)
            raise
    progress.say(f"lab {lab.name} is up")
    return _report(lab, options.output)


def _is_up(lab: Lab, spec: Spec, progress: Progress) -> bool:
    """Whether exactly this lab is up and healthy; one that is broken or half-made is removed. Raises LabError."""
    found = state.read(lab) if lab.folder.exists() else {}
    if not found and not lab.folder.exists():
        return False
    if found.get("phase") == "up":
        if found.get("spec") != spec.record():
            raise LabError(
                f"a lab {lab.name} of another kind or size is up already: take it down, or use another --name"
            )
        problems = _look(lab, found)["problems"]
        if not problems:
            progress.say(f"lab {lab.name} is up already")
            return True
        progress.say(f"lab {lab.name} is broken ({'; '.join(problems)}): making it anew")
    else:
        progress.say(f"lab {lab.name} was left half-made: making it anew")
    _remove(lab, found.get("kind"))
    return False


def _clean_up(lab: Lab, spec: Spec, progress: Progress, error: BaseException) -> None:
    """Take away what a failed ``up`` has made, all but its logs, which say why; no second interruption stops it."""
    before = {
        number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    kept = _kept_logs(lab)
    shutil.rmtree(kept, ignore_errors=True)
    if lab.logs.exists() and isinstance(error, LabError):
        shutil.copytree(lab.logs, kept)
        progress.say(f"logs kept in {kept}")
    progress.say(f"removing what was made of lab {lab.name}")
    try:
        _remove(lab, "hosts" if spec.hosts else "control-plane")
    except LabError as another:
        progress.say(f"could not remove all of it ({another}); try: python -m lab down --name {lab.name}")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kept_logs(lab: Lab) -> Path:
    """Where the logs of a failed ``up`` stay until the next ``down``."""
    return lab.folder.with_name(f"{lab.name}.failed-logs")


def _remove(lab: Lab, kind: str | None) -> None:
    """Remove a lab; one whose state is lost may still have machines, which its claim of a subnet tells."""
    if kind == "hosts" or claimed(lab):
        from lab import hosts

        hosts.down(lab)
    else:
        from lab.simulated import cluster

        cluster.down(lab)


def _down(options: argparse.Namespace) -> int:
    lab = Lab(Spec(name=options.name).name)
    with locks.of_lab(lab):
        existed = lab.folder.exists()
        kind = _kind(lab)
        _remove(lab, kind)
        shutil.rmtree(_kept_logs(lab), ignore_errors=True)
    text = f"lab {lab.name} is removed" if existed else f"there is no lab {lab.name}"
    print(json.dumps({"name": lab.name, "removed": existed}) if options.output == "json" else text)
    return DONE


def _kind(lab: Lab) -> str | None:
    try:
        return state.read(lab).get("kind")
    except LabError:
        return None


def _status(options: argparse.Namespace) -> int:
    lab = Lab(Spec(name=options.name).name)
    if not lab.folder.exists():
        print(json.dumps({"name": lab.name, "phase": "none"}) if options.output == "json" else f"no lab {lab.name}")
        return FAILED
    return _report(lab, options.output)


def _look(lab: Lab, found: dict[str, Any]) -> dict[str, Any]:
    if found.get("kind") == "hosts":
        from lab import hosts

        return dict(hosts.status(lab))
    from lab.simulated import cluster

    return cluster.status(lab)


def _report(lab: Lab, output: str) -> int:
    found = state.read(lab)
    seen = _look(lab, found)
    report = {**paths(lab), "kind": found.get("kind"), "phase": found.get("phase"), **seen}
    if output == "json":
        print(json.dumps(report, indent=2))
    else:
        for key, value in report.items():
            if isinstance(value, dict):
                print(f"{key}:")
                for name, entry in value.items():
                    detail = ", ".join(f"{k} {v}" for k, v in entry.items()) if isinstance(entry, dict) else entry
                    print(f"  {name}: {detail}")
            else:
                print(f"{key}: {', '.join(value) or 'none' if isinstance(value, list) else value}")
    return DONE if seen.get("healthy", not seen.get("problems")) and found.get("phase") == "up" else FAILED


def _power(options: argparse.Namespace) -> int:
    from lab.power import power

    print(power(Lab(Spec(name=options.name).name), options.node, options.action))
    return DONE


def _fault(options: argparse.Namespace) -> int:
    from lab import gpus
    from lab.runai import rest_faults
    from lab.simulated.control import request
    from lab.simulated.host import FAULTS

    if options.node == rest_faults.TARGET:
        return _runai_fault(options)
    if not (options.node and options.fault):
        for name, meaning in FAULTS.items():
            print(f"{name}: {meaning}")
        print("Of hosts that are not simulated:")
        for name, meaning in gpus.FAULTS.items():
            print(f"{name}: {meaning}")
        return DONE if not options.node else FAILED
    lab = Lab(Spec(name=options.name).name)
    if gpus.of_hosts(lab):
        print(gpus.fault(lab, options.node, options.fault, present=not options.clear))
    else:
        print(request(lab, do="fault", node=options.node, fault=options.fault, present=not options.clear))
    return DONE


def _runai_fault(options: argparse.Namespace) -> int:
    from lab.runai import rest_faults

    lab = Lab(Spec(name=options.name).name)
    if options.clear:
        rest_faults.clear(lab, options.fault or "")
    elif options.fault:
        rest_faults.set_fault(lab, options.fault, options.times)
    else:
        for name, meaning in rest_faults.FAULTS.items():
            print(f"{name}: {meaning}")
        return DONE
    print(", ".join(rest_faults.read(rest_faults.path(lab))) or "no faults")
    return DONE


def _database(options: argparse.Namespace) -> int:
    from lab.postgresql import contents

    lab = Lab(Spec(name=options.name).name)
    if options.other_password:
        contents.set_password(lab, secrets.token_urlsafe(18))
    size = contents.grow(lab, options.grow, Progress().say)
    print(f"{size / 2**20:.0f} MB")
    return DONE


def _exec_fault(options: argparse.Namespace) -> int:
    from lab.simulated import pod_exec

    lab = Lab(Spec(name=options.name).name)
    if options.refuse:
        pod_exec.set_fault(lab, {"times": options.times, "status": pod_exec.NOT_FOUND, "text": pod_exec.GONE})
    elif options.kill_after:
        pod_exec.set_fault(lab, {"times": options.times, "kill_after": options.kill_after})
    else:
        pod_exec.clear(lab)
    print(f"faults left: {pod_exec.left(lab)}")
    return DONE


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
