from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn import origin


def make(folder: Path) -> list[Path]:
    paths = [folder / "a" / "x.bin", folder / "b" / "x.bin"]
    for path in paths:
        path.parent.mkdir(parents=True)
        path.write_bytes(str(path.parent.name).encode())
    return paths


def test_names_are_relative_to_the_shared_folder(tmp_path: Path) -> None:
    assert origin.digest_files(make(tmp_path)) == {
        "a/x.bin": hashlib.sha256(b"a").hexdigest(),
        "b/x.bin": hashlib.sha256(b"b").hexdigest(),
    }
    assert list(origin.digest_files([tmp_path / "a" / "x.bin"])) == ["x.bin"]
    assert origin.digest_files([]) == {}


def test_a_missing_file_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing.bin"):
        origin.digest_files([tmp_path / "nothing.bin"])


def test_small_sets_are_hashed_each_time(tmp_path: Path) -> None:
    cache = tmp_path / "cache.json"
    origin.digest_files(make(tmp_path), cache)
    assert not cache.exists()


def test_large_sets_are_remembered_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "MANY_FILES", 1)
    hashed: list[str] = []

    def digest(path: Path) -> str:
        hashed.append(path.parent.name)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(files, "digest_file", digest)
    paths, cache = make(tmp_path), tmp_path / "cache.json"
    first = origin.digest_files(paths, cache)
    assert origin.digest_files(paths, cache) == first
    assert hashed == ["a", "b"]

    # The same size and modification time: the change time still tells.
    status = paths[0].stat()
    paths[0].write_bytes(b"c")
    os.utime(paths[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    assert origin.digest_files(paths, cache)["a/x.bin"] == hashlib.sha256(b"c").hexdigest()
    assert hashed == ["a", "b", "a"]

    cache.write_text("[1, 2")
    assert len(origin.digest_files(paths, cache)) == 2
