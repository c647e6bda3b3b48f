"""Running a program in a pod: what is tried again, what is not, and what never leaves this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import pytest

from cluster import pod_exec
from cluster.errors import Blocked, Failed, Misused
from cluster.pod_exec import Pod
from cluster.programs import Deadlines, Ended
from tests.unit.exec_server import SUCCESS, Connection, ExecServer, exec_server, failure

POD = Pod("runai-backend", "runai-backend-postgresql-0", "postgresql")
QUICK = Deadlines(refused=3, silence=1, total=10)
GONE = "unable to upgrade connection: pod does not exist"


def answering(out: bytes = b"", status: dict[str, Any] | None = None, err: bytes = b"") -> Callable[[Connection], None]:
    """A program that writes this, and ends so."""

    def handler(connection: Connection) -> None:
        connection.out(b"+\n")
        connection.line()
        for at in range(0, len(out), 32768):
            connection.out(out[at : at + 32768])
        if err:
            connection.err(err)
        connection.end(status or SUCCESS)

    return handler


def run(server: ExecServer, deadlines: Deadlines = QUICK, **environment: str) -> tuple[bytes, Ended]:
    with pod_exec.started(server.api(), POD, ("tool", "--of=it"), environment, deadlines) as program:
        return b"".join(program.chunks()), program.ended()


def test_every_byte_arrives_as_it_was() -> None:
    content = bytes(range(256)) * 5000
    with exec_server(answering(content)) as server:
        assert run(server) == (content, Ended(0, ""))


def test_the_exit_status_and_the_last_words_arrive() -> None:
    with exec_server(answering(b"half", failure("command terminated", code=3), b"no space")) as server:
        assert run(server) == (b"half", Ended(3, "no space"))


def test_a_secret_goes_by_standard_input_and_is_in_no_url() -> None:
    given: list[bytes] = []

    def handler(connection: Connection) -> None:
        connection.out(b"+\n")
        given.append(connection.line())
        connection.end(SUCCESS)

    with exec_server(handler) as server:
        run(server, PGPASSWORD="it's $SECRET \\n")
    assert given == [b"PGPASSWORD=it's $SECRET \\n\n\n"]
    assert "SECRET" not in unquote_plus(server.asked[0])
    assert "container=postgresql" in server.asked[0]


def test_a_value_of_two_lines_cannot_become_two_variables() -> None:
    with exec_server(answering()) as server, pytest.raises(Misused, match="PGPASSWORD"):
        run(server, PGPASSWORD="one\nLD_PRELOAD=x")
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "said"), [(500, GONE), (503, GONE), (404, GONE), (400, "pod db-0 does not have a host assigned")]
)
def test_a_refusal_right_after_a_restart_is_waited_out(status: int, said: str) -> None:
    with exec_server(answering(b"here"), [(status, said), (status, said)]) as server:
        assert run(server)[0] == b"here"
    assert len(server.asked) == 3


def test_a_refusal_that_comes_after_the_connection_is_waited_out_too() -> None:
    """Since Kubernetes 1.30 the API server accepts first, and asks the kubelet afterwards."""
    calls: list[int] = []

    def handler(connection: Connection) -> None:
        calls.append(1)
        if len(calls) < 3:
            connection.end(failure(GONE))
        else:
            answering(b"here")(connection)

    with exec_server(handler) as server:
        assert run(server)[0] == b"here"


def test_a_connection_that_ends_before_the_program_spoke_is_tried_again() -> None:
    calls: list[int] = []

    def handler(connection: Connection) -> None:
        calls.append(1)
        if len(calls) > 1:
            answering(b"here")(connection)

    with exec_server(handler) as server:
        assert run(server)[0] == b"here"


def test_a_refusal_that_lasts_is_told_with_its_words() -> None:
    with exec_server(answering(), [(500, GONE)] * 50) as server, pytest.raises(Blocked) as raised:
        run(server, Deadlines(refused=0.5))
    assert raised.value.code == "exec-refused"
    assert GONE in raised.value.message


def test_what_is_forbidden_is_not_tried_again() -> None:
    with exec_server(answering(), [(403, "pods is forbidden")]) as server, pytest.raises(Blocked) as raised:
        run(server)
    assert raised.value.code == "forbidden"
    assert len(server.asked) == 1


def test_an_image_without_a_shell_is_not_tried_again() -> None:
    said = 'exec: "sh": executable file not found in $PATH'
    with exec_server(lambda one: one.end(failure(said))) as server, pytest.raises(Blocked) as raised:
        run(server)
    assert raised.value.code == "exec-no-program"
    assert len(server.asked) == 1


def test_a_pod_that_goes_in_the_middle_is_never_taken_for_the_end() -> None:
    """The hazard: a dump that was cut off, taken for a whole one. And once it has begun, nothing is begun anew."""

    def handler(connection: Connection) -> None:
        connection.out(b"+\n")
        connection.line()
        connection.out(b"half")
        connection.socket.close()

    with exec_server(handler) as server, pytest.raises(Failed) as raised:
        run(server)
    assert raised.value.code == "exec-broken"
    assert len(server.asked) == 1


def test_a_silent_program_is_cut_off_although_the_connection_lives() -> None:
    """A node that lost power: the API server answers pings for minutes, and nothing comes."""
    over = threading.Event()

    def handler(connection: Connection) -> None:
        connection.out(b"+\n")
        connection.line()
        connection.err(b"dumping table workloads")
        over.wait(20)

    with exec_server(handler) as server:
        began = time.monotonic()
        with pytest.raises(Failed, match=r"wrote nothing for 1 s.*dumping table workloads"):
            run(server)
        assert time.monotonic() - began < 5
        over.set()


def test_an_idle_connection_is_kept_alive_by_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pod_exec, "_BEAT_SECONDS", 0.1)
    pinged = threading.Event()

    def handler(connection: Connection) -> None:
        plain = connection.socket.protocol.recv_frame

        def noticed(frame: Any) -> None:
            if frame.opcode.name == "PING":
                pinged.set()
            plain(frame)

        connection.socket.protocol.recv_frame = noticed  # type: ignore[method-assign]
        connection.out(b"+\n")
        connection.line()
        assert pinged.wait(10)
        answering_now(connection)

    def answering_now(connection: Connection) -> None:
        connection.out(b"late")
        connection.end(SUCCESS)

    with exec_server(handler) as server:
        assert run(server, Deadlines(silence=20))[0] == b"late"


def test_a_program_that_has_ended_before_it_was_given_anything_is_heard() -> None:
    """A psql that was refused ends at once: its words must not be lost for a connection that seems broken."""
    over = threading.Event()

    def handler(connection: Connection) -> None:
        connection.out(b"+\n")
        connection.line()
        connection.err(b"password authentication failed")
        connection.status(failure("command terminated", code=2))
        over.set()
        connection.socket.close()

    with (
        exec_server(handler) as server,
        pod_exec.started(server.api(), POD, ("psql",), None, QUICK) as program,
    ):
        assert over.wait(10)
        for _ in range(50):
            program.write(b"SELECT 1;\n" * 1000)
        assert program.ended() == Ended(2, "password authentication failed")


def test_leaving_early_cuts_the_connection() -> None:
    ended = threading.Event()

    def handler(connection: Connection) -> None:
        connection.out(b"+\n")
        connection.line()
        try:
            while True:
                connection.out(bytes(32768))
        except Exception:  # noqa: BLE001 - whatever a connection that is cut raises
            ended.set()

    with (
        exec_server(handler) as server,
        pod_exec.started(server.api(), POD, ("tool",), None, QUICK) as program,
    ):
        assert next(iter(program.chunks()))
        program.cut()
        assert ended.wait(10)
