from __future__ import annotations

import pytest

from edgekd.bench import result
from edgekd.bench.machine.validity import Validity
from edgekd.bench.scenario.run import ScenarioRun
from edgekd.bench.scenario.run import ScenarioSelection
from edgekd.bench.session import Rules
from tests.measured_example import measured

FIT = Validity(True, (), ())
FACTS = result.SubjectFacts(name="a b", runtime="null", precision="fp32")


def test_unstable_is_told() -> None:
    assert result.status_of(measured(3, reached=False))[0] == "unstable"


def test_cold_processes_are_told() -> None:
    found = measured(6)
    for process in found.processes[:4]:
        process["steady"] = False
    assert result.status_of(found) == ("not_steady", "4 of 6 processes never warmed up")


def test_a_machine_that_was_not_fit_spoils_what_was_measured_and_nothing_else() -> None:
    unfit = Validity(False, ("throttled: x rose by 1", "swapped"), ())
    assert result.status_of(measured(6), unfit) == ("invalid", "throttled: x rose by 1; swapped")
    assert result.status_of(measured(0, failure="it crashed"), unfit) == ("failed", "it crashed")
    warned = Validity(True, (), ("noisy",))
    assert result.status_of(measured(6), warned) == ("ok", "")


def test_a_result_says_how_it_was_run() -> None:
    made = result.make_result(
        measured(6), Rules(seed=7), result.MeasurementContext(FACTS, FIT, spin=False)
    )
    assert made.config == result.MeasurementConfig(
        batch=1,
        threads=1,
        affinity=(0, 1),
        spin=False,
        inputs="seeded",
        inputs_sha256="ab" * 32,
        seed=7,
    )
    assert made.stopping.processes == 6 and made.phases["load_ms"] == (10.0,) * 6
    assert made.valid.ok and made.scenarios == ()


@pytest.mark.parametrize(
    ("ran", "status", "reason"),
    [
        (
            ScenarioRun("energy", [{"reason": "no readable counter"}]),
            "unavailable",
            "no readable counter",
        ),
        (ScenarioRun("energy", failure="null: it crashed"), "failed", "null: it crashed"),
        (ScenarioRun("sustained", [{"stretches": [[0, 5, 1, 2], [5, 9, 1, 2]]}]), "ok", ""),
    ],
)
def test_a_scenario_s_status(ran: ScenarioRun, status: str, reason: str) -> None:
    made = result.make_scenario(ran, ScenarioSelection(energy=True, sustained_s=3.0))
    assert (made.status, made.reason) == (status, reason)
    assert all(metric.value is not None or metric.reason for metric in made.metrics)
