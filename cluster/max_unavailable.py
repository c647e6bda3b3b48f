"""How many nodes of a group may be down at once: a number, or a share of the group. Pure; the models of ``[limits]``.

A share is rounded *down*, as Kubernetes does for a Deployment's ``maxUnavailable``, but to no less than one node: with
"10%" of four nodes no node could ever be maintained, which nobody means who writes it. Who does mean it writes 0 (or
"0%"): then none may go down.

Source: https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#max-unavailable
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt

from cluster.plan import NodeKind

EVERY = "*"
_SHARE = re.compile(r"(100|[0-9]{1,2})\s?%")


def _number_or_share(text: str) -> int | str:
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,6}", text):
        return int(text)  # variables of the environment are texts
    if not _SHARE.fullmatch(text):
        raise ValueError('write a number of nodes, as 1, or a share of them, as "10%" (0% to 100%)')
    return text


MaxUnavailable = Annotated[NonNegativeInt, Field(strict=True)] | Annotated[str, AfterValidator(_number_or_share)]


class Limits(BaseModel):
    """Limits on what may be down at once, for whatever reason it is; what is not named is not limited."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_unavailable: MaxUnavailable | None = Field(default=None, description="Of all nodes of the cluster.")
    roles: dict[NodeKind, MaxUnavailable] = Field(
        default={}, description="Of the nodes of one kind: control-plane, system, gpu-worker, cpu-worker."
    )
    pools: dict[str, MaxUnavailable] = Field(
        default={}, description='Of the nodes of one Run:ai node pool; "*": of each pool that is not named.'
    )


def allowed(limit: int | str, total: int) -> int:
    """How many of so many nodes may be down at once.

    Raises:
        ValueError: the limit is neither a number nor a share; those of :class:`Limits` are.
    """
    if isinstance(limit, int):
        return limit
    match = _SHARE.fullmatch(limit)
    if match is None:
        raise ValueError(f"{limit!r} is neither a number nor a share")
    share = int(match[1])
    return max(1, total * share // 100) if share else 0
