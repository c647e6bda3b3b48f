"""Seeing a machine off and back: only no answer at all is silence."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from cluster.hosts import Host
from cluster.ssh_probe import answers
from tests.unit import sshd


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(5)
        yield listener


def test_a_real_server_answers(tmp_path_factory: pytest.TempPathFactory) -> None:
    with sshd.started(tmp_path_factory.mktemp("sshd")) as server:
        assert answers(server.host, 5).state == "answers"


def test_a_greeting_in_pieces_after_other_lines_is_a_greeting(listener: socket.socket) -> None:
    with sshd.greeting(listener, b"Welcome to S", b"SH-land\r\nSS", b"H-2.0-x\r\n"):
        assert answers(Host("gpu-7", *listener.getsockname()), 5).state == "answers"


def test_another_protocol_is_open_and_not_silent(listener: socket.socket) -> None:
    with sshd.greeting(listener, b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        probe = answers(Host("gpu-7", *listener.getsockname()), 5)
    assert (probe.state, probe.silent) == ("open", False)


def test_a_server_that_hangs_is_open_and_not_silent(listener: socket.socket) -> None:
    began = time.monotonic()
    probe = answers(Host("gpu-7", *listener.getsockname()), 0.3)
    assert (probe.state, probe.silent) == ("open", False)
    assert time.monotonic() - began < 3


def test_a_server_that_talks_without_end_is_given_up(listener: socket.socket) -> None:
    with sshd.greeting(listener, *[b"x" * 1000] * 100):
        assert answers(Host("gpu-7", *listener.getsockname()), 5).state == "open"


def test_a_refusal_is_not_silence() -> None:
    probe = answers(Host("gpu-7", "127.0.0.1", sshd.free_port()), 1)
    assert (probe.state, probe.silent) == ("refused", False)


def test_no_answer_is_silence() -> None:
    with sshd.deaf() as host:
        began = time.monotonic()
        probe = answers(host, 0.3)
    assert (probe.state, probe.silent) == ("silent", True)
    assert time.monotonic() - began < 3


def test_an_address_that_does_not_resolve_says_nothing_about_the_machine() -> None:
    probe = answers(Host("gpu-7", "no-such-host.invalid"), 5)
    assert (probe.state, probe.silent) == ("unknown", False)


def test_a_network_that_this_machine_cannot_reach_says_nothing_about_the_other() -> None:
    # 240.0.0.0/4 is reserved: the kernel refuses it without sending anything.
    probe = answers(Host("gpu-7", "255.255.255.255", 22), 1)
    assert (probe.state, probe.silent) == ("unknown", False)
