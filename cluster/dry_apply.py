"""Asks an API server whether it would take saved objects: a server-side apply with ``dryRun=All``. Changes nothing.

Validation, defaulting and admission all run, so it is as near as can be to the real thing:
https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from cluster.api import Api
from cluster.api_errors import NotFound
from cluster.errors import Blocked, Unreachable
from cluster.restorable import Object, restorable, title

MANAGER = "runai-downtime-rehearsal"
# A value that is refused may be a secret.
_VALUE = re.compile(r'((?:Invalid|Unsupported) value): (?:"(?:[^"\\]|\\.)*"|[^:\s]+)')
# A webhook with side effects is not called in a dry run, and the server ends it (400):
# https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/#side-effects
_NO_DRY_RUN = re.compile(r"admission webhook .* does not support dry run", re.DOTALL)
_NOT_THE_OBJECTS_FAULT = frozenset({"forbidden", "credentials", "api-certificate", "api-busy"})


@dataclass
class Answers:
    """What the server said.

    Attributes:
        accepted: so many objects.
        refused: objects that it would not take, and why.
        unknown: objects that it cannot judge, and why: it lacks their kind or their namespace, or a webhook has no
            dry run.
    """

    accepted: int = 0
    refused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


class DryRun:
    """Asks one API server, and remembers which kinds it has."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._kinds: dict[str, dict[str, tuple[str, bool]]] = {}

    @property
    def server(self) -> str:
        """Its address."""
        return self._api.server

    def ask(self, bodies: Iterable[Object]) -> Answers:
        """What it would do with these objects.

        Raises:
            Unreachable: it does not answer.
            Blocked: it may not be asked (``forbidden``, ``credentials``).
        """
        answers = Answers()
        for body in bodies:
            self._ask(restorable(body), answers)
        return answers

    def _ask(self, body: Object, answers: Answers) -> None:
        place = self._kind(body["apiVersion"]).get(body["kind"])
        if place is None:
            answers.unknown.append(f"{title(body)}: it has no {body['kind']} of {body['apiVersion']}")
            return
        plural, namespaced = place
        where = f"namespaces/{quote(body['metadata'].get('namespace') or 'default', safe='')}/" if namespaced else ""
        name = quote(body["metadata"]["name"], safe="")
        try:
            self._api.dry_apply(f"{_root(body['apiVersion'])}/{where}{plural}/{name}", body, MANAGER)
        except NotFound as error:
            answers.unknown.append(f"{title(body)}: {error.message}")
        except Unreachable:
            raise
        except Blocked as error:
            if error.code in _NOT_THE_OBJECTS_FAULT:
                raise
            unjudged = _NO_DRY_RUN.search(error.message) is not None
            (answers.unknown if unjudged else answers.refused).append(
                f"{title(body)}: {_without_values(error.message)}"
            )
        else:
            answers.accepted += 1

    def _kind(self, version: str) -> dict[str, tuple[str, bool]]:
        """Of each kind of an API version: its plural, and whether it lives in namespaces."""
        if version not in self._kinds:
            listed = (self._api.get(_root(version)) or {}).get("resources") or ()
            self._kinds[version] = {
                str(one["kind"]): (str(one["name"]), bool(one["namespaced"]))
                for one in listed
                if "/" not in one["name"]
            }
        return self._kinds[version]


def _without_values(message: str) -> str:
    return _VALUE.sub(r"\1", message)


def _root(version: str) -> str:
    return f"/apis/{version}" if "/" in version else f"/api/{version}"
