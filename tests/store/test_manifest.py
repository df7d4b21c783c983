"""A manifest is somebody else's until it is proven to be what was written."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest

from edgekd import files
from edgekd.errors import InputError
from edgekd.store import manifest
from edgekd.store.manifest import Blob
from edgekd.store.manifest import CreationTime
from edgekd.store.manifest import StoreEntry

INPUTS = {"stage": "test", "settings": {"a": [1, 2.5, None]}}
KEY = manifest.compute_key(INPUTS)
ENTRY = StoreEntry(
    KEY,
    INPUTS,
    {"a.json": Blob("1" * 64, 3), "deep/er/b.bin": Blob("2" * 64, 0)},
    CreationTime("2026-01-02T03:04:05Z", 2.0),
)


def resealed(value: dict[str, Any]) -> bytes:
    """What somebody writes who knows how manifests are sealed."""
    content = {name: part for name, part in value.items() if name != "sha256"}
    return files.canonical_json(
        {**content, "sha256": files.digest_bytes(files.canonical_json(content))}
    )


def value() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(manifest.make_manifest(ENTRY))
    return copy.deepcopy(loaded)


def read(tmp_path: Path, data: bytes, name: str = f"{KEY}.json") -> StoreEntry:
    (tmp_path / name).write_bytes(data)
    return manifest.parse_manifest(tmp_path / name)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, manifest.make_manifest(ENTRY)) == ENTRY
    assert read(tmp_path, resealed(value())) == ENTRY


NAMES = [
    *("../a", "/etc/passwd", "a/../../b", "./a", "a//b", "a/", "", ".", "..", "a/..", ".hidden"),
    *("a/.edgekd-run.json", "a\\..\\b", "a\x00b", "a\x1b[2Jb", "a\nb", "\u202eb", "\ud800", "C:b"),
    *("~/a", "a b", "a" * 101, "/".join("a" * 9), "-rf", "é"),
]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_file_s_name_is_plain_and_relative(tmp_path: Path, name: str) -> None:
    changed = value()
    changed["files"][name] = changed["files"]["a.json"]
    with pytest.raises(InputError, match="no manifest"):
        read(tmp_path, resealed(changed))
    with pytest.raises(ValueError, match="name"):
        manifest.make_manifest(ENTRY._replace(files={name: Blob("1" * 64, 0)}))


def test_no_file_is_another_s_folder(tmp_path: Path) -> None:
    changed = value()
    changed["files"]["deep"] = changed["files"]["a.json"]
    with pytest.raises(InputError, match="folder"):
        read(tmp_path, resealed(changed))


CHANGES: list[tuple[tuple[str, ...], Any]] = [
    (("key",), "0" * 64),
    (("made", "took_s"), 10**400),
    (("files", "a.json", "size_bytes"), 10**400),
    (("key",), f"../{KEY}"),
    (("key",), None),
    (("inputs",), {"stage": "other"}),
    (("inputs",), []),
    (("inputs",), None),
    (("inputs", "stage"), "other"),
    (("format",), "edgekd.store/1"),
    (("files",), []),
    (("files",), None),
    (("files", "a.json"), "x"),
    (("files", "a.json", "sha256"), "../../../etc/passwd"),
    (("files", "a.json", "sha256"), "A" * 64),
    (("files", "a.json", "sha256"), "1" * 64 + "\n"),
    (("files", "a.json", "sha256"), 5),
    (("files", "a.json", "size_bytes"), -1),
    (("files", "a.json", "size_bytes"), 3.0),
    (("files", "a.json", "size_bytes"), True),
    (("files", "a.json", "size_bytes"), "3"),
    (("made",), None),
    (("made", "at"), "\x1b[2J"),
    (("made", "at"), "2026-01-02T03:04:05Z\n"),
    (("made", "at"), 5),
    (("made", "took_s"), -1),
    (("made", "took_s"), True),
    (("made", "took_s"), "1"),
]


@pytest.mark.parametrize(("path", "to"), CHANGES, ids=range(len(CHANGES)))
def test_every_field_is_held_to_its_form(tmp_path: Path, path: tuple[str, ...], to: Any) -> None:
    changed = value()
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    with pytest.raises(InputError):
        read(tmp_path, resealed(changed))


@pytest.mark.parametrize(
    ("path", "largest", "beyond"),
    [
        (("files", "a.json", "size_bytes"), 2**63 - 1, 2**63),
        (("made", "took_s"), 2**63 - 1, 2**63),
        (("made", "took_s"), math.nextafter(2.0**63, 0), 2.0**63),
        (("files", "a.json", "size_bytes"), 0, -1),
        (("made", "took_s"), 0, -1),
        (("made", "took_s"), 0.0, -math.ulp(0.0)),
    ],
)
def test_the_limits_of_sizes_and_times(
    tmp_path: Path, path: tuple[str, ...], largest: float, beyond: float
) -> None:
    changed = value()
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = largest
    entry = read(tmp_path, resealed(changed))
    read_as = entry.made.took_s if path[0] == "made" else entry.files["a.json"].size_bytes
    assert read_as == type(read_as)(largest)
    inner[path[-1]] = beyond
    with pytest.raises(InputError, match="no manifest"):
        read(tmp_path, resealed(changed))


def test_names_have_up_to_eight_parts_of_a_hundred_characters(tmp_path: Path) -> None:
    """One more of either is among the names above."""
    for name in ("a" * 100, "/".join("a" * 8), "a/" + "b" * 100):
        entry = ENTRY._replace(files={name: Blob("1" * 64, 0)})
        assert read(tmp_path, manifest.make_manifest(entry)) == entry


def test_a_manifest_has_16_mib_at_most(tmp_path: Path) -> None:
    assert read(tmp_path, manifest.make_manifest(ENTRY).ljust(2**24)) == ENTRY
    with pytest.raises(InputError, match="got more than 16777216 bytes"):
        read(tmp_path, manifest.make_manifest(ENTRY).ljust(2**24 + 1))


@pytest.mark.parametrize("name", ["format", "key", "inputs", "files", "made", "sha256"])
def test_nothing_may_be_missing(tmp_path: Path, name: str) -> None:
    changed = value()
    del changed[name]
    with pytest.raises(InputError):
        read(tmp_path, files.canonical_json(changed) if name == "sha256" else resealed(changed))


def test_files_that_were_exchanged_are_seen(tmp_path: Path) -> None:
    changed = value()
    names = list(changed["files"])
    changed["files"] = dict(zip(names, reversed(changed["files"].values()), strict=True))
    with pytest.raises(InputError, match="not what was written"):
        read(tmp_path, files.canonical_json(changed))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"5",
        b'"a"',
        b"{}",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"format":"edgekd.store/2","format":"edgekd.store/2"}',
        b'{"inputs":{"x":NaN},"sha256":""}',
        b'{"inputs":{"x":1e999},"sha256":""}',
        b'{"inputs":{"x":' + b"9" * 5000 + b'},"sha256":""}',
        manifest.make_manifest(ENTRY)[:-20],
        manifest.make_manifest(ENTRY) * 2,
    ],
    ids=range(15),
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError):
        read(tmp_path, data)


def test_inputs_as_deep_as_json_can_be_read_are_refused_in_words(tmp_path: Path) -> None:
    for depth in (200, 400, 600, 900, 980):
        deep: Any = []
        for _ in range(depth):
            deep = [deep]
        text = json.dumps({**value(), "inputs": {"x": "DEEP"}})
        data = text.replace('"DEEP"', "[" * depth + "]" * depth).encode()
        with pytest.raises(InputError):
            read(tmp_path, data)


def test_it_stands_under_its_own_name_and_is_no_link(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="key"):
        read(tmp_path, manifest.make_manifest(ENTRY), name=f"{'0' * 64}.json")
    (tmp_path / "real").write_bytes(manifest.make_manifest(ENTRY))
    (tmp_path / f"{KEY}.json").symlink_to(tmp_path / "real")
    with pytest.raises(InputError):
        manifest.parse_manifest(tmp_path / f"{KEY}.json")
