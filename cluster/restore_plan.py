"""How a backup set is restored for real onto a new cluster: the exact commands, in the vendor's order. Pure; runs none.

The order is that of the vendor's page (new cluster, volumes, control plane with the saved values, cluster part,
runaiconfig), filled in where that is silent: the database between the control plane, which makes an empty one, and
whatever reads it. The page's defect is handled: it saves the ``.spec`` of the runaiconfig alone, which cannot be
applied; here the whole object is, without what belongs to the old cluster.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from cluster import fetching_commands, snapshot_commands
from cluster import restore_commands as commands
from cluster.manifest import Manifest, Part
from cluster.restore_commands import Database
from cluster.service import BACKEND_NAMESPACE, NAMESPACE
from cluster.showing import shown
from cluster.showing_time import moment

_CONTROL_PLANE, _CLUSTER = ("runai-backend", "runai-backend/control-plane"), ("runai-cluster", "runai/runai-cluster")
# What others refer to comes first: a project names its node pools, a queue is of a project.
_FIRST = ("nodepools", "departments", "projects", "queues")


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class RestoreStep(_Shown):
    """One step: what it is for, and what is typed."""

    name: str
    summary: str = Field(description="What it does, and what to look at before going on.")
    commands: tuple[str, ...] = Field(default=(), description="For bash, in order; empty: a person's work.")


class RestorePlan(_Shown):
    """The ordered commands for a real restore of one set. It runs nothing."""

    set: str
    cluster_uid: str = Field(description="Of the cluster that the set is of.")
    data_of: AwareDatetime = Field(description="What was changed after this moment is not in the set.")
    encrypted: bool
    steps: tuple[RestoreStep, ...]
    warnings: tuple[str, ...] = ()


def make(
    manifest: Manifest,
    store: str,
    key: str = "",
    database: Database | None = None,
    options: Mapping[str, Any] | None = None,
) -> RestorePlan:
    """The plan for a set.

    Args:
        store: the URL of its store; a user in it is not shown.
        key: the file with the private key; empty: not known, and a person fills it in.
        database: where the database will be; None: not known, and taken for the release's own pod.
        options: of the store; no secret among them is shown.
    """
    where = database or Database()
    steps = [
        _prepare(manifest, store, key, options),
        _new_cluster(manifest),
        _volumes(manifest),
        *_release(manifest, "control-plane", _CONTROL_PLANE, BACKEND_NAMESPACE),
        *_databases(manifest, where),
        *_metrics(manifest),
        *_release(manifest, "cluster-part", _CLUSTER, NAMESPACE),
        *_objects(manifest),
        *_nodes(manifest),
        _conclude(),
    ]
    return RestorePlan(
        set=manifest.id,
        cluster_uid=manifest.cluster_uid,
        data_of=manifest.oldest,
        encrypted=any(part.encrypted for part in manifest.parts),
        steps=tuple(steps),
        warnings=tuple(_warnings(manifest, key, database)),
    )


def _prepare(manifest: Manifest, store: str, key: str, options: Mapping[str, Any] | None) -> RestoreStep:
    encrypted = any(part.encrypted for part in manifest.parts)
    named = shlex.quote(key) if key else "FILE"
    return RestoreStep(
        name="prepare",
        summary="Needs bash, kubectl, helm, jq and age. Every file must be OK before anything else is done.",
        commands=(
            "set -o pipefail",
            "umask 077",
            'export WORK="$(mktemp -d)"',
            *fetching_commands.fetch(store, manifest.id, options),
            *([f"export KEY={named}"] if encrypted else []),
            commands.verify(manifest.files),
        ),
    )


def _new_cluster(manifest: Manifest) -> RestoreStep:
    version = manifest.versions.get("kubernetes", "")
    was = f" (the old one ran {version})" if version else ""
    return RestoreStep(
        name="new-cluster",
        summary=f"Build a Kubernetes cluster that this Run:ai supports{was}, join its nodes, let KUBECONFIG name it. "
        "What its charts need and no set holds must be there: a default StorageClass, the ingress controller, the GPU "
        "operator, the DNS name of the old control plane, its TLS certificate, the registry's credentials, and each "
        "Secret that the saved values name as an existing one.",
        commands=(
            "kubectl cluster-info",
            "kubectl get nodes -o wide",
            "kubectl get storageclass",
            f"kubectl get secrets -n {BACKEND_NAMESPACE}",
        ),
    )


def _volumes(manifest: Manifest) -> RestoreStep:
    outside = [(part.title, part.external) for part in manifest.parts if part.external is not None]
    claim = f"data-{commands.METRICS}-0"
    told = [f"{title}: {external.where}, taken {moment(external.taken)}." for title, external in outside]
    made = [
        command
        for _, external in outside
        for command in snapshot_commands.from_snapshot(external.where, claim, BACKEND_NAMESPACE)
    ]
    summary = (
        "Bring back, by the storage's own means, what this set only names, as the claim that the control plane will "
        f"look for ({claim}). {' '.join(told)}"
        if told
        else "No volume is brought back by hand: the control plane makes its claims anew, and is filled below."
    )
    return RestoreStep(
        name="volumes", summary=summary, commands=(*made, f"kubectl get pvc -n {BACKEND_NAMESPACE}") if told else ()
    )


def _release(manifest: Manifest, name: str, release: tuple[str, str], namespace: str) -> Iterable[RestoreStep]:
    for part in _parts(manifest, "helm-values"):
        if part.name == release[0]:
            yield RestoreStep(
                name=name,
                summary=f"Install {release[0]} with the saved values, once 'helm repo list' shows the vendor's "
                f"repository {release[1].partition('/')[0]}.",
                commands=(
                    "helm repo update",
                    commands.helm(part, *release, namespace, manifest.versions.get(release[0], "")),
                ),
            )


def _databases(manifest: Manifest, where: Database) -> Iterable[RestoreStep]:
    dumps = _parts(manifest, "database")
    if not dumps:
        return
    values = next((part for part in _parts(manifest, "helm-values") if part.name == _CONTROL_PLANE[0]), None)
    yield RestoreStep(
        name="stop-writers",
        summary="Nothing may write into the database, or be connected to it, while it is replaced.",
        commands=(*commands.writers_down(), commands.password(where, values)),
    )
    for part in _parts(manifest, "database-globals"):
        yield RestoreStep(
            name="database-roles",
            summary="Make the roles. Errors that say 'already exists' are expected; there may be no others. All roles "
            "but the superuser have their old passwords again after this: where the new installation made Secrets of "
            "its own for them, put the old ones there, or set each role to what its new Secret holds (ALTER ROLE).",
            commands=(commands.roles(part, where),),
        )
    for part in dumps:
        compared = commands.compare(part, where)
        yield RestoreStep(
            name=f"database-{part.name}",
            summary=f"Replace the database {shown(commands.name_of(part), 100)}, and compare its rows: both columns "
            "must be the same.",
            commands=(commands.dump(part, where), *([compared] if compared else [])),
        )
    yield RestoreStep(
        name="start-writers", summary="Start the control plane again.", commands=tuple(commands.writers_up())
    )


def _metrics(manifest: Manifest) -> Iterable[RestoreStep]:
    for part in _parts(manifest, "metrics"):
        yield RestoreStep(
            name=f"metrics-{part.name}",
            summary="Put the metrics back. Nothing but their history depends on it.",
            commands=tuple(commands.metrics(part)),
        )


def _objects(manifest: Manifest) -> Iterable[RestoreStep]:
    for part in _parts(manifest, "runaiconfig"):
        yield RestoreStep(
            name="runaiconfig",
            summary="Apply the whole object, not its .spec. Wait until it is Available.",
            commands=(
                commands.apply(part),
                f"kubectl wait -n {NAMESPACE} runaiconfig/{part.name} --for=condition=Available --timeout=30m",
            ),
        )
    for part in sorted(_parts(manifest, "resources"), key=_rank):
        if part.contents is not None and part.contents.objects == 0:
            continue  # kubectl apply fails where it is given nothing
        yield RestoreStep(
            name=f"resources-{part.name}",
            summary="Apply them. If their namespaces are missing, wait until the projects have made them.",
            commands=(commands.apply(part),),
        )


def _rank(part: Part) -> tuple[int, str]:
    kind = part.name.partition(".")[0]
    return (_FIRST.index(kind) if kind in _FIRST else len(_FIRST), part.name)


def _nodes(manifest: Manifest) -> Iterable[RestoreStep]:
    for part in _parts(manifest, "nodes"):
        yield RestoreStep(
            name="node-labels",
            summary="Roles, labels, annotations and taints of the nodes. Read the file first: nodes that have another "
            "name now are changed in it, those that are no more are taken out.",
            commands=tuple(commands.nodes(part)),
        )


def _conclude() -> RestoreStep:
    return RestoreStep(
        name="conclude",
        summary="Write the new cluster's uid into the configuration ([cluster] uid), look whether everything is there, "
        "and take the first backup of it.",
        commands=(
            "kubectl get namespace kube-system -o jsonpath='{.metadata.uid}{\"\\n\"}'",
            "downtime doctor",
            "downtime backup",
            "downtime check-recovery",
            'rm -rf "$WORK"',
        ),
    )


def _warnings(manifest: Manifest, key: str, database: Database | None) -> Iterable[str]:
    present = {(part.kind, part.name) for part in manifest.files}
    for kind, name in (("runaiconfig", "runai"), ("helm-values", "runai-backend"), ("helm-values", "runai-cluster")):
        if (kind, name) not in present:
            yield f"The set holds no {kind}/{name}: that step is missing, and has to be done from memory."
    kinds = {kind for kind, _ in present}
    for kind, lost in (("database", "everything in the control plane"), ("database-globals", "roles and grants")):
        if kind not in kinds:
            yield f"The set holds no {kind}: {lost} cannot be restored from it."
    for name in ("runai-backend", "runai-cluster"):
        if ("helm-values", name) in present and name not in manifest.versions:
            yield f"The version of {name} was not saved: add --version, or the newest one is installed."
    if any(part.encrypted for part in manifest.parts) and not key:
        whose = ", ".join(manifest.recipients) or "the set"
        yield f"Where the private key is, is not known here: let KEY name its file. It is that of {whose}."
    if database is None and "database" in kinds:
        yield (
            "The saved values could not be read here: the database is taken for the release's own pod, with the "
            f"password in the Secret {commands.POSTGRES}."
        )


def _parts(manifest: Manifest, kind: str) -> list[Part]:
    return [part for part in manifest.files if part.kind == kind]
