"""Shell commands of a restore plan. Pure: texts in, texts out; nothing is run, and no secret is in any of them.

They are for bash with kubectl, helm, jq and age, and read three variables that the plan's first step sets: ``SET`` (the
set's folder), ``KEY`` (the file with the private key) and ``WORK`` (a folder for notes that the plan itself makes).
Passwords go from the new cluster's Secret through pipes: never through an argument, which every user of a machine sees.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cluster import database_auth
from cluster.database_auth import ADMINISTRATOR, AUTH, PasswordPlace
from cluster.manifest import Part
from cluster.restorable import SERVERS_OWN
from cluster.service import BACKEND_NAMESPACE

POSTGRES = "runai-backend-postgresql"
METRICS = "runai-backend-thanos-receive"
_COMPARED = 5
# For both a single object and a List; what the old cluster's server set, the new one refuses.
_CLEAN = (
    f"def clean: del(.status, {', '.join(f'.metadata.{name}' for name in SERVERS_OWN)}); "
    'if .kind == "List" then .items |= map(clean) else clean end'
)
_LABELS = (
    '.nodes[] | .name as $n | (.labels | to_entries[] | @sh "kubectl label node \\($n) \\(.key + "=" + .value) '
    '--overwrite"), (.annotations | to_entries[] | @sh "kubectl annotate node \\($n) \\(.key + "=" + .value) '
    '--overwrite"), (.taints[] | @sh "kubectl taint node \\($n) \\(.key + "=" + (.value // "") + ":" + .effect) '
    '--overwrite")'
)


@dataclass(frozen=True)
class Database:
    """Where the control plane's database will be, by the values of its release (``database_of``).

    Attributes:
        host: of a server outside of the cluster; empty: the pod of the release.
        secret, key: the Secret in the release's namespace that holds the password.
        or_key: the key in which it stands where the Secret has no ``key``; empty: none.
        path: where the saved values hold it, instead of a Secret.
    """

    host: str = ""
    port: int = 5432
    user: str = "postgres"
    secret: str = POSTGRES
    key: str = "postgres-password"
    or_key: str = ""
    path: str = ""

    @property
    def outside(self) -> bool:
        """Whether it is a server of its own."""
        return bool(self.host)


def database_of(values: Mapping[str, Any]) -> Database:
    """Where the database is, by the values of the release ``runai-backend``; no password is read."""

    def value(path: str) -> Any:
        return _value(values, path)

    if value("postgresql.enabled") is not False:
        own = database_auth.of_own_server(value)
        # A password that stands in the values is put into this Secret by the chart, when it is installed with them.
        return Database(secret=own.secret, key=own.keys[0]) if own.secret else Database()
    auth = AUTH[0]
    place = database_auth.of_server_outside(value) or PasswordPlace("SECRET", ("password",))
    return Database(
        host=str(value(f"{auth}.host") or "HOST"),
        port=int(value(f"{auth}.port") or 5432),
        user=str(value(f"{auth}.username") or ADMINISTRATOR),
        secret=place.secret,
        key=place.keys[0] if place.keys else "",
        or_key=place.keys[1] if len(place.keys) > 1 else "",
        path=place.path,
    )


def read(part: Part) -> str:
    """Writes a part in the clear to standard output."""
    file = f'"$SET"/{shlex.quote(part.path or "")}'
    return f'age --decrypt --identity "$KEY" {file}' if part.encrypted else f"cat {file}"


def verify(parts: tuple[Part, ...]) -> str:
    """Compares every file with the checksum that its manifest has."""
    sums = "\n".join(f"{part.sha256}  {part.path}" for part in parts)
    return f"(cd \"$SET\" && sha256sum --check --strict) <<'SUMS'\n{sums}\nSUMS"


def helm(part: Part, release: str, chart: str, namespace: str, version: str) -> str:
    """Installs a release with the values that were saved; they hold passwords, and go through a pipe."""
    exact = f" --version {shlex.quote(version)}" if version else ""
    return (
        f"{read(part)} \\\n  | helm upgrade --install {release} {chart} --namespace {namespace} --create-namespace"
        f"{exact} --values - --wait --timeout 30m"
    )


def password(database: Database, values: Part | None) -> str:
    """Defines the shell function ``password``: prints what the server takes from the superuser, and a line end.

    Args:
        values: the saved values of the release ``runai-backend``, in which the password of a server outside can stand.
    """
    if database.path and values is not None:
        query = f"getpath({json.dumps(database.path.split('.'))})"
        return f"password() {{ {read(values)} | jq --exit-status --raw-output {shlex.quote(query)}; }}"
    data = f"index .data {json.dumps(database.key)} | base64decode"
    if database.or_key:
        other = f"index .data {json.dumps(database.or_key)} | base64decode"
        data = f"if index .data {json.dumps(database.key)}}}}}{{{{{data}}}}}{{{{else}}}}{{{{{other}}}}}{{{{end"
    return (
        f"password() {{ kubectl get secret -n {BACKEND_NAMESPACE} {shlex.quote(database.secret)} "
        f"-o {shlex.quote(f'go-template={{{{{data}}}}}')}; echo; }}"
    )


def on_server(database: Database, source: str, program: str) -> str:
    """Runs one of PostgreSQL's programs with what ``source`` writes as its input, and the password before it."""
    # "read" takes a line from a pipe byte by byte, and leaves all the rest to the program.
    inner = f"IFS= read -r PGPASSWORD && export PGPASSWORD && exec {program}"
    if database.outside:
        place = f"--host={shlex.quote(database.host)} --port={database.port} --username={shlex.quote(database.user)}"
        run = f"sh -c {shlex.quote(f'{inner} {place}')}"
    else:
        pod = f"kubectl exec -i -n {BACKEND_NAMESPACE} {POSTGRES}-0 --"
        run = f"{pod} sh -c {shlex.quote(f'{inner} --username={shlex.quote(database.user)}')}"
    return f"{{ password; {source}; }} \\\n  | {run}"


def roles(part: Part, database: Database) -> str:
    """Makes the roles. That of the superuser is left as it is: its password belongs to the new server."""
    own = f'^(CREATE|ALTER) ROLE "?{re.escape(database.user)}"?( WITH .*)?;$'
    kept = f"{read(part)} | grep -vE {shlex.quote(own)}"
    return on_server(database, kept, "psql --no-psqlrc --quiet --set=VERBOSITY=terse --dbname=template1")


def name_of(part: Part) -> str:
    """The own name of a database; that of its part is another, where it is no plain word."""
    own = part.contents.database if part.contents is not None else None
    return own or part.name


def dump(part: Part, database: Database) -> str:
    """Restores a database under its own name, with its own settings; the empty one of a new installation goes."""
    arguments = "--clean --if-exists --create --exit-on-error --no-tablespaces --dbname=template1"
    return on_server(database, read(part), f"pg_restore {arguments}")


def compare(part: Part, database: Database) -> str:
    """Counts the rows of the largest tables; empty: they were not counted when the set was taken."""
    tables = (part.contents.tables if part.contents is not None else None) or {}
    largest = sorted(tables, key=lambda name: (-tables[name], name))[:_COMPARED]
    if not largest:
        return ""
    queries = [
        # For a person's eyes; the names are quoted as SQL wants it.
        f"SELECT {_literal(name)} AS table, count(*) AS now, {tables[name]} AS expected FROM ONLY {_identifier(name)}"  # noqa: S608
        for name in largest
    ]
    sql = " UNION ALL ".join(queries) + ";"
    # By a variable: a name with "=" in it would be taken for a connection string among the arguments.
    program = f"env PGDATABASE={shlex.quote(name_of(part))} psql --no-psqlrc"
    return on_server(database, f"printf '%s\\n' {shlex.quote(sql)}", program)


def writers_down() -> list[str]:
    """Stops all that writes into the database, and notes how many there were of each."""
    listed = '{range .items[*]}{.kind}/{.metadata.name} {.spec.replicas}{"\\n"}{end}'
    space = BACKEND_NAMESPACE
    return [
        f"kubectl get deployment,statefulset -n {space} -o jsonpath={shlex.quote(listed)} \\\n"
        f"  | grep -v '^StatefulSet/{POSTGRES} ' > \"$WORK\"/replicas",
        f'while read -r what count; do kubectl scale -n {space} "$what" --replicas=0; done < "$WORK"/replicas',
        f"until ! kubectl get pods -n {space} --no-headers | grep -vE '^{POSTGRES}-|Completed'; do sleep 5; done",
    ]


def writers_up() -> list[str]:
    """Starts them again."""
    space = BACKEND_NAMESPACE
    return [
        f'while read -r what count; do kubectl scale -n {space} "$what" --replicas="$count"; done < "$WORK"/replicas',
        f'while read -r what count; do kubectl rollout status -n {space} "$what" --timeout=15m; done '
        '< "$WORK"/replicas',
    ]


def metrics(part: Part) -> list[str]:
    """Puts the files of Thanos back into its volume, and has it read them."""
    number = part.name.rpartition("-")[2]
    pod = f"{METRICS}-{number if number.isdigit() else 0}"
    space = BACKEND_NAMESPACE
    volume = (
        "[.spec.volumes[] | select(.persistentVolumeClaim).name] as $v "
        "| [.spec.containers[].volumeMounts[] | select(.name as $n | $v | index($n)).mountPath][0]"
    )
    folder = f"kubectl get pod -n {space} {pod} -o json | jq -r {shlex.quote(volume)}"
    return [
        f'folder="$({folder})"',
        f'{read(part)} \\\n  | kubectl exec -i -n {space} {pod} -- tar -x -f - -C "$folder"',
        f"kubectl delete pod -n {space} {pod}",
        f"kubectl rollout status -n {space} statefulset/{METRICS} --timeout=15m",
    ]


def apply(part: Part) -> str:
    """Applies whole objects, without what the old cluster's server had set in them."""
    return f"{read(part)} \\\n  | jq {shlex.quote(_CLEAN)} \\\n  | kubectl apply --server-side --force-conflicts -f -"


def nodes(part: Part) -> list[str]:
    """Labels, annotations and taints of the nodes, as commands in a file that is looked at before it is run."""
    made = f'{read(part)} \\\n  | jq -r {shlex.quote(_LABELS)} > "$WORK"/nodes.sh'
    return [made, 'cat "$WORK"/nodes.sh', 'bash "$WORK"/nodes.sh']


def _value(values: Mapping[str, Any], path: str) -> Any:
    found: Any = values
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def _identifier(name: str) -> str:
    schema, _, table = name.partition(".")
    return ".".join(f'"{one}"' for one in (schema.replace('"', '""'), table.replace('"', '""')))
