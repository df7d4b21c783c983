"""Durable writes: old bytes or new bytes, at any fault."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgekd import faults
from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError

WRITER = """
import sys, pathlib
from edgekd import files
path = pathlib.Path(sys.argv[1])
if sys.argv[2] == "file":
    files.write_bytes(path, b"new")
else:
    files.replace_folder(path, lambda f: (f / "x").write_bytes(b"new"))
"""


def struck(path: Path, kind: str, fault: str) -> int:
    return subprocess.run(
        [sys.executable, "-c", WRITER, str(path), kind],
        env={**os.environ, "EDGEKD_FAULT": fault},
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("fault", ["kill", "enospc"])
def test_a_file_is_old_or_new(tmp_path: Path, fault: str, at: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert struck(path, "file", f"{fault}@{at}") != 0
    assert path.read_bytes() == (b"new" if at == 3 else b"old")
    assert struck(path, "file", "") == 0
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_folder_is_old_or_new(tmp_path: Path, at: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").write_bytes(b"old")
    theirs = [
        tmp_path / name for name in (".tmp-notes", f".tmp-{'0' * 32}", f".tmp-{'0' * 31}g-edgekd")
    ]
    for path in theirs:
        path.mkdir()
    assert struck(folder, "folder", f"kill@{at}") == -9
    assert folder.exists() == (at != 2)  # killed between the two renames, the old one lies aside
    files.sweep_temporaries(tmp_path)
    assert (folder / "x").read_bytes() == (b"old" if at < 3 else b"new")
    assert set(tmp_path.iterdir()) == {folder, *theirs}


def test_a_sweep_puts_back_a_folder_and_only_where_nothing_took_its_place(tmp_path: Path) -> None:
    for number in range(3):
        aside = Path(f"{files.temporary_in(tmp_path)}-old-bundle")
        aside.mkdir()
        (aside / "x").write_text(str(number))
    broken = Path(f"{files.temporary_in(tmp_path)}-old-link")
    broken.mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    files.sweep_temporaries(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "link"}
    assert (tmp_path / "bundle" / "x").exists()


def test_an_interruption_between_the_renames_puts_the_old_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(operation: str, path: Path) -> None:
        if operation == "moved aside":
            raise KeyboardInterrupt

    monkeypatch.setattr(faults, "trigger_fault", interrupted)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        files.replace_folder(folder, lambda fresh: (fresh / "x").write_bytes(b"new"))
    assert (folder / "x").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_full_disk_says_so_and_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(MachineError, match="disk is full.*free") as caught:
        files.write_through(path, lambda p: p.write_bytes(b"n"), size_bytes=10**18)
    assert caught.value.exit_code == 3
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(InputError):
            files.digest_file(path)


def test_json_has_one_spelling_and_no_nan() -> None:
    assert files.canonical_json({"b": 1, "a": [1.5, None]}) == b'{"a":[1.5,null],"b":1}\n'
    with pytest.raises(ValueError, match="JSON"):
        files.canonical_json(float("nan"))


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"deep": [{"a": 1, "b": 2, "a": 3}]}',
        "[NaN]",
        "[Infinity]",
        "[-Infinity]",
        "[1e999]",
        "[-1e999]",
        "[" * 10**5,
        "[1",
        "\xff",
        "[" + "9" * 5000 + "]",
    ],
)
def test_json_that_can_be_read_two_ways_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="got no JSON"):
        files.read_json(path)


def test_json_is_read_up_to_a_size(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": [1, -2.5e300, null]}')
    size_bytes = path.stat().st_size
    assert files.read_json(path, limit_bytes=size_bytes) == {"a": [1, -2.5e300, None]}
    with pytest.raises(InputError, match="want less"):
        files.read_json(path, limit_bytes=size_bytes - 1)


def test_a_link_is_followed_only_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("1")
    (tmp_path / "link").symlink_to("real")
    assert files.read_json(tmp_path / "link") == 1
    assert files.digest_file(tmp_path / "link") == files.digest_bytes(b"1")
    with pytest.raises(InputError):
        files.read_json(tmp_path / "link", follow=False)
    with pytest.raises(InputError):
        files.digest_file(tmp_path / "link", follow=False)


class Calls:
    """The system calls of a write in their order: on what, and what its bytes were then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, str, object]] = []
        fsync, rename, replace = os.fsync, Path.rename, Path.replace

        def flushed(descriptor: int) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            content = (
                path.read_bytes() if path.is_file() else sorted(p.name for p in path.iterdir())
            )
            self.made.append(("fsync", path.name, content))
            fsync(descriptor)

        def renamed(path: Path, goal: Path) -> Path:
            self.made.append(("rename", path.name, Path(goal).name))
            return rename(path, goal)

        def replaced(path: Path, goal: Path) -> Path:
            self.made.append(("rename", path.name, Path(goal).name))
            return replace(path, goal)

        monkeypatch.setattr(os, "fsync", flushed)
        monkeypatch.setattr(Path, "rename", renamed)
        monkeypatch.setattr(Path, "replace", replaced)

    def index(self, *call: object) -> int:
        return self.made.index(call)  # type: ignore[arg-type]


def test_bytes_reach_the_disk_before_their_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(monkeypatch)
    files.write_bytes(tmp_path / "file", b"new")
    temporary = calls.made[0][1]
    assert calls.made == [
        ("fsync", temporary, b"new"),
        ("rename", temporary, "file"),
        ("fsync", tmp_path.name, ["file"]),
    ]


def test_a_new_folder_s_own_name_reaches_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(monkeypatch)
    files.write_bytes(tmp_path / "a" / "b" / "file", b"new")
    flushed = [name for call, name, _ in calls.made if call == "fsync"]
    assert {tmp_path.name, "a", "b"} <= set(flushed)


def test_a_folder_s_files_reach_the_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(folder: Path) -> None:
        (folder / "sub").mkdir()
        (folder / "x").write_bytes(b"1")
        (folder / "sub" / "y").write_bytes(b"2")

    (tmp_path / "folder").mkdir()
    calls = Calls(monkeypatch)
    files.replace_folder(tmp_path / "folder", fill)
    fresh = next(goal for call, name, goal in calls.made if call == "rename" and goal != "folder")
    assert fresh
    taken = next(i for i, (call, _, goal) in enumerate(calls.made) if goal == "folder")
    before = calls.made[:taken]
    for call in (("fsync", "x", b"1"), ("fsync", "y", b"2"), ("fsync", "sub", ["y"])):
        assert call in before
    inside = [name for call, name, content in before if call == "fsync" and content == ["sub", "x"]]
    assert inside == [calls.made[taken][1]]  # the folder's own list of names, too
    assert calls.made[-1][:2] == ("fsync", tmp_path.name)


def test_a_write_that_is_refused_says_why_though_nothing_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read-only disk refuses the removal of what was never written, too."""

    def read_only(*args: object, **more: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", read_only)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(MachineError, match="file: cannot be written: Read-only file system"):
        files.write_bytes(tmp_path / "file", b"new")


def test_output_goes_into_devices_and_through_links(tmp_path: Path) -> None:
    files.write_output(tmp_path / "new" / "file", b"1")
    assert (tmp_path / "new" / "file").read_bytes() == b"1"
    (tmp_path / "link").symlink_to("new/file")
    (tmp_path / "dangling").symlink_to("made")
    files.write_output(tmp_path / "link", b"2")
    files.write_output(tmp_path / "dangling", b"3")
    assert (tmp_path / "new" / "file").read_bytes() == b"2" and (tmp_path / "link").is_symlink()
    assert (tmp_path / "made").read_bytes() == b"3" and (tmp_path / "dangling").is_symlink()
    with pytest.raises(InputError, match="got a folder, want a file"):
        files.write_output(tmp_path / "new", b"4")
    files.write_output(Path("/dev/null"), b"5")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(MachineError, match="/dev/full: cannot be written: the disk is full"):
        files.write_output(Path("/dev/full"), b"6")
    with pytest.raises(InputError, match="want a file"):
        files.regular_output(Path("/dev/null"))


def test_output_goes_through_a_fifo(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    reader.start()
    files.write_output(fifo, b"through")
    reader.join()
    assert read == [b"through"] and fifo.is_fifo()


def test_a_regular_file_behind_a_device_s_name_is_written_into_not_replaced(tmp_path: Path) -> None:
    """/dev/stdout of ``edgekd ... > file``: whoever holds the file open reads what was written."""
    code = "from pathlib import Path\nfrom edgekd import files\nfiles.write_output(Path('/dev/stdout'), b'x')"
    with open(tmp_path / "captured", "w+b") as goal:
        subprocess.run([sys.executable, "-c", code], stdout=goal, check=True)
        assert os.fstat(goal.fileno()).st_nlink == 1
        goal.seek(0)
        assert goal.read() == b"x"


def test_only_one_s_own_temporaries_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = files.temporary_in(tmp_path)
    path.write_text("half")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    files.sweep_temporaries(tmp_path)
    assert path.exists()
    monkeypatch.undo()
    files.sweep_temporaries(tmp_path)
    assert not path.exists()


def test_a_folder_that_could_not_be_replaced_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").write_bytes(b"old")
    rename = Path.rename

    def refuse(path: Path, goal: Path) -> Path:
        if goal == folder and "-old-" not in path.name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(path, goal)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(MachineError, match="disk is full"):
        files.replace_folder(folder, lambda fresh: (fresh / "x").write_bytes(b"new"))
    assert (folder / "x").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_space_is_asked_for_with_a_margin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(0, 0, 119))
    with pytest.raises(MachineError, match="100 bytes to write, 119 free"):
        files.write_bytes(tmp_path / "x", b"x" * 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(0, 0, 120))
    files.write_bytes(tmp_path / "x", b"x" * 100)


def test_what_is_replaced_keeps_its_mode_and_its_protection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "private"
    path.write_bytes(b"old")
    path.chmod(0o600)
    files.write_output(path, b"new")
    assert path.stat().st_mode & 0o777 == 0o600 and path.read_bytes() == b"new"
    path.chmod(0o444)
    may = os.access
    monkeypatch.setattr(os, "access", lambda p, mode: p != path and may(p, mode))  # root may all
    with pytest.raises(MachineError, match="private: got a file that may not be written"):
        files.write_output(path, b"newer")
    assert path.read_bytes() == b"new"


def test_json_for_people_is_indented_keeps_its_order_and_has_no_nan() -> None:
    assert files.pretty_json({"b": [1], "a": None}) == (
        b'{\n  "b": [\n    1\n  ],\n  "a": null\n}\n'
    )
    with pytest.raises(ValueError, match="JSON"):
        files.pretty_json([float("inf")])


def test_json_of_16_mib_is_read_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(b'"' + b"x" * (2**24 - 2) + b'"')
    assert files.read_json(path) == "x" * (2**24 - 2)
    with path.open("ab") as file:
        file.write(b" ")
    with pytest.raises(InputError, match="got more than 16777216 bytes"):
        files.read_json(path)


def test_no_file_stays_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "none"):
        with pytest.raises(InputError):
            files.open_regular(path)
    files.write_bytes(tmp_path / "a" / "file", b"1")
    files.replace_folder(tmp_path / "folder", lambda fresh: (fresh / "x").write_bytes(b"2"))
    assert files.digest_file(tmp_path / "a" / "file") == files.digest_bytes(b"1")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_link_is_opened_unless_that_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("1")
    (tmp_path / "link").symlink_to("real")
    with files.open_regular(tmp_path / "link") as file:
        assert file.read() == b"1"
    with pytest.raises(InputError, match="link: "):
        files.open_regular(tmp_path / "link", follow=False)


def test_what_is_of_unknown_size_is_not_held_to_the_free_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(0, 0, 0))
    files.write_through(tmp_path / "x", lambda temporary: temporary.write_bytes(b"12"))
    assert (tmp_path / "x").read_bytes() == b"12"


@pytest.mark.parametrize(
    ("error", "says", "hint"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full (No space", "free"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full (Disk quota", "free"),
        (OSError(errno.EIO, "Input/output error"), "cannot be written: Input/output error", ""),
        (OSError("without a number"), "cannot be written: without a number", ""),
    ],
)
def test_a_write_that_ends_half_way_leaves_nothing_and_says_why(
    tmp_path: Path, error: OSError, says: str, hint: str
) -> None:
    def half(path: Path) -> None:
        (path / "x" if path.is_dir() else path).write_bytes(b"half")
        raise error

    (tmp_path / "old").mkdir()
    for write, name in (
        (files.write_through, "file"),
        (files.replace_folder, "new"),
        (files.replace_folder, "old"),
    ):
        with pytest.raises(MachineError) as caught:
            write(tmp_path / name, half)
        assert f"{tmp_path / name}: cannot be written: " in str(caught.value)
        assert says in str(caught.value) and caught.value.hint[:4] == hint
        assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert not list((tmp_path / "old").iterdir())


def test_a_folder_takes_the_place_of_the_old_one_and_nothing_else_stays(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "folder"
    for text in (b"1", b"2"):
        files.replace_folder(folder, lambda fresh, text=text: (fresh / "x").write_bytes(text))
        assert (folder / "x").read_bytes() == text
        assert list(folder.parent.iterdir()) == [folder]


def test_a_new_folder_stays_though_its_name_could_not_be_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    flush = files._flush

    def refuse(path: Path) -> None:
        if path == tmp_path:
            raise OSError(errno.EIO, "Input/output error")
        flush(path)

    monkeypatch.setattr(files, "_flush", refuse)
    with pytest.raises(MachineError, match="folder: cannot be written: Input/output error"):
        files.replace_folder(folder, lambda fresh: (fresh / "x").write_bytes(b"new"))
    assert (folder / "x").read_bytes() == b"new" and list(tmp_path.iterdir()) == [folder]


def test_a_folder_that_is_made_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        assert files.make_folder(folder) == folder and folder.is_dir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "b"):
        with pytest.raises(MachineError, match=f"{path}: cannot be written: "):
            files.make_folder(path)
    for denied in (os.W_OK, os.X_OK):
        monkeypatch.setattr(os, "access", lambda path, mode, denied=denied: not mode & denied)
        with pytest.raises(MachineError, match="b: got a folder that cannot be written"):
            files.make_folder(folder)


def test_what_is_removed_is_gone_and_what_a_link_leads_to_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck: list[tuple[str, str, bool]] = []
    monkeypatch.setattr(
        files.faults,
        "trigger_fault",
        lambda step, path: struck.append((step, path.name, os.path.lexists(path))),
    )
    (tmp_path / "outside" / "inner").mkdir(parents=True)
    (tmp_path / "outside" / "file").touch()
    room = tmp_path / "room"
    (room / "folder" / "inner").mkdir(parents=True)
    (room / "file").touch()
    (room / "to a folder").symlink_to(tmp_path / "outside")
    (room / "to a file").symlink_to(tmp_path / "outside" / "file")
    (room / "to nothing").symlink_to(tmp_path / "none")
    names = sorted(path.name for path in room.iterdir())
    for name in names:
        files.remove(room / name)
    assert struck == [("remove", name, True) for name in names]
    assert not list(room.iterdir())
    files.remove(room / "file")
    assert {path.name for path in (tmp_path / "outside").iterdir()} == {"inner", "file"}


def test_a_folder_that_another_process_removes_meanwhile_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    looked = Path.is_symlink

    def removed_just_after(path: Path) -> bool:
        found = looked(path)
        if path == folder and folder.exists():
            folder.rmdir()
        return found

    monkeypatch.setattr(Path, "is_symlink", removed_just_after)
    files.remove(folder)
    assert not folder.exists()


def test_nothing_is_swept_from_a_folder_that_is_not_there(tmp_path: Path) -> None:
    files.sweep_temporaries(tmp_path / "none")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_what_is_private_is_so_while_it_is_written_and_after(tmp_path: Path, mode: int) -> None:
    path, folder, modes = tmp_path / "file", tmp_path / "folder", list[int]()
    path.write_bytes(b"old")
    path.chmod(mode)

    def write(temporary: Path) -> None:
        modes.append(temporary.stat().st_mode & 0o777)
        temporary.write_bytes(b"new")

    files.write_through(path, write)
    assert modes == [0o600] and path.stat().st_mode & 0o777 == mode
    folder.mkdir()
    folder.chmod(mode | 0o100)
    files.replace_folder(folder, lambda fresh: modes.append(fresh.stat().st_mode & 0o777))
    assert modes == [0o600, 0o700] and folder.stat().st_mode & 0o777 == mode | 0o100


def test_a_new_file_and_folder_have_the_umask_s_mode(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "file", b"x")
        files.replace_folder(tmp_path / "folder", lambda fresh: None)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750
