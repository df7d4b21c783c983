"""Profiles name numerics that exist, and a profile uses each of them."""

from __future__ import annotations

from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES


def test_profiles_use_exactly_the_numerics_in_the_table() -> None:
    assert {profile.numerics for profile in PROFILES.values()} == set(NUMERICS)


def test_only_symmetric_numerics_may_be_for_an_engine_without_zero_points() -> None:
    assert NUMERICS[PROFILES["tensorrt"].numerics].symmetric
    assert not any(
        NUMERICS[profile.numerics].symmetric
        for profile in PROFILES.values()
        if profile.activation == "u8"
    )
