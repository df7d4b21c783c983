from __future__ import annotations

import itertools
import os
import shutil
import stat
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekd import bundle
from edgekd.bundle import archive
from edgekd.bundle import manifest as manifests
from edgekd.errors import BudgetMissed
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import MachineError
from tests import bundle_example


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    archive.pack(bundle_example.make(folder), folder / "tiny.edgekd")
    return folder / "tiny.edgekd"


def contents(path: Path) -> dict[str, bytes]:
    with archive.open_bundle(path) as folder:
        bundle.load_bundle(folder)
        return {file.name: file.read_bytes() for file in folder.iterdir()}


def refused(path: Path) -> EdgekdError:
    with pytest.raises((BudgetMissed, InputError)) as caught, archive.open_bundle(path) as folder:
        bundle.load_bundle(folder)
    assert "\n" not in caught.value.line() and "/edgekd-" not in str(caught.value)
    return caught.value


def test_what_comes_out_is_what_went_in(packed: Path) -> None:
    folder = packed.parent / "bundle"
    assert contents(packed) == {file.name: file.read_bytes() for file in folder.iterdir()}
    with archive.open_bundle(folder) as same:
        assert same == folder
    with archive.open_bundle(packed) as scratch:
        assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
    assert not scratch.exists()


@pytest.mark.parametrize("name", sorted(manifests.OPTIONAL))
def test_what_only_some_bundles_have_is_packed(tmp_path: Path, name: str) -> None:
    key = {
        manifests.TOKENIZER: "tokenizer",
        manifests.FUSED: "fused",
        manifests.GENERATION: "generation",
    }
    model = tmp_path / "model.onnx"  # a fused file is named, the others are given
    given = model if name == manifests.FUSED else b"{}"
    folder = bundle_example.make(tmp_path, **{key[name]: given})
    archive.pack(folder, tmp_path / "more.edgekd")
    with archive.open_bundle(tmp_path / "more.edgekd") as scratch:
        found = {file.name: file.read_bytes() for file in scratch.iterdir()}
    assert found == {file.name: file.read_bytes() for file in folder.iterdir()} and name in found


def test_the_bytes_know_nothing_of_time_place_and_modes(packed: Path, tmp_path: Path) -> None:
    folder = bundle_example.make(tmp_path)
    for number, path in enumerate(sorted(folder.iterdir())):
        os.utime(path, (number, number))
        path.chmod(0o600)
    archive.pack(folder, tmp_path / "other name.edgekd")
    assert (tmp_path / "other name.edgekd").read_bytes() == packed.read_bytes()


def test_any_unzip_reads_it(packed: Path) -> None:
    """An independent reader: the standard library's, which also checks every CRC."""
    with zipfile.ZipFile(packed) as other:
        assert other.testzip() is None
        infos = other.infolist()
        assert [info.filename for info in infos] == [manifests.MANIFEST, *manifests.FILES]
        assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in infos} == {0o100644}
        assert {name: other.read(name) for name in other.namelist()} == contents(packed)


def test_a_flipped_byte_is_caught_wherever_it_stands(packed: Path, tmp_path: Path) -> None:
    """Every byte of the zip's own, which no digest of a file covers, and every 31st of the files."""
    whole = packed.read_bytes()
    with zipfile.ZipFile(packed) as other:
        headers = [
            range(info.header_offset, info.header_offset + 30 + len(info.filename))
            for info in other.infolist()
        ]
        tail = range(other.start_dir, len(whole))
    rng = np.random.default_rng(0)
    path = tmp_path / "flipped.edgekd"
    for position in sorted({*range(0, len(whole), 31), *tail, *itertools.chain(*headers)}):
        changed = bytearray(whole)
        changed[position] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        refused(path)


def test_every_cut_and_every_addition_is_caught(packed: Path, tmp_path: Path) -> None:
    whole = packed.read_bytes()
    path = tmp_path / "cut.edgekd"
    for size in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:size])
        refused(path)
    for more in (b"\0", b"PK\x05\x06", whole):
        path.write_bytes(whole + more)
        assert refused(path).exit_code == 1
        path.write_bytes(more + whole)
        refused(path)


def repacked(change: Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]) -> Callable:
    """Another archive in the very spelling of ours, so that only its content can betray it."""

    def pack(path: Path, files: list[tuple[str, bytes]]) -> None:
        entries, body = [], b""
        for name, data in change(files):
            entries.append(archive.ArchiveEntry(name, len(data), zlib.crc32(data), len(body)))
            body += archive._local(entries[-1]) + data
        path.write_bytes(body + archive._tail(entries, len(body)))

    return pack


def foreign(path: Path, files: list[tuple[str, bytes]]) -> None:
    """The same files in the same order, as the standard library packs them."""
    with zipfile.ZipFile(path, "w") as goal:
        for name, data in files:
            goal.writestr(zipfile.ZipInfo(name), data)


def deflated(path: Path, files: list[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as goal:
        for name, data in files:
            goal.writestr(name, data)


def bomb(path: Path, files: list[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as goal:
        goal.writestr("manifest.json", b"\0" * 2**24)


def linked(path: Path, files: list[tuple[str, bytes]]) -> None:
    with zipfile.ZipFile(path, "w") as goal:
        for name, data in files:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            goal.writestr(info, data)


HOSTILE: dict[str, Callable[[Path, list[tuple[str, bytes]]], None]] = {
    "deleted": repacked(lambda files: files[:-1]),
    "without manifest": repacked(lambda files: files[1:]),
    "added": repacked(lambda files: [*files, ("extra.py", b"print()")]),
    "added first": repacked(lambda files: [("extra.py", b""), *files]),
    "reordered": repacked(lambda files: files[::-1]),
    "two swapped": repacked(lambda files: [*files[:2], files[3], files[2], *files[4:]]),
    "twice": repacked(lambda files: [*files[:1], *files]),
    "parent": repacked(lambda files: [("../task.json", b"[]"), *files]),
    "absolute": repacked(lambda files: [("/tmp/task.json", b"[]"), *files]),
    "in a folder": repacked(lambda files: [(f"bundle/{name}", data) for name, data in files]),
    "a folder": repacked(lambda files: [("task.json/", b""), *files]),
    "empty": repacked(lambda files: []),
    "by another program": foreign,
    "links": linked,
    "compressed": deflated,
    "bomb": bomb,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_nothing_escapes(
    packed: Path, tmp_path: Path, name: str
) -> None:
    with zipfile.ZipFile(packed) as known:
        files = [(info.filename, known.read(info)) for info in known.infolist()]
    (tmp_path / "in").mkdir()
    HOSTILE[name](tmp_path / "in" / "hostile.edgekd", files)
    refused(tmp_path / "in" / "hostile.edgekd")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["hostile.edgekd"]


def test_the_spelling_of_the_tests_is_ours(packed: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed) as known:
        files = [(info.filename, known.read(info)) for info in known.infolist()]
    repacked(lambda same: same)(tmp_path / "same.edgekd", files)
    assert (tmp_path / "same.edgekd").read_bytes() == packed.read_bytes()


def test_a_size_that_only_the_header_claims_takes_no_memory(packed: Path, tmp_path: Path) -> None:
    whole = bytearray(packed.read_bytes())
    whole[18:22] = whole[22:26] = (2**32 - 1).to_bytes(4, "little")
    (tmp_path / "huge.edgekd").write_bytes(whole)
    assert "manifest.json: is cut short" in str(refused(tmp_path / "huge.edgekd"))


def test_what_is_no_archive_is_wrong_input(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("PK is not enough")
    (tmp_path / "empty").write_text("")
    os.mkfifo(tmp_path / "fifo")
    for name in ("text", "empty", "fifo", "nothing"):
        assert refused(tmp_path / name).exit_code == 2


def test_only_a_whole_bundle_is_packed(tmp_path: Path) -> None:
    folder = bundle_example.make(tmp_path)
    (folder / "task.json").write_text("[]")
    with pytest.raises(BudgetMissed, match=r"task\.json"):
        archive.pack(folder, tmp_path / "out.edgekd")
    assert not (tmp_path / "out.edgekd").exists()


def test_it_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib; from edgekd.bundle import archive\n"
        "archive.pack(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))\n"
    )
    folder, goal = bundle_example.make(tmp_path), tmp_path / "out" / "x.edgekd"
    for operation in (1, 2):
        environment = {**os.environ, "EDGEKD_FAULT": f"kill@{operation}"}
        subprocess.run([sys.executable, "-c", script, folder, goal], env=environment, check=False)
        assert not goal.exists()
    archive.pack(folder, goal)
    contents(goal)


def test_a_folder_that_cannot_be_written_is_the_machines_fault(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "unpack", full)
    with pytest.raises(MachineError, match="No space left"), archive.open_bundle(packed):
        pass


@pytest.mark.parametrize("seed", range(2))
def test_two_hundred_random_flips_are_caught_in_both_forms(
    packed: Path, tmp_path: Path, seed: int
) -> None:
    """F26: one byte at random, as a folder (seed 0) and as an archive (seed 1)."""
    rng = np.random.default_rng(seed)
    shutil.copytree(packed.parent / "bundle", tmp_path / "bundle")
    shutil.copy(packed, tmp_path / "tiny.edgekd")
    paths = [tmp_path / "tiny.edgekd"] if seed else sorted((tmp_path / "bundle").iterdir())
    opened = tmp_path / ("tiny.edgekd" if seed else "bundle")
    for number in range(200):
        path = paths[number % len(paths)]
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[int(rng.integers(len(whole)))] ^= int(rng.integers(1, 256))
        path.write_bytes(changed)
        refused(opened)
        path.write_bytes(whole)
    contents(opened)


def test_every_byte_is_the_one_the_standard_library_writes(packed: Path, tmp_path: Path) -> None:
    """Given the same names, modes, day and versions: 2.0 on Unix, 1.0 to read."""
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as other:
        for name, data in contents_in_order(packed):
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.create_version, info.extract_version = 3, 20, 10
            info.external_attr = 0o100644 << 16
            other.writestr(info, data)
    assert (tmp_path / "other.zip").read_bytes() == packed.read_bytes()


def contents_in_order(path: Path) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as known:
        return [(info.filename, known.read(info)) for info in known.infolist()]


def test_files_are_copied_in_pieces_of_any_size(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    want = contents(packed)
    monkeypatch.setattr(archive, "CHUNK_BYTES", 7)
    archive.pack(packed.parent / "bundle", tmp_path / "small.edgekd")
    assert (tmp_path / "small.edgekd").read_bytes() == packed.read_bytes()
    assert contents(tmp_path / "small.edgekd") == want


def test_an_archive_is_as_large_as_a_plain_zip_can_be(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2**32 - 1 bytes, written and read."""
    huge = tmp_path / "huge.edgekd"
    huge.write_bytes(b"PK\x03\x04")
    for size_bytes, says in (
        (2**32 - 1, "no part of a bundle"),
        (2**32, "want a bundle: a folder"),
    ):
        os.truncate(huge, size_bytes)
        assert says in str(refused(huge))
    folder, goal = packed.parent / "bundle", tmp_path / "out.edgekd"
    for data in (None, b"{}\n"):
        archive.pack(folder, goal, signature=data)
        size_bytes = goal.stat().st_size
        monkeypatch.setattr(archive, "LARGEST_BYTES", size_bytes)
        archive.pack(folder, goal, signature=data)
        monkeypatch.setattr(archive, "LARGEST_BYTES", size_bytes - 1)
        with pytest.raises(InputError, match=f"got {size_bytes} bytes, want {size_bytes - 1}"):
            archive.pack(folder, goal, signature=data)
        monkeypatch.undo()


def test_a_file_reaches_to_the_end_of_the_archive_and_no_further(
    packed: Path, tmp_path: Path
) -> None:
    (name, data), *_ = contents_in_order(packed)
    path = tmp_path / "one.edgekd"
    repacked(lambda files: files)(path, [(name, data)])
    whole = path.read_bytes()[: 30 + len(name) + len(data)]
    path.write_bytes(whole)
    assert ": is missing" in str(refused(path))
    longer = bytearray(whole)
    longer[18:22] = longer[22:26] = (len(data) + 1).to_bytes(4, "little")
    path.write_bytes(longer)
    assert f"{name}: is cut short" in str(refused(path))


def test_of_a_name_100_bytes_are_read(packed: Path, tmp_path: Path) -> None:
    path = tmp_path / "name.edgekd"
    repacked(lambda files: [("n" * 150, b""), *files])(path, contents_in_order(packed))
    assert f"got {'n' * 100!r}, which is no part of a bundle" in str(refused(path))


def test_a_run_that_has_not_ended_is_told_so(tmp_path: Path) -> None:
    (tmp_path / ".edgekd-run.unfinished.json").write_text("[]")
    with pytest.raises(InputError, match="a run that has not ended"):
        archive.find_folder(tmp_path)
