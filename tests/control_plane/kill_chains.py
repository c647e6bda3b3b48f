"""Chains of processes on one node, each killed one journal write further than the one before it.

A chain is stricter than single kills, and cheaper: what it goes on from was itself left by many that were killed.
"""

from __future__ import annotations

import json
import queue
import signal
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tests.control_plane.kill_ground import Ground, Killing, When
from tests.control_plane.protocol_states import Ending, ending_of, fleet_of, mark_of, node_of, record_of, untouched

T = TypeVar("T")
# What a process writes before it goes on: that it took over, and its epoch on the Node.
_TAKING_OVER = 2


@dataclass
class Chain:
    """The processes on one node, one after the other.

    Attributes:
        first: label of the write at which the first process is killed; empty: its very first write.
        last: label of the write at which a process is killed for the last time; the next one runs to its end.
        again: the commands to go on with, in turn.
        killed: labels of the writes at which processes were killed.
        script: makes what kills a process; one that sees more than a kill may take its place.
        most: more processes than this get no further, each one step behind the one before it.
        died_closed: the last one was killed just after it had closed the record: nobody goes on from there.
    """

    ground: Ground
    node: str
    when: When
    first: str
    last: str
    command: str = "run"
    again: tuple[str, ...] = ("resume", "run")
    killed: list[str] = field(default_factory=list)
    script: Callable[[int, When, str], Killing] = Killing
    most: int = 45
    died_closed: bool = False

    def ended_as(self, expected: Ending) -> None:
        """It ended like that; only the lock of one that died right after all was done runs out by itself."""
        ending = ending_of(self.ground.lab, self.ground.api, self.node)
        assert replace(ending, holder="" if self.died_closed else ending.holder) == expected, self

    def go(self) -> None:
        """Start processes until one reaches its end. Fails if one ends otherwise than killed or well."""
        command, at, told, wanted = self.command, 1, self._taking_over(), self.first
        stuck, known = 0, set[str]()
        while True:
            assert len(self.killed) < self.most, f"it gets no further: {self.killed}"
            over = bool(self.killed) and self.killed[-1] == self.last
            script = self.script(0 if over else at, self.when, wanted)
            wanted = ""
            ended = self.ground.under(script, command, self.node)
            if not script.killed_at:
                assert ended.status == 0, f"{command} after kills at {self.killed}: {ended.said}"
                return
            assert ended.status == -signal.SIGKILL, ended.said
            self.killed.append(script.killed_at)
            if self.when == "after" and script.killed_at.startswith("record, closed"):
                self.died_closed = True
                return
            if not self._in_downtime():
                assert untouched(self.ground.api, self.node), "nothing is changed before there is a record"
                at += 1
                continue
            command = self._next_command()
            now = f"{script.killed_at} {self._progress()}"
            if told:
                at = told.pop(0)
                continue
            # What is undone by taking over must be done again: a process is let do more, or none would get further.
            stuck = stuck + 1 if now in known else 0
            known.add(now)
            at = _TAKING_OVER + (1 if self.when == "after" else 2) + stuck

    def _taking_over(self) -> list[int]:
        if self.command == "abort" and not self.first:
            # The first processes of an abort also write that it is one.
            return [2, 2] if self.when == "after" else [2, 3, _TAKING_OVER + 1]
        return [1, 2] if self.when == "after" else [1, 2, _TAKING_OVER + 1]

    def _next_command(self) -> str:
        record = record_of(self.ground.api, self.node)
        if self.command == "abort" and record is not None and not record["aborted"]:
            return "abort"  # To resume would be to go forward: that it is to be an abort is not known yet.
        return self.again[len(self.killed) % len(self.again)]

    def _in_downtime(self) -> bool:
        record = record_of(self.ground.api, self.node)
        return record is not None and record["phase"] != "closed"

    def _progress(self) -> str:
        record, node = record_of(self.ground.api, self.node), node_of(self.ground.api, self.node)
        assert record is not None
        mark = mark_of(self.ground.api, self.node)
        seen = (
            record["phase"],
            [(step, state["state"]) for step, state in record["steps"].items()],
            [(change["what"], change["state"]) for change in record.get("changes", ())],
            len(record.get("workloads", ())),
            *(node["spec"].get(key) for key in ("taints", "unschedulable")),
            mark and mark["owns"],
            self.node in fleet_of(self.ground.api),
        )
        return json.dumps(seen)


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
