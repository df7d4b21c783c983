"""The whole harness on a virtual clock: a little of what benchmarks/bench_trust/estimator.py does."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "bench_trust" / "estimator.py"
RUNS = 50


@pytest.fixture(scope="module")
def estimator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_trust_estimator", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("law", ["normal", "bimodal", "drifting", "spikes"])
@pytest.mark.parametrize("name", ["absolute", "ratio"])
def test_unbiased_and_the_interval_holds(estimator: ModuleType, name: str, law: str) -> None:
    found = estimator.study(name, law, RUNS, 7)
    # 0.5 % is the goal; the error of a median of 50 runs comes on top
    assert abs(found["bias"]) <= 0.005 + 3 * 1.25 * found["half_width"] / 1.96 / math.sqrt(RUNS)
    assert found["covers"] >= 0.94 - 3 * math.sqrt(0.94 * 0.06 / RUNS)


def test_a_law_has_the_median_that_it_says(estimator: ModuleType) -> None:
    random = estimator.np.random.default_rng(0)
    for name, law in estimator.LAWS.items():
        for draw in (law.calls, law.processes):
            assert estimator.np.median(draw(random, 400_000)) == pytest.approx(1, abs=0.003), name
