"""Writes ``downtime.toml``: a configuration of the product that works for a lab as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lab.age_key import recipient
from lab.layout import Lab
from lab.runai import rest_process
from lab.state import write_atomically

ACTIONS = ("on", "off", "reset", "status")


def write(lab: Lab, *, uid: str, addresses: Mapping[str, str], lock_seconds: int = 15) -> None:
    """Write the lab's configuration: ``uid`` is that of the namespace kube-system; ``addresses`` as in [hosts]."""
    tables: dict[str, Mapping[str, Any]] = {
        "cluster": {"kubeconfig": str(lab.kubeconfig), "uid": uid, "lock_seconds": lock_seconds},
        "hosts": {"user": "ops", "key_file": str(lab.ssh_key), "known_hosts": str(lab.known_hosts)},
        "hosts.addresses": dict(sorted(addresses.items())),
        "power": {"off": "ssh", "on": "command", "status": "command"},
        "power.command": {action: [str(lab.power), "{node}", action] for action in ACTIONS},
        # Not the private key: only a rehearsal needs that, and is given it.
        "recovery": {"store": lab.store.as_uri(), "max_age_hours": 30, "recipients": [recipient(lab)]},
    }
    if rest_process.configured(lab):
        tables["runai"] = {"url": rest_process.url(lab), "client_id": rest_process.CLIENT}
        tables["runai.client_secret"] = {"file": str(rest_process.secret_file(lab))}
    lines = ["# Written by the lab, for the lab: written anew at each change of its hosts."]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{_key(key)} = {_value(value)}" for key, value in table.items())]
    write_atomically(lab.config, "\n".join(lines) + "\n")


def _key(key: str) -> str:
    """Node names may hold dots, which would nest tables in TOML."""
    return key if key.replace("-", "").replace("_", "").isalnum() else json.dumps(key)


def _value(value: str | int | Sequence[str]) -> str:
    """JSON's strings, integers and lists of strings are TOML's as well."""
    return json.dumps(value, ensure_ascii=True)
