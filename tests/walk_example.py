"""Toy stages that need no torch, and walks over them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.settings import Settings
from edgekd.stage import EVERY
from edgekd.stage import Bindings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import Step
from edgekd.store import Store
from edgekd.walk import Walker
from edgekd.walk import open_store

if TYPE_CHECKING:
    import pytest


class Toy(Settings):
    """How often the input is repeated."""

    times: int = 2


def double(config: Toy, given: Given, context: Context) -> Made:
    """Repeat the inputs in two files; counts its calls in a file named by the environment."""
    with open(os.environ["TOY_CALLS"], "a") as log:
        log.write("x")
    data = b"".join(given[name].read_bytes() for name in sorted(given)) + bytes([context.seed])
    made = {}
    for name in ("a", "b"):
        made[name] = context.folder / name
        made[name].write_bytes(data * config.times + name.encode())
    return made


HERE = Bindings("host", "device")
DOUBLE = Stage("double", Toy, double)


def plan(source: Path, times: int = 2, stage: Stage = DOUBLE) -> tuple[Step, ...]:
    """Three steps of `stage`; `times` is the second one's."""
    return (
        Step("first", stage, Toy(), {}, 1, external={"source": source}),
        Step("second", stage, Toy(times=times), {"x": ("first", "a")}, 2),
        Step("third", stage, Toy(), {"all": ("second", EVERY), "y": ("first", "b")}, 3),
    )


def begun(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what `plan` reads, in which calls of `double` are counted."""
    (root / "source").write_bytes(b"hello")
    monkeypatch.setenv("TOY_CALLS", str(root / "calls"))
    return root


def walk(root: Path, times: int = 2, stage: Stage = DOUBLE) -> Walker:
    """Walk `plan` in the store under `root`."""
    options = Options(run_dir=root / "run", store=root / "store")
    with open_store(options) as store:
        walker = Walker(store, options, Silent(), HERE)
        walker.walk(plan(root / "source", times, stage))
    return walker


def calls(root: Path) -> int:
    """How often `double` ran."""
    path = root / "calls"
    return len(path.read_text()) if path.exists() else 0


def snapshot(root: Path) -> dict[str, bytes]:
    """What the store holds, but for when it was made."""
    store = root / "store"
    blobs = {str(p.relative_to(store)): p.read_bytes() for p in store.glob("cas/*/*")}
    timeless = {e.key: repr(e._replace(made=None)).encode() for e in Store(store).entries()}
    return blobs | timeless
