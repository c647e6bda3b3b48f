"""The container images of a lab: one archive, made from the multi-call binary alone."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.binaries import COMMANDS, KUBERNETES_VERSION
from lab.layout import cache_folder
from lab.locks import held
from lab.progress import Progress

REPOSITORY = "localhost/kube"
PAUSE = f"{REPOSITORY}/pause:3.10.1"
ETCD_TAG = "3.6.4-0"
LAB_IMAGE = f"{REPOSITORY}/lab:1"
"""The image of everything on the cluster: its commands are ``lab-work``, ``gpu-plugin`` and the rest."""

STARTS: dict[str, Sequence[str]] = {
    PAUSE: ["lab-pause"],
    LAB_IMAGE: ["lab-work"],
    f"{REPOSITORY}/etcd:{ETCD_TAG}": ["etcd"],
    **{
        f"{REPOSITORY}/{name}:{KUBERNETES_VERSION}": [name]
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    },
}
LINKS = (*COMMANDS, "nvidia-smi")
"""The commands that an image has; the last one comes with a GPU, where there really is one."""
FORMAT = "1"


def ensure(binary: Path, progress: Progress) -> Path:
    """The archive (as of ``docker save``) of all images, made unless it is cached; ``binary`` is the multi-call one."""
    parts = [FORMAT, str(binary.resolve()), *LINKS, json.dumps({k: list(v) for k, v in STARTS.items()})]
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    final = cache_folder() / "container-images" / f"{key}.tar"
    if final.exists():
        return final
    busy = "another lab makes the container images"
    with held(cache_folder() / "locks" / "container-images", timeout=300, what=busy):
        if final.exists():
            return final
        with progress.step("making the container images (once)"):
            final.parent.mkdir(parents=True, exist_ok=True)
            for old in final.parent.iterdir():
                old.unlink()  # a lab that still needs it has its own link to it
            with tempfile.TemporaryDirectory(dir=final.parent.parent, prefix=".building-") as scratch:
                fresh = Path(scratch) / "images.tar"
                _write(binary, Path(scratch) / "layer.tar", fresh)
                fresh.rename(final)
    return final


def _write(binary: Path, layer: Path, archive: Path) -> None:
    _write_layer(binary, layer)
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    manifest = []
    with tarfile.open(archive, "w") as tar:
        tar.add(layer, arcname=f"{digest}/layer.tar")
        for image, command in STARTS.items():
            config = json.dumps(image_config(digest, command)).encode()
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            if name not in tar.getnames():
                add(tar, name, config)
            manifest.append({"Config": name, "RepoTags": [image], "Layers": [f"{digest}/layer.tar"]})
        add(tar, "manifest.json", json.dumps(manifest).encode())


def _write_layer(binary: Path, layer: Path) -> None:
    with tarfile.open(layer, "w") as tar:
        for folder in ("usr", "usr/local", "usr/local/bin", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        with binary.open("rb") as file:
            entry = tarfile.TarInfo("usr/local/bin/kube")
            entry.size, entry.mode = binary.stat().st_size, 0o755
            tar.addfile(entry, file)
        for command in LINKS:
            entry = tarfile.TarInfo(f"usr/local/bin/{command}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "kube"
            tar.addfile(entry)


def image_config(digest: str, command: Sequence[str]) -> dict[str, Any]:
    """The configuration of an image of one layer, whose SHA-256 is ``digest``, that starts ``command``."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    start = {"Env": ["PATH=/usr/local/bin"], "Cmd": [f"/usr/local/bin/{command[0]}", *command[1:]]}
    layers = {"type": "layers", "diff_ids": [f"sha256:{digest}"]}
    return {"architecture": machine, "os": "linux", "config": start, "rootfs": layers}


def add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    """Put a file into the archive."""
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    tar.addfile(entry, io.BytesIO(data))
