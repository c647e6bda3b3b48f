"""What is documented and granted is what the product asks for."""

from __future__ import annotations

import re

import yaml

from cluster import names
from cluster.permissions import PERMISSIONS
from deployments import permission_documents
from tests.command_line import ROOT


def test_documents_are_in_step_with_the_permissions() -> None:
    """After a change: python -m deployments.permission_documents"""
    assert permission_documents.MARKDOWN.read_text() == permission_documents.markdown()
    assert permission_documents.MANIFEST.read_text() == permission_documents.manifest()


def test_manifest_grants_exactly_the_permissions() -> None:
    granted = set()
    for document in yaml.safe_load_all(permission_documents.MANIFEST.read_text()):
        for rule in document.get("rules", ()):
            namespace = document["metadata"].get("namespace", "")
            for group in rule["apiGroups"]:
                granted |= {(verb, group, what, namespace) for verb in rule["verbs"] for what in rule["resources"]}
    asked = {
        (verb, one.group, what, one.namespace) for one in PERMISSIONS for verb in one.verbs for what in one.resources
    }
    assert granted == asked
    assert not [verb for verb, *_ in granted if verb in ("*", "escalate", "bind", "impersonate")]
    # Join tokens are Secrets: found by their description, and deleted. Helm keeps its releases in Secrets, and the
    # control plane's database its password. No other use is made of Secrets, and none is written.
    tokens = {(verb, "", "secrets", "kube-system") for verb in ("list", "delete")}
    saved = {(verb, "", "secrets", where) for verb in ("get", "list") for where in ("runai", "runai-backend")}
    assert {one for one in granted if "secrets" in one} == tokens | saved


def test_programs_may_be_run_in_the_pods_of_the_control_plane_alone() -> None:
    where = {(one.namespace, verb) for one in PERMISSIONS if "pods/exec" in one.resources for verb in one.verbs}
    assert where == {("runai-backend", "get"), ("runai-backend", "create")}


def test_every_role_is_bound_to_the_one_service_account() -> None:
    documents = list(yaml.safe_load_all(permission_documents.MANIFEST.read_text()))
    roles = {(one["kind"], one["metadata"].get("namespace")) for one in documents if one["kind"].endswith("Role")}
    bound = set()
    for one in documents:
        if one["kind"].endswith("Binding"):
            bound.add((one["roleRef"]["kind"], one["metadata"].get("namespace")))
            (subject,) = one["subjects"]
            assert (subject["name"], subject["namespace"]) == (names.NAMESPACE, names.NAMESPACE)
    assert bound == roles


def test_every_resource_in_a_path_of_the_product_is_among_the_permissions() -> None:
    """A new request without its permission would fail on the first cluster with RBAC."""
    known = {what for one in PERMISSIONS for what in one.resources}
    plain = re.compile(r"/(?:api/v1|apis/[a-z0-9.]+/v\w+)(?:/namespaces/[^/\"]+)?/([a-z]+)\b")
    asked = {
        (path.name, found)
        for path in (ROOT / "cluster").glob("*.py")
        if not path.name.startswith("runai_")  # these are about paths of Run:ai's own API
        for found in plain.findall(path.read_text())
        if found not in ("namespaces", "selfsubjectaccessreviews", "secrets")
    }
    assert len(asked) > 8
    assert not [one for one in asked if one[1] not in known]
