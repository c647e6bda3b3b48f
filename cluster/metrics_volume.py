"""How the control plane's metrics are saved: the volume of ``runai-backend-thanos-receive``.

By a VolumeSnapshot where the volume's driver can make one, since that is of one moment and costs nothing to take; else
streamed out of the pod as a tar; else somebody else backs it up, and the set declares where and when. What is streamed
is read while Thanos writes: its blocks, which never change, are whole, and the newest two hours may not be.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cluster import made_for_a_set, pod_exec, volume_snapshots
from cluster.api import Api, Object
from cluster.config import MetricsSettings, Settings
from cluster.errors import Blocked, DowntimeError, Failed, Misused
from cluster.manifest import External
from cluster.part_source import DeclaredSource, FileSource, Produced, Sink
from cluster.pod_exec import Pod
from cluster.programs import DEADLINES, Deadlines, Ended
from cluster.reach import MASKER

STATEFULSET = "runai-backend-thanos-receive"
_KIND, _NAME = "metrics", "thanos"
_COMMAND_SECONDS = 60.0
_PROBE = Deadlines(refused=30, silence=30, total=60)
# GNU tar and busybox say these of files that were changed or deleted while they were read.
_HARMLESS = re.compile(
    r"file changed as we read it|removed before we read it|no such file or directory|file shrank|socket ignored"
    r"|removing leading|exit delayed|error exit delayed",
    re.IGNORECASE,
)

Source = FileSource | DeclaredSource


@dataclass(frozen=True)
class Volume:
    """One pod of Thanos and its volume."""

    pod: Pod
    claim: str
    folder: str
    name: str


def sources(api: Api, settings: Settings, namespace: str) -> tuple[list[Source], list[str]]:
    """The metrics as parts of a set; what could not be arranged, in sentences. A snapshot is made here and now.

    Raises:
        Blocked, Misused: what the configuration asks for cannot be done.
    """
    wanted = settings.recovery.metrics
    if wanted.how == "external":
        return [DeclaredSource(_KIND, _NAME, declared(wanted))], []
    volumes = _volumes(api, namespace)
    if not volumes:
        return [], [f"The metrics are not saved: {namespace}/{STATEFULSET} has no pod with a volume."]
    found: list[Source] = []
    warnings: list[str] = []
    try:
        for one in volumes:
            found.append(_source(api, settings, one, warnings))
    except BaseException:
        made_for_a_set.undo(found)
        raise
    return found, warnings


def _source(api: Api, settings: Settings, volume: Volume, warnings: list[str]) -> Source:
    wanted = settings.recovery.metrics
    if wanted.how in ("auto", "snapshot"):
        try:
            snapshot = _snapshot(api, settings, volume, warnings)
        except DowntimeError as error:
            if wanted.how == "snapshot":
                raise
            snapshot = None
            warnings.append(f"The metrics are streamed, as no snapshot can be made: {error.message}")
        if snapshot is not None:
            return snapshot
        if wanted.how == "snapshot":
            raise Misused(
                "no-volume-snapshots",
                f"No VolumeSnapshot can be made of {volume.pod.namespace}/{volume.claim}: the cluster lacks that API, "
                "the volume is of no CSI driver, or that driver has no VolumeSnapshotClass",
                'Set [recovery.metrics] how = "stream", or install the snapshot controller.',
            )
    _see_tar(api, volume)
    return FileSource(_KIND, volume.name, f"metrics/{volume.name}.tar", lambda sink: _stream(api, volume, sink))


def _snapshot(api: Api, settings: Settings, volume: Volume, warnings: list[str]) -> DeclaredSource | None:
    namespace, claim = volume.pod.namespace, volume.claim
    found = volume_snapshots.usable_class(api, namespace, claim, settings.recovery.metrics.snapshot_class)
    if found is None:
        return None
    made = volume_snapshots.take(api, namespace, claim, found)
    warnings.extend(made.warnings)
    return DeclaredSource(
        _KIND,
        volume.name,
        made.external,
        undo=lambda: volume_snapshots.discard(api, made),
        tidy=lambda kept: volume_snapshots.prune(api, namespace, claim, settings.recovery, kept),
    )


def declared(settings: MetricsSettings) -> External:
    """The backup that somebody else takes: where it is, and when it was last taken, as the command prints it.

    Raises:
        Blocked: ``metrics-declaration``: the command fails, or prints no time.
    """
    if not settings.taken:
        raise AssertionError("the configuration is refused without it")
    try:
        ended = subprocess.run(
            settings.taken,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        why = f"exited with {ended.returncode}: {Ended(0, ended.stderr).summary}" if ended.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _no_declaration(settings.taken, f"could not be run ({type(error).__name__})") from None
    if why:
        raise _no_declaration(settings.taken, why)
    try:
        taken = datetime.fromisoformat(ended.stdout.strip())
    except ValueError:
        printed = MASKER.mask(ended.stdout.strip())[:60]
        raise _no_declaration(settings.taken, f"printed {printed!r}, which is no time") from None
    if taken.tzinfo is None:
        raise _no_declaration(settings.taken, "printed a time without a time zone")
    return External(where=settings.where, taken=taken)


def _volumes(api: Api, namespace: str) -> list[Volume]:
    """The pods of the StatefulSet that have a volume, by their number."""
    prefix = f"{STATEFULSET}-"
    pods = [
        one
        for one in api.list(f"/api/v1/namespaces/{namespace}/pods")
        if one["metadata"]["name"].removeprefix(prefix).isdigit() and one["metadata"]["name"].startswith(prefix)
    ]
    found = []
    for pod in sorted(pods, key=lambda one: int(one["metadata"]["name"].removeprefix(prefix))):
        number = int(pod["metadata"]["name"].removeprefix(prefix))
        if (mounted := _mounted(pod)) is not None:
            container, claim, folder = mounted
            name = _NAME if number == 0 else f"{_NAME}-{number}"
            found.append(Volume(Pod(namespace, pod["metadata"]["name"], container), claim, folder, name))
    return found


def _mounted(pod: Object) -> tuple[str, str, str] | None:
    """Container, claim and folder of the pod's first volume that is a claim."""
    claims = {
        str(one["name"]): str(one["persistentVolumeClaim"]["claimName"])
        for one in pod["spec"].get("volumes") or ()
        if one.get("persistentVolumeClaim")
    }
    for container in pod["spec"]["containers"]:
        for mount in container.get("volumeMounts") or ():
            if mount["name"] in claims:
                return str(container["name"]), claims[mount["name"]], str(mount["mountPath"])
    return None


def _see_tar(api: Api, volume: Volume) -> None:
    with pod_exec.started(api, volume.pod, ("tar", "--help"), None, _PROBE) as program:
        if program.ended().code in (126, 127):
            raise pod_exec.Refused(
                "exec-no-program",
                f"The image of pod {volume.pod} has no tar.",
                'Have its volume backed up otherwise, and declare that: [recovery.metrics] how = "external".',
            )


def _stream(api: Api, volume: Volume, sink: Sink) -> Produced:
    argv = ("tar", "-c", "-f", "-", "-C", volume.folder, ".")
    with pod_exec.started(api, volume.pod, argv, None, DEADLINES) as program:
        written = 0
        for chunk in program.chunks():
            sink.write(chunk)
            written += len(chunk)
        ended = program.ended()
    said = [line for line in ended.said.splitlines() if line.strip()]
    # A folder that is not there at all gives the same words and status, but nothing is written.
    changed = ended.code == 1 and written > 0 and said and all(_HARMLESS.search(line) for line in said)
    if ended.code == 0 or changed:
        return Produced()
    raise Failed(
        "metrics-stream",
        MASKER.mask(f"tar in pod {volume.pod} ended with {ended.code}: {ended.summary}"),
        "See its words, then run the same command again.",
    )


def _no_declaration(argv: Sequence[str], why: str) -> Blocked:
    return Blocked(
        "metrics-declaration",
        MASKER.mask(f"When the metrics were last backed up is not known: {json.dumps(argv[0])} {why}"),
        "Correct [recovery.metrics] taken: a command that prints the time of that backup, like 2026-11-24T03:00:00Z.",
    )
