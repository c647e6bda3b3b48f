"""What can be chosen on the command line can be chosen for a deployment as well, and means the same."""

from __future__ import annotations

import inspect

import pytest

from cluster.options import Options, PlannedOptions, RejoinOptions, RemoveOptions, UnplannedOptions
from deployments.by_prefect import flow_of, parameters

ONLY_OF_A_RUN = {"node", "dry_run", "requested_by"}


@pytest.mark.parametrize(
    "options",
    [PlannedOptions(), UnplannedOptions(), RemoveOptions(confirmed="gpu-1"), RejoinOptions(confirmed="gpu-1")],
)
def test_every_option_is_a_parameter_of_the_flow_and_has_the_same_default(options: Options) -> None:
    known = inspect.signature(flow_of(options).fn).parameters
    given = parameters(options)
    assert set(given) == set(known) - ONLY_OF_A_RUN
    for name, value in given.items():
        assert value == ("gpu-1" if name == "confirm_node" else known[name].default), name


def test_a_deadline_that_is_none_is_zero_in_a_form() -> None:
    assert parameters(RemoveOptions())["eviction_minutes"] == 0
    assert parameters(PlannedOptions())["notice_minutes"] == -1
    assert parameters(PlannedOptions(notice_minutes=0))["notice_minutes"] == 0
    assert parameters(PlannedOptions(eviction_minutes=7))["eviction_minutes"] == 7
