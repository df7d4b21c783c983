"""Profiles name schemes that exist, and every scheme is somebody's."""

from __future__ import annotations

from edgekd.profile import PROFILES
from edgekd.profile import SCHEMES


def test_every_profile_has_a_scheme_and_every_scheme_a_profile() -> None:
    assert {profile.scheme for profile in PROFILES.values()} == set(SCHEMES)


def test_only_a_symmetric_scheme_may_be_for_an_engine_without_zero_points() -> None:
    assert SCHEMES[PROFILES["tensorrt"].scheme].symmetric
    assert not any(
        SCHEMES[profile.scheme].symmetric
        for profile in PROFILES.values()
        if profile.activation == "u8"
    )
