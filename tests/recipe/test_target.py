from __future__ import annotations

from edgekd.profile import PROFILES
from edgekd.recipe.target import RUNS
from edgekd.recipe.target import Target
from edgekd.runtimes import RUNTIMES


def test_every_engine_that_offers_int8_runs_a_profile_that_there_is() -> None:
    offering = {name for name, entry in RUNTIMES.items() if "int8" in entry.known_precisions}
    assert offering == set(RUNS)
    assert {profile for known in RUNS.values() for profile in known} == set(PROFILES)


def test_what_a_build_takes_besides() -> None:
    assert Target(runtime="tensorrt", capability="sm89").options() == {"capability": "sm89"}
    assert Target(runtime="openvino").options() == {}
