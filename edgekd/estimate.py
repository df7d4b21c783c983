"""How long the steps of a plan may take and how much they may store, by like steps that the store has."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from edgekd.stage import Step
from edgekd.store import StoreEntry
from edgekd.strict_json import find_differences

SAME = ("model", "runtime", "source")
"""Settings in which two steps must agree to be like each other."""
EPOCHS = ("train", "epochs")
COUNTED = ("candidates",)
"""Lists of what a step does one after the other."""


class StepCost(NamedTuple):
    """What one step may cost; None where the store has no step like it."""

    label: str
    time_s: float | None
    disk_bytes: int | None


class PlanCost(NamedTuple):
    """What the steps that are to run may cost together."""

    steps: tuple[StepCost, ...]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Labels of the steps of which nothing is known."""
        return tuple(step.label for step in self.steps if step.time_s is None)

    @property
    def time_s(self) -> float:
        """Seconds of all that are known."""
        return sum(step.time_s or 0.0 for step in self.steps)

    @property
    def disk_bytes(self) -> int:
        """Bytes that all that are known store."""
        return sum(step.disk_bytes or 0 for step in self.steps)


def estimate_cost(steps: Iterable[Step], entries: Iterable[StoreEntry]) -> PlanCost:
    """Estimate what `steps` cost from `entries`, results that were made with this store."""
    by_stage: dict[str, list[StoreEntry]] = {}
    for entry in entries:
        by_stage.setdefault(str(entry.inputs.get("stage")), []).append(entry)
    return PlanCost(
        tuple(_estimate_step(step, by_stage.get(step.stage.name, [])) for step in steps)
    )


def _estimate_step(step: Step, entries: Sequence[StoreEntry]) -> StepCost:
    """The median of those of the same stage whose settings differ least; a training scaled by its epochs."""
    mine = step.settings.model_dump(mode="json")
    alike = list(_find_alike(mine, entries))
    if not alike:
        return StepCost(step.label, None, None)
    least = min(distance for distance, _ in alike)
    nearest = [entry for distance, entry in alike if distance == least]
    times_s = [entry.made.took_s * _scale(mine, _settings(entry)) for entry in nearest]
    sizes = [sum(blob.size_bytes for blob in entry.files.values()) for entry in nearest]
    return StepCost(step.label, statistics.median(times_s), round(statistics.median(sizes)))


def _find_alike(
    mine: Mapping[str, Any], entries: Sequence[StoreEntry]
) -> Iterator[tuple[int, StoreEntry]]:
    """Yield each like entry with the number of settings in which it differs."""
    for entry in entries:
        its = _settings(entry)
        if all(mine.get(key) == its.get(key) for key in SAME):
            yield sum(1 for _ in find_differences(mine, its)), entry


def _settings(entry: StoreEntry) -> Mapping[str, Any]:
    found = entry.inputs.get("settings")
    return found if isinstance(found, Mapping) else {}


def _scale(mine: Mapping[str, Any], its: Mapping[str, Any]) -> float:
    """How many times the work of `its` that of `mine` is, as far as both say."""
    factor = 1.0
    pairs = [(_epochs(mine), _epochs(its))]
    pairs += [(len(mine.get(key) or ()), len(its.get(key) or ())) for key in COUNTED]
    for ours, theirs in pairs:
        if ours and theirs:
            factor *= ours / theirs
    return factor


def _epochs(settings: Mapping[str, Any]) -> int:
    train = settings.get(EPOCHS[0])
    epochs = train.get(EPOCHS[1]) if isinstance(train, Mapping) else None
    return epochs if isinstance(epochs, int) else 0
