"""A machine whose versions do not suit the cluster is refused before anything is done to it."""

from __future__ import annotations

import pytest

from cluster import version_skew


def _codes(server: str, kubelet: str, kubeadm: str) -> list[str]:
    return [one.code for one in version_skew.judge(server, kubelet, kubeadm)]


@pytest.mark.parametrize(
    ("kubelet", "suits"),
    [
        ("v1.34.4", True),
        ("v1.34.9", True),
        ("v1.33.0", True),
        ("v1.31.2", True),
        ("v1.30.9", False),
        ("v1.35.0", False),
    ],
)
def test_a_kubelet_is_never_newer_and_at_most_three_behind(kubelet: str, suits: bool) -> None:
    assert _codes("v1.34.4", kubelet, "v1.34.0") == ([] if suits else ["version-skew"])


@pytest.mark.parametrize(
    ("kubeadm", "suits"), [("v1.34.0", True), ("v1.34.9", True), ("v1.33.9", False), ("1.35.0", False)]
)
def test_kubeadm_is_of_the_clusters_minor_version(kubeadm: str, suits: bool) -> None:
    assert _codes("v1.34.4", "v1.34.4", kubeadm) == ([] if suits else ["version-skew"])


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Kubernetes v1.34.4\n", (1, 34)),
        ("v1.30.5+k3s1", (1, 30)),
        ("v1.31.0-rc.1", (1, 31)),
        ("1.29", (1, 29)),
        ("v1", None),
        ("", None),
        ("latest", None),
        ("v1.34x", None),
    ],
)
def test_versions_as_tools_print_them(text: str, version: tuple[int, int] | None) -> None:
    assert version_skew.minor(text) == version


def test_what_cannot_be_read_blocks_and_is_named() -> None:
    found = version_skew.judge("v1.34.4", "", "?")
    assert [one.code for one in found] == ["version-unknown"] * 2
    assert "kubelet" in found[0].message


def test_ten_is_more_than_nine() -> None:
    assert _codes("v1.10.0", "v1.9.0", "v1.10.0") == []
    assert _codes("v1.9.0", "v1.10.0", "v1.9.0") == ["version-skew"]
