"""Reading what ``kubeadm token create --print-join-command`` prints: strictly, and without ever showing it.

It prints one line, ``kubeadm join HOST:PORT --token ID.SECRET --discovery-token-ca-cert-hash sha256:HASH``, with one
hash for each certificate authority, blanks at its end, and with ``--certificate-key KEY`` also ``--control-plane
--certificate-key KEY`` (``cmd/kubeadm/app/cmd/util/join.go``, Kubernetes 1.34). Warnings go to standard error. The
line is never run: it is taken apart here, and what is in it goes into a JoinConfiguration
(:mod:`cluster.join_configuration`), since command lines are visible to every user of a host.

Whatever else is printed is refused: a line that is not understood could join the machine to another cluster, or
without checking its certificate authority.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cluster.errors import Blocked
from cluster.masking import MASK

# https://github.com/kubernetes/cluster-bootstrap/blob/v0.34.4/token/api/types.go
TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")
# An AES key of 32 bytes, in hex digits.
CERTIFICATE_KEY = re.compile(r"[0-9a-f]{64}")
_ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})")
_LABEL = r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LONGEST_HOST = 253


@dataclass(frozen=True, repr=False)
class JoinCommand:
    """What is needed to join a machine to the cluster.

    Attributes:
        endpoint: ``HOST:PORT`` of the API server; an IPv6 address in brackets.
        token: ``ID.SECRET``; secret.
        hashes: pins of the certificate authorities, ``sha256:…``; not shown either.
        certificate_key: what the control plane's certificates are encrypted with; secret; empty: a worker joins.
    """

    endpoint: str
    token: str
    hashes: tuple[str, ...]
    certificate_key: str = ""

    @property
    def token_id(self) -> str:
        """The public half of the token, by which it is deleted."""
        return self.token.partition(".")[0]

    @property
    def control_plane(self) -> bool:
        """Whether it joins a control-plane node."""
        return bool(self.certificate_key)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything that must be registered with the Masker before this is used."""
        found = (self.token, self.token.partition(".")[2], *self.hashes, self.certificate_key)
        return tuple(one for one in found if one)

    def __repr__(self) -> str:
        return f"JoinCommand(endpoint={self.endpoint!r}, secrets={MASK})"


def parse(stdout: str) -> JoinCommand:
    """Take the printed command apart.

    Raises:
        Blocked: ``join-command``: it is anything else. What was printed is not repeated, since it may hold a token.
    """
    lines = [line for line in stdout.splitlines() if line.strip()]
    if len(lines) != 1:
        raise _refused("nothing" if not lines else f"{len(lines)} lines instead of one")
    words = lines[0].split()
    if words[:2] != ["kubeadm", "join"] or len(words) < 3:
        raise _refused("a line that does not begin with 'kubeadm join HOST:PORT'")
    if not _is_endpoint(words[2]):
        raise _refused("an address of the API server that is not HOST:PORT")
    return _with_flags(words[2], words[3:])


def certificate_key(stdout: str) -> str:
    """The key that ``kubeadm certs certificate-key`` prints (others print one in a line of its own); it is secret.

    Raises:
        Blocked: ``certificate-key``: there is not exactly one.
    """
    found = [line.strip() for line in stdout.splitlines() if CERTIFICATE_KEY.fullmatch(line.strip())]
    if len(found) == 1:
        return found[0]
    raise Blocked(
        "certificate-key",
        f"'kubeadm certs certificate-key' printed {len(found) or 'no'} certificate key{'s' if found else ''} "
        "where one was expected (the output is not shown)",
        "Run it on a control-plane node and see what it says.",
    )


def _with_flags(endpoint: str, words: list[str]) -> JoinCommand:
    token = key = ""
    hashes: list[str] = []
    control_plane = False
    for flag, value in _flags(words):
        if flag == "--control-plane" and not control_plane:
            control_plane = True
        elif flag == "--token" and not token and TOKEN.fullmatch(value):
            token = value
        elif flag == "--discovery-token-ca-cert-hash" and _HASH.fullmatch(value):
            hashes.append(value)
        elif flag == "--certificate-key" and not key and CERTIFICATE_KEY.fullmatch(value):
            key = value
        else:
            raise _refused("an argument that is not known, is given twice, or has no proper value")
    if not token:
        raise _refused("no token")
    if not hashes:
        raise _refused("no hash of the certificate authority, without which the cluster could not be told from another")
    if control_plane != bool(key):
        raise _refused("only one of --control-plane and --certificate-key")
    return JoinCommand(endpoint, token, tuple(dict.fromkeys(hashes)), key)


def _flags(words: list[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for flag in rest:
        yield flag, "" if flag == "--control-plane" else next(rest, "")


def _is_endpoint(text: str) -> bool:
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match[2]) < 65536:
        return False
    host = match[1]
    if host.startswith("["):
        return _is_address(host[1:-1], 6)
    # What looks like a dotted number must be an address: 10.0.0.300 would be looked up as a name.
    if re.fullmatch(r"[0-9.]+", host):
        return _is_address(host, 4)
    return len(host) <= _LONGEST_HOST and _HOST.fullmatch(host) is not None


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _refused(what: str) -> Blocked:
    return Blocked(
        "join-command",
        f"'kubeadm token create --print-join-command' printed {what} (the output is not shown: it may hold a token)",
        "Run it on the control-plane node by hand and see what it says; then delete that token with 'kubeadm token "
        "delete ID'.",
    )
