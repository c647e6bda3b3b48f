"""From a node to an address: configured first, else its InternalIP, else refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.config import HostsSettings
from cluster.errors import Blocked
from cluster.hosts import Host, locate, split_address


@pytest.mark.parametrize(
    ("configured", "host"),
    [
        ("10.0.0.9", Host("gpu-1", "10.0.0.9", 2200)),
        ("10.0.0.9:22", Host("gpu-1", "10.0.0.9", 22)),
        ("rack7-u12.example", Host("gpu-1", "rack7-u12.example", 2200)),
        ("rack7-u12.example:22", Host("gpu-1", "rack7-u12.example", 22)),
        ("fd00::7", Host("gpu-1", "fd00::7", 2200)),
        ("[fd00::7]", Host("gpu-1", "fd00::7", 2200)),
        ("[fd00::7]:22", Host("gpu-1", "fd00::7", 22)),
    ],
)
def test_a_configured_address_comes_before_the_nodes_own(configured: str, host: Host) -> None:
    settings = HostsSettings(port=2200, addresses={"gpu-1": configured})
    assert locate(settings, "gpu-1", "10.0.0.1") == host


def test_other_nodes_are_reached_at_their_internal_ip() -> None:
    settings = HostsSettings(port=2200, addresses={"gpu-1": "10.0.0.9"})
    assert locate(settings, "gpu-2", "10.0.0.2") == Host("gpu-2", "10.0.0.2", 2200)
    assert locate(settings, "gpu-3", "fd00::3") == Host("gpu-3", "fd00::3", 2200)


@pytest.mark.parametrize("internal_ip", [None, ""])
def test_a_node_without_any_address_is_refused_and_never_guessed_from_its_name(internal_ip: str | None) -> None:
    with pytest.raises(Blocked, match="gpu-1") as caught:
        locate(HostsSettings(), "gpu-1", internal_ip)
    assert caught.value.code == "no-address"
    assert "[hosts.addresses]" in caught.value.remedy


@pytest.mark.parametrize(
    "text",
    ["", " ", "a b", "a:b", "a:0", "a:65536", "a:", ":22", "[fd00::7", "[10.0.0.x]:22", "ops@a", "-oProxyCommand=x",
     "a;b", "[fd00::7]:99999", "a/b"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        split_address(text, 22)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_ip_address_survives_with_and_without_a_port(address: object, port: int) -> None:
    text = str(address)
    assert split_address(text, 22) == (text, 22)
    if "%" not in text:
        assert split_address(f"[{text}]:{port}", 22) == (text, port)


def test_a_host_is_shown_with_node_and_address() -> None:
    assert str(Host("gpu-1", "10.0.0.9", 22)) == "gpu-1 (10.0.0.9)"
    assert str(Host("gpu-1", "fd00::7", 2222)) == "gpu-1 ([fd00::7]:2222)"
