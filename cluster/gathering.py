"""Finds all that a backup set is to hold: what the vendor tells to save, and what a new cluster needs besides.

Nothing is dumped here: what is found are sources, which the writer of the set calls one after the other. But each login
and each place is proved here, so that a wrong password is told before a set is begun. A snapshot of the metrics volume
is made here as well: it is nothing that could be streamed.
"""

from __future__ import annotations

import importlib.metadata
import json

from cluster import database_server, databases, helm_releases, metrics_volume, saved_nodes, saved_objects
from cluster.api import Api
from cluster.config import Settings
from cluster.errors import Blocked
from cluster.helm_releases import Release
from cluster.part_source import FileSource, Gathered, Produced, Sink
from cluster.service import BACKEND_NAMESPACE, NAMESPACE

RELEASES = ((BACKEND_NAMESPACE, "runai-backend"), (NAMESPACE, "runai-cluster"))


def gather(api: Api, settings: Settings) -> Gathered:
    """All parts of a backup set of this cluster, in the order in which they are taken.

    Raises:
        Blocked: something required is not there or may not be read; ``not-self-hosted``.
        Misused: the configuration asks for what cannot be done.
    """
    if api.get(f"/api/v1/namespaces/{BACKEND_NAMESPACE}") is None:
        raise Blocked(
            "not-self-hosted",
            f"This cluster has no namespace {BACKEND_NAMESPACE}: its control plane is the vendor's service, not here",
            "Nothing is to be backed up here.",
        )
    kinds = saved_objects.kinds(api)
    runaiconfig = saved_objects.runaiconfig(api, kinds)
    resources, warnings = saved_objects.resources(api, kinds)
    releases = [helm_releases.newest(api, namespace, name) for namespace, name in RELEASES]
    warnings += [
        f"The Helm release {one.name} is {one.status}: its revision {one.revision} may never have worked."
        for one in releases
        if one.status != "deployed"
    ]
    server = database_server.find(api, releases[0], settings.recovery.postgres)
    found = databases.look(server)
    databases.require(server, found)
    if not found.superuser:
        warnings.append(f"{server.login.user} may not read the passwords of roles: a restore must set them anew.")
    versions = _versions(api, releases)
    # The last: what it makes is in nobody's hands until this returns.
    metrics, unsaved = metrics_volume.sources(api, settings, BACKEND_NAMESPACE)
    return Gathered(
        sources=(
            runaiconfig,
            *(source for one in releases for source in helm_sources(one)),
            saved_nodes.source(api),
            *resources,
            *databases.sources(server, found),
            *metrics,
        ),
        versions=versions,
        warnings=(*warnings, *unsaved),
    )


def helm_sources(release: Release) -> list[FileSource]:
    """The administrator's values, a file that ``helm install --values`` takes as it is; and what they were given to."""
    about = {
        "name": release.name,
        "namespace": release.namespace,
        "revision": release.revision,
        "status": release.status,
        "chart": release.chart,
        "version": release.version,
        "app_version": release.app_version,
        "defaults": release.defaults,
    }

    def document(body: object) -> bytes:
        return json.dumps(body, indent=2).encode() + b"\n"

    def values(sink: Sink) -> Produced:
        sink.write(document(release.values))
        return Produced()

    def release_itself(sink: Sink) -> Produced:
        sink.write(document(about))
        return Produced()

    return [
        FileSource("helm-values", release.name, f"helm/{release.name}.json", values),
        FileSource("helm-release", release.name, f"helm/{release.name}.release.json", release_itself),
    ]


def _versions(api: Api, releases: list[Release]) -> dict[str, str]:
    versions = {one.name: one.version for one in releases}
    versions["kubernetes"] = str((api.get("/version") or {}).get("gitVersion", ""))
    try:
        versions["downtime"] = importlib.metadata.version("runai-downtime")
    except importlib.metadata.PackageNotFoundError:
        versions["downtime"] = "unknown"
    return versions
