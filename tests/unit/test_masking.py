"""No secret survives masking: neither a registered value in any spelling, nor what is secret by its shape."""

from __future__ import annotations

import base64
import json
import shlex
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cluster.masking import MASK, Masker

secrets = st.text(min_size=1, max_size=30).filter(lambda text: text.strip().strip("•'") and "•" not in text)


def masker(*values: str) -> Masker:
    made = Masker()
    for value in values:
        made.register(value)
    return made


@given(st.lists(secrets, min_size=1, max_size=4), st.text(max_size=50), st.text(max_size=50))
@example(["abc", "bcd"], "xa", "d")
@example(["ab", "abab"], "ab", "abab")
@example(["aa"], "a", "a")
def test_no_registered_value_survives_anywhere(values: list[str], before: str, after: str) -> None:
    made = masker(*values)
    text = before + "".join(values) + after + values[0] + before
    assert not [value for value in values if value in made.mask(text)]


@given(secrets)
def test_no_spelling_of_a_value_survives(value: str) -> None:
    made = masker(value)
    spellings = (
        json.dumps(value)[1:-1],
        shlex.quote(value),
        repr(value)[1:-1],
        quote(value, safe=""),
        base64.b64encode(value.encode()).decode(),
    )
    for spelling in spellings:
        # A short value may also be a letter of the words around it: those are masked as well, and rightly.
        assert made.mask(f"\x02 {spelling} \x03").count(MASK) >= 1
        assert spelling not in made.mask(f"\x02 {spelling} \x03").replace(MASK, "")


@given(st.lists(secrets, max_size=3), st.text(max_size=80))
def test_masking_twice_is_masking_once(values: list[str], text: str) -> None:
    made = masker(*values)
    once = made.mask(text + "".join(values))
    assert made.mask(once) == once


def test_overlapping_values_leave_nothing_of_either() -> None:
    assert masker("abcdef", "defghi").mask("<abcdefghi>") == f"<{MASK}>"


def test_the_lines_of_a_secret_are_masked_on_their_own() -> None:
    made = masker("first-line\nsecond-line\nx\n")
    assert made.mask("log: second-line") == f"log: {MASK}"
    assert made.mask("x marks") == "x marks"


@pytest.mark.parametrize("nothing", ["", " ", "\n", "•••"])
def test_registering_nothing_masks_nothing(nothing: str) -> None:
    assert masker(nothing).mask("a  b\n\nc •••") == "a  b\n\nc •••"


TOKEN = st.from_regex(r"[a-z0-9]{6}\.[a-z0-9]{16}", fullmatch=True)
HASH = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)


@given(TOKEN, HASH)
def test_a_join_command_keeps_neither_token_nor_hash(token: str, digest: str) -> None:
    line = f"kubeadm join cp:6443 --token {token} --discovery-token-ca-cert-hash sha256:{digest}"
    masked = Masker().mask(line)
    assert token not in masked
    assert digest not in masked
    assert masked.startswith("kubeadm join cp:6443 --token ")


@given(TOKEN, st.sampled_from([" ", "'", '"', "=", ":", "\n", "", "(", "-"]))
def test_a_token_is_masked_whatever_stands_around_it(token: str, around: str) -> None:
    assert token not in Masker().mask(f"{around}{token}{around}")


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=hunter2 and more", f"password={MASK} and more"),
        ("PGPASSWORD=hunter2", f"PGPASSWORD={MASK}"),
        ('"password": "hunter 2", "user": "ops"', f'"password": {MASK}, "user": "ops"'),
        ("password: 'hunter 2'", f"password: {MASK}"),
        ("--password hunter2", f"--password {MASK}"),
        ("client_secret=hunter2&x=1", f"client_secret={MASK}&x=1"),
        ("AWS_SECRET_ACCESS_KEY=hunter2", f"AWS_SECRET_ACCESS_KEY={MASK}"),
        ("Authorization: Bearer abc.def-ghi_jkl", f"Authorization: Bearer {MASK}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Basic {MASK}"),
        ("postgresql://runai:hunter2@db:5432/backend", f"postgresql://runai:{MASK}@db:5432/backend"),
        ("--certificate-key 0123abcd", f"--certificate-key {MASK}"),
        ("a\n-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\nBBBB\n-----END OPENSSH PRIVATE KEY-----\nb", f"a\n{MASK}\nb"),
        ("a\n-----BEGIN PRIVATE KEY-----\nAAAA\nBBBB", f"a\n{MASK}"),
    ],
)
def test_what_is_secret_by_its_shape_is_masked(text: str, masked: str) -> None:
    assert Masker().mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "the pod runai-backend-postgresql-0 is gone",
        "boot id 0a1b2c3d-1111-2222-3333-444455556666",
        "ssh-ed25519 SHA256:TC//KMAHQSNN4CsAWYryHA5pP6NBfUxjLevIvUZz8S4",
        "file:///srv/backups/2026-11-24T08-46-22Z",
        '{ secret = "runai/db", key = "password" }',
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "the password was not accepted",
        "node gpu-1.example.internal",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert Masker().mask(text) == text
