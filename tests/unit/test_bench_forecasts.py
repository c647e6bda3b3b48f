"""The arithmetic of the measurement of forecasts: nothing flatters the product."""

from __future__ import annotations

import json

from bench.forecast_results import FORECAST, KUBECTL, MOST_MIB, ForecastResult, Run


def result(seconds: float, peak: float = 80.0) -> ForecastResult:
    runs = [Run(KUBECTL, 10.0, 300.0), Run(FORECAST, seconds, peak), Run(KUBECTL, 30.0, 300.0)]
    return ForecastResult(1000, 10_000, 90.0, runs)


def test_the_ratio_is_of_medians() -> None:
    assert result(4.0).ratio(FORECAST) == 0.2
    assert result(4.0).good
    assert not result(4.1).good


def test_memory_beyond_the_target_misses_it_however_fast_it_was() -> None:
    assert not result(1.0, peak=MOST_MIB + 1).good


def test_what_is_printed_for_programs_is_json() -> None:
    document = json.loads(json.dumps(result(4.0).document(), allow_nan=False))
    assert document["ratios"][FORECAST] == 0.2
    assert FORECAST in result(4.0).text()
