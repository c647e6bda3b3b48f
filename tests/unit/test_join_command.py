"""A join command is understood exactly, or refused; its secrets are shown nowhere."""

from __future__ import annotations

import pickle
import string
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import Blocked
from cluster.join_command import JoinCommand, certificate_key, parse
from cluster.masking import Masker

ID, SECRET = "abc123", "0123456789abcdef"
TOKEN = f"{ID}.{SECRET}"
HASH, OTHER = f"sha256:{'a1' * 32}", f"sha256:{'b2' * 32}"
KEY = "c3" * 32
LINE = f"kubeadm join 10.90.0.11:6443 --token {TOKEN} --discovery-token-ca-cert-hash {HASH}"


def _refusal(stdout: str) -> Blocked:
    with pytest.raises(Blocked) as caught:
        parse(stdout)
    assert caught.value.code == "join-command"
    shown = "".join(traceback.format_exception(caught.value))
    for secret in (SECRET, HASH[7:], OTHER[7:], KEY):
        assert secret not in shown
    return caught.value


@pytest.mark.parametrize("end", ["", "\n", " \n", "   \r\n\n"])
def test_the_printed_line_with_whatever_blanks_at_its_end(end: str) -> None:
    assert parse(LINE + end) == JoinCommand("10.90.0.11:6443", TOKEN, (HASH,))


def test_blanks_where_older_versions_broke_the_line() -> None:
    assert parse(LINE.replace(" --disc", "     --disc")).hashes == (HASH,)


def test_several_certificate_authorities_each_once() -> None:
    line = f"{LINE} --discovery-token-ca-cert-hash {OTHER} --discovery-token-ca-cert-hash {HASH} "
    assert parse(line).hashes == (HASH, OTHER)


def test_a_control_plane_join() -> None:
    found = parse(f"{LINE} --control-plane --certificate-key {KEY}\n")
    assert found.control_plane
    assert found.certificate_key == KEY
    assert not parse(LINE).control_plane


@pytest.mark.parametrize(
    "endpoint", ["cp:6443", "api.example.org:443", "[fd00::11]:6443", "10.0.0.1:65535", "CP.Example:6443"]
)
def test_endpoints(endpoint: str) -> None:
    assert parse(LINE.replace("10.90.0.11:6443", endpoint)).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "cp",
        "cp:0",
        "cp:65536",
        "cp:6443/path",
        "https://cp:6443",
        "fd00::11:6443",
        "[10.0.0.1]:6443",
        "[fd00::zz]:6443",
        "10.0.0.300:6443",
        "10.0:6443",
        "-cp:6443",
        "cp_1:6443",
        "cp:６443",
        "$(id):6443",
        ":6443",
    ],
)
def test_what_is_no_endpoint_is_refused(endpoint: str) -> None:
    _refusal(LINE.replace("10.90.0.11:6443", endpoint))


@pytest.mark.parametrize(
    "stdout",
    [
        "",
        "\n \n",
        TOKEN,
        f"W0101 warning\n{LINE}",
        f"{LINE}\n{LINE}",
        f"sudo {LINE}",
        LINE.replace("join", "reset"),
        LINE.replace(f"--token {TOKEN} ", ""),
        LINE.replace(TOKEN, TOKEN.upper()),
        LINE.replace(TOKEN, "<value withheld>"),
        LINE.replace(TOKEN, f"{TOKEN}0"),
        LINE.replace(f"--token {TOKEN}", f"--token={TOKEN}"),
        LINE.partition(" --discovery")[0],
        LINE.replace("sha256:", "md5:"),
        LINE[:-1],
        f"{LINE} --token {TOKEN}",
        f"{LINE} --discovery-token-unsafe-skip-ca-verification",
        f"{LINE} --ignore-preflight-errors all",
        f"{LINE} --control-plane",
        f"{LINE} --certificate-key {KEY}",
        f"{LINE} --control-plane --certificate-key",
        f"{LINE} --control-plane --certificate-key {KEY} --control-plane",
        f"{LINE} --control-plane --certificate-key {KEY[:-2]}",
        f"{LINE}; rm -rf /",
        f"{LINE} \\",
    ],
)
def test_anything_else_is_refused_without_showing_it(stdout: str) -> None:
    assert _refusal(stdout).remedy


WORDS = ("kubeadm", "join", "10.0.0.1:6443", "--token", TOKEN, "--discovery-token-ca-cert-hash", HASH, OTHER)
MORE = ("--control-plane", "--certificate-key", KEY, "x", "")


@given(st.lists(st.sampled_from([*WORDS, *MORE]), max_size=12).map(" ".join) | st.text(max_size=80))
def test_what_is_accepted_has_a_token_and_pins_and_what_is_not_is_a_refusal(text: str) -> None:
    try:
        found = parse(text)
    except Blocked:
        _refusal(text)
        return
    assert found.token == TOKEN
    assert set(found.hashes) <= {HASH, OTHER}
    assert found.hashes
    assert found.control_plane == (KEY in text)


@given(
    st.text(string.ascii_lowercase + string.digits, min_size=6, max_size=6),
    st.text(string.ascii_lowercase + string.digits, min_size=16, max_size=16),
    st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), min_size=1, max_size=3, unique=True),
)
def test_what_kubeadm_prints_is_read_back(token_id: str, secret: str, hashes: list[str]) -> None:
    pins = " ".join(f"--discovery-token-ca-cert-hash sha256:{one}" for one in hashes)
    found = parse(f"kubeadm join cp:6443 --token {token_id}.{secret}  {pins} \n")
    assert (found.token_id, found.token) == (token_id, f"{token_id}.{secret}")
    assert found.hashes == tuple(f"sha256:{one}" for one in hashes)


def test_its_representation_shows_the_address_alone() -> None:
    found = parse(f"{LINE} --control-plane --certificate-key {KEY}")
    for text in (repr(found), str(found), f"{found}", f"{[found]}"):
        assert "10.90.0.11:6443" in text
        assert not any(secret in text for secret in (TOKEN, SECRET, HASH[7:], KEY))
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 (our own, of a line before)


def test_its_secrets_once_registered_are_masked_each_alone() -> None:
    found, masker = parse(f"{LINE} --control-plane --certificate-key {KEY}"), Masker()
    for secret in found.secrets:
        masker.register(secret)
    said = masker.mask(f"{TOKEN} {SECRET} {HASH} {KEY}")
    assert not any(secret in said for secret in (SECRET, HASH[7:], KEY))


UPLOADED = (
    '[upload-certs] Storing the certificates in Secret "kubeadm-certs" in the "kube-system" Namespace\n'
    f"[upload-certs] Using certificate key:\n{KEY}\n"
)


def test_the_certificate_key_is_found() -> None:
    assert certificate_key(UPLOADED) == KEY


@pytest.mark.parametrize("stdout", ["", UPLOADED.replace(KEY, KEY[:-1]), UPLOADED + KEY, f"key {KEY}"])
def test_no_certificate_key_or_two_are_refused_without_showing_them(stdout: str) -> None:
    with pytest.raises(Blocked) as caught:
        certificate_key(stdout)
    assert caught.value.code == "certificate-key"
    assert KEY[:-1] not in str(caught.value)
