"""What holds for every test: nothing is skipped in silence, nothing hangs, nothing leaves the machine."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false", "no")

# Seconds that one test's own body may take, where it sets no timeout itself.
LIMITS = {"unit": 60, "control_plane": 180, "hosts": 900}

# Before Prefect is imported anywhere: no telemetry, and no trace in the home of whoever runs the tests.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
if "PREFECT_HOME" not in os.environ or "PYTEST_XDIST_WORKER" in os.environ:
    # Processes that run tests beside each other have one each: Prefect's database takes one writer at a time.
    os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="downtime-prefect-")
    atexit.register(shutil.rmtree, os.environ["PREFECT_HOME"], ignore_errors=True)

# A run in the background may have been started with these ignored, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A deadline per example fails on a busy machine and says nothing about the code.
settings.register_profile("house", deadline=None, print_blob=True, derandomize=IN_CI)
settings.load_profile("house")


class ByLab(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps together what shares a lab, when several processes share the tests.

    Hosts stay in one process: their labs are large, and a machine of 2 cores runs one at a time well.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/hosts" if file.startswith("tests/hosts/") else file


def pytest_sessionstart(session: pytest.Session) -> None:
    """Begin without labs of runs that were killed."""
    _sweep(session.config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End without labs of processes that were interrupted."""
    _sweep(config)


def _sweep(config: pytest.Config) -> None:
    # Not in a process that is led by another one, and not in runs within a test, which borrow this file.
    if "PYTEST_XDIST_WORKER" not in os.environ and config.rootpath == Path(__file__).parents[1]:
        from tests import left_labs

        left_labs.sweep()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByLab:
    """Hand the tests out by their labs."""
    return ByLab(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test the time limit of its folder; what takes longest begins first where two processes test."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ""
        if folder in LIMITS and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMITS[folder]))
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: "hosts" not in item.path.parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skipped test into a failure in CI: there a missing tool is a broken set-up."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Do the same for a whole module that skips itself as it is imported."""
    report = yield
    if IN_CI and report.skipped:
        _fail(report)
    return report


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"Nothing may be skipped in CI. {reason}"
