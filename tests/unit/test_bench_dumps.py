"""The arithmetic of the measurement of dumps: nothing flatters the product."""

from __future__ import annotations

import json

from bench.dump_results import ENCRYPTED, FLAT_MIB, KUBECTL, DumpResult, Run


def result(seconds: float, peak: float = 60.0, small: float = 55.0) -> DumpResult:
    runs = [Run(KUBECTL, 10.0, 100.0, 1 << 20), Run(ENCRYPTED, seconds, peak, 1 << 20), Run(KUBECTL, 30.0, 100.0, 1)]
    return DumpResult(100.0, runs, [Run(KUBECTL, 1, 99.0, 1), Run(ENCRYPTED, 1, small, 1)])


def test_the_ratio_is_of_medians_and_the_target_of_what_is_encrypted() -> None:
    assert result(24.0).ratio(ENCRYPTED) == 1.2
    assert result(24.0).good
    assert not result(24.1).good


def test_memory_that_grows_with_the_dump_misses_the_target_however_fast_it_was() -> None:
    assert not result(1.0, peak=55.0 + FLAT_MIB + 1).good


def test_what_is_printed_for_programs_is_json() -> None:
    document = json.loads(json.dumps(result(24.0).document(), allow_nan=False))
    assert document["ratios"][ENCRYPTED] == 1.2
    assert ENCRYPTED in result(24.0).text()
