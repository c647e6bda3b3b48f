"""Backup sets to rehearse: real ones, taken from a real PostgreSQL server by the product's own reader and writer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster import config, databases
from cluster.config import Settings
from cluster.encryption import Recipients
from cluster.manifest import FILE_NAME
from cluster.part_source import DeclaredSource, FileSource
from cluster.set_writer import SetWriter, new_set
from cluster.store_writing import WritableStore
from tests.unit.backup_sets import RUNAICONFIG, UID
from tests.unit.backup_sources import of_bytes
from tests.unit.running_postgres import Postgres

ROWS = 500
PASSWORD_OF_A_ROLE = "pa55-of-a-role"
_ROLES = f"""
CREATE ROLE backend LOGIN PASSWORD '{PASSWORD_OF_A_ROLE}';
CREATE ROLE reporting NOLOGIN;
GRANT reporting TO backend;
ALTER ROLE backend SET statement_timeout = '60s';
"""
# What can come back otherwise than it was: partitions, generated values, functions, triggers, an extension's objects.
_SCHEMA = """
CREATE EXTENSION hstore;
CREATE SCHEMA audit AUTHORIZATION backend;
CREATE TYPE public.state AS ENUM ('pending', 'running');
CREATE TABLE public.users (
    id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, secret bytea, more hstore,
    state public.state DEFAULT 'pending', CHECK (length(name) > 0));
CREATE INDEX users_state ON public.users (state) WHERE state = 'running';
CREATE TABLE audit."Odd ""Name" (id int REFERENCES public.users (id), at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE audit.y2026 PARTITION OF audit."Odd ""Name" FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE audit.rest PARTITION OF audit."Odd ""Name" DEFAULT;
CREATE FUNCTION public.touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON public.users FOR EACH ROW EXECUTE FUNCTION public.touched();
CREATE VIEW public.running AS SELECT * FROM public.users WHERE state = 'running';
CREATE MATERIALIZED VIEW public.counts AS SELECT state, count(*) FROM public.users GROUP BY state;
ALTER TABLE public.users OWNER TO backend;
GRANT SELECT ON public.users TO reporting;
ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.users USING (name = current_user);
INSERT INTO public.users (name, secret, more)
    SELECT 'user-' || n, sha256(n::text::bytea), hstore('n', n::text) FROM generate_series(1, 500) n;
INSERT INTO audit."Odd ""Name" SELECT id, '2026-01-01'::timestamptz + id * interval '1 day' FROM public.users;
"""


def fill(server: Postgres) -> None:
    """Make the databases and roles that are saved."""
    server.sql(_ROLES)
    for name in ("backend", "keycloak"):
        server.sql(f"CREATE DATABASE {name} OWNER backend")
    server.sql(_SCHEMA, "backend")
    server.sql("CREATE TABLE realm (id text PRIMARY KEY); INSERT INTO realm VALUES ('runai'), ('master')", "keycloak")


def sources(server: Postgres) -> list[FileSource | DeclaredSource]:
    """All parts of a set: documents, and the databases of the server."""
    projects = {"apiVersion": "v1", "kind": "List", "items": [project("team-a"), project("team-b")]}
    reached = server.server()
    return [
        of_bytes("runaiconfig", "runai", "runaiconfig.json", json.dumps(RUNAICONFIG).encode(), objects=1),
        of_bytes("helm-values", "runai-backend", "helm/runai-backend.json", b'{"global": {}}'),
        of_bytes("helm-values", "runai-cluster", "helm/runai-cluster.json", b'{"cluster": {}}'),
        of_bytes("resources", "projects", "resources/projects.json", json.dumps(projects).encode(), objects=2),
        *databases.sources(reached, databases.look(reached)),
    ]


def project(name: str) -> dict[str, Any]:
    """A project, with what its server added."""
    return {
        "apiVersion": "run.ai/v1",
        "kind": "Project",
        "metadata": {"name": name, "uid": "5e1f", "resourceVersion": "77", "generation": 3},
        "spec": {"deservedGpus": 4},
        "status": {"phase": "Ready"},
    }


def take(store: Path, parts: Sequence[FileSource | DeclaredSource], recipients: Sequence[str] = ()) -> str:
    """Write a set of these parts; its id."""
    from cluster.manifest import Manifest

    writable, began = WritableStore(str(store)), datetime.now(UTC).replace(microsecond=0)
    set_id = new_set(writable, began)
    writer = SetWriter(writable, set_id, Recipients(recipients))
    taken = tuple(writer.take(part) for part in parts)
    writable.write_manifest(
        Manifest(
            schema_version=2,
            id=set_id,
            cluster_uid=UID,
            began=began,
            finished=datetime.now(UTC),
            by="a test",
            recipients=tuple(recipients),
            parts=taken,
        )
    )
    return set_id


@dataclass(frozen=True)
class Stored:
    """A set in a store of its own, which a test may damage."""

    store: Path
    id: str

    @property
    def folder(self) -> Path:
        return self.store / self.id

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / FILE_NAME).read_text())
        return found

    def part(self, kind: str, name: str) -> dict[str, Any]:
        return next(each for each in self.document["parts"] if (each["kind"], each["name"]) == (kind, name))

    def file(self, kind: str, name: str) -> Path:
        return self.folder / str(self.part(kind, name)["path"])

    def change(self, kind: str, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        """Change what the manifest says of a part."""
        document = self.document
        change(next(each for each in document["parts"] if (each["kind"], each["name"]) == (kind, name)))
        (self.folder / FILE_NAME).write_text(json.dumps(document))

    def notes(self) -> list[dict[str, Any]]:
        """What was noted, oldest first."""
        return [json.loads(file.read_text()) for file in sorted(self.folder.glob("rehearsals/*.json"))]


def copied(original: Stored, folder: Path) -> Stored:
    """The same set in another store."""
    shutil.copytree(original.store, folder / "store")
    return Stored(folder / "store", original.id)


def configuration(folder: Path, store: Path, identity: Path | None = None, more: str = "") -> Path:
    """A configuration file of a cluster that is not there."""
    path = folder / "downtime.toml"
    key = f'identity = {{ file = "{identity}" }}\n' if identity else ""
    path.write_text(
        f'[cluster]\nuid = "{UID}"\nkubeconfig = "{folder / "no-kubeconfig"}"\n'
        f'[recovery]\nstore = "{store}"\n{key}{more}'
    )
    return path


def settings(folder: Path, store: Path, identity: Path | None = None, more: str = "") -> Settings:
    """The same, loaded."""
    return config.load(configuration(folder, store, identity, more))
