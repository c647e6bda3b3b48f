"""A PostgreSQL server that somebody names for a rehearsal, instead of one that the rehearsal makes.

Nothing on it is changed but databases of our own name, which are dropped again: no roles are made, since the globals of
a set would change the passwords of roles that the server has.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from cluster.errors import Blocked, Misused
from cluster.masking import Masker
from cluster.postgres_programs import CLIENT, find, major_of
from cluster.postgres_server import Server
from cluster.secret_refs import ReadSecret, SecretRef, resolve

_HOW = (
    "Name it by reference, since it holds a password: file:PATH, env:VARIABLE or secret:NAMESPACE/NAME#KEY. There "
    "stands a URL like postgresql://user:password@host:5432/postgres?sslmode=verify-full."
)
# libpq's own names of what a URL may say after its "?" (https://www.postgresql.org/docs/15/libpq-envars.html).
_QUERY = {
    "host": "PGHOST",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}
_SECONDS = 20.0


def reference(text: str) -> SecretRef:
    """The reference in ``file:PATH``, ``env:VARIABLE`` or ``secret:NAMESPACE/NAME#KEY``.

    Raises:
        Misused: ``bad-server``: it is none, for example a URL itself: those hold passwords, and arguments are visible.
    """
    kind, _, rest = text.partition(":")
    try:
        if kind == "file" and rest and not rest.startswith("//"):
            return SecretRef(file=Path(rest))
        if kind == "env" and rest:
            return SecretRef(env=rest)
        if kind == "secret" and rest:
            name, _, key = rest.partition("#")
            return SecretRef(secret=name, key=key)
    except ValueError:
        pass
    raise Misused("bad-server", "What stands after --server is no reference to a server's URL", _HOW)


def given_server(
    where: SecretRef, masker: Masker, read_secret: ReadSecret | None, folder: Path | None, dumped_from: int
) -> Server:
    """The server at the URL that the reference names.

    Args:
        folder: where PostgreSQL's programs are; None: looked up.
        dumped_from: the major version of the dumps; 0: not known.

    Raises:
        Misused: ``secret-unreadable``, ``bad-server``.
        Blocked: it cannot be reached, is too old, or there are no programs for it.
    """
    variables = _variables(resolve(where, masker, read_secret), where, masker)
    asking = Server(find(CLIENT, 0, folder), variables, own=False, version="")
    version = asking.query(variables["PGDATABASE"], "SHOW server_version;", _SECONDS)[0].split(" ")[0]
    major = major_of(version) or 0
    if major < dumped_from:
        raise Blocked(
            "server-too-old",
            f"The server in {where} is PostgreSQL {version}, older than {dumped_from}, which the dumps come from",
            "Name a server that is as new, or newer.",
        )
    return Server(find(CLIENT, max(major, dumped_from), folder), variables, own=False, version=version)


def _variables(url: str, where: SecretRef, masker: Masker) -> dict[str, str]:
    try:
        parts = urlsplit(url.strip())
        port, query = parts.port, dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    except ValueError:
        raise Misused("bad-server", f"What {where} holds is no URL of a PostgreSQL server", _HOW) from None
    unknown = [name for name in query if name not in _QUERY]
    if parts.scheme not in ("postgresql", "postgres") or not (parts.hostname or query.get("host")) or unknown:
        why = f": {unknown[0]} is not understood" if unknown else ""
        raise Misused("bad-server", f"What {where} holds is no URL of a PostgreSQL server{why}", _HOW)
    if parts.password:
        masker.register(unquote(parts.password))
    found = {
        "PGHOST": parts.hostname or "",
        "PGPORT": str(port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": unquote(parts.path.strip("/")) or "postgres",
        **{_QUERY[name]: value for name, value in query.items()},
    }
    return {name: value for name, value in found.items() if value}
