"""Where the password of the control plane's database stands, by the values of its release. Pure; reads no password.

One lookup for the backup, which logs in with it, and for the restore plan, which prints how it is read. The names of
keys are those of the Bitnami chart that Run:ai's contains; ``existingSecretKey`` is of Run:ai's installation page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OWN_SECRET = "runai-backend-postgresql"  # noqa: S105 - an object's name
ADMINISTRATOR = "postgres"
AUTH = ("global.postgresql.auth", "postgresql.auth")

Value = Callable[[str], Any]
"""Gives what stands at a path of the values (``postgresql.enabled``); None: nothing."""


@dataclass(frozen=True)
class PasswordPlace:
    """Where a password stands.

    Attributes:
        secret: a Secret in the release's namespace; empty: it is among the values themselves.
        keys: of the Secret; the first that it has counts.
        path: in the values.
    """

    secret: str = ""
    keys: tuple[str, ...] = ()
    path: str = ""


def of_own_server(value: Value) -> PasswordPlace:
    """That of the superuser of the release's own pod: only that one may read all databases and the roles' passwords."""
    for auth in AUTH:
        if secret := value(f"{auth}.existingSecret"):
            return PasswordPlace(str(secret), (str(value(f"{auth}.secretKeys.adminPasswordKey") or _KEYS[1]),))
    for auth in AUTH:
        if value(f"{auth}.postgresPassword"):
            return PasswordPlace(path=f"{auth}.postgresPassword")
    for auth in AUTH:
        if value(f"{auth}.username") in (None, "", ADMINISTRATOR) and value(f"{auth}.password"):
            return PasswordPlace(path=f"{auth}.password")
    return PasswordPlace(OWN_SECRET, (_KEYS[1],))


def of_server_outside(value: Value) -> PasswordPlace | None:
    """That of the user of a server outside of the cluster; None: the values do not tell."""
    auth = AUTH[0]
    if secret := value(f"{auth}.existingSecret"):
        key = value(f"{auth}.secretKeys.userPasswordKey") or value(f"{auth}.existingSecretKey")
        return PasswordPlace(str(secret), (str(key),) if key else _KEYS)
    found = next((name for name in ("password", "postgresPassword") if value(f"{auth}.{name}")), None)
    return PasswordPlace(path=f"{auth}.{found}") if found else None


_KEYS = ("password", "postgres-password")
