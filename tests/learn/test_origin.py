from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn import origin
from edgekd.progress import Silent


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


def test_a_file_is_hashed_once_while_it_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hashed, digest = tmp_path / "weights.gguf", list[Path](), files.digest_file
    path.write_bytes(b"one")

    def count(path: Path) -> str:
        hashed.append(path)
        return digest(path)

    monkeypatch.setattr(files, "digest_file", count)
    assert origin.digest_once(path) == origin.digest_once(path)
    assert len(hashed) == 2  # written just now: a later write may leave the same times
    monkeypatch.setattr(origin, "SETTLED_NS", -(10**18))
    assert origin.digest_once(path) == origin.digest_once(path) == digest(path)
    assert len(hashed) == 3
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    path.write_bytes(b"two")
    os.utime(path, ns=times)  # the same size and modification time: the change time still tells
    assert origin.digest_once(path) == hashlib.sha256(b"two").hexdigest()
    with pytest.raises(InputError, match="nothing"):
        origin.digest_once(tmp_path / "nothing")


def test_large_sets_are_remembered_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(origin, "MANY_FILES", 1)
    monkeypatch.setattr(origin, "SETTLED_NS", -(10**18))
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


class TestLarge:
    """Sets that are remembered."""

    @pytest.fixture
    def paths(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        monkeypatch.setattr(origin, "MANY_FILES", 1)
        monkeypatch.setattr(origin, "SETTLED_NS", -(10**18))
        return make(tmp_path)

    def test_a_file_that_was_just_written_is_not_trusted(
        self, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(origin, "SETTLED_NS", 2 * 10**9)
        before = paths[0].stat().st_ctime_ns
        monkeypatch.setattr(origin.time, "time_ns", lambda: before + 2 * 10**9)
        cache = tmp_path / "cache.json"
        origin.digest_files(paths, cache)
        assert not cache.exists()
        monkeypatch.setattr(origin.time, "time_ns", lambda: paths[1].stat().st_ctime_ns + 10**10)
        origin.digest_files(paths, cache)
        assert set(files.read_json(cache)) == {str(path) for path in paths}

    def test_a_file_that_changes_while_it_is_hashed_is_not_remembered(
        self, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        digest = files.digest_file

        def change(path: Path) -> str:
            found = digest(path)
            if path == paths[0]:
                path.write_bytes(b"other")
            return found

        monkeypatch.setattr(files, "digest_file", change)
        origin.digest_files(paths, tmp_path / "cache.json")
        assert set(files.read_json(tmp_path / "cache.json")) == {str(paths[1])}

    def test_what_was_interrupted_goes_on_and_is_shown(
        self, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        digest = files.digest_file
        cache, hashed = tmp_path / "cache.json", []

        def stop(path: Path) -> str:
            hashed.append(path)
            if len(hashed) == 2:
                raise KeyboardInterrupt
            return digest(path)

        monkeypatch.setattr(files, "digest_file", stop)
        with pytest.raises(KeyboardInterrupt):
            origin.digest_files(paths, cache)
        shown: list[object] = []
        progress = Silent()
        monkeypatch.setattr(progress, "stage", shown.append)
        monkeypatch.setattr(progress, "update", lambda *numbers: shown.append(numbers))
        assert len(origin.digest_files(paths, cache, progress=progress)) == 2
        assert hashed == [paths[0], paths[1], paths[1]]
        assert shown == ["hashing", (1, 1, "1 file, 1 B")]
        origin.digest_files(paths, cache, progress=progress)
        assert len(shown) == 2, "an unchanged folder is only looked at"

    def test_without_leave_nothing_is_written(self, paths: list[Path], tmp_path: Path) -> None:
        origin.digest_files(paths, tmp_path / "cache.json", renew=False)
        assert not (tmp_path / "cache.json").exists()

    def test_of_many_files_one_digest_stands_for_all(self, paths: list[Path]) -> None:
        one = origin.digest_files(paths)
        folded = origin.fold_digests(one)
        assert list(folded) == ["2 files"] and origin.fold_digests(one) == folded
        assert origin.fold_digests({**one, "a/x.bin": "0"}) != folded
        assert origin.fold_digests({"a": "0"}) == {"a": "0"}
