"""Chains of processes on one node, each killed one journal write further than the one before it.

A chain is stricter than single kills, and cheaper: what it goes on from was itself left by many that were killed.
"""

from __future__ import annotations

import queue
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from tests.control_plane.kill_ground import Ground, Killing, When
from tests.control_plane.protocol_states import record_of, untouched

T = TypeVar("T")
# What a process writes before it goes on: that it took over, and its epoch on the Node.
_TAKING_OVER = 2


@dataclass
class Chain:
    """The processes on one node, one after the other.

    Attributes:
        first: how many journal writes of the first process are let pass before the killing begins.
        most: how many processes are killed; the one after them runs to its end.
        again: the commands to go on with, in turn.
        killed: labels of the writes at which processes were killed.
    """

    ground: Ground
    node: str
    when: When
    first: int
    most: int
    command: str = "run"
    again: tuple[str, ...] = ("resume", "run")
    killed: list[str] = field(default_factory=list)

    def go(self) -> None:
        """Start processes until one reaches its end. Fails if one ends otherwise than killed or well."""
        command, at, told = self.command, self.first, [1, 2]
        stuck, known = 0, ""
        while True:
            script = Killing(at if len(self.killed) < self.most else 0, self.when)
            ended = self.ground.under(script, command, self.node)
            if not script.killed_at:
                assert ended.status == 0, f"{command} after kills at {self.killed}: {ended.said}"
                return
            assert ended.status == -signal.SIGKILL, ended.said
            self.killed.append(script.killed_at)
            if not self._in_downtime():
                assert untouched(self.ground.api, self.node), "nothing is changed before there is a record"
                at += 1
                continue
            command = self._next_command()
            now = self._progress()
            # Some progress is on the Node alone: a process must be let do more, or none would ever get further.
            stuck, known = (stuck + 1 if now == known else 0), now
            at = told.pop(0) if told else _TAKING_OVER + (1 if self.when == "after" else 2) + stuck

    def _next_command(self) -> str:
        record = record_of(self.ground.api, self.node)
        if self.command == "abort" and record is not None and not record["aborted"]:
            return "abort"  # To resume would be to go forward: that it is to be an abort is not known yet.
        return self.again[len(self.killed) % len(self.again)]

    def _in_downtime(self) -> bool:
        record = record_of(self.ground.api, self.node)
        return record is not None and (record["phase"] != "closed" or self.command != "run")

    def _progress(self) -> str:
        record = record_of(self.ground.api, self.node)
        assert record is not None
        return f"{record['phase']} {record['steps']} {record.get('changes')} {len(record.get('workloads', ()))}"


def at_once(work: Iterable[Callable[[], T]], most: int) -> list[T]:
    """Do all of it, so many at a time. Fails with all failures, not with the first."""
    failures: queue.SimpleQueue[str] = queue.SimpleQueue()

    def one(call: Callable[[], T]) -> T | None:
        try:
            return call()
        except AssertionError as error:
            failures.put(str(error))
            return None

    with ThreadPoolExecutor(most) as pool:
        results = list(pool.map(one, work))
    assert failures.empty(), "\n\n".join(failures.get() for _ in range(failures.qsize()))
    return [result for result in results if result is not None]
