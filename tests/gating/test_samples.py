from __future__ import annotations

import contextlib
import io
import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import pytest

from edgekd import bundle
from edgekd import dataset
from edgekd import files
from edgekd import splits
from edgekd.bench.outputs import write_inputs
from edgekd.bundle.first_format import FILES
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.gate import EvaluationSamples
from edgekd.gating import samples
from edgekd.gating.sides import OpenedSide
from edgekd.store import CreationTime
from edgekd.store import Store
from edgekd.store import compute_key
from tests import bundle_example
from tests import data_example
from tests import gate_example
from tests import report_example

if TYPE_CHECKING:
    from edgekd.field import Rows

INPUTS, OTHER_INPUTS = {"stage": "data"}, {"stage": "data", "seed": 1}
KEY, OTHER = compute_key(INPUTS), compute_key(OTHER_INPUTS)
MADE = CreationTime("2026-01-02T03:04:05Z", 1.0)


def kept(
    folder: Path,
    inputs: dict[str, Any] = INPUTS,
    spoilt: dict[str, bytes] | None = None,
    **about: Any,
) -> Store:
    """A store that holds a data step; `spoilt`: what some of its files hold instead."""
    store = Store(folder / "store").open()
    made = folder / f"made-{len(inputs)}"
    made.mkdir()
    classes = about.pop("classes", bundle_example.LABELS)
    described = data_example.labelled(data_example.image(4, 4), classes, source="made up", **about)
    (made / "data.json").write_bytes(files.pretty_json(dataset.to_json(described)))
    write_inputs({"images": gate_example.images(), "labels": gate_example.labels()}, made / "test")
    for name, data in (spoilt or {}).items():
        (made / name).write_bytes(data)
    store.commit(inputs, {name: made / name for name in ("test", "data.json")}, MADE)
    return store


def side(folder: Path, name: str, key: str = KEY, **other: Any) -> OpenedSide:
    path = gate_example.bundle_at(folder / name, created_from={"data": key}, **other)
    return OpenedSide(name, bundle.load_bundle(path), None)


def test_a_bundle_names_its_test_split_by_the_key_of_its_data(tmp_path: Path) -> None:
    store = kept(tmp_path)
    found = samples.find_samples(side(tmp_path, "run"), side(tmp_path, "baseline"), store)
    assert isinstance(found, EvaluationSamples) and found.source == "made up (test split)"
    assert found.sample_count == gate_example.COUNT
    rows = splits.read(found.split)
    np.testing.assert_array_equal(np.asarray(rows["images"]), gate_example.images())
    np.testing.assert_array_equal(np.asarray(rows["labels"]), gate_example.labels())
    assert found.sha256 == files.digest_file(found.split)


def test_a_run_names_it_by_digest(tmp_path: Path) -> None:
    store = kept(tmp_path)
    (entry,) = store.entries()
    lineage = {"data": {"key": KEY, "files": {n: b.sha256 for n, b in entry.files.items()}}}
    run = side(tmp_path, "run")._replace(result=report_example.result(lineage=lineage))
    files.remove(store.root / "ac" / f"{KEY}.json")  # the blobs alone are enough
    baseline = side(tmp_path, "baseline")
    assert isinstance(samples.find_samples(run, baseline, store), EvaluationSamples)
    store.blob_path(entry.files["test"].sha256).write_bytes(b"changed")
    assert isinstance(samples.find_samples(run, baseline, store), str)


def test_what_is_not_in_the_store_is_not_measured(tmp_path: Path) -> None:
    run, baseline = side(tmp_path, "run"), side(tmp_path, "baseline")
    found = samples.find_samples(run, baseline, Store(tmp_path / "none"))
    assert isinstance(found, str) and "is not in the store" in found and "--samples" in found
    store = kept(tmp_path)
    (entry,) = store.entries()
    store.blob_path(entry.files["test"].sha256).write_bytes(b"changed")
    assert isinstance(samples.find_samples(run, baseline, store), str)


def test_a_baseline_that_may_have_learned_from_them_is_not_asked(tmp_path: Path) -> None:
    run, baseline = side(tmp_path, "run"), side(tmp_path, "baseline", OTHER)
    store = kept(tmp_path)
    found = samples.find_samples(run, baseline, store)
    assert isinstance(found, str) and "the baseline's data are not in the store" in found
    kept(tmp_path, OTHER_INPUTS)  # another key, the same split: a package was newer
    assert isinstance(samples.find_samples(run, baseline, store), EvaluationSamples)


def test_a_baseline_of_another_split_is_told_from_one_of_which_nothing_is_known(
    tmp_path: Path,
) -> None:
    run, baseline = side(tmp_path, "run"), side(tmp_path, "baseline", OTHER)
    images = gate_example.images()[::-1]
    store = kept(tmp_path)
    write_inputs({"images": images, "labels": gate_example.labels()}, tmp_path / "other")
    kept(tmp_path, OTHER_INPUTS, spoilt={"test": (tmp_path / "other").read_bytes()})
    found = samples.find_samples(run, baseline, store)
    assert isinstance(found, str) and "comes from another split of the data" in found


def test_one_of_an_older_edgekd_says_so_and_what_to_give(tmp_path: Path) -> None:
    """Its splits were two arrays each: ``test_images.npy``, ``test_labels.npy``."""
    store = kept(tmp_path)
    older = {"data": {"key": OTHER, "files": {"data.json": "a" * 64, "test_images.npy": "b" * 64}}}
    run, baseline = side(tmp_path, "run"), side(tmp_path, "baseline", OTHER)
    from_run = baseline._replace(result=report_example.result(lineage=older))
    manifest = baseline.bundle.manifest
    first = manifest.model_copy(
        update={"files": dict.fromkeys(FILES, manifest.files["model.onnx"])}
    )
    of_bundle = baseline._replace(bundle=baseline.bundle._replace(manifest=first))
    for each in (from_run, of_bundle):
        found = samples.find_samples(run, each, store)
        assert isinstance(found, str) and "\n" not in found
        assert found.startswith(
            "the baseline is of an older edgekd, whose splits have another form"
        )
        assert found.endswith(samples.HINT)
        found = samples.find_samples(each, run, store)
        assert isinstance(found, str) and found.startswith("the run is of an older edgekd, ")


def test_other_classes_cannot_be_compared(tmp_path: Path) -> None:
    renamed = bundle_example.dataset(labels=("a", "b", "x"))
    run, other = side(tmp_path, "run"), side(tmp_path, "other", dataset=renamed)
    with pytest.raises(InputError, match="got classes"):
        samples.find_samples(run, other, kept(tmp_path))
    np.savez(tmp_path / "mine.npz", images=gate_example.images(), labels=gate_example.labels())
    with pytest.raises(InputError, match="got classes"):
        samples.read(tmp_path / "mine.npz", run, other, tmp_path)
    store = Store(tmp_path / "second")
    with pytest.raises(InputError, match="other targets in its data"):
        samples.find_samples(run, run, kept(tmp_path / "second", classes=["x", "y", "z"]) or store)


@pytest.mark.parametrize("key", ["", "a" * 63, "../quarantine/" + "a" * 50, KEY[:-1] + "/"])
def test_no_file_is_looked_for_by_what_is_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A bundle may name anything as the key of its data."""
    run, asked = side(tmp_path, "run", key or "x"), []
    run.bundle.manifest.created_from["data"] = key
    monkeypatch.setattr(Store, "peek", lambda store, key, wanted=(): asked.append(key))
    assert isinstance(samples.find_samples(run, run, kept(tmp_path)), str) and not asked


@pytest.mark.parametrize("name", ["test", "data.json"])
def test_a_blob_that_is_missing_is_not_measured(tmp_path: Path, name: str) -> None:
    store = kept(tmp_path)
    (entry,) = store.entries()
    lineage = {"data": {"key": KEY, "files": {n: b.sha256 for n, b in entry.files.items()}}}
    run = side(tmp_path, "run")._replace(result=report_example.result(lineage=lineage))
    store.blob_path(entry.files[name].sha256).unlink()
    found = samples.find_samples(run, side(tmp_path, "baseline"), store)
    assert isinstance(found, str) and found.startswith(f"{name} of the run is not in the store")


class Unpickled:
    """Makes a folder where it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize(
    ("name", "says"), [("test", "want a split of a data set"), ("data.json", "data.json|JSON")]
)
@pytest.mark.parametrize("form", ["array", "bare", "zip", "text"])
def test_a_split_that_is_no_plain_array_is_refused_and_never_unpickled(
    tmp_path: Path, name: str, says: str, form: str
) -> None:
    hostile, stream = Unpickled(tmp_path / "ran"), io.BytesIO()
    if form == "array":
        np.save(stream, np.array([hostile], dtype=object), allow_pickle=True)
    elif form == "bare":
        stream.write(pickle.dumps(hostile))
    elif form == "zip":
        np.savez(stream, gate_example.labels())
    else:
        stream.write(b"no array at all")
    run = side(tmp_path, "run")
    with pytest.raises(InputError, match=says):
        samples.find_samples(run, run, kept(tmp_path, spoilt={name: stream.getvalue()}))
    assert not hostile.folder.exists()


@pytest.mark.parametrize("name", ["images", "labels"])
@pytest.mark.parametrize("form", ["ragged", "missing", "flat"])
def test_a_split_of_other_rows_is_refused(tmp_path: Path, name: str, form: str) -> None:
    rows: dict[str, Rows] = {"images": gate_example.images(), "labels": gate_example.labels()}
    if form == "ragged":
        count = len(rows[name])
        rows[name] = RaggedRows(np.zeros(count, np.int64), np.r_[0, 0, 2 : count + 1])
    elif form == "missing":
        del rows[name]
    else:
        rows = {each: some[: gate_example.COUNT - 1] for each, some in rows.items()} | {
            name: np.zeros((gate_example.COUNT - 1, 5), np.int64)
        }
    spoilt = tmp_path / "spoilt"
    splits.write(spoilt, rows, np.arange(len(next(iter(rows.values())))))
    run = side(tmp_path, "run")
    with pytest.raises(InputError, match=f"{name}: got|got no `{name}`"):
        samples.find_samples(run, run, kept(tmp_path, spoilt={"test": spoilt.read_bytes()}))


@pytest.mark.parametrize(
    ("shape", "label", "count", "fits"),
    [
        ((4, 4, 1), 2, 3, True),
        ((4, 4, 1), 3, 3, False),
        ((4, 4, 1), -1, 3, False),
        ((4, 5, 1), 2, 3, False),
        ((5, 4, 1), 2, 3, False),
        ((4, 4, 3), 2, 3, False),
        ((4, 4, 1), 2, 2, False),
    ],
)
def test_samples_fit_the_model_to_the_last_pixel_and_class(
    tmp_path: Path, shape: tuple[int, ...], label: int, count: int, fits: bool
) -> None:
    """Three classes, images of 4 x 4 x 1, a label each."""
    run = side(tmp_path, "run")
    images, labels = np.zeros((3, *shape), np.uint8), np.array([0, 1, label][:count])
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    with contextlib.nullcontext() if fits else pytest.raises(InputError, match="mine.npz: "):
        assert samples.read(tmp_path / "mine.npz", run, run, tmp_path).sample_count == 3


def test_none_at_all_are_too_few(tmp_path: Path) -> None:
    run = side(tmp_path, "run")
    np.savez(
        tmp_path / "mine.npz", images=np.zeros((0, 4, 4, 1), np.uint8), labels=np.zeros(0, np.int64)
    )
    with pytest.raises(InputError):
        samples.read(tmp_path / "mine.npz", run, run, tmp_path)


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    run = side(tmp_path, "run")
    path = tmp_path / "mine.npz"
    np.savez(path, images=gate_example.images(), labels=gate_example.labels().astype(np.uint8))
    found = samples.read(path, run, run, tmp_path)
    assert found.source == "mine.npz"
    labels = np.asarray(splits.read(found.split)["labels"])
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, gate_example.labels())


@pytest.mark.parametrize(
    ("arrays", "want"),
    [
        ({"images": gate_example.images()}, "got no `labels`, want images, labels"),
        (
            {"images": gate_example.images(), "labels": np.zeros(3, np.int64)},
            "got 400 images, 3 labels",
        ),
        (
            {"images": gate_example.images() / 255, "labels": gate_example.labels()},
            "images: got float64",
        ),
        (
            {"images": gate_example.images(), "labels": gate_example.labels() + 1},
            "labels: got label 3, want 0 to 2",
        ),
        (
            {"images": gate_example.images(), "labels": np.array(["a"] * 400)},
            "labels: got labels <U1",
        ),
    ],
)
def test_a_file_that_does_not_fit(tmp_path: Path, arrays: dict[str, Any], want: str) -> None:
    run = side(tmp_path, "run")
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(InputError, match=want):
        samples.read(tmp_path / "mine.npz", run, run, tmp_path)


def test_pickles_are_refused(tmp_path: Path) -> None:
    run = side(tmp_path, "run")
    np.savez(tmp_path / "mine.npz", images=np.array([{}], dtype=object), labels=np.zeros(1))
    with pytest.raises(InputError):
        samples.read(tmp_path / "mine.npz", run, run, tmp_path)
