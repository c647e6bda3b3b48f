"""What is not chosen on the command line is as configured; and schemas are published for all that is printed."""

from __future__ import annotations

import json

import pytest

from cluster.errors import Misused
from cluster.options import PlannedOptions
from deployments.choices import Choices, InteractiveChoice, PowerOnChoice
from tests.command_line import in_this_process
from tests.unit import planning_cases


def test_configured_controller_switches_on_unless_a_person_is_chosen() -> None:
    assert Choices().options(planning_cases.settings(on="command")).power_on == "controller"
    assert Choices().options(planning_cases.settings(on="person")).power_on == "person"
    chosen = Choices(power_on=PowerOnChoice.person)
    assert chosen.options(planning_cases.settings(on="command")).power_on == "person"


def test_interactive_is_as_configured_unless_chosen() -> None:
    settings = planning_cases.settings(interactive="refuse")
    assert Choices().options(settings).interactive == "refuse"
    assert Choices(interactive=InteractiveChoice.evict).options(settings).interactive == "evict"


def test_every_option_of_planned_maintenance_can_be_chosen() -> None:
    fields = set(Choices.__dataclass_fields__)
    assert {name if name != "shut_down" else "no_shut_down" for name in PlannedOptions.model_fields} == fields


def test_text_that_is_too_long_names_its_option() -> None:
    with pytest.raises(Misused, match="--override-pdb"):
        Choices(override_pdb="x" * 501).options(planning_cases.settings())


@pytest.mark.parametrize("name", ["plan", "status", "report", "doctor", "config", "manifest"])
def test_schema_is_json_and_refuses_what_is_unknown(name: str) -> None:
    ended = in_this_process("schema", name)
    assert ended.code == 0
    schema = json.loads(ended.out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "$defs" in schema
