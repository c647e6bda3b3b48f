"""What a simulated host answers when it is to join: of which cluster it is, a token, and the join itself.

The Secret of a token is a real one on the lab's API server, and a join without it fails as kubeadm's does.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab.api import Api, ApiError
from lab.binaries import KUBERNETES_VERSION
from lab.errors import LabError
from lab.layout import Lab
from lab.pki import Authority
from lab.simulated.answers import Answer
from lab.simulated.host import Host

JOINS = "kubeadm join --config"
"""What is in a command line whose input is a JoinConfiguration."""
_LOOKS = 'echo "machine-id'
_AWAITS_QUIET = "exec flock"
_OTHER_MACHINE = 79
_TOKENS = "/api/v1/namespaces/kube-system/secrets"
_LETTERS = "abcdefghijkmnpqrstuvwxyz0123456789"


def answer(lab: Lab, host: Host, words: Sequence[str], as_root: bool, given: str) -> Answer | None:
    """Carry out one command; None: it has nothing to do with joining.

    Args:
        words: the command, without sudo.
        given: its input.
    """
    if list(words[:3]) == ["kubeadm", "token", "create"]:
        return _create_token(lab, host, words[3:], as_root)
    if list(words[:2]) != ["sh", "-c"] or len(words) < 3 or not as_root:
        return None
    if _LOOKS in words[2]:
        return _look(lab, host, words[4].split(), words[5].split())
    if _AWAITS_QUIET in words[2]:
        return Answer()
    if JOINS in words[2]:
        return Answer(_OTHER_MACHINE) if words[4] != host.machine_id else _join(lab, host, given)
    return None


def _look(lab: Lab, host: Host, traces: Sequence[str], control_plane: Sequence[str]) -> Answer:
    lines = [
        f"machine-id {host.machine_id}",
        f"boot-id {host.boot_id}",
        *(f"trace {one}" for one in traces if host.joined),
        *(f"control-plane {one}" for one in control_plane if host.joined and host.role == "control-plane"),
        f"kubelet-active {'active' if host.kubelet_runs else 'inactive'}",
        f"kubelet-version Kubernetes {KUBERNETES_VERSION}",
        f"kubeadm-version {KUBERNETES_VERSION}",
        f"ca {_base64(_authority(lab)) if host.joined else ''}",
        f"client {_base64(_client(host.node)) if host.joined else ''}",
        "run-is tmpfs",
    ]
    return Answer(output="".join(f"{line}\n" for line in lines))


def _create_token(lab: Lab, host: Host, arguments: Sequence[str], as_root: bool) -> Answer:
    if not as_root or host.role != "control-plane":
        return Answer(1, error="failed to load admin kubeconfig: open /etc/kubernetes/admin.conf: permission denied\n")
    given = dict(zip(arguments[::2], arguments[1::2], strict=False))
    name, secret = (("".join(secrets.choice(_LETTERS) for _ in range(length))) for length in (6, 16))
    data = {
        "token-id": name,
        "token-secret": secret,
        "description": given.get("--description", ""),
        "usage-bootstrap-authentication": "true",
    }
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{name}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "stringData": data,
    }
    api = Api(lab.kubeconfig)
    try:
        api.create(_TOKENS, body)
    except LabError as error:
        return Answer(1, error=f"failed to create or update bootstrap token: {error}\n")
    server = urlsplit(yaml.safe_load(lab.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]).netloc
    key = x509.load_pem_x509_certificate(_authority(lab).encode()).public_key()
    pin = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    line = f"kubeadm join {server} --token {name}.{secret} --discovery-token-ca-cert-hash sha256:{pin} \n"
    return Answer(output=line)


def _join(lab: Lab, host: Host, configuration: str) -> Answer:
    if host.joined:
        return Answer(1, "[ERROR FileAvailable--etc-kubernetes-kubelet.conf]: it already exists\n")
    document = yaml.safe_load(configuration)
    name, _, secret = document["discovery"]["bootstrapToken"]["token"].partition(".")
    how = document["nodeRegistration"]
    api = Api(lab.kubeconfig)
    try:
        found = api.find(f"{_TOKENS}/bootstrap-token-{name}")
        known = found is not None and base64.b64decode(found["data"]["token-secret"]).decode() == secret
        node = api.find(f"/api/v1/nodes/{host.node}")
    except ApiError as error:
        return Answer(1, f"error execution phase preflight: {error}\n")
    if not known:
        return Answer(1, f'error execution phase preflight: token id "{name}" is invalid for this cluster\n')
    conditions = node["status"].get("conditions", []) if node is not None else []
    if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
        return Answer(1, f'error: a Node with name "{host.node}" and status "Ready" already exists in the cluster\n')
    host.register_taints = [dict(one) for one in how["taints"]]
    host.joined = host.kubelet_starts = True
    if "join-fails" in host.faults:
        return Answer(1, "error execution phase kubelet-start: timed out waiting for the condition\n", changed=True)
    host.start_kubelet()
    return Answer(output="This node has joined the cluster\n", changed=True)


def _authority(lab: Lab) -> str:
    return (lab.folder / "pki" / "ca.crt").read_text()


@functools.cache
def _client(node: str) -> str:
    return Authority().client(f"system:node:{node}", "system:nodes").certificate


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
