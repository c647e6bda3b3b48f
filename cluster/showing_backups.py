"""A backup set that was taken, in words and in Markdown. Pure; nothing of what is in it is shown."""

from __future__ import annotations

from cluster.backup_report import BackupReport
from cluster.showing_reports import escaped
from cluster.showing_sizes import size
from cluster.showing_time import duration

COLUMNS = ("part", "file", "size", "content")


def headline(report: BackupReport) -> str:
    """That it is there, in a sentence."""
    took = duration((report.finished - report.began).total_seconds())
    return (
        f"Backup set {report.set}: {len(report.parts)} parts, {size(report.bytes)}, in {report.store}, taken in {took}"
    )


def protection(report: BackupReport) -> str:
    """Who can read it."""
    if report.recipients:
        return f"Encrypted for {', '.join(key[:24] for key in report.recipients)}"
    return "In the clear, with the passwords that are in it: whoever can read the store can read them"


def rows(report: BackupReport) -> list[tuple[str, str, str, str]]:
    """What is in it, one row for a part."""
    return [
        (
            part.title,
            part.path or f"declared: {part.declared}",
            "" if part.bytes is None else size(part.bytes),
            "" if part.clear_bytes is None else size(part.clear_bytes),
        )
        for part in report.parts
    ]


def markdown(report: BackupReport) -> str:
    """All of it, for the Prefect UI."""
    head = [f"# {escaped(headline(report))}", "", escaped(protection(report), 1000), ""]
    table = [f"| {' | '.join(COLUMNS)} |", "|---|---|---|---|"]
    table += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in rows(report)]
    check = ["", "## What the recovery gate says of it", ""]
    check += [f"- **{line.level}** {escaped(line.check)}: {escaped(line.reason)}" for line in report.check.lines]
    notes = [f"- **WARN** {escaped(text, 1000)}" for text in report.warnings]
    notes += [f"- removed, not kept any more: {escaped(set_id)}" for set_id in report.removed]
    return "\n".join([*head, *table, *check, *notes])
