"""Versions that do not fit are refused before anything is changed."""

from __future__ import annotations

import pytest

from cluster import skew


@pytest.mark.parametrize(
    ("kubelet", "server", "code"),
    [
        ("v1.34.4", "v1.34.4", None),
        ("v1.34.9", "v1.34.0", None),
        ("v1.31.0", "v1.34.4", None),
        ("v1.33.1-eks-1", "v1.34.4+k3s1", None),
        ("v1.30.0", "v1.34.4", "version-skew"),
        ("v1.35.0", "v1.34.4", "version-skew"),
        ("v1.25.0", "v1.28.0", "version-skew"),
        ("v1.26.0", "v1.28.0", None),
        ("v2.34.0", "v1.34.0", "version-skew"),
        ("", "v1.34.4", "version-unknown"),
        ("v1.34.4", "", "version-unknown"),
        ("1.34", "v1.34.4", None),
        ("v1.34.4; rm -rf", "v1.34.4", "version-unknown"),
    ],
)
def test_a_kubelet_is_not_newer_and_at_most_three_minor_versions_older(
    kubelet: str, server: str, code: str | None
) -> None:
    found = skew.objection(kubelet, server, "gpu-1")
    assert (found.code if found is not None else None) == code
