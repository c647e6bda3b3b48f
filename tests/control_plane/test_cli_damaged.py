"""A record that cannot be read: the others are shown, it is named with a remedy, and nothing is done on its ground."""

from __future__ import annotations

import json
from pathlib import Path

from lab.api import Api
from lab.layout import Lab
from tests.control_plane.commands import NAMESPACE, command
from tests.control_plane.conftest import MakeNode, MakeObject

MAPS = f"{NAMESPACE}/configmaps"


def test_status_shows_the_other_nodes_and_names_the_damaged_record(
    lab: Lab, lab_api: Api, make_node: MakeNode, make_object: MakeObject, tmp_path: Path
) -> None:
    good, damaged, newer = make_node().node, make_node().node, make_node().node
    waiting = command(lab, tmp_path, "run", "planned", good, "--yes", "--local", "--no-shut-down")
    assert waiting.code == 4, waiting.err
    body = lab_api.get(f"{MAPS}/node-{good}")
    document = json.loads(body["data"]["record"])
    for node, text in (
        (damaged, '{"schema": 1, "id": "x"'),
        (newer, json.dumps({**document, "node": newer, "options": {"of_tomorrow": True}})),
    ):
        labels = {**body["metadata"]["labels"], "runai-downtime/node": node}
        metadata = {"name": f"node-{node}", "namespace": "runai-downtime", "labels": labels}
        make_object({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"record": text}})

    ended = command(lab, tmp_path, "status")
    assert ended.code == 3
    assert f"downtime resume {good}" in ended.out
    for node in (damaged, newer):
        assert f"{node}: in downtime, but its record cannot be read" in ended.out
    assert f"ConfigMap runai-downtime/node-{damaged}" in ended.out
    assert "of_tomorrow" in ended.out
    assert ended.out.count("What to do: ") == 2

    listed = command(lab, tmp_path, "status", "--output", "json")
    assert listed.code == 3
    read = {one["node"]: one for one in listed.document}
    assert read[good]["phase"] == "drained"
    for node in (damaged, newer):
        assert read[node]["error"]["code"] == "record-damaged"
        assert read[node]["error"]["remedy"]
        for words in (("status", node), ("resume", node, "--local"), ("abort", node, "--local")):
            error = command(lab, tmp_path, *words, "--output", "json").error
            assert (error["code"], error["exit_code"]) == ("record-damaged", 3)

    lab_api.delete(f"{MAPS}/node-{damaged}")
    lab_api.delete(f"{MAPS}/node-{newer}")
    assert command(lab, tmp_path, "abort", good, "--local").code == 0
