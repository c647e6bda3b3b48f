"""Names come from people, forms and alerts, and end up in URLs and argument lists: nothing but a name gets through."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster import names
from cluster.errors import Misused

LABEL = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(LABEL, min_size=1, max_size=12).map(".".join).filter(lambda name: len(name) <= 253)


@pytest.mark.parametrize("name", ["gpu-1", "a", "1", "rack7.gpu-2.example", "a" * 253])
def test_a_node_name_is_taken_as_it_is(name: str) -> None:
    assert names.node_name(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "GPU-1",
        "-gpu",
        "gpu-",
        "gpu_1",
        "gpu 1",
        "gpu-1\n",
        "../fleet",
        "x/../fleet",
        "gpu-1;reboot",
        "$(reboot)",
        "a..b",
        "gpu-1?watch=true",
        "ｇpu",
        "a" * 254,
    ],
)
def test_whatever_is_no_name_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(Misused) as refused:
        names.node_name(text)
    assert refused.value.exit_code == 2
    assert refused.value.remedy


@given(st.text(max_size=60))
def test_nothing_with_a_meaning_to_a_shell_or_a_url_gets_through(text: str) -> None:
    try:
        name = names.node_name(text)
    except Misused:
        return
    assert re.fullmatch(r"[a-z0-9.-]+", name)
    assert ".." not in name


@given(NAMES, NAMES)
def test_two_nodes_never_share_a_record_or_a_label(one: str, other: str) -> None:
    assert len(names.object_name(one)) <= 253
    assert len(names.node_label(one)) <= 63
    assert (names.object_name(one) == names.object_name(other)) == (one == other)
    assert (names.node_label(one) == names.node_label(other)) == (one == other)


def test_names_that_would_overflow_are_hashed_and_still_differ() -> None:
    one, other = "a" * 252 + "b", "a" * 252 + "c"
    assert names.object_name(one) != names.object_name(other)
    assert names.node_name(names.object_name(one)) == names.object_name(one)
