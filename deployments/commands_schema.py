"""``downtime schema``: the JSON schema of what commands print and read."""

from __future__ import annotations

import importlib
import json
from enum import StrEnum
from typing import Annotated, Any

import typer


class SchemaName(StrEnum):
    """What has a published schema."""

    plan = "plan"
    status = "status"
    report = "report"
    doctor = "doctor"
    config = "config"
    manifest = "manifest"
    backup = "backup"
    check_recovery = "check-recovery"
    rehearsal = "rehearsal"
    restore_plan = "restore-plan"


# By their names: a schema imports the model that it is of, and no other.
_MODELS = {
    SchemaName.plan: "cluster.plan.Plan",
    SchemaName.report: "cluster.report.Report",
    SchemaName.doctor: "cluster.examination.Examination",
    SchemaName.config: "cluster.config.Settings",
    SchemaName.manifest: "cluster.manifest.Manifest",
    SchemaName.backup: "cluster.backup_report.BackupReport",
    SchemaName.check_recovery: "cluster.verdict.Verdict",
    SchemaName.rehearsal: "cluster.rehearsing.RehearsalReport",
    SchemaName.restore_plan: "cluster.restore_plan.RestorePlan",
}


def schema(name: Annotated[SchemaName, typer.Argument(help="Of what.")]) -> None:
    """Print a JSON schema: of an output, of the configuration, or of the manifest of a backup set."""
    typer.echo(json.dumps(document(name), indent=2))


def document(name: SchemaName) -> dict[str, Any]:
    """The schema, as JSON Schema 2020-12."""
    from pydantic import TypeAdapter

    printed = name not in (SchemaName.config, SchemaName.manifest)
    adapter: TypeAdapter[Any] = TypeAdapter(_type(name))
    schema = adapter.json_schema(by_alias=True, mode="serialization" if printed else "validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _type(name: SchemaName) -> Any:
    if name is SchemaName.status:
        from cluster.status import Status, Unreadable

        return list[Status | Unreadable]
    module, _, model = _MODELS[name].rpartition(".")
    return getattr(importlib.import_module(module), model)
