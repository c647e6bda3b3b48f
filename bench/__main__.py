"""``python -m bench``: prints a table for people, and the same as one line of JSON."""

from __future__ import annotations

import argparse
import sys

from bench import power_loss
from bench.ending import end
from lab.progress import Progress


def main() -> int:
    """Measure; exit status 0 if the target is met, 1 if not or if something failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=power_loss.__doc__)
    parser.add_argument("--hosts", action="store_true", help="on kubeadm hosts with real kubelets (root)")
    parser.add_argument("--grace", type=int, default=30, metavar="SECONDS", help="grace of the recovery (default: 30)")
    parser.add_argument("--name", default="bench", metavar="LAB", help="name of the lab that is made (default: bench)")
    options = parser.parse_args()
    return end(lambda: power_loss.measure(options.name, options.grace, Progress(), hosts=options.hosts))


if __name__ == "__main__":
    sys.exit(main())
