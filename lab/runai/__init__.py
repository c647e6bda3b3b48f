"""What looks like Run:ai on a lab's cluster: its definitions, its service's pods, and researchers' workloads.

Run:ai is closed source; names, labels and owners are those of its public documentation and of clusters that others
described. Nothing schedules for it here: pods go to the default scheduler.
"""

from lab.runai.install import RUNAICONFIG, await_ready, install
from lab.runai.volumes import Kept, Volume

__all__ = ["RUNAICONFIG", "Kept", "Volume", "await_ready", "install"]
