from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import platformdirs
import pytest

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.data import cifar10
from edgekd.learn.data import cifar100
from edgekd.learn.formats import cifar
from tests import data_example
from tests.data_example import checked

KINDS = pytest.mark.parametrize("module", [cifar10, cifar100], ids=["cifar10", "cifar100"])


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / "cache" / name)


def contents(kind: cifar.Kind) -> dict[str, bytes]:
    """A small data set; each image's bytes count up from its number."""
    made = {kind.names: "\n".join(f"name{n}" for n in range(kind.classes)).encode() + b"\n\n"}
    per_file = kind.classes // len(kind.train)
    for at, name in enumerate([*kind.train, kind.test]):
        first = at * per_file % kind.classes
        made[name] = b"".join(
            bytes([99] * (kind.label_bytes - 1) + [n])
            + bytes((n + value) % 256 for value in range(3072))
            for n in range(first, first + per_file)
        )
    return made


def as_folder(kind: cifar.Kind, folder: Path) -> None:
    (folder / kind.folder).mkdir(parents=True)
    for name, data in contents(kind).items():
        (folder / kind.folder / name).write_bytes(data)


def as_archive(kind: cifar.Kind, folder: Path, extra: list[tarfile.TarInfo] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / kind.archive.url.rpartition("/")[2]
    with tarfile.open(path, "w:gz") as archive:
        for info in extra or []:
            archive.addfile(info, io.BytesIO(bytes(info.size)))
        for name, data in contents(kind).items():
            info = tarfile.TarInfo(f"{kind.folder}/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@KINDS
@pytest.mark.parametrize("write", [as_folder, as_archive], ids=["folder", "archive"])
def test_records_are_label_then_planes(tmp_path: Path, module: object, write: object) -> None:
    kind = module.KIND  # type: ignore[attr-defined]
    write(kind, tmp_path)  # type: ignore[operator]
    got = checked(module.read(data_dir=tmp_path), kind.name)  # type: ignore[attr-defined]
    assert got.train.labels.tolist() == list(range(kind.classes))
    assert got.classes[3] == "name3"
    assert got.train.images.shape == (kind.classes, 32, 32, 3)
    # Red is the first 1,024 bytes, row by row.
    for n, row, column, channel in ((0, 0, 1, 0), (3, 2, 5, 1), (7, 31, 31, 2)):
        want = (n + channel * 1024 + row * 32 + column) % 256
        assert got.train.images[n, row, column, channel] == want
    assert got.test is not None
    assert len(got.test.labels) == kind.classes // len(kind.train)


@KINDS
def test_if_there_are_none_it_says_where_it_looked(tmp_path: Path, module: object) -> None:
    with pytest.raises(MachineError) as caught:
        module.files(data_dir=tmp_path)  # type: ignore[attr-defined]
    assert str(tmp_path) in str(caught.value)
    assert "--allow-download" in caught.value.hint


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 2 * 3073 - 1])
def test_a_file_of_a_wrong_length(tmp_path: Path, size: int) -> None:
    as_folder(cifar10.KIND, tmp_path)
    (tmp_path / cifar10.KIND.folder / "data_batch_3.bin").write_bytes(bytes(size))
    with pytest.raises(InputError, match=f"data_batch_3.bin: got {size} bytes, want a multiple"):
        data_example.opened(cifar10.read(data_dir=tmp_path))


def test_a_label_out_of_range(tmp_path: Path) -> None:
    as_folder(cifar10.KIND, tmp_path)
    (tmp_path / cifar10.KIND.folder / "test_batch.bin").write_bytes(b"\x0a" + bytes(3072))
    with pytest.raises(InputError, match="test split: labels: got label 10, want 0 to 9"):
        checked(cifar10.read(data_dir=tmp_path), "cifar10")


def test_class_names_must_be_as_many_as_classes(tmp_path: Path) -> None:
    as_folder(cifar10.KIND, tmp_path)
    (tmp_path / cifar10.KIND.folder / cifar10.KIND.names).write_text("cat\n")
    with pytest.raises(InputError, match="got 1 class names, want 10"):
        data_example.opened(cifar10.read(data_dir=tmp_path))


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    as_folder(cifar10.KIND, tmp_path)
    (tmp_path / cifar10.KIND.folder / "test_batch.bin").unlink()
    os.mkfifo(tmp_path / cifar10.KIND.folder / "test_batch.bin")
    with pytest.raises(InputError, match="no regular file"):
        data_example.opened(cifar10.read(data_dir=tmp_path))


def info(
    name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


def test_what_else_is_in_the_archive_is_never_written(tmp_path: Path) -> None:
    folder = cifar10.KIND.folder
    as_archive(
        cifar10.KIND,
        tmp_path / "sets",
        [
            info("../escaped", size=3),
            info(str(tmp_path / "escaped"), size=3),
            info(f"{folder}/../../escaped", size=3),
            info(f"{folder}/link", tarfile.SYMTYPE, "/etc/passwd"),
            info(f"{folder}/pipe", tarfile.FIFOTYPE),
        ],
    )
    before = sorted(tmp_path.rglob("*"))
    assert len(data_example.opened(cifar10.read(data_dir=tmp_path / "sets")).train.labels) == 10
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_link_in_a_members_place_is_not_followed(tmp_path: Path, kind: bytes) -> None:
    name = f"{cifar10.KIND.folder}/test_batch.bin"
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, data in contents(cifar10.KIND).items():
            one = info(f"{cifar10.KIND.folder}/{member}", size=len(data))
            if one.name == name:
                archive.addfile(info(name, kind, "/etc/passwd"))
            else:
                archive.addfile(one, io.BytesIO(data))
    with pytest.raises(InputError, match="got no file .*test_batch.bin, want it"):
        data_example.opened(cifar10.read(data_dir=tmp_path))


def test_an_archive_cut_short(tmp_path: Path) -> None:
    path = as_archive(cifar10.KIND, tmp_path)
    data = path.read_bytes()
    for part in (0.0, 0.2, 0.7, 0.95):
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(InputError, match="cifar-10-binary"):
            data_example.opened(cifar10.read(data_dir=tmp_path))


def test_an_archive_that_unpacks_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar, "LIMIT_BYTES", 2**22)
    as_archive(cifar10.KIND, tmp_path, [info("filler", size=2**23)])
    with pytest.raises(InputError, match="want 4194304 bytes at most"):
        data_example.opened(cifar10.read(data_dir=tmp_path))


def test_a_member_of_holes_is_not_read(tmp_path: Path) -> None:
    # A PAX sparse member (GNU tar's form 0.1): two bytes of data, a terabyte long.
    member = info(f"{cifar10.KIND.folder}/test_batch.bin", size=512)
    member.pax_headers = {"GNU.sparse.map": "0,2", "GNU.sparse.size": str(2**40)}
    as_archive(cifar10.KIND, tmp_path)
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz") as archive:
        archive.addfile(member, io.BytesIO(bytes(512)))
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz") as archive:
        assert archive.getmembers()[0].size == 2**40, "the trap works"
    with pytest.raises(InputError, match="got no file"):
        data_example.opened(cifar10.read(data_dir=tmp_path))


def test_a_header_that_claims_a_terabyte_takes_no_memory(tmp_path: Path) -> None:
    member = info(f"{cifar10.KIND.folder}/test_batch.bin", size=2**40)
    data = member.tobuf(tarfile.GNU_FORMAT) + bytes(2048)
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(gzip.compress(data))
    with pytest.raises(InputError, match="cifar-10-binary"):
        data_example.opened(cifar10.read(data_dir=tmp_path))
