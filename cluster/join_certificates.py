"""The control plane's certificates on their way to a machine that joins as one of its nodes: uploaded, and deleted.

kubeadm puts them into the Secret ``kube-system/kubeadm-certs``, encrypted with a key that only it and the joining
machine are told, beside a bootstrap token of no use but to end (after two hours) and take the Secret with it.

The key is made on the control-plane host. It goes to kubeadm through standard input and a pipe, as part of an
InitConfiguration: never as an argument, which every user of a host sees, and never into a file. The rest of that
configuration is the cluster's own (ConfigMap ``kubeadm-config``): without it kubeadm would look for the newest version
in the internet, and for the certificates in the default folder.

Source: ``UploadCerts`` in cmd/kubeadm/app/phases/copycerts/copycerts.go, and cmd/kubeadm/app/cmd/init.go, of Kubernetes
1.34.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection
from typing import Any

import yaml

from cluster import join_command
from cluster.api import Api, Object
from cluster.errors import Failed
from cluster.masking import Masker
from cluster.ssh import Ssh

SECONDS = 75.0
"""How long making a key and uploading may take, each at its longest."""
_KEY_SECONDS, _UPLOAD_SECONDS = 20.0, 55.0
_SYSTEM = "/api/v1/namespaces/kube-system"
_SECRETS = f"{_SYSTEM}/secrets"
_NAME = "kubeadm-certs"
_TOKEN_TYPE = "bootstrap.kubernetes.io/token"  # noqa: S105 - a type of Secret
_DESCRIPTION = "Proxy for managing TTL for the kubeadm-certs secret"
_KEY = ("kubeadm", "certs", "certificate-key")
# A pipe: what sshd gives a command as its standard input may be a socket, which can't be opened by its path.
# "$1": seconds.
_UPLOAD = (
    'set -e; cat | timeout -k 10 "$1" kubeadm init phase upload-certs --upload-certs --skip-certificate-key-print '
    "--config /dev/stdin"
)


def cluster_configuration(api: Api) -> dict[str, Any]:
    """The ClusterConfiguration with which kubeadm made the cluster; empty: it cannot be read."""
    found = api.get(f"{_SYSTEM}/configmaps/kubeadm-config")
    try:
        document = yaml.safe_load(str(((found or {}).get("data") or {}).get("ClusterConfiguration") or ""))
    except yaml.YAMLError:
        return {}
    return document if isinstance(document, dict) else {}


def uploaded(api: Api) -> bool:
    """Whether certificates are uploaded now, by whomever."""
    return _secret(api) is not None


def proxies(api: Api) -> tuple[str, ...]:
    """The names of the tokens (Secrets) that were made to end uploads, by whomever."""
    found = api.list(_SECRETS, fields=f"type={_TOKEN_TYPE}")
    return tuple(sorted(str(one["metadata"]["name"]) for one in found if _is_proxy(one)))


def upload(ssh: Ssh, masker: Masker, configuration: dict[str, Any]) -> str:
    """Upload the certificates from a control-plane host; the key that they are encrypted with, masked from now on.

    Args:
        configuration: the cluster's, from :func:`cluster_configuration`.

    Raises:
        Failed: kubeadm failed; there may be a Secret or a token all the same.
        Blocked: ``certificate-key``: it printed something else than a key; ``sudo-refused``; ``ssh-lost``.
    """
    key = join_command.certificate_key(ssh.run_secret(_KEY, _KEY_SECONDS).reveal())
    masker.register(key)
    argv = ("sh", "-c", _UPLOAD, "sh", str(int(_UPLOAD_SECONDS) - 15))
    ended = ssh.run(argv, _UPLOAD_SECONDS, sudo=True, check=False, stdin=rendered(key, configuration))
    if ended.exit_code != 0:
        lines = [" ".join(line.split()) for line in (ended.stderr or ended.stdout).splitlines() if line.strip()]
        raise Failed(
            "upload-certs-failed",
            f"'kubeadm init phase upload-certs' on {ssh.host} failed (exit {ended.exit_code}): "
            f"{' / '.join(lines[-3:])[:600] or 'it printed nothing'}",
            "Run it there by hand and see what it says.",
        )
    return key


def rendered(key: str, configuration: dict[str, Any]) -> str:
    """What kubeadm is given: the key, and the cluster's own configuration. Pure; it holds a secret."""
    own = {"apiVersion": configuration["apiVersion"], "kind": "InitConfiguration", "certificateKey": key}
    # Quoted: a key of digits and an 'e' is a number to some readers.
    quoted = yaml.safe_dump(own, default_style='"', sort_keys=False)
    return f"{quoted}---\n{yaml.safe_dump(configuration, sort_keys=False)}"


def delete(api: Api, foreign: Collection[str]) -> int:
    """Delete the Secret and the tokens that were made with it, and see them gone; how many there were.

    Args:
        foreign: the names of the tokens that were there before ours.

    Raises:
        Failed: ``certificates-left``: one is still there.
    """
    gone = 0
    secret = _secret(api)
    if secret is not None and not _owners(secret) & set(foreign):
        gone += _delete(api, secret)
    for one in api.list(_SECRETS, fields=f"type={_TOKEN_TYPE}"):
        if _is_proxy(one) and one["metadata"]["name"] not in foreign:
            gone += _delete(api, one)
    left = _secret(api)
    if left is not None and not _owners(left) & set(foreign):
        raise Failed(
            "certificates-left",
            f"The uploaded certificates (Secret kube-system/{_NAME}) could not be deleted; they end within two hours",
            f"'kubectl delete secret -n kube-system {_NAME}'.",
        )
    return gone


def _secret(api: Api) -> Object | None:
    # By a list, not by "get": reading Secrets of kube-system by their names is no permission of this product.
    return next(iter(api.list(_SECRETS, fields=f"metadata.name={_NAME}")), None)


def _delete(api: Api, secret: Object) -> int:
    return api.delete(f"{_SECRETS}/{secret['metadata']['name']}", uid=str(secret["metadata"]["uid"]))


def _owners(secret: Object) -> set[str]:
    return {str(one.get("name")) for one in secret["metadata"].get("ownerReferences") or ()}


def _is_proxy(secret: Object) -> bool:
    text = str((secret.get("data") or {}).get("description") or "")
    try:
        return base64.b64decode(text, validate=True).decode() == _DESCRIPTION
    except (binascii.Error, ValueError):
        return False
