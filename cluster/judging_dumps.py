"""Judges what the dumps of a set hold: by their tables of contents, and by what was counted when they were taken. Pure.

Whether a dump can be restored, only a rehearsal shows. This tells what can be known without one: that it is a dump,
that it holds rows of the tables that held some in the same moment, and that pg_dump was not older than its server.
"""

from __future__ import annotations

import re

from cluster.check_lines import failed, passed
from cluster.dump_contents import DumpContents
from cluster.evidence import Depth, Seen, SetEvidence
from cluster.manifest import Contents, Manifest, Part
from cluster.postgres_programs import major_of
from cluster.showing import shown
from cluster.verdict import Line

# Without its tables there is no control plane; another database may be empty.
_NEVER_EMPTY = "backend"
# Names in which neither a dot nor a blank could be taken for what stands between schema and table.
_PLAIN = re.compile(r"[^\s.\"]+\.[^\s.\"]+")
_CHECK = "contents"


def contents(evidence: SetEvidence, manifest: Manifest, depth: Depth) -> list[Line]:
    """A line about each dump; without having looked into it, none if its taker noted nothing."""
    dumps = [part for part in manifest.files if part.kind == "database"]
    lines = [_one(part, evidence.files.get(part.path or "", Seen()), depth) for part in dumps]
    return [line for line in lines if line is not None]


def _one(part: Part, seen: Seen, depth: Depth) -> Line | None:
    noted = part.contents if part.contents is not None and part.contents.entries is not None else None
    problem = seen.dump_problem
    if problem is not None and problem.code == "dump-unreadable":
        return failed(_CHECK, f"{part.title}: {problem.message}")
    if seen.dump is None and noted is None:
        return _unread(part, seen) if depth == "checksums" else None
    wrong = _wrong(part, seen.dump)
    if wrong:
        return failed(_CHECK, f"{part.title}: {wrong}")
    return passed(_CHECK, f"{part.title}: {_told(seen.dump, noted)}")


def _unread(part: Part, seen: Seen) -> Line:
    if seen.dump_problem is not None:
        reason, remedy = seen.dump_problem.message, seen.dump_problem.remedy
    elif part.encrypted:
        reason = "it is encrypted, and what was in it was not noted when it was taken"
        remedy = "Take sets with 'downtime backup'; or set [recovery] identity, so that this one can be looked into."
    else:
        reason, remedy = "its table of contents was not read", "Run again."
    return failed(_CHECK, f"{part.title}: {reason}", remedy)


def _wrong(part: Part, dump: DumpContents | None) -> str:
    """What speaks against the dump; empty: nothing."""
    noted = part.contents
    entries = dump.entries if dump is not None else noted.entries if noted is not None else 0
    if not entries:
        return "its table of contents is empty"
    tables = dump.tables if dump is not None else None if noted is None or noted.tables is None else noted.tables.keys()
    if tables is not None and not tables and part.name == _NEVER_EMPTY:
        return "it holds the rows of no table"
    if dump is not None and noted is not None and (lacking := _lacking(noted, dump)):
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        return f"it lacks tables that had rows when it was taken: {shown(', '.join(lacking[:3]), 200)}{more}"
    server, tool = _versions(dump, noted)
    server_major, tool_major = major_of(server), major_of(tool)
    if server_major is not None and tool_major is not None and tool_major < server_major:
        older = f"pg_dump {_short(tool)} is older than its server, PostgreSQL {_short(server)}"
        return f"{older}: it may lack what is new there"
    return ""


def _lacking(noted: Contents, dump: DumpContents) -> list[str]:
    with_rows = [name for name, rows in (noted.tables or {}).items() if rows and _PLAIN.fullmatch(name)]
    # A listing tells name and owner with a blank between, so of an owner "run ai" the first word stands with the name.
    longer = [name for name in dump.tables if " " in name]
    return sorted(
        name
        for name in with_rows
        if name not in dump.tables and not any(each.startswith(f"{name} ") for each in longer)
    )


def _told(dump: DumpContents | None, noted: Contents | None) -> str:
    entries = dump.entries if dump is not None else (noted.entries or 0) if noted is not None else 0
    tables = len(dump.tables) if dump is not None else len(noted.tables) if noted and noted.tables is not None else None
    rows = sum(noted.tables.values()) if noted is not None and noted.tables is not None else None
    server, tool = _versions(dump, noted)
    facts = [f"{entries} entries"]
    facts += [f"{tables} tables"] if tables is not None else []
    facts += [f"{rows} rows"] if rows is not None else []
    facts += [f"PostgreSQL {_short(server)}"] if server else []
    facts += [f"pg_dump {_short(tool)}"] if tool else []
    return f"{', '.join(facts)}{'' if dump is not None else ' (as noted when it was taken)'}"


def _versions(dump: DumpContents | None, noted: Contents | None) -> tuple[str | None, str | None]:
    if dump is not None:
        return dump.server_version, dump.tool_version
    return (noted.server_version, noted.tool_version) if noted is not None else (None, None)


def _short(version: str | None) -> str:
    return shown((version or "").split(" ", maxsplit=1)[0], 40)
