"""When a step is tried again: only when the API server was gone or busy. A refusal does not pass by waiting."""

from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from cluster.api_errors import Busy
from cluster.errors import Unreachable


def can_help(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Whether another try can help. A step looks before it acts, so trying again does nothing twice."""
    try:
        state.result()
    except (Unreachable, Busy):
        return True
    except Exception:  # noqa: BLE001 (whatever else it was, trying again does not help)
        return False
    return False


# The session itself is patient for half a minute; these are for an API server that restarts slowly.
RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [5, 15, 45],
    "retry_condition_fn": can_help,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}
ONCE: dict[str, Any] = {"retries": 0, "cache_policy": NO_CACHE, "persist_result": False}
