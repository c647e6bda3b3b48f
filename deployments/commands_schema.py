"""``downtime schema``: the JSON schema of what commands print and read."""

from __future__ import annotations

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


def schema(name: Annotated[SchemaName, typer.Argument(help="Of what.")]) -> None:
    """Print a JSON schema: of an output, of the configuration, or of the manifest of a backup set."""
    typer.echo(json.dumps(document(name), indent=2))


def document(name: SchemaName) -> dict[str, Any]:
    """The schema, as JSON Schema 2020-12."""
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any]
    match name:
        case SchemaName.plan:
            from cluster.plan import Plan

            adapter = TypeAdapter(Plan)
        case SchemaName.status:
            from cluster.status import Status, Unreadable

            adapter = TypeAdapter(list[Status | Unreadable])
        case SchemaName.report:
            from cluster.report import Report

            adapter = TypeAdapter(Report)
        case SchemaName.doctor:
            from cluster.examination import Examination

            adapter = TypeAdapter(Examination)
        case SchemaName.config:
            from cluster.config import Settings

            adapter = TypeAdapter(Settings)
        case SchemaName.manifest:
            from cluster.manifest import Manifest

            adapter = TypeAdapter(Manifest)
        case SchemaName.backup:
            from cluster.backup_report import BackupReport

            adapter = TypeAdapter(BackupReport)
        case SchemaName.check_recovery:
            from cluster.verdict import Verdict

            adapter = TypeAdapter(Verdict)
        case SchemaName.rehearsal:
            from cluster.rehearsing import RehearsalReport

            adapter = TypeAdapter(RehearsalReport)
        case SchemaName.restore_plan:
            from cluster.restore_plan import RestorePlan

            adapter = TypeAdapter(RestorePlan)
    printed = name not in (SchemaName.config, SchemaName.manifest)
    schema = adapter.json_schema(by_alias=True, mode="serialization" if printed else "validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
