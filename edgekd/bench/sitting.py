"""All that is known when a sitting ends; costs nothing to import before it begins."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from edgekd.bench.machine.site import Site
from edgekd.bench.machine.watch import Watch
from edgekd.bench.scenario.run import Name
from edgekd.bench.scenario.run import Ran
from edgekd.bench.scenario.run import Wanted
from edgekd.bench.session import Measured
from edgekd.bench.session import Rules
from edgekd.bench.user_models import Ready


class Sitting(NamedTuple):
    """All that was measured in one go; `ready`, `measured` and `scenarios` go in pairs."""

    ready: Sequence[Ready]
    measured: Sequence[Measured]
    scenarios: Sequence[Mapping[Name, Ran]]
    wanted: Wanted
    rules: Rules
    watch: Watch
    site: Site
    argv: tuple[str, ...]
    started_utc: str


def now_utc() -> str:
    """``2026-11-21T10:00:00+00:00``."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
