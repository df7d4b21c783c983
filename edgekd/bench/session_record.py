"""The record of a finished session; only imported after it ends, so a start costs nothing."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from edgekd.bench.machine.host import Host
from edgekd.bench.machine.monitor import Monitor
from edgekd.bench.scenario.run import Name
from edgekd.bench.scenario.run import ScenarioRun
from edgekd.bench.scenario.run import ScenarioSelection
from edgekd.bench.session import Measurement
from edgekd.bench.session import Rules
from edgekd.bench.user_models import PreparedSubject


class SessionRecord(NamedTuple):
    """All measurements of one session; `ready`, `measured` and `scenarios` go in pairs."""

    ready: Sequence[PreparedSubject]
    measured: Sequence[Measurement]
    scenarios: Sequence[Mapping[Name, ScenarioRun]]
    wanted: ScenarioSelection
    rules: Rules
    monitor: Monitor
    host: Host
    argv: tuple[str, ...]
    started_utc: str


def now_utc() -> str:
    """``2026-11-21T10:00:00+00:00``."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
