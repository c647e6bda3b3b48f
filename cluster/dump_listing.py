"""What a dump is to bring back, and what of it was brought back. Pure: reads what ``pg_restore --list`` prints.

The listing of a dump is compared with that of a dump of what was restored from it: tables, indexes, sequences,
constraints, functions and all else that pg_dump knows by name, so that nothing is counted by a query of our own that
would have to know what pg_dump leaves out. Rows are compared with those that were counted in the dump's own snapshot.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cluster.showing import shown

# As pg_restore names them (https://www.postgresql.org/docs/15/app-pgrestore.html, --list); longer names first. Left
# out: what is made otherwise than by name (data, comments, grants), or differs between versions.
KINDS = (
    "MATERIALIZED VIEW",
    "FOREIGN TABLE",
    "CHECK CONSTRAINT",
    "FK CONSTRAINT",
    "EVENT TRIGGER",
    "SEQUENCE OWNED BY",
    "TABLE ATTACH",
    "INDEX ATTACH",
    "CONSTRAINT",
    "EXTENSION",
    "AGGREGATE",
    "PROCEDURE",
    "FUNCTION",
    "OPERATOR",
    "SEQUENCE",
    "COLLATION",
    "TRIGGER",
    "DEFAULT",
    "DOMAIN",
    "POLICY",
    "SCHEMA",
    "INDEX",
    "TABLE",
    "RULE",
    "TYPE",
    "VIEW",
)
_TOLD = (("TABLE", "tables"), ("INDEX", "indexes"), ("SEQUENCE", "sequences"), ("FUNCTION", "functions"))
_NOT_THAT = re.compile(r"(?:TABLE DATA|MATERIALIZED VIEW DATA|SEQUENCE SET|OPERATOR (?:CLASS|FAMILY)|SCHEMA - public) ")
_ENTRY = re.compile(r"\d+; \d+ \d+ (?P<rest>.+)")
_HEAD = re.compile(r";\s+(?P<key>[A-Za-z ]+): (?P<value>.*)")
_NAMED = 5


@dataclass(frozen=True)
class Listing:
    """What ``pg_restore --list`` says of a dump.

    Attributes:
        objects: how many there are of each (kind, schema and name).
        entries: entries in its table of contents.
        database: the name of the database that it is of.
        server_version, tool_version: like ``15.14``; empty: not told.
    """

    objects: Counter[tuple[str, str]]
    entries: int
    database: str = ""
    server_version: str = ""
    tool_version: str = ""

    def count(self, *kinds: str) -> int:
        """How many objects there are of these kinds."""
        return sum(number for (kind, _), number in self.objects.items() if kind in kinds)

    @property
    def summary(self) -> str:
        """``61 tables, 70 indexes, 3 sequences, 2 functions, 80 constraints``."""
        parts = [(name, self.count(kind)) for kind, name in _TOLD]
        parts.append(("constraints", self.count("CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT")))
        return ", ".join(f"{number} {name}" for name, number in parts)


def listing(text: str) -> Listing:
    """Reads what ``pg_restore --list`` printed."""
    objects: Counter[tuple[str, str]] = Counter()
    head: dict[str, str] = {}
    for line in text.splitlines():
        if (said := _HEAD.match(line)) is not None:
            head[said["key"].strip()] = said["value"].strip()
        elif (entry := _ENTRY.match(line)) is not None and not _NOT_THAT.match(entry["rest"]):
            kind = next((each for each in KINDS if entry["rest"].startswith(f"{each} ")), "")
            if kind:
                # The last word is the owner, who is another where roles were not made.
                objects[kind, entry["rest"][len(kind) :].rpartition(" ")[0].strip()] += 1
    return Listing(
        objects=objects,
        entries=int(head.get("TOC Entries", "0") or 0),
        database=head.get("dbname", ""),
        server_version=head.get("Dumped from database version", "").split(" ")[0],
        tool_version=head.get("Dumped by pg_dump version", "").split(" ")[0],
    )


def missing(expected: Listing, restored: Listing) -> list[str]:
    """What the dump lists and the restored database lacks, like ``INDEX public users_email``."""
    return sorted(f"{kind} {name}" for kind, name in (expected.objects - restored.objects).elements())


def other_rows(expected: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """Where the rows differ from those that were counted in the dump's snapshot, a sentence for each table."""
    differing = []
    for table in sorted({*expected, *found}):
        before, now = expected.get(table), found.get(table)
        if before is None:
            differing.append(f"{shown(table, 100)} was not there when the set was taken")
        elif now is None:
            differing.append(f"{shown(table, 100)} is missing (it had {before} rows)")
        elif before != now:
            differing.append(f"{shown(table, 100)} has {now} rows, not {before}")
    return differing


def some(items: Iterable[str]) -> str:
    """The first few in one text, and how many more there are."""
    every = list(items)
    more = f", and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return ", ".join(shown(item, 160) for item in every[:_NAMED]) + more


def complaints(said: str) -> list[str]:
    """The errors among what pg_restore wrote to standard error, without the data that the server quotes in some.

    A statement follows an error in lines of its own ("Command was: …"), and so do details with values of rows; neither
    is kept. What stands in quotes is kept only where a statement failed: there it names objects.
    """
    found = []
    for line in said.splitlines():
        _, marked, text = line.partition("pg_restore: error: ")
        if not marked:
            continue
        rows = re.match(r'COPY failed for table "(?P<table>[^"]*)": ERROR:\s+(?P<why>[^":]*)', text)
        found.append(f"the rows of table {rows['table']}: {rows['why'].strip()}" if rows else " ".join(text.split()))
    return [shown(each, 300) for each in found]
