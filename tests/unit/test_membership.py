"""What a machine says of itself is read strictly: names and authorities come from certificates, never from a guess."""

from __future__ import annotations

import base64
import datetime
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cluster import membership
from cluster.membership import KUBELET_CONF


def certificate(name: str) -> tuple[bytes, bytes]:
    """A certificate of that common name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    now = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem), private


def said(ca: bytes = b"", client: bytes = b"") -> str:
    return (
        f"machine-id {'a' * 32}\nboot-id b\ntrace {KUBELET_CONF}\nkubelet-active active\n"
        "kubelet-version Kubernetes v1.34.4\nkubeadm-version v1.34.4\nrun-is tmpfs\n"
        f"ca {base64.b64encode(ca).decode()}\nclient {base64.b64encode(client).decode()}\n"
    )


def test_name_and_authority_are_those_of_its_certificates() -> None:
    ca, _ = certificate("kubernetes")
    own, _ = certificate("system:node:gpu-1")
    found = membership.parse(said(ca, own))
    assert found.node_name == "gpu-1"
    assert found.authorities == membership.fingerprints(ca)
    assert len(found.authorities) == 1
    assert (found.kubelet_version, found.kubeadm_version) == ("v1.34.4", "v1.34.4")
    assert found.joined
    assert not found.clean


def test_a_certificate_of_somebody_else_gives_no_name() -> None:
    admin, _ = certificate("kubernetes-admin")
    assert membership.parse(said(client=admin)).node_name == ""


@pytest.mark.parametrize("text", ["", "ca !!!\nclient !!!", said(b"no certificate", b"none either")])
def test_what_cannot_be_understood_counts_as_not_told(text: str) -> None:
    found = membership.parse(text)
    assert (found.node_name, found.authorities) == ("", ())


def test_two_clusters_are_the_same_only_with_an_authority_in_common() -> None:
    one, other = membership.fingerprints(certificate("kubernetes")[0]), membership.fingerprints(certificate("k")[0])
    assert membership.same_cluster(one, one + other)
    assert not membership.same_cluster(one, other)
    assert not membership.same_cluster((), ())


def test_the_script_takes_certificates_alone_out_of_a_file_with_a_key(tmp_path: Path) -> None:
    ca, _ = certificate("kubernetes")
    own, key = certificate("system:node:gpu-1")
    client = tmp_path / "client.pem"
    client.write_bytes(own + key)
    conf = tmp_path / "kubelet.conf"
    conf.write_text(
        f"clusters:\n- cluster:\n    certificate-authority-data: {base64.b64encode(ca).decode()}\n"
        f"    server: https://cp:6443\nusers:\n- user:\n    client-certificate: {client}\n"
    )
    script = membership._SCRIPT.replace(KUBELET_CONF, str(conf))
    ran = subprocess.run(
        ["sh", "-c", script, "sh", str(conf), ""], capture_output=True, text=True, timeout=30, check=True
    )
    found = membership.parse(ran.stdout)
    assert found.node_name == "gpu-1"
    assert found.authorities == membership.fingerprints(ca)
    assert found.traces == (str(conf),)
    for line in key.decode().splitlines()[1:-1]:
        assert line not in ran.stdout
        assert line not in base64.b64decode(ran.stdout.split("client ")[1].split("\n")[0]).decode()
