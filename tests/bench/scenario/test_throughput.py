from __future__ import annotations

from collections.abc import Callable

from edgekd.bench.scenario.throughput import ThroughputPoint
from edgekd.bench.scenario.throughput import best_point
from edgekd.bench.scenario.throughput import next_batch


def swept(
    rate: Callable[[int], float], bound_ms: float | None = None, most: int = 1024
) -> list[ThroughputPoint]:
    points: list[ThroughputPoint] = []
    while (batch := next_batch(points, bound_ms, most)) is not None:
        points.append(ThroughputPoint(batch, rate(batch), 1000 * batch / rate(batch)))
    return points


def test_it_doubles_until_two_sizes_gain_nothing() -> None:
    points = swept(lambda batch: 100.0 * min(batch, 16))
    assert [p.batch for p in points] == [1, 2, 4, 8, 16, 32, 64]
    won = best_point(points, None)
    assert won is not None and won.batch == 16


def test_one_unlucky_size_does_not_end_it() -> None:
    points = swept(lambda batch: {1: 100.0, 2: 80.0}.get(batch, 100.0 * min(batch, 8)))
    assert [p.batch for p in points] == [1, 2, 4, 8, 16, 32]
    won = best_point(points, None)
    assert won is not None and won.batch == 8


def test_less_than_five_percent_is_no_gain() -> None:
    points = swept(lambda batch: 100.0 * 1.02 ** (batch.bit_length() - 1))
    assert [p.batch for p in points] == [1, 2, 4]
    won = best_point(points, None)
    assert won is not None and won.batch == 1  # the smallest within 5 %


def test_a_bound_on_latency() -> None:
    points = swept(lambda batch: 1000.0, bound_ms=4.5)  # 1 ms a sample
    assert points[-1].latency_ms <= 8
    fast = swept(lambda batch: 100.0 * batch**0.5, bound_ms=45.0)  # 10 ms, 14, 20, 28, 40, 57
    assert [p.batch for p in fast] == [1, 2, 4, 8, 16, 32]
    won = best_point(fast, 45.0)
    assert won is not None and won.batch == 16
    assert best_point(fast, 5.0) is None


def test_it_ends_at_the_most() -> None:
    assert [p.batch for p in swept(lambda batch: 10.0 * batch, most=5)] == [1, 2, 4]
