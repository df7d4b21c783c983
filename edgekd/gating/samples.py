"""Samples with their targets for the gate `score`: the run's own test split, out of the store by its digest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd import dataset
from edgekd import files
from edgekd import splits
from edgekd.bench.outputs import write_inputs
from edgekd.bundle.first_format import is_first_format
from edgekd.errors import InputError
from edgekd.gate import EvaluationSamples
from edgekd.gating.sides import OpenedSide
from edgekd.store import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Field

STEP = "data"
SPLIT, ABOUT = "test", "data.json"
HINT = "--samples FILE.npz with an array of each input and target, such as images and labels"


def find_samples(run: OpenedSide, baseline: OpenedSide, store: Store) -> EvaluationSamples | str:
    """The run's test split, or why there is none.

    The baseline may not have learned from it: its own lineage has to name the same split.

    Raises:
        InputError: if the two models, or the run and its data, are of other tasks, or the split is none.
    """
    require_same_task(run, baseline)
    named = _named(run, store)
    if named is None:
        if _is_older(run, store):
            return f"the run is of an older edgekd, whose splits have another form; want {HINT}"
        return f"the run's test split is not in the store {store.root}; want {HINT}"
    if reason := _why_other_data(run, baseline, named, store):
        return f"{reason}; want {HINT}"
    for name, digest in named.items():
        path = store.blob_path(digest)
        if not path.is_file() or files.digest_file(path) != digest:
            return f"{name} of the run is not in the store {store.root}; want {HINT}"
    about, path = dataset.read(store.blob_path(named[ABOUT])), store.blob_path(named[SPLIT])
    if about.targets != run.bundle.dataset.targets:
        raise InputError(f"{run.given}: got other targets in its data than in its bundle")
    source = f"{about.source or '?'} (test split)"
    return _checked(path, (run, baseline), source, named[SPLIT], source)


def read(path: Path, run: OpenedSide, baseline: OpenedSide, scratch: Path) -> EvaluationSamples:
    """The samples of an .npz file with an array of each input and target, also as ``test_...``; or of a split.

    Raises:
        InputError: if it is no such file, or its rows are not what the models take or are judged by.
        MachineError: if the arrays do not fit into memory.
    """
    from edgekd.learn.formats.npy import read_npz

    require_same_task(run, baseline)
    if path.suffix != ".npz":
        return _checked(path, (run, baseline), path.name, files.digest_file(path), str(path))
    fields = run.bundle.dataset.fields
    names = {alias: name for name in fields for alias in (f"test_{name}", name)}
    arrays = {names[name]: array for name, array in read_npz(path, names).items()}
    if missing := [name for name in fields if name not in arrays]:
        raise InputError(f"{path}: got no `{missing[0]}`, want {', '.join(fields)}")
    rows = {name: _as_stored(array, fields[name]) for name, array in arrays.items()}
    run.bundle.dataset.check(rows, str(path))
    goal = write_inputs(rows, scratch / "samples.split")
    return _checked(goal, (run, baseline), path.name, files.digest_file(goal), str(path))


def _as_stored(array: NDArray[Any], field: Field) -> NDArray[Any]:
    """Whole numbers of any width as int64 where the field does not take them as they are."""
    import numpy as np

    if array.dtype.kind in "iu":
        try:
            field.check(array, "")
        except InputError:
            return array.astype(np.int64)
    return array


def require_same_task(run: OpenedSide, baseline: OpenedSide) -> None:
    """Refuse to compare models of different tasks.

    Raises:
        InputError: if their tasks, inputs or targets differ.
    """
    ours, theirs = run.bundle.dataset, baseline.bundle.dataset
    if (ours.task, list(ours.inputs)) != (theirs.task, list(theirs.inputs)):
        got, want = (f"{each.task} of {', '.join(each.inputs)}" for each in (ours, theirs))
        raise InputError(f"{run.given}: got the task {got}, want the baseline's {want}")
    for name, field in ours.targets.items():
        other = theirs.targets.get(name)
        names, wanted = getattr(field, "names", ()), getattr(other, "names", ())
        if names != wanted:
            raise InputError(
                f"{run.given}: got classes {list(names)[:5]}, want the baseline's {list(wanted)[:5]}"
            )
    if set(ours.targets) != set(theirs.targets):
        raise InputError(f"{run.given}: got other targets than the baseline")


def _named(side: OpenedSide, store: Store) -> dict[str, str] | None:
    """Digests of the test split and of what data.json says of it; None if they are not known."""
    found, wanted = _data_files(side, store), (SPLIT, ABOUT)
    return {name: found[name] for name in wanted} if found.keys() >= set(wanted) else None


def _data_files(side: OpenedSide, store: Store) -> dict[str, str]:
    """Digest of each file of the data step, by the run's result or by the store's own manifest; empty if neither
    knows."""
    if side.result is not None and STEP in side.result.lineage:
        return dict(side.result.lineage[STEP].files)
    key = side.bundle.manifest.created_from.get(STEP, "")
    entry = store.peek(key) if len(key) == 64 and key.isalnum() else None
    return {} if entry is None else {n: blob.sha256 for n, blob in entry.files.items()}


def _is_older(side: OpenedSide, store: Store) -> bool:
    """Return whether a model was made when splits had another form: its bundle is of the first, or its data step."""
    found = _data_files(side, store)
    return is_first_format(side.bundle.manifest.files) or (ABOUT in found and SPLIT not in found)


def _why_other_data(
    run: OpenedSide, baseline: OpenedSide, named: dict[str, str], store: Store
) -> str:
    """Why the baseline may have learned from the run's test split; empty if it has not."""
    made = (run.bundle.manifest.created_from, baseline.bundle.manifest.created_from)
    theirs = _named(baseline, store)
    if made[0].get(STEP) == made[1].get(STEP) or (theirs and theirs[SPLIT] == named[SPLIT]):
        return ""
    unknown = "so whether it learned from these samples is not known"
    if theirs is not None:
        return (
            "the baseline comes from another split of the data, which may have taught it these "
            "samples"
        )
    if _is_older(baseline, store):
        return f"the baseline is of an older edgekd, whose splits have another form, {unknown}"
    return f"the baseline's data are not in the store {store.root}, {unknown}"


def _checked(
    path: Path, sides: tuple[OpenedSide, ...], source: str, sha256: str, where: str
) -> EvaluationSamples:
    rows = splits.read(path)
    for side in sides:
        for name, field in side.bundle.dataset.fields.items():
            if name not in rows:
                raise InputError(f"{where}: got no `{name}`, want it")
            field.check(rows[name], f"{where}: {name}")
    return EvaluationSamples(path, len(next(iter(rows.values()))), source, sha256)
