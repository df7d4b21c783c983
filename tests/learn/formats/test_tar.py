from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.learn.formats.tar import list_members


def add(archive: tarfile.TarFile, name: str, data: bytes = b"data", **facts: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for key, value in facts.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(data))


def write(path: Path, fill: Callable[[tarfile.TarFile], None], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        fill(archive)
    return path


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_each_file_lies_where_it_is_said(tmp_path: Path, form: int) -> None:
    long = "deep/" * 10 + "long name " * 9 + "ä" * (0 if form == tarfile.USTAR_FORMAT else 90)
    names = ["a.jpg", "a.cls", "d/b.jpg", long]
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=form) as archive:
        add(archive, "d", b"", type=tarfile.DIRTYPE)
        for number, name in enumerate(names):
            add(archive, name, bytes([number]) * (600 * number))
    found = list(list_members(path))
    assert [member.name for member in found] == names
    data = path.read_bytes()
    for number, (_, start, size_bytes) in enumerate(found):
        assert data[start : start + size_bytes] == bytes([number]) * (600 * number)
    with tarfile.open(path) as archive:
        assert [m.offset_data for m in archive if m.isfile()] == [m.start for m in found]


def fill_plainly(archive: tarfile.TarFile) -> None:
    for number in range(3):
        add(archive, f"{number}.jpg", bytes(700))


@pytest.mark.parametrize(
    ("name", "facts", "message"),
    [
        ("../a.jpg", {}, r"'\.\./a\.jpg': got a name that leads out of the archive"),
        ("a/../../b.jpg", {}, "leads out"),
        ("/etc/passwd", {}, "leads out"),
        ("a\\..\\b.jpg", {}, "leads out"),
        ("a.jpg", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "a link, a device"),
        ("a.jpg", {"type": tarfile.LNKTYPE, "linkname": "b.jpg"}, "a link, a device"),
        ("a.jpg", {"type": tarfile.FIFOTYPE}, "a link, a device"),
        ("a\x1b[2Jb.jpg", {}, "got the name"),
    ],
)
def test_what_could_do_harm_is_named_and_nothing_is_written(
    tmp_path: Path, name: str, facts: dict[str, object], message: str
) -> None:
    data = b"" if facts else b"data"

    def fill(archive: tarfile.TarFile) -> None:
        fill_plainly(archive)
        add(archive, name, data, **facts)

    path = write(tmp_path / "bad.tar", fill)
    with pytest.raises(InputError, match=rf"bad\.tar, .*{message}"):
        list(list_members(path))
    assert [each.name for each in tmp_path.iterdir()] == ["bad.tar"]


def test_what_is_broken_is_refused_and_no_file_is_lost_in_silence(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", fill_plainly)
    whole, third = path.read_bytes(), [*list_members(path)][2].start
    cases = {
        "cut off": whole[: third + 100],
        "broken header": whole[: third - 512] + b"x" * 512 + whole[third:],
        "want one that is not packed": b"no archive at all" * 100,
    }
    for message, data in cases.items():
        path.write_bytes(data)
        with pytest.raises(InputError, match=message):
            list(list_members(path))
    packed = write(tmp_path / "b.tar", fill_plainly, "w:gz")
    with pytest.raises(InputError, match="want one that is not packed"):
        list(list_members(packed))
