"""A join token is deleted even when the certificates that were uploaded beside it cannot be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster import join_token_store, joining_control_plane, rejoining
from cluster.errors import Failed


def test_certificates_that_stay_do_not_keep_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    def stuck(_: Any) -> None:
        raise Failed("certificates-left", "they could not be deleted", "delete them")

    deleted: list[str] = []
    monkeypatch.setattr(joining_control_plane, "forget_certificates", stuck)
    monkeypatch.setattr(join_token_store, "delete_all", lambda _api, node: deleted.append(node))
    downtime = SimpleNamespace(
        node="master-3", api=None, lock=SimpleNamespace(check=lambda: None), record=SimpleNamespace(changes=())
    )
    with pytest.raises(Failed) as raised:
        rejoining.forget_tokens(cast(Any, downtime))
    assert raised.value.code == "certificates-left"
    assert deleted == ["master-3"]
