"""The form in which the Prefect UI asks for the parameters of a deployment: titles for people, and bounds.

Prefect makes the form of a flow's signature, and descriptions of its docstring; it takes neither titles nor bounds from
there. What the form refuses is what the options of the procedure refuse: the server says so before a run starts.
"""

from typing import Any

from pydantic import BaseModel

# A DNS subdomain, as in cluster.names, in a dialect that browsers know as well.
_NODE = {"pattern": r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$", "minLength": 1, "maxLength": 253}
_BOUNDS = ("minimum", "maximum", "maxLength")
_TITLES = {
    "accept_lost_tolerance": "Control-plane node that may take etcd's last spare member, typed",
    "accept_outage": "Node whose own volume may take system pods down, typed",
    "adopt_taint": "Adopt a drain taint that was set by hand",
    "allow_tolerating": "Why pods that tolerate the drain may go down",
    "backup_set": "Backup set; empty: the newest",
    "confirm_node": "Node, typed once more",
    "dead_kubelet": "If the machine answers, but its kubelet is dead",
    "designate": "Node that becomes a Run:ai system node first",
    "dry_run": "Only make the plan",
    "eviction": "Evict workloads before the taint, as budgets allow",
    "eviction_minutes": "Minutes until the drain is given up",
    "grace_seconds": "Grace in seconds",
    "hold": "Wait for the work on the machine",
    "hours": "Hours for each database",
    "host": "Address of the machine",
    "interactive": "Interactive work on the node",
    "keep_designation": "Leave that node a system node",
    "notice_minutes": "Minutes that owners have after they were told",
    "override_pdb": "Why PodDisruptionBudgets may be violated",
    "override_recovery_gate": "Why it may go without a good recovery check",
    "override_storm": "Why to go on though many nodes are down",
    "power_on": "Who switches the machine on again",
    "requested_by": "Your name",
    "resets": "Power resets",
    "said_down": "It is down, though it is called Ready",
    "shut_down": "Shut the machine down",
    "sizes_only": "Read no file back",
    "work_done": "The work on the machine is done",
}


def complete(fields: dict[str, Any], options: type[BaseModel] | None) -> None:
    """Give each field of a deployment's parameter schema its title and bounds, in place.

    Args:
        fields: the properties of the schema, by name.
        options: the choices of the procedure; None: it has none.
    """
    known = options.model_json_schema()["properties"] if options is not None else {}
    for name, field in fields.items():
        field["title"] = _TITLES.get(name, name.replace("_", " ").capitalize())
        field.update({key: value for key, value in known.get(name, {}).items() if key in _BOUNDS})
    if "node" in fields:
        fields["node"].update(_NODE)
