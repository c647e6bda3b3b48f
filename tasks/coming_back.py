"""A served run that has to wait for long leaves its process, with its lock released, and is started again later."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Pause, PrefectException
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from prefect.states import Scheduled

from cluster import approving


@contextmanager
def possible() -> Iterator[None]:
    """Meanwhile, a run of a deployment need not stay in memory: only such a one is started again by itself."""
    token = approving.COME_BACK.set(_later if deployment.id else None)
    try:
        yield
    finally:
        approving.COME_BACK.reset(token)


def _later(at: datetime) -> None:
    state: State[Any] = Scheduled(scheduled_time=at, name="WaitingForOwners")
    try:
        with get_client(sync_client=True) as client:
            now = client.read_flow_run(flow_run.id).state
            if now is not None and (now.is_cancelling() or now.is_cancelled()):
                return  # whoever cancelled it means that it ends: it waits here for its runner to end it
            # Prefect lets no run go back to Scheduled by itself but for a retry, which counts.
            client.set_flow_run_state(flow_run.id, state, force=True)
    except (httpx.HTTPError, PrefectException) as error:
        # A server that restarts: the run waits on in this process.
        get_run_logger().warning("Prefect could not start this run again later (%s): it stays", type(error).__name__)
        return
    raise Pause(state=state)
