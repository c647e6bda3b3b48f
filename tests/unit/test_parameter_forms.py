"""Forms of the deployments in the Prefect UI: every field says to a person what it is, and refuses what cannot be."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deployments.serving import all_deployments

FORMS: dict[str, dict[str, Any]] = {
    str(one.name): one._parameter_openapi_schema.model_dump(exclude_unset=True) for one in all_deployments()
}


@pytest.mark.parametrize("name", FORMS)
def test_every_field_has_a_title_for_people_and_a_description(name: str) -> None:
    for key, field in FORMS[name]["properties"].items():
        assert re.fullmatch(r"[A-Z][^_]+", field["title"]), key
        assert field["description"], key
    assert FORMS[name].get("required", []) == (["node"] if "node" in FORMS[name]["properties"] else [])


def test_form_refuses_what_the_options_refuse() -> None:
    fields = FORMS["unplanned-recovery"]["properties"]
    assert (fields["resets"]["minimum"], fields["resets"]["maximum"]) == (0, 5)
    assert fields["grace_seconds"]["maximum"] == 3600
    assert fields["reason"]["maxLength"] == 500
    assert fields["dead_kubelet"]["enum"] == ["ask", "leave", "restart", "shut-down"]


@pytest.mark.parametrize("name", ["gpu-1", "a", "10.0.0.1", "gpu-1.rack.example"])
def test_name_of_a_node_fits_the_form(name: str) -> None:
    assert re.search(FORMS["rejoin"]["properties"]["node"]["pattern"], name)


@pytest.mark.parametrize("name", ["", "GPU-1", "-a", "a;b", "../a", "a b"])
def test_what_is_no_name_of_a_node_does_not(name: str) -> None:
    assert not re.search(FORMS["rejoin"]["properties"]["node"]["pattern"], name)


@pytest.mark.parametrize("rehearses", [True, False])
def test_rehearsals_have_a_schedule_only_where_sets_can_be_read(rehearses: bool) -> None:
    (found,) = [one for one in all_deployments(rehearses) if one.name == "recovery-rehearsal"]
    assert [one.active for one in found.schedules or []] == ([False] if rehearses else [])
