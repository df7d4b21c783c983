"""Streams are what they say: shards from a path, a URL or a pipe, rows of Parquet, a user's function."""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.streams.samples import StreamWords
from edgekd.learn.streams.samples import open_samples
from tests import photo_example

PHOTOS = [photo_example.encode(photo_example.make_photo(n, (20, 20))) for n in range(4)]
FUNCTIONS = """
import numpy as np

def pairs():
    yield np.zeros((3, 4, 3), np.uint8), "cat"
    yield np.zeros((3, 4), np.uint8), np.int64(7)

def known():
    return [(np.zeros((3, 4, 1), np.uint8), 1)]

def broken():
    yield np.zeros((3, 4, 3), np.uint8), 1
    raise RuntimeError("the camera is off")

def other():
    yield np.zeros((3, 4, 3), np.float32), 1

number = 3
"""


def pack(files: dict[str, bytes], **header: Any) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in header.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def shard(first: int = 0) -> bytes:
    files = {}
    for number in range(first, first + 2):
        files |= {f"a/{number}.jpg": PHOTOS[number], f"a/{number}.cls": str(number % 2).encode()}
    return pack({**files, "README": b"x", "a/.hidden": b"x"})


def read(text: str, **words: Any) -> list[tuple[bytes, Any]]:
    stream = open_samples(text, StreamWords(**words))
    return [(sample.image, sample.label) for sample in stream.samples]


def pipe(data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, Any]]:
    class Once(io.RawIOBase):
        """Cannot be sought."""

        source = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            return self.source.read(size)

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Once()))
    return read("-")


WANT = [(photo, number % 2) for number, photo in enumerate(PHOTOS)]


def test_shards_are_read_from_paths_and_urls_and_a_pipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        (tmp_path / f"s-{number:02}.tar").write_bytes(shard(2 * number))
    assert read(f"webdataset:{tmp_path}/s-{{00..01}}.tar") == WANT
    pytest.importorskip("fsspec")
    assert read(f"webdataset:file://{tmp_path}/s-{{00..01}}.tar") == WANT
    assert pipe(shard(), monkeypatch) == WANT[:2]
    assert pipe(gzip.compress(shard()), monkeypatch) == WANT[:2]
    with pytest.raises(InputError, match="no leave to use the network"):
        read("webdataset:https://host/s-{00..01}.tar")
    with pytest.raises(InputError, match="no such file"):
        read(f"webdataset:file://{tmp_path}/none.tar")


def test_a_pipe_and_a_function_need_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "streamed_frames.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    words = StreamWords(allow_code=True)
    ends = {
        text: open_samples(text, words).has_end
        for text in ("-", "webdataset:x", "huggingface:x")
        + tuple(f"python:streamed_frames:{name}" for name in ("pairs", "known"))
    }
    assert list(ends.values()) == [False, True, True, False, True]


def test_a_function_gives_bytes_or_pixels_and_runs_only_with_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "given_frames.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    (colour, name), (grey, number) = read("python:given_frames:pairs", allow_code=True)
    assert (name, number) == ("cat", 7)
    modes = [photo_example.Image.open(io.BytesIO(each)) for each in (colour, grey)]
    assert [(each.mode, each.size) for each in modes] == [("RGB", (4, 3)), ("L", (4, 3))]
    for function, message in {
        "broken": "broken, sample 1: raised RuntimeError: the camera is off",
        "other": "sample 0: got no image, want its bytes or uint8",
        "number": "number",
    }.items():
        with pytest.raises(InputError, match=message):
            read(f"python:given_frames:{function}", allow_code=True)
    with pytest.raises(InputError):
        read("python:given_frames:pairs")


def test_rows_of_parquet_have_the_names_of_their_classes(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"img": [{"bytes": each, "path": None} for each in PHOTOS], "label": [0, 1, 1, 0]}
    names = datasets.ClassLabel(names=["owl", "jay"])
    features = datasets.Features({"img": datasets.Image(), "label": names})
    datasets.Dataset.from_dict(rows, features).to_parquet(str(tmp_path / "test-0.parquet"))
    words = {"image_column": "img", "split": "test"}
    labels = ["owl", "jay", "jay", "owl"]
    assert read(f"huggingface:{tmp_path}", **words) == list(zip(PHOTOS, labels, strict=True))
    with pytest.raises(InputError, match="want the split 'train'"):
        read(f"huggingface:{tmp_path}", image_column="img")
    with pytest.raises(InputError, match="needs leave"):
        read("huggingface:someone/something")
    with pytest.raises(InputError, match="got no stream"):
        read("photos")


def test_an_archive_that_is_cut_off_anywhere_is_no_shorter_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = shard()
    ends = set()
    for end in range(1, len(whole) - 1024, 97):
        try:
            ends.add(len(pipe(whole[:end], monkeypatch)))
        except InputError:
            continue
    assert ends <= {2}  # but for what comes after the last sample
    spoilt = bytearray(whole)
    spoilt[whole.index(b"a/1.jpg") + 150] ^= 0xFF
    with pytest.raises(InputError, match="broken or cut off"):
        pipe(bytes(spoilt), monkeypatch)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pack({"../a.jpg": b"x"}), "leads out"),
        (pack({"/etc/a.jpg": b"x"}), "leads out"),
        (pack({"a.jpg": b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd"), "got a link"),
        (pack({"a.jpg": b"x", "a.JPG": b"x"}), "got it twice"),
        (pack({f"a.{n}": b"" for n in range(101)}), "or too many"),
        (pack({"a.jpg": b"x", "a.txt": b"\xff"}), "label that is no text"),
        (pack({"a.jpg": b"x"}), "got the files jpg, want one of the label"),
        (b"no tar at all" * 100, "broken or cut off"),
        (b"", "broken or cut off"),
    ],
)
def test_hostile_archives_are_refused(
    data: bytes, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=message):
        pipe(data, monkeypatch)


def test_a_member_that_claims_more_than_an_image_may_have_is_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    header = tarfile.TarInfo("a.jpg")
    header.size = 2**40
    with pytest.raises(InputError, match="got 1099511627776 bytes, want"):
        pipe(header.tobuf() + np.zeros(9999, np.uint8).tobytes(), monkeypatch)
