"""A stream is written once: a spool that ends anywhere goes on to the same bytes, and nothing is taken on trust."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.data import webdataset
from edgekd.learn.data.spool_folder import Spool
from edgekd.learn.streams.image_shards import IMAGES
from edgekd.learn.streams.samples import StreamSample
from edgekd.learn.streams.spool import SampleStream
from edgekd.learn.streams.spool import spool_samples
from edgekd.progress import Silent
from edgekd.store.locking import hold_lock
from tests import data_example
from tests import photo_example

PHOTOS = [photo_example.encode(photo_example.make_photo(n, (20, 20))) for n in range(11)]


SMALL = IMAGES._replace(most_samples=3)


def endless(photos: list[bytes] = PHOTOS) -> Iterator[StreamSample]:
    for number in itertools.count():
        image = photos[number % len(photos)]
        yield StreamSample(image, ("cat", "dog")[number % 2], f"sample {number}")


def run(folder: Path, take: int | None = 11, **words: Any) -> Spool:
    stream = SampleStream(words.pop("samples", endless()), words.pop("has_end", False))
    return spool_samples(stream, folder, Silent(), source="camera", form=SMALL, take=take, **words)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_spooled_is_a_source_and_an_endless_stream_wants_a_number(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="camera: got a stream that need not end, want --take N"):
        run(tmp_path / "out", take=None)
    made = run(tmp_path / "out")
    assert ([each.samples for each in made.shards], made.has_ended) == ([3, 3, 3, 2], False)
    got = data_example.checked(
        webdataset.read(reference=str(tmp_path / "out"), size=16, stored="encoded"), "spool"
    )
    assert got.classes == ("cat", "dog") and got.train.labels.tolist() == [0, 1] * 5 + [0]
    assert [row.tobytes() for row in got.train.images.encoded] == PHOTOS  # type: ignore[attr-defined]


def test_a_spool_that_ends_at_any_write_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole")
    want, write = contents(tmp_path / "whole"), files.write_bytes
    for last in range(10):
        folder, writes = tmp_path / str(last), itertools.count()

        def die(path: Path, data: bytes) -> None:
            if next(writes) == last:  # noqa: B023
                raise KeyboardInterrupt
            write(path, data)

        monkeypatch.setattr(files, "write_bytes", die)
        with pytest.raises(KeyboardInterrupt):
            run(folder)
        monkeypatch.setattr(files, "write_bytes", write)
        run(folder)
        assert contents(folder) == want


def test_more_may_be_taken_later_and_not_less(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    for take in (1, 3, 5, 11):
        run(tmp_path / "grown", take=take)
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")
    with pytest.raises(InputError, match="got 11 samples already, want 10 at most"):
        run(tmp_path / "grown", take=10)
    # all is there: the stream is not asked
    run(tmp_path / "grown", samples=iter(()))


def test_a_stream_that_ended_is_not_read_again(tmp_path: Path) -> None:
    few = list(itertools.islice(endless(), 4))
    made = run(tmp_path, take=9, samples=iter(few))
    assert (made.samples, made.has_ended) == (4, True)
    assert run(tmp_path, take=None, has_end=True, samples=iter(())) == made
    with pytest.raises(InputError, match="camera: got no sample"):
        run(tmp_path / "none", samples=iter(()))


def test_a_shard_that_changed_is_written_again_and_other_samples_are_refused(
    tmp_path: Path,
) -> None:
    run(tmp_path)
    want = contents(tmp_path)
    (tmp_path / "train-00001.tar").write_bytes(b"x")
    with pytest.raises(InputError, match=r"gives other samples than those in train-00000.tar"):
        run(tmp_path, samples=endless(PHOTOS[1:]))
    run(tmp_path)
    assert contents(tmp_path) == want


def test_what_is_no_image_is_named_or_left_out(tmp_path: Path) -> None:
    photos = [*PHOTOS[:2], b"no image", *PHOTOS[2:]]
    with pytest.raises(InputError, match="sample 2: ") as caught:
        run(tmp_path / "a", samples=endless(photos))
    assert caught.value.hint == "--skip-broken leaves such ones out"
    made = run(tmp_path / "b", samples=endless(photos), skip_broken=True)
    assert made.samples == 11 and len(made.skipped) == 1 and "sample 2" in made.skipped[0]


@pytest.mark.parametrize("what", ["shard", "another", "state"])
def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, what: str) -> None:
    if what == "shard":
        (tmp_path / "mine.tar").write_bytes(b"mine")
    else:
        run(tmp_path)
        (tmp_path / ".edgekd-spool-train.lock").unlink()
        path = tmp_path / "spool-train.json"
        value = json.loads(path.read_text())
        change = {"source": "other"} if what == "another" else {"shards": [{"samples": -1}]}
        path.write_text(json.dumps(value | change))
    before = contents(tmp_path)
    with pytest.raises(InputError, match="which no spool wrote|spool of other|no description of a"):
        run(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("state", ["[]", '{"shards": 3}', '{"shards": [1]}', '"x"', "{}"])
def test_a_broken_description_is_refused_in_words_of_ours(tmp_path: Path, state: str) -> None:
    (tmp_path / "spool-train.json").write_text(state)
    with pytest.raises(InputError) as caught:
        run(tmp_path)
    assert "spool-train.json: got no description of a spool, want what edgekd spool wrote" in str(
        caught.value
    )
    assert [path.name for path in tmp_path.iterdir()] == ["spool-train.json"]


@pytest.mark.parametrize(("start", "warns"), [(0, True), (5, False)])
def test_a_split_from_the_beginning_of_the_same_stream_is_warned_of(
    tmp_path: Path, start: int, warns: bool
) -> None:
    class Heard(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    notes: list[str] = []
    run(tmp_path)
    samples = itertools.islice(endless(), start, None)
    spool_samples(
        SampleStream(samples, False),
        tmp_path,
        Heard(),
        source="camera",
        form=SMALL,
        split="test",
        take=2,
    )
    assert any("test begins with the sample that train begins with" in n for n in notes) == warns


def test_splits_lie_side_by_side_and_one_spool_works_in_a_folder(tmp_path: Path) -> None:
    run(tmp_path)
    run(tmp_path, take=2, split="validation")
    got = webdataset.read(reference=str(tmp_path), size=16)
    assert got.notes == ("5 shards; 2 classes; images: 11 train, 2 validation",)
    with (
        hold_lock(tmp_path / ".edgekd-spool-train.lock"),
        pytest.raises(MachineError, match="is used by another run"),
    ):
        run(tmp_path, take=12)
