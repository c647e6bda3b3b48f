"""Join tokens of ours: made by kubeadm on a control-plane host, found by their description, and deleted.

A token is a Secret ``kube-system/bootstrap-token-ID``. It is deleted through the API, which works from wherever this
product runs, also when the control-plane host does not answer any more. Only descriptions are read of these Secrets.

Source: https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/
"""

from __future__ import annotations

import base64
import binascii

from cluster import join_command, join_tokens
from cluster.api import Api, Object
from cluster.errors import Blocked, Failed
from cluster.join_command import JoinCommand
from cluster.masking import Masker
from cluster.ssh import Ssh

LIFETIME = "15m"
SECONDS = 60.0
"""How long making one may take."""
_SECRETS = "/api/v1/namespaces/kube-system/secrets"
_TYPE = "bootstrap.kubernetes.io/token"


def create(ssh: Ssh, masker: Masker, node: str, record: str) -> JoinCommand:
    """Make a token on a control-plane host; what is needed to join with it. Its secrets are masked from now on.

    Raises:
        Failed, Blocked: kubeadm failed, or printed something that is not understood. A token may exist all the same.
    """
    about = join_tokens.description(node, record)
    argv = ("kubeadm", "token", "create", "--ttl", LIFETIME, "--description", about, "--print-join-command")
    command = join_command.parse(ssh.run_secret(argv, SECONDS).reveal())
    for secret in command.secrets:
        masker.register(secret)
    return command


def existing(api: Api, node: str) -> tuple[Object, ...]:
    """The Secrets of all tokens that were ever made for this node and still exist: their metadata alone."""
    found = api.list(_SECRETS, fields=f"type={_TYPE}")
    return tuple(one["metadata"] for one in found if _is_for(one, node))


def delete(api: Api, token_id: str) -> None:
    """Delete one token."""
    api.delete(f"{_SECRETS}/bootstrap-token-{token_id}")


def delete_all(api: Api, node: str) -> int:
    """Delete all tokens of this node, and see them gone; how many there were.

    Raises:
        Failed: ``token-left``: one is still there.
    """
    found = existing(api, node)
    for one in found:
        api.delete(f"{_SECRETS}/{one['name']}", uid=str(one["uid"]))
    if found and existing(api, node):
        raise Failed(
            "token-left",
            f"A join token that was made for {node} could not be deleted; it is valid for {LIFETIME} at the most",
            "On a control-plane node: 'kubeadm token list', and 'kubeadm token delete' for the one described as "
            f"'{join_tokens.description(node, 'RECORD')}'.",
        )
    return len(found)


def require_known(api: Api, node: str) -> None:
    """Be sure that the token was made in this cluster, by finding it there.

    Raises:
        Blocked: ``token-elsewhere``: it is not known here.
    """
    if not existing(api, node):
        raise Blocked(
            "token-elsewhere",
            f"The token for {node} that the control-plane host made is not known to this cluster's API server",
            "See whether that host belongs to this cluster: its /etc/kubernetes/admin.conf, and [hosts.addresses].",
        )


def _is_for(secret: Object, node: str) -> bool:
    text = str((secret.get("data") or {}).get("description") or "")
    try:
        whose = join_tokens.described(base64.b64decode(text, validate=True).decode())
    except (binascii.Error, ValueError):
        return False
    return whose is not None and whose.node == node
