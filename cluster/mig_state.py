"""Whether a node's GPUs are sliced as they are to be: what the GPU operator's MIG manager says of it. Pure.

It writes ``pending`` while it slices, ``rebooting`` when it has the machine restarted for it, then ``success`` or
``failed``. Source: https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-operator-mig.html
"""

from __future__ import annotations

from collections.abc import Mapping

CONFIG, STATE = "nvidia.com/mig.config", "nvidia.com/mig.config.state"
_DONE = "success"


def unfinished(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Why the GPUs are not sliced as they are to be; empty: they are, or nobody slices them.

    Args:
        before: the node's labels before the downtime.
        now: its labels.
    """
    wanted, state = now.get(CONFIG, ""), now.get(STATE, "")
    if state == _DONE or not (wanted or state):
        return ""
    if state:
        return f"the label {STATE} is {state!r}, not {_DONE!r}; wanted is {wanted or 'no configuration'}"
    # Without a MIG manager the label of what is wanted stands alone, and nobody ever answers it.
    return f"the label {STATE} is gone; wanted is {wanted}" if before.get(STATE) else ""
