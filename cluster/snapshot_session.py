"""One moment of a database, held open: what is counted and what is dumped while it is open are of that same moment.

A psql in a repeatable-read transaction exports its snapshot, which pg_dump then reads in; the rows of each table are
counted in it while the dump streams. So a rehearsal can say that what was restored is what there was, to the row:
https://www.postgresql.org/docs/15/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from cluster.database_server import Server
from cluster.programs import Program, lines

PSQL = ("psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password", "--set=ON_ERROR_STOP=1")
# Nobody else's setting may end the session while the dump streams; row security would count fewer rows than there are.
_OPEN = """
SET statement_timeout = 0;
SET lock_timeout = '120s';
SET idle_in_transaction_session_timeout = 0;
SET row_security = off;
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT json_build_object('snapshot', pg_export_snapshot(), 'version', current_setting('server_version'));
"""
# Tables that a dump holds the rows of: ordinary ones and partitions, each by itself. Those of an extension come with
# it, and materialized views are made anew.
_COUNT = r"""
SELECT format('SELECT json_build_object(''table'', %L, ''rows'', count(*)) FROM ONLY %I.%I',
              n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't'
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1 \gexec
\echo counted
"""


@dataclass(frozen=True)
class Moment:
    """A snapshot that is open.

    Attributes:
        snapshot: its name, for ``pg_dump --snapshot``.
        began: when it was taken, by this machine's clock (never later than it was).
        server_version: ``15.14``.
    """

    program: Program
    server: Server
    snapshot: str
    began: datetime
    server_version: str

    def begin_counting(self) -> None:
        """Have the rows counted from now on, beside whatever else is done."""
        self.program.write(_COUNT.encode())

    def counted(self) -> dict[str, int]:
        """The rows of each table (``schema.table``); waits for the counting to end."""
        rows: dict[str, int] = {}
        for line in lines(self.program):
            if line == "counted":
                return rows
            found = json.loads(line)
            rows[str(found["table"])] = int(found["rows"])
        raise self.server.failure("psql", self.program.ended())


@contextmanager
def opened(server: Server, database: str) -> Iterator[Moment]:
    """Hold a moment of the database open.

    Raises:
        Blocked, Failed: see :meth:`cluster.database_server.Server.succeeded`.
    """
    began = datetime.now(UTC)
    with server.started(PSQL, database) as program:
        program.write(_OPEN.encode())
        for line in lines(program):
            found = json.loads(line)
            version = str(found["version"]).split(" ", maxsplit=1)[0]
            yield Moment(program, server, str(found["snapshot"]), began, version)
            return
        raise server.failure("psql", program.ended())
