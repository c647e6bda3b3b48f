"""A secret is read from where its reference says, told to the masker, and never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from cluster.errors import Misused
from cluster.masking import MASK, Masker
from cluster.secret_refs import SecretRef, resolve


def test_a_file_is_read_without_the_line_end_and_masked_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(" hush hush \r\n")
    masker = Masker()
    assert resolve(SecretRef(file=tmp_path / "password"), masker) == " hush hush "
    assert masker.mask("it is hush hush!") == f"it is {MASK}!"


def test_a_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORE_SECRET", "hush")
    assert resolve(SecretRef(env="STORE_SECRET"), Masker()) == "hush"


def test_a_kubernetes_secret_is_read_by_whoever_can() -> None:
    asked: list[tuple[str, str, str]] = []

    def read(namespace: str, name: str, key: str) -> bytes:
        asked.append((namespace, name, key))
        return b"hush"

    assert resolve(SecretRef(secret="runai/sudo", key="password"), Masker(), read) == "hush"
    assert asked == [("runai", "sudo", "password")]


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe"])
def test_a_secret_that_is_not_there_is_named_by_its_place(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "password").write_bytes(content)
    with pytest.raises(Misused, match="password") as caught:
        resolve(SecretRef(file=tmp_path / "password"), Masker())
    assert caught.value.code == "secret-unreadable"


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORE_SECRET", raising=False)
    with pytest.raises(Misused, match="variable STORE_SECRET"):
        resolve(SecretRef(env="STORE_SECRET"), Masker())


def test_a_kubernetes_secret_is_refused_where_nobody_can_read_it() -> None:
    with pytest.raises(Misused, match="runai/sudo"):
        resolve(SecretRef(secret="runai/sudo", key="password"), Masker())
