"""What a pod asks of a node, as the scheduler counts it. Pure.

The sum over its containers; at least what its init containers need while they run one after the other, beside the
sidecars (``restartPolicy: Always``) that were started before them; requests of the pod as a whole in the place of
those of its containers; and the overhead of its runtime class.

Source: ``PodRequests`` of k8s.io/component-helpers 0.34 (KEP-753, KEP-2837). Requests that are left out are the limits:
the API server fills them in, so that this matters only for objects that it never saw.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from cluster import pods as pod_
from cluster import quantities
from cluster.node import Object

Amounts = dict[str, Fraction]
PODS = "pods"
_OF_WHOLE_POD = ("cpu", "memory", "hugepages-")


def of(pod: Object) -> Amounts:
    """Its requests by resource, and one of ``pods``.

    Raises:
        ValueError: a quantity cannot be read: the pod is not known to fit anywhere.
    """
    spec = pod_.mapping(pod.get("spec"))
    running = total(_asked(one) for one in pod_.objects(spec.get("containers")))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for one in pod_.objects(spec.get("initContainers")):
        if one.get("restartPolicy") == "Always":
            running, sidecars = total((running, _asked(one))), total((sidecars, _asked(one)))
            needs = sidecars
        else:
            needs = total((sidecars, _asked(one)))
        starting = _most(starting, needs)
    whole = _asked(spec)
    found = {**_most(running, starting), **{key: whole[key] for key in whole if key.startswith(_OF_WHOLE_POD)}}
    return total((found, _amounts(spec.get("overhead")), {PODS: Fraction(1)}))


def total(several: Iterable[Mapping[str, Fraction]]) -> Amounts:
    """The sum, resource by resource."""
    found: Amounts = {}
    for one in several:
        for key, amount in one.items():
            found[key] = found.get(key, Fraction(0)) + amount
    return found


def allocatable(node: Object) -> Amounts:
    """What a node has for pods, used or not. Raises ValueError: it cannot be read."""
    return _amounts(pod_.mapping(node.get("status")).get("allocatable"))


def _most(one: Mapping[str, Fraction], other: Mapping[str, Fraction]) -> Amounts:
    zero = Fraction(0)
    return {key: max(one.get(key, zero), other.get(key, zero)) for key in {**one, **other}}


def _asked(container: Object) -> Amounts:
    resources = pod_.mapping(container.get("resources"))
    return _amounts({**pod_.mapping(resources.get("limits")), **pod_.mapping(resources.get("requests"))})


def _amounts(found: object) -> Amounts:
    return {str(key): quantities.parse(value) for key, value in pod_.mapping(found).items()}
