"""What a machine says of the cluster that it belongs to, or belonged to: read over SSH as root, nothing is changed.

``kubeadm reset`` and ``kubeadm join`` are only ever run on a machine that was looked at like this: the name by which
its kubelet signs in, the cluster's certificate authority, the machine id, and whether it is (or was) a control-plane
host. Keys are never read: of the kubelet's client file only the certificate leaves the machine.

Paths are kubeadm's: https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from pydantic import BaseModel, ConfigDict, Field

from cluster.errors import Blocked
from cluster.ssh import Ssh

KUBELET_CONF = "/etc/kubernetes/kubelet.conf"
_BOOTSTRAP_CONF = "/etc/kubernetes/bootstrap-kubelet.conf"
# Each of them makes kubeadm's preflight checks of a join fail, or would be used by a kubelet that starts again.
_TRACES = (KUBELET_CONF, _BOOTSTRAP_CONF, "/etc/kubernetes/pki/ca.crt", "/var/lib/kubelet/config.yaml")
_CONTROL_PLANE = (
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/pki/ca.key",
    "/var/lib/etcd/member",
)
_SECONDS = 30.0
_USER = "system:node:"

# "$1": traces, "$2": files of a control-plane host. Only certificates are taken out of a file that may hold a key.
_SCRIPT = r"""
export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
conf=/etc/kubernetes/kubelet.conf
[ -e "$conf" ] || conf=/etc/kubernetes/bootstrap-kubelet.conf
echo "machine-id $(cat /etc/machine-id 2>/dev/null)"
echo "boot-id $(cat /proc/sys/kernel/random/boot_id 2>/dev/null)"
for one in $1; do if [ -e "$one" ]; then echo "trace $one"; fi; done
for one in $2; do if [ -e "$one" ]; then echo "control-plane $one"; fi; done
echo "kubelet-active $(systemctl is-active kubelet 2>/dev/null | head -n 1)"
echo "kubelet-version $(kubelet --version 2>/dev/null | head -n 1)"
echo "kubeadm-version $(kubeadm version -o short 2>/dev/null | head -n 1)"
field() { sed -n "s/^ *$1: *//p" "$conf" 2>/dev/null | head -n 1 | tr -d '"'"'"' '; }
certificates() { sed -n '/-----BEGIN CERTIFICATE-----/,/-----END CERTIFICATE-----/p' "$1" 2>/dev/null | base64 -w 0; }
ca=$(field certificate-authority-data)
if [ -z "$ca" ]; then path=$(field certificate-authority); ca=$(certificates "${path:-/etc/kubernetes/pki/ca.crt}"); fi
echo "ca $ca"
own=$(field client-certificate-data)
if [ -z "$own" ]; then path=$(field client-certificate); own=$(certificates "${path:-/nowhere}"); fi
echo "client $own"
echo "run-is $(stat -f -c %T /run 2>/dev/null)"
echo "addresses $(hostname -I 2>/dev/null)"
"""


class Membership(BaseModel):
    """What a machine says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine_id: str = ""
    boot_id: str = ""
    traces: tuple[str, ...] = Field(default=(), description="Files that a join left on it.")
    control_plane: tuple[str, ...] = Field(default=(), description="Files that only a control-plane host has.")
    kubelet_active: bool = False
    kubelet_version: str = ""
    kubeadm_version: str = ""
    node_name: str = Field(default="", description="As which node its kubelet signs in; empty: it cannot be told.")
    authorities: tuple[str, ...] = Field(default=(), description="SHA-256 of the certificates of its cluster's CA.")
    run_in_memory: bool = Field(default=False, description="Whether /run is not on a disk.")
    addresses: tuple[str, ...] = Field(default=(), description="Its own network addresses.")

    @property
    def joined(self) -> bool:
        """Whether its kubelet has (or had) credentials of a cluster."""
        return any(path in self.traces for path in (KUBELET_CONF, _BOOTSTRAP_CONF))

    @property
    def clean(self) -> bool:
        """Whether nothing of a join is on it."""
        return not self.traces and not self.control_plane and not self.kubelet_active


def look(ssh: Ssh) -> Membership:
    """Ask a machine.

    Raises:
        Blocked: ``membership-unknown``: it does not say even its machine id; and what ``Ssh.run`` raises.
    """
    argv = ("sh", "-c", _SCRIPT, "sh", " ".join(_TRACES), " ".join(_CONTROL_PLANE))
    found = parse(ssh.run(argv, _SECONDS, sudo=True).raw)
    if not re.fullmatch(r"[0-9a-f]{32}", found.machine_id):
        raise Blocked(
            "membership-unknown",
            f"{ssh.host} does not tell its machine id: it cannot be told from another machine",
            "See /etc/machine-id on it ('systemd-machine-id-setup' makes one).",
        )
    return found


def parse(text: str) -> Membership:
    """What the script printed. Pure; what cannot be understood counts as not told."""
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        said.setdefault(key, []).append(value.strip())

    def one(key: str) -> str:
        return next(iter(said.get(key, ())), "")

    return Membership(
        machine_id=one("machine-id"),
        boot_id=one("boot-id"),
        traces=tuple(said.get("trace", ())),
        control_plane=tuple(said.get("control-plane", ())),
        # A kubelet without a configuration is started again and again ("activating"): that is no trace of a join.
        kubelet_active=one("kubelet-active") == "active",
        kubelet_version=one("kubelet-version").removeprefix("Kubernetes").strip(),
        kubeadm_version=one("kubeadm-version"),
        node_name=_node_name(_decoded(one("client"))),
        authorities=fingerprints(_decoded(one("ca"))),
        run_in_memory=one("run-is") in ("tmpfs", "ramfs"),
        addresses=tuple(one("addresses").split()),
    )


def fingerprints(pem: bytes) -> tuple[str, ...]:
    """SHA-256 of each certificate in a PEM text; none where it cannot be read."""
    return tuple(sorted({one.fingerprint(hashes.SHA256()).hex() for one in _certificates(pem)}))


def same_cluster(one: Iterable[str], other: Iterable[str]) -> bool:
    """Whether two sets of certificate authorities have one in common."""
    return bool(set(one) & set(other))


def _node_name(pem: bytes) -> str:
    for certificate in _certificates(pem):
        for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
            text = str(attribute.value)
            if text.startswith(_USER):
                return text.removeprefix(_USER)
    return ""


def _certificates(pem: bytes) -> list[x509.Certificate]:
    try:
        return list(x509.load_pem_x509_certificates(pem)) if pem.strip() else []
    except ValueError:
        return []


def _decoded(text: str) -> bytes:
    with contextlib.suppress(binascii.Error, ValueError):
        return base64.b64decode(text, validate=True)
    return b""
