"""The control plane's PostgreSQL server: where it is, how to log in, and a program started there.

By default the server is the pod ``runai-backend-postgresql-0``, and its own tools are used in it. With
``postgresql.enabled=false`` it is a server outside, described by ``global.postgresql.auth``, and this machine's tools
are used. Source: the disaster-recovery and installation pages of the public Run:ai documentation; the names of keys
are those of the Bitnami chart that Run:ai's contains.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import database_auth, local_program, pod_exec
from cluster.api import Api
from cluster.database_auth import ADMINISTRATOR, AUTH, PasswordPlace
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.helm_releases import Release
from cluster.pod_exec import Pod
from cluster.programs import DEADLINES, Deadlines, Ended, Program
from cluster.reach import MASKER, secret_reader
from cluster.secret_text import Secret

POD = "runai-backend-postgresql-0"
_CONTAINER = "postgresql"
_WRONG_LOGIN = re.compile(r"password authentication failed|no password supplied|role \"[^\"]*\" does not exist")
_NOT_NOW = re.compile(
    r"starting up|shutting down|in recovery mode|not (?:yet )?accepting connections"
    r"|connection to server .* failed: (?!FATAL)|server closed the connection|terminating connection",
    re.DOTALL,
)
_OLDER_TOOL = re.compile(r"server version mismatch")


class ServerAway(Blocked):
    """The server does not answer now, and may do so again soon (``database-unreachable``)."""


@dataclass(frozen=True)
class Login:
    """Who logs in, and where the password was found, in words."""

    user: str
    password: Secret
    source: str


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server, and the way to run its tools.

    Attributes:
        pod: where they run; None: on this machine, against ``host``.
        first: a database that surely exists.
        programs: the folder of this machine's tools; None: they are found in ``PATH``.
    """

    api: Api
    login: Login
    pod: Pod | None = None
    host: str = ""
    port: int = 5432
    first: str = "postgres"
    deadlines: Deadlines = DEADLINES
    programs: Path | None = None

    def __str__(self) -> str:
        return f"PostgreSQL in pod {self.pod}" if self.pod else f"PostgreSQL at {self.host}:{self.port}"

    @contextmanager
    def started(self, argv: Sequence[str], database: str) -> Iterator[Program]:
        """One of PostgreSQL's programs, connected to a database."""
        # By variables: a name with "=" in it would be taken for a connection string among the arguments.
        variables = {
            "PGUSER": self.login.user,
            "PGPASSWORD": self.login.password.reveal(),
            "PGDATABASE": database,
            "PGAPPNAME": "runai-downtime",
            "PGCONNECT_TIMEOUT": "20",
        }
        if self.pod is not None:
            with pod_exec.started(self.api, self.pod, argv, variables, self.deadlines) as program:
                yield program
        else:
            place = {"PGHOST": self.host, "PGPORT": str(self.port)}
            here = [str(self.programs / argv[0]), *argv[1:]] if self.programs else argv
            with local_program.started(here, variables | place, self.deadlines) as local:
                yield local

    def succeeded(self, program: str, ended: Ended) -> None:
        """See that it ended well.

        Raises:
            ServerAway: the server does not answer now.
            Blocked: ``database-login``, ``database-tool-version``, ``program-missing``.
            Failed: ``database-tool``: anything else.
        """
        if ended.code != 0:
            raise self.failure(program, ended)

    def failure(self, program: str, ended: Ended) -> DowntimeError:
        """The error for a program that failed."""
        said = MASKER.mask(ended.summary)
        if _WRONG_LOGIN.search(ended.said):
            return Blocked(
                "database-login",
                f"{self} refuses user {self.login.user} with the password from {self.login.source}",
                "Correct it there (a password that was changed in the server only, or a release that was upgraded).",
            )
        if _OLDER_TOOL.search(ended.said):
            return Blocked(
                "database-tool-version",
                f"{program} is older than {self}: {said}",
                "Install PostgreSQL's client programs as new as the server, or newer, where this runs.",
            )
        if _NOT_NOW.search(ended.said):
            return ServerAway(
                "database-unreachable", f"{self} does not answer: {said}", "See whether the server is well, run again."
            )
        if ended.code == 127:
            return Blocked(
                "program-missing", f"There is no {program} where {self} is read: {said}", "See what its image holds."
            )
        return Failed(
            "database-tool",
            f"{program} at {self} ended with {ended.code}: {said}",
            "See its words; a table that is being changed or dropped meanwhile is a reason to run it again.",
        )


def find(api: Api, release: Release, programs: Path | None = None) -> Server:
    """The server that the control plane uses, by the values of its release.

    Args:
        programs: see ``Server``.

    Raises:
        Blocked: ``no-database-pod``, ``no-database-password``, ``no-database-host``.
    """
    if release.value("postgresql.enabled") is False:
        return _outside(api, release, programs)
    path = f"/api/v1/namespaces/{release.namespace}/pods/{POD}"
    body = api.get(path)
    if body is None:
        raise Blocked(
            "no-database-pod",
            f"The pod {release.namespace}/{POD} with the control plane's database does not exist",
            f"See 'kubectl get statefulset -n {release.namespace} runai-backend-postgresql'.",
        )
    names = [str(one["name"]) for one in body["spec"]["containers"]]
    pod = Pod(release.namespace, POD, _CONTAINER if _CONTAINER in names else names[0])
    return Server(api, _administrator(api, release), pod)


def _administrator(api: Api, release: Release) -> Login:
    """The superuser of the built-in server."""
    return _login_from(api, release, database_auth.of_own_server(release.value), ADMINISTRATOR)


def _login_from(api: Api, release: Release, place: PasswordPlace, user: str) -> Login:
    if place.secret:
        return _from_secret(api, release.namespace, place.secret, place.keys, user)
    source = f"{place.path} in the Helm values (Secret {release.namespace}/{release.secret}, 'helm get values')"
    return _login(user, str(release.value(place.path)), source)


def _outside(api: Api, release: Release, programs: Path | None) -> Server:
    auth = AUTH[0]
    host, user = release.value(f"{auth}.host"), str(release.value(f"{auth}.username") or ADMINISTRATOR)
    if not host:
        raise Blocked(
            "no-database-host",
            f"The Helm release {release.name} uses a database outside of the cluster, and names no {auth}.host",
            "See 'helm get values'; the release must say which server it is.",
        )
    place = database_auth.of_server_outside(release.value)
    if place is None:
        raise _no_password(release.name, f"neither {auth}.password nor {auth}.existingSecret is among its values")
    login = _login_from(api, release, place, user)
    port = release.value(f"{auth}.port") or 5432
    first = str(release.value(f"{auth}.database") or "backend")
    return Server(api, login, None, str(host), int(port), first, programs=programs)


def _from_secret(api: Api, namespace: str, name: str, keys: Sequence[str], user: str) -> Login:
    read = secret_reader(api)
    for key in keys:
        try:
            value = read(namespace, name, key).decode()
        except DowntimeError as error:
            if error.code != "no-secret":
                raise
        except UnicodeDecodeError:
            raise _no_password(name, f"the key {key} of the Secret {namespace}/{name} is no text") from None
        else:
            return _login(user, value, f"key {key} of Secret {namespace}/{name}")
    raise _no_password(name, f"the Secret {namespace}/{name} has no key {' or '.join(keys)}, or does not exist")


def _login(user: str, password: str, source: str) -> Login:
    MASKER.register(password)
    return Login(user, Secret(password), source)


def _no_password(release: str, why: str) -> Blocked:
    return Blocked(
        "no-database-password",
        f"The password of the control plane's database is not found: {why}",
        f"See 'helm get values' of {release}, and the Secrets that it names.",
    )
