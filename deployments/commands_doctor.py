"""``downtime doctor``: whether every access that a downtime needs is there. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from deployments import choices
from deployments.choices import Output
from deployments.ending import ending

if TYPE_CHECKING:
    from cluster.verdict import Line
    from deployments.sessions import Session

_PREFECT_SECONDS = 5.0


def doctor(
    node: Annotated[
        list[str] | None, typer.Option(metavar="NODE", help="Only these machines; may be repeated.")
    ] = None,
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Prove every access with PASS, WARN or FAILED: API, permissions, SSH, sudo, power, Prefect, backups."""
    with ending(output):
        from cluster import examination
        from cluster.names import node_name
        from deployments.sessions import open_session

        for name in node or ():
            node_name(name)
        lines: list[Line] = []
        for line in _examine(open_session(config, patience=0), node or []):
            lines.append(line)
            if output is Output.text:
                _show(line)
        found = examination.conclude(lines)
        if output is Output.json:
            typer.echo(found.model_dump_json(indent=2))
        else:
            counts = {level: sum(line.level == level for line in lines) for level in ("PASS", "WARN", "FAILED")}
            typer.echo("\n" + ", ".join(f"{number} {level}" for level, number in counts.items()))
        code = 0 if found.passed else 3
    raise typer.Exit(code)


def _examine(session: Session, nodes: list[str]) -> Iterator[Line]:
    from cluster import examination, examination_notify, examination_runai
    from cluster.verdict import Line

    settings, api = session.settings, session.api
    yield Line(level="PASS", check="configuration", reason=f"{settings.source} is understood")
    answers = False
    for line in examination.of_cluster(api, settings):
        answers = answers or (line.check == "api" and line.level == "PASS")
        yield line
    if answers:
        yield from examination.of_machines(api, settings, nodes)
        yield from examination.of_recovery(api, settings)
        yield from examination_runai.lines(api, settings)
        yield from examination_notify.lines(api, settings)
    else:
        yield Line(level="WARN", check="the rest", reason="machines and backups were not checked: the API is needed")
    yield _prefect()


def _prefect() -> Line:
    import httpx

    from cluster.showing import masked
    from cluster.verdict import Line

    url = os.environ.get("PREFECT_API_URL")
    if not url:
        return Line(
            level="WARN",
            check="prefect",
            reason="PREFECT_API_URL is not set: runs use an embedded API, and cannot suspend",
            remedy="Start a server ('prefect server start'), and set PREFECT_API_URL to its address followed by /api.",
        )
    remedy = "See that the server runs, and that PREFECT_API_URL ends in /api."
    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=_PREFECT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = str(error) or type(error).__name__
        return Line(level="FAILED", check="prefect", reason=f"{masked(url)} does not answer: {why}", remedy=remedy)
    if answer.status_code == httpx.codes.OK:
        return Line(level="PASS", check="prefect", reason=f"{masked(url)} is healthy")
    return Line(
        level="FAILED", check="prefect", reason=f"{masked(url)}/health says HTTP {answer.status_code}", remedy=remedy
    )


def _show(line: Line) -> None:
    from deployments import text_lines
    from deployments.consoles import standard_output

    text_lines.show(standard_output(), line)
