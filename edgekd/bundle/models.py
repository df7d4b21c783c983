"""The models of a bundle: one, or one for each bucket of sizes, each with the engine it was chosen for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgekd.bench.golden import Golden
from edgekd.bench.size_buckets import assign_buckets
from edgekd.bench.sized_calls import group_sizes
from edgekd.bundle import Bundle
from edgekd.bundle.manifest import FUSED
from edgekd.bundle.manifest import MODEL
from edgekd.bundle.manifest import ChosenCandidate
from edgekd.bundle.manifest import Tolerance
from edgekd.errors import InputError
from edgekd.profile import stored_precision

SHARED = ("fp32", "int8", "int4")
"""Precisions in which every engine must give the trained model's own answers."""


class BundledModel(NamedTuple):
    """One file of a bundle and the engine it was chosen for."""

    path: Path
    chosen: ChosenCandidate
    golden: Golden
    """Those of its groups that belong to it."""
    tolerance: Mapping[str, Tolerance]
    """By ``runtime/precision``."""
    fused: Path | None = None
    """The same in operators of ONNX Runtime's own, which that runs in place of it."""
    most: int | None = None
    """Largest size of the samples that it is for; None where that is any."""


def usual_model(found: Bundle) -> BundledModel:
    """The one that was chosen at the usual sizes; in a bundle of one file that is the only one."""
    manifest = found.manifest
    path, fused = found.folder / MODEL, find_fused(found)
    return BundledModel(path, manifest.chosen, found.golden, manifest.tolerance, fused)


def find_fused(found: Bundle) -> Path | None:
    """The file of a decoder's fused operators, of which weights may lie in model.onnx; None where it has none."""
    return found.folder / FUSED if FUSED in found.manifest.files else None


def models_by_size(found: Bundle) -> list[BundledModel]:
    """One for each bucket, by ascending size, with the golden answers that fall into it; empty where one file serves all.

    Raises:
        InputError: if no golden sample falls into a bucket, so that nothing could be compared there.
    """
    table = found.manifest.by_size
    if table is None:
        return []
    bounds = list_bounds(found)
    models = []
    for number, bucket in enumerate(table.buckets):
        golden = found.golden if bucket.model == MODEL else found.more_golden[bucket.model]
        sizes = {n: group_sizes(found.interface, g)[table.axis] for n, g in golden.items()}
        own = {
            name: golden[name]
            for name, size in sizes.items()
            if assign_buckets(np.array([size]), bounds)[0] == number
        }
        if not own:
            up_to = "more" if bucket.most is None else bucket.most
            raise InputError(
                f"{found.folder}: got no golden answers of {bucket.model} for {table.axis} up to {up_to}"
            )
        tolerance = (
            found.manifest.tolerance
            if bucket.model == MODEL
            else table.models[bucket.model].tolerance
        )
        path = found.folder / bucket.model
        fused = find_fused(found) if bucket.model == MODEL else None
        models.append(BundledModel(path, bucket.chosen, own, tolerance, fused, bucket.most))
    return models


def list_bounds(found: Bundle) -> list[int]:
    """Of all buckets but the last, ascending."""
    table = found.manifest.by_size
    return [b.most for b in table.buckets if b.most is not None] if table is not None else []


def stated_tolerance(
    tolerance: Mapping[str, Tolerance], runtime: str, precision: str
) -> Tolerance | None:
    """Return what the manifest asks of an engine; of one it does not name, in float32 and in int8, what it
    asks of another: all are held to the same model. What it asks of int8 beside bf16 holds for int8 alone, too: that is nearer."""
    if precision not in SHARED or f"{runtime}/{precision}" in tolerance:
        return tolerance.get(f"{runtime}/{precision}")
    named = {name: name.partition("/")[2] for name in tolerance}
    exact = [tolerance[name] for name, each in named.items() if each == precision]
    rounded = [tolerance[n] for n, each in named.items() if stored_precision(each) == precision]
    return next(iter([*exact, *rounded]), None)
