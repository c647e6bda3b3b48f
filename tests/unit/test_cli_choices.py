"""What is not chosen on the command line is as configured; and schemas are published for all that is printed."""

from __future__ import annotations

import json

import pytest

from cluster.config import Settings
from cluster.errors import Misused
from cluster.options import PlannedOptions, RemoveOptions
from deployments.choices import Choices, InteractiveChoice, PowerOnChoice, ProcedureName
from tests.command_line import in_this_process
from tests.unit import planning_cases


def _planned(chosen: Choices, settings: Settings) -> PlannedOptions:
    made = chosen.options(settings)
    assert isinstance(made, PlannedOptions)
    return made


def test_configured_controller_switches_on_unless_a_person_is_chosen() -> None:
    assert _planned(Choices(), planning_cases.settings(on="command")).power_on == "controller"
    assert _planned(Choices(), planning_cases.settings(on="person")).power_on == "person"
    chosen = Choices(power_on=PowerOnChoice.person)
    assert _planned(chosen, planning_cases.settings(on="command")).power_on == "person"


def test_interactive_is_as_configured_unless_chosen() -> None:
    settings = planning_cases.settings(interactive="refuse")
    assert Choices().options(settings).interactive == "refuse"
    assert Choices(interactive=InteractiveChoice.evict).options(settings).interactive == "evict"


def test_every_option_of_planned_maintenance_can_be_chosen() -> None:
    fields = set(Choices.__dataclass_fields__)
    assert {name if name != "shut_down" else "no_shut_down" for name in PlannedOptions.model_fields} <= fields


def test_every_option_of_a_removal_can_be_chosen() -> None:
    fields = set(Choices.__dataclass_fields__)
    assert {name if name != "confirmed" else "yes_remove" for name in RemoveOptions.model_fields} <= fields


def test_option_of_another_procedure_is_refused() -> None:
    with pytest.raises(Misused, match="--no-shut-down is no option of 'remove'"):
        Choices(no_shut_down=True).options(planning_cases.settings(), ProcedureName.remove)


def test_text_that_is_too_long_names_its_option() -> None:
    with pytest.raises(Misused, match="--override-pdb"):
        Choices(override_pdb="x" * 501).options(planning_cases.settings())


@pytest.mark.parametrize(
    "name",
    [
        "plan",
        "status",
        "report",
        "doctor",
        "config",
        "manifest",
        "backup",
        "check-recovery",
        "rehearsal",
        "restore-plan",
    ],
)
def test_schema_is_json_and_refuses_what_is_unknown(name: str) -> None:
    ended = in_this_process("schema", name)
    assert ended.code == 0
    schema = json.loads(ended.out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "$defs" in schema
