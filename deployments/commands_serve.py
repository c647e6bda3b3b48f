"""``downtime serve``: the flows, served to the Prefect UI, schedules and the REST API."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from deployments import choices
from deployments.choices import Output
from deployments.ending import ending


def serve(
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="How many runs may be under way at once.")] = 8,
    config: choices.ConfigOption = None,
    output: choices.OutputOption = Output.text,
) -> None:
    """Serve the deployments to the Prefect server of PREFECT_API_URL, until it is ended."""
    with ending(output):
        from cluster import config as configuration
        from cluster.errors import Misused

        settings = configuration.load(config)
        if not os.environ.get("PREFECT_API_URL"):
            raise Misused(
                "no-prefect-server",
                "There is no Prefect server to serve to: PREFECT_API_URL is not set",
                "Start one ('prefect server start'), and set PREFECT_API_URL to its address followed by /api.",
            )
        os.environ["DOWNTIME_CONFIG"] = str(settings.source.resolve())
        from deployments.serving import serve as serve_all

        serve_all(limit)
