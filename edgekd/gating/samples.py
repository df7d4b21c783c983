"""Labelled samples for the accuracy gate: the run's own test split, out of the store by its digest."""

from __future__ import annotations

from pathlib import Path

from edgekd import dataset
from edgekd import files
from edgekd import splits
from edgekd.bench.outputs import write_inputs
from edgekd.errors import InputError
from edgekd.field import form_text
from edgekd.gate import IMAGES
from edgekd.gate import LABELS
from edgekd.gate import LabelledSamples
from edgekd.gating.sides import OpenedSide
from edgekd.store import Store

STEP = "data"
SPLIT, ABOUT = "test", "data.json"
ALIASES = {"test_images": "images", "test_labels": "labels", "images": "images", "labels": "labels"}
HINT = "--samples FILE.npz with images [N, H, W, C] and labels [N]"


def find(run: OpenedSide, baseline: OpenedSide, store: Store) -> LabelledSamples | str:
    """The run's test split, or why there is none.

    The baseline may not have learned from it: its own lineage has to name the same split.

    Raises:
        InputError: if the two models, or the run and its data, know other classes, or the split is
            no arrays.
    """
    import numpy as np

    require_same_classes(run, baseline)
    named = _named(run, store)
    if named is None:
        return f"the run's test split is not in the store {store.root}; want {HINT}"
    if not _same_data(run, baseline, named, store):
        return (
            "the baseline comes from another split of the data, which may have taught it these "
            f"samples; want {HINT}"
        )
    for name, digest in named.items():
        path = store.blob_path(digest)
        if not path.is_file() or files.digest_file(path) != digest:
            return f"{name} of the run is not in the store {store.root}; want {HINT}"
    about, path = dataset.read(store.blob_path(named[ABOUT])), store.blob_path(named[SPLIT])
    label, rows = about.targets.get(LABELS), splits.read(path)
    if getattr(label, "names", ()) != run.bundle.labels:
        raise InputError(f"{run.given}: got other classes in its data than in its bundle")
    if IMAGES not in rows or not isinstance(rows.get(LABELS), np.ndarray):
        raise InputError(f"{path}: got no `{IMAGES}` and `{LABELS}`, want both")
    source = f"{about.source or '?'} (test split)"
    found = LabelledSamples(path, np.array(rows[LABELS]), source, named[SPLIT])
    return _checked(found, run, source)


def read(path: Path, run: OpenedSide, baseline: OpenedSide, scratch: Path) -> LabelledSamples:
    """The samples of an .npz file with ``images`` and ``labels`` (or ``test_...``).

    Raises:
        InputError: if it is no such file, or its labels are not those of the models.
        MachineError: if the arrays do not fit into memory.
    """
    import numpy as np

    from edgekd.learn.formats.npy import read_npz

    require_same_classes(run, baseline)
    arrays = {ALIASES[name]: array for name, array in read_npz(path, ALIASES).items()}
    if set(arrays) != {"images", "labels"}:
        raise InputError(f"{path}: got no `images` and `labels`, want both")
    labels = arrays["labels"]
    if labels.dtype.kind in "iu":
        labels = labels.astype(np.int64)
    if arrays["images"].ndim < 1 or str(arrays["images"].dtype) not in splits.TYPES.values():
        got = f"{arrays['images'].dtype} {list(arrays['images'].shape)}"
        raise InputError(f"{path}: images: got {got}, want uint8 [N, H, W, C]")
    goal = write_inputs({IMAGES: arrays["images"]}, scratch / "samples.split")
    found = LabelledSamples(goal, labels, path.name, files.digest_file(goal))
    return _checked(found, run, str(path))


def require_same_classes(run: OpenedSide, baseline: OpenedSide) -> None:
    """Refuse to compare models of different tasks.

    Raises:
        InputError: if their classes differ.
    """
    ours, theirs = run.bundle.labels, baseline.bundle.labels
    if ours != theirs:
        raise InputError(
            f"{run.given}: got classes {list(ours)[:5]}, want the baseline's {list(theirs)[:5]}"
        )


def _named(side: OpenedSide, store: Store) -> dict[str, str] | None:
    """Digest of each file of the data step, by the run's result or by the store's own manifest."""
    if side.result is not None and STEP in side.result.lineage:
        told = dict(side.result.lineage[STEP].files)
    else:
        key = side.bundle.manifest.created_from.get(STEP, "")
        entry = store.peek(key) if len(key) == 64 and key.isalnum() else None
        told = {} if entry is None else {n: blob.sha256 for n, blob in entry.files.items()}
    wanted = (SPLIT, ABOUT)
    return {name: told[name] for name in wanted} if told.keys() >= set(wanted) else None


def _same_data(run: OpenedSide, baseline: OpenedSide, named: dict[str, str], store: Store) -> bool:
    made = (run.bundle.manifest.created_from, baseline.bundle.manifest.created_from)
    if made[0].get(STEP) == made[1].get(STEP):
        return True
    theirs = _named(baseline, store)
    return theirs is not None and theirs[SPLIT] == named[SPLIT]


def _checked(samples: LabelledSamples, run: OpenedSide, where: str) -> LabelledSamples:
    import numpy as np

    images = splits.read(samples.split)[IMAGES]
    about, labels = run.bundle.preprocessing, samples.labels
    size = (about.height, about.width, about.channels)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != size:
        raise InputError(f"{where}: images: got {form_text(images)}, want uint8 [N, {size}]")
    if labels.dtype != np.int64 or labels.shape != images.shape[:1] or not len(labels):
        raise InputError(
            f"{where}: labels: got {labels.dtype} {list(labels.shape)}, want whole numbers "
            f"[{len(images)}]"
        )
    classes = len(run.bundle.labels)
    if labels.min() < 0 or labels.max() >= classes:
        got = f"{labels.min()} to {labels.max()}"
        raise InputError(f"{where}: labels: got {got}, want 0 to {classes - 1}")
    return samples
