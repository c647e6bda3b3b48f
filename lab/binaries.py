"""The compiled programs of the lab: built once from Go modules, kept in the cache of this machine, shared by all labs.

Neither Debian nor PyPI has Kubernetes servers; Go's module proxy has their sources. A build is keyed by everything
that goes into it, made beside its final place and moved there whole, under a lock: two labs that start at once build
once, and an interrupted build leaves nothing that looks finished.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.errors import LabError
from lab.layout import PROJECT, cache_folder
from lab.locks import held
from lab.processes import run
from lab.progress import Progress

SOURCES = PROJECT / "lab" / "kubernetes"
POD_EXEC = SOURCES / "podexec"
KUBERNETES_VERSION = "v1.34.4"
KWOK = "sigs.k8s.io/kwok"
KWOK_VERSION = "v0.8.0"
KWOK_STAGES = (
    "kustomize/stage/node/fast/node-initialize.yaml",
    "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "kustomize/stage/pod/fast/pod-ready.yaml",
    "kustomize/stage/pod/fast/pod-complete.yaml",
    "kustomize/stage/pod/fast/pod-delete.yaml",
)
COMMANDS = (
    "etcd",
    "etcdctl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
    "kubeadm",
    "gpu-plugin",
    "lab-pause",
    "lab-work",
)
BUILD_SECONDS = 3600.0


def _linker_flags() -> str:
    """Names the Kubernetes version, which kubeadm otherwise takes for v0.0.0-master and refuses to work with."""
    major, minor, _ = KUBERNETES_VERSION.removeprefix("v").split(".")
    values = {"gitVersion": KUBERNETES_VERSION, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(
        ["-s", "-w", *(f"-X {package}.{name}={value}" for package in packages for name, value in values.items())]
    )


def ensure_kubernetes(progress: Progress) -> Path:
    """The multi-call binary of ``lab/kubernetes``, built unless it is cached. Raises LabError."""
    arguments = ["-trimpath", "-ldflags", _linker_flags()]
    parts = [_go_version(), *arguments]
    for source in sorted(
        path for path in SOURCES.rglob("*") if path.suffix == ".go" or path.name in ("go.mod", "go.sum")
    ):
        if POD_EXEC not in source.parents:
            parts += [str(source.relative_to(SOURCES)), source.read_text()]

    def build(folder: Path, log: Path) -> None:
        _go(["build", "-v", *arguments, "-o", os.fspath(folder / "kube"), "."], log, cwd=SOURCES)

    what = f"building Kubernetes {KUBERNETES_VERSION} (once; about 5 minutes)"
    return _ensure("kubernetes", parts, what, build, progress) / "kube"


def ensure_pod_exec(progress: Progress) -> Path:
    """What runs commands in simulated pods, built unless it is cached; it shares the versions of Kubernetes.

    Raises LabError.
    """
    arguments = ["-trimpath", "-ldflags", "-s -w"]
    sources = [SOURCES / "go.mod", SOURCES / "go.sum", *sorted(POD_EXEC.glob("*.go"))]
    parts = [_go_version(), *arguments, *(source.read_text() for source in sources)]

    def build(folder: Path, log: Path) -> None:
        _go(["build", "-v", *arguments, "-o", os.fspath(folder / "pod-exec"), "./podexec"], log, cwd=SOURCES)

    what = "building what runs commands in simulated pods (once; seconds)"
    return _ensure("pod-exec", parts, what, build, progress) / "pod-exec"


def ensure_kwok(progress: Progress) -> Path:
    """kwok, which simulates kubelets; its stage files lie beside it in ``stages/``. Raises LabError."""
    arguments = ["-trimpath", "-ldflags", "-s -w"]

    def build(folder: Path, log: Path) -> None:
        environment = {"GOBIN": os.fspath(folder), "GOFLAGS": ""}
        _go(["install", "-v", *arguments, f"{KWOK}/cmd/kwok@{KWOK_VERSION}"], log, environment)
        module = json.loads(_go(["mod", "download", "-json", f"{KWOK}@{KWOK_VERSION}"], log, environment))
        (folder / "stages").mkdir()
        for number, stage in enumerate(KWOK_STAGES):
            shutil.copyfile(Path(module["Dir"]) / stage, folder / "stages" / f"{number}-{Path(stage).name}")

    what = f"building kwok {KWOK_VERSION} (once; about 3 minutes)"
    return _ensure("kwok", [_go_version(), KWOK_VERSION, *arguments, *KWOK_STAGES], what, build, progress) / "kwok"


def link_commands(binary: Path, folder: Path, commands: Sequence[str] = COMMANDS) -> None:
    """Make ``folder`` with one link to the multi-call binary for each command.

    With KUBEBUILDER_ASSETS set (a folder of ready-made binaries, as controller tests use it), its etcd, kube-apiserver
    and kubectl take the place of ours. Raises LabError if one of them is missing there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    for command in commands:
        target = binary
        if assets and command in ("etcd", "kube-apiserver", "kubectl"):
            target = Path(assets).resolve() / command
            if not os.access(target, os.X_OK):
                raise LabError(f"KUBEBUILDER_ASSETS is set, but there is no program {target}; unset it or complete it")
        link = folder / command
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def _ensure(
    name: str, parts: Sequence[str], what: str, build: Callable[[Path, Path], None], progress: Progress
) -> Path:
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    final = cache_folder() / name / key
    if final.is_dir():
        return final
    log = cache_folder() / "logs" / f"{name}-{key}.log"
    lock = cache_folder() / "locks" / name
    busy = f"another process has been building {name} for too long"
    with progress.step(what, detail=lambda: _last_line(log)), held(lock, timeout=BUILD_SECONDS, what=busy):
        if final.is_dir():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=final.parent, prefix=".building-") as scratch:
            folder = Path(scratch) / key
            folder.mkdir()
            build(folder, log)
            folder.rename(final)
    return final


def _go(arguments: Sequence[str], log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run the Go command at low priority: a build may take all processors for minutes."""
    environment = {"CGO_ENABLED": "0", **(env or {})}
    return run(
        ["nice", "-n", "5", "go", *arguments],
        log=log,
        timeout=BUILD_SECONDS,
        env=environment,
        cwd=cwd or log.parent,
        what=f"go {arguments[0]}",
    )


def _go_version() -> str:
    if shutil.which("go") is None:
        raise LabError(
            "the command go is missing; install Go 1.24 or later (https://go.dev/dl/) and put it on the PATH"
        )
    return run(["go", "env", "GOVERSION"], log=cache_folder() / "logs" / "go.log", timeout=60, cwd=SOURCES).strip()


def _last_line(log: Path) -> str:
    """What a build said last: the package that it compiles."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    said = (line.strip() for line in reversed(lines) if line.strip() and not line.startswith("$ "))
    return next(said, "")[:120]
