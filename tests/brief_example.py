"""Measurements as short as they can be, for tests that look at no time."""

from __future__ import annotations

from functools import partial

import pytest

from edgekd.bench import session
from edgekd.bench.pair import run as pair
from edgekd.bench.scenario import run as scenario
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.stages import measure

WARM_UP = WarmUp(window_ns=1_000_000, max_ns=10_000_000)
STEADY = Steady(min_ns=2_000_000, max_ns=10_000_000)


@pytest.fixture(autouse=True)
def brief_measurements(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has a usual length takes hundredths of a second in workers that this process starts."""
    monkeypatch.setattr(session, "Rules", partial(session.Rules, warm_up=WARM_UP, steady=STEADY))
    monkeypatch.setattr(pair, "PairRules", partial(pair.PairRules, steady_ns=STEADY.min_ns))
    monkeypatch.setattr(scenario, "SPAN_NS", 10_000_000)
    monkeypatch.setattr(scenario, "PACED_S", 0.1)
    monkeypatch.setattr(measure, "WINDOW_NS", WARM_UP.window_ns)
