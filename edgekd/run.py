"""What one run is given beside its recipe: where it reads and writes, and what it may do."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from edgekd.device import Device
from edgekd.devices import local
from edgekd.launch.team import Team
from edgekd.progress import Progress
from edgekd.progress import Silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of one run of a recipe; none of them changes a stage's bytes."""

    run_dir: Path
    """The run's own folder: result, report, bundle."""
    may_move: bool = False
    """Whether a folder beside it is taken, ``NAME-2``, if it holds a run with other settings; else that is an error."""
    replace: bool = False
    """Whether a run with other settings that it holds is replaced."""
    store: Path
    """Where stage results are kept by content."""
    data_dir: Path | None = None
    """Where data sets that are not embedded lie."""
    allow_code: bool = False
    """Whether ``python:`` references may run."""
    allow_download: bool = False
    """Whether the network may be used."""
    dry: bool = False
    """Whether the run is only foreseen: nothing is then written or downloaded."""
    wait: bool = True
    """Whether to wait for another run on the same store."""
    side_process: bool = False
    """Whether a second process makes steps beside a long training of one thread."""
    device: Device = local.DEVICE
    """Where engines are built, run and measured."""
    overrides: tuple[str, ...] = ()
    """What the command line changed of the recipe, ``KEY=VALUE``; the report tells it."""
    team: Team | None = None
    """The other ranks, if a launcher started some."""
    progress: Progress = Silent()
    """Is shown what is done before a step begins: the hashing of its files."""


def default_store() -> Path:
    """``$EDGEKD_HOME``, else a folder in the user's cache folder."""
    home = os.environ.get("EDGEKD_HOME")
    if home:
        return Path(home)
    import platformdirs

    return platformdirs.user_cache_path("edgekd", appauthor=False) / "store"


def default_run_dir(name: str) -> Path:
    """``runs/NAME`` below the working folder."""
    return Path("runs") / name


def log_folder() -> Path:
    """Return where the details of unexpected errors go; it may not exist yet."""
    import platformdirs

    return platformdirs.user_log_path("edgekd", appauthor=False)
