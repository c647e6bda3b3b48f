"""The images that a lab's hosts are made of, in the cache of this machine, keyed by what they were made from.

*Node image*: a Debian with systemd, sshd and containerd, made by debootstrap, plus the files below ``lab/rootfs``.
The Kubernetes binary is not in it: it is mounted, so that a new build of it needs no new image. debootstrap's result
is kept as well, since it takes minutes and needs the network, and the files change more often.

*Container images*: what kubeadm's static pods and the workloads run, all of them the multi-call binary on an empty
base; one archive for ``ctr images import``, with one layer that all of them share.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from lab.engine import podman, succeeds
from lab.layout import PROJECT, cache_folder
from lab.locks import held
from lab.processes import run
from lab.progress import Progress

SUITE = "bookworm"
NODE_PACKAGES = (
    "systemd,systemd-sysv,dbus,openssh-server,sudo,iproute2,iptables,containerd,runc,containernetworking-plugins,"
    "ca-certificates,conntrack,ethtool,socat,kmod,procps,python3-minimal"
)
FILES = PROJECT / "lab" / "rootfs"
NODE_REPOSITORY = "localhost/runai-downtime-lab/node"
BUILD_SECONDS = 1800.0

SETUP = """\
useradd --create-home --shell /bin/bash ops
chmod 440 /etc/sudoers.d/ops
chmod 755 /usr/local/lib/lab/* /usr/local/bin/crictl
systemctl set-default multi-user.target
systemctl enable lab-boot lab-host-key lab-endpoint lab-gpus kubelet containerd ssh
systemctl mask systemd-sysctl systemd-modules-load systemd-binfmt getty.target console-getty.service
systemctl disable apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer dpkg-db-backup.timer
rm -f /etc/ssh/ssh_host_* /var/lib/dbus/machine-id
: > /etc/machine-id
for command in kubelet kubeadm kubectl etcdctl; do ln -sf /opt/kubernetes/kube /usr/local/bin/$command; done
mkdir -p /etc/lab /etc/cni/net.d /opt/kubernetes
rm -rf /var/cache/apt/archives/*.deb /var/lib/apt/lists/* /usr/share/doc /usr/share/man /usr/share/locale
"""
"""Run inside the new root. systemd must not touch what belongs to the whole machine: kernel settings, consoles."""

UNTIL_WE_END = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
"""A build in namespaces of its own: should this process be killed, all of it ends, and its mounts are gone."""


def ensure_node_image(progress: Progress) -> str:
    """The name of the node image, made unless it is there already. Raises LabError."""
    parts = [_key(SUITE, NODE_PACKAGES), SETUP]
    for path in sorted(path for path in FILES.rglob("*") if path.is_file()):
        parts += [str(path.relative_to(FILES)), path.read_text()]
    image = f"{NODE_REPOSITORY}:{_key(*parts)}"
    log = cache_folder() / "logs" / "node-image.log"
    if succeeds("image", "exists", image, log=log):
        return image
    with held(cache_folder() / "locks" / "node-image", timeout=BUILD_SECONDS, what="another lab builds the node image"):
        if succeeds("image", "exists", image, log=log):
            return image
        base = ensure_base("node-base", NODE_PACKAGES, progress, log)
        with progress.step("making the image of the hosts (once)"), _scratch("node-image") as folder:
            root = Path(folder) / "root"
            root.mkdir()
            run(["tar", "-C", root, "-xf", base], log=log, timeout=300, what="unpacking the root filesystem")
            shutil.copytree(FILES, root, dirs_exist_ok=True)
            setup = ["chroot", str(root), "sh", "-eux", "-c", SETUP]
            run([*UNTIL_WE_END, *setup], log=log, timeout=300, what="setting up the root filesystem")
            archive = Path(folder) / "root.tar"
            run(["tar", "-C", root, "-cf", archive, "."], log=log, timeout=300, what="packing the root filesystem")
            podman("import", "--quiet", str(archive), image, log=log, timeout=600)
        _forget_old(image, log)
    return image


def ensure_base(kind: str, packages: str, progress: Progress, log: Path) -> Path:
    """An archive of a Debian with these packages (comma-separated), made unless it is cached.

    ``kind`` names its folder in the cache; the caller holds a lock of its own. Raises LabError.
    """
    base = cache_folder() / kind / f"{_key(SUITE, packages)}.tar"
    if base.exists():
        return base
    what = f"installing Debian {SUITE} for {kind.removesuffix('-base')}s (once; about 2 minutes)"
    with progress.step(what, detail=lambda: last_line(log)), _scratch(kind) as folder:
        root, archive = Path(folder) / "root", Path(folder) / "base.tar"
        install = ["debootstrap", "--variant=minbase", f"--include={packages}", SUITE, str(root)]
        aloud = ["sh", "-c", 'exec "$@" >&2', "sh"]  # into the log as it comes, for the progress
        run([*UNTIL_WE_END, *aloud, *install], log=log, timeout=BUILD_SECONDS, what="debootstrap")
        run(["tar", "-C", root, "-cf", archive, "."], log=log, timeout=300, what="packing the root filesystem")
        archive.rename(base)
    return base


def _scratch(name: str) -> tempfile.TemporaryDirectory[str]:
    """A folder beside the final place. What a killed build left there goes first; the caller holds the lock."""
    parent = cache_folder() / name
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob(".building-*"):
        shutil.rmtree(old, ignore_errors=True)
    return tempfile.TemporaryDirectory(dir=parent, prefix=".building-", ignore_cleanup_errors=True)


def _forget_old(image: str, log: Path) -> None:
    """Remove node images of earlier versions, except those that a lab still runs."""
    for name in podman("images", "--format", "{{.Repository}}:{{.Tag}}", NODE_REPOSITORY, log=log).split():
        if name != image:
            succeeds("rmi", name, log=log)


def last_line(log: Path) -> str:
    """The last line of a log, shortened, for progress."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 400))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:100]


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
