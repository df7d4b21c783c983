from __future__ import annotations

from edgekd.profile import PROFILES
from edgekd.recipe.target import Target
from edgekd.runtimes import BUILT_IN


def test_every_engine_that_offers_int8_runs_a_profile_that_there_is() -> None:
    offering = [entry for entry in BUILT_IN.values() if "int8" in entry.known_precisions]
    assert offering == [entry for entry in BUILT_IN.values() if entry.profiles]
    assert {profile for entry in offering for profile in entry.profiles} == set(PROFILES)


def test_what_a_build_takes_besides() -> None:
    assert Target(runtime="tensorrt", capability="sm89").options() == {"capability": "sm89"}
    assert Target(runtime="openvino").options() == {}
