from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from edgekd.errors import InputError
from edgekd.learn.formats import parquet


def write(path: Path, **columns: list[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=3)
    return path


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00001.parquet", "train"),
        ("data/test-00000-of-00001.parquet", "test"),
        ("validation/data-00000-of-00001.arrow", "validation"),
        ("train/0000.parquet", "train"),
        ("test.parquet", "test"),
        ("fold1/0000.parquet", "fold1"),
        ("fold1-00000.parquet", "fold1"),
        ("data-00000-of-00001.parquet", ""),
        ("pictures.parquet", ""),
    ],
)
def test_splits_are_known_by_their_names(tmp_path: Path, name: str, split: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert parquet.split_files(tmp_path) == {split: [tmp_path / name]}


def test_rows_come_in_order_across_files(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / f"{name}.parquet", picture=[[name]] * 5, kind=list(range(5)), more=[0] * 5)
        for name in "ab"
    ]
    rows = parquet.read_rows(paths, "picture", "kind")
    assert rows.names is None
    got = list(rows.pairs)
    assert [(image[0], label) for image, label, _ in got] == [
        (n, k) for n in "ab" for k in range(5)
    ]
    assert got[6][2] == f"{paths[1]}, row 1"


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", img=[1], label=[1])
    with pytest.raises(InputError, match="got no column 'image', want one of: img, label"):
        parquet.read_rows([path], "image", "label")


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    table = pyarrow.table([[1], [2], [3]], names=["image", "image", "label"])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet"):
        list(parquet.read_rows([tmp_path / "a.parquet"], "image", "label").pairs)


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"\x80\x04cposix\n", b"PAR1" + b"\xff" * 99 + b"PAR1"]
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(data)
    with pytest.raises(InputError, match="got no readable"):
        list(parquet.read_rows([path], "image", "label").pairs)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", image=[b"x" * 99] * 9, label=list(range(9)))
    data = path.read_bytes()
    for part in (0.3, 0.6, 0.99):
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(InputError, match="got no readable parquet"):
            parquet.read_rows([path], "image", "label")


@pytest.mark.parametrize("note", [b"[" * 100_000, b"{}", b'{"info": 3}', b"\xff"])
def test_notes_of_any_kind_do_no_harm(tmp_path: Path, note: bytes) -> None:
    table = pyarrow.table({"image": [1], "label": [1]})
    table = table.replace_schema_metadata({b"huggingface": note})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    assert parquet.read_rows([tmp_path / "a.parquet"], "image", "label").names is None


def test_no_pipes_and_no_way_out_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "outside.parquet", image=[1], label=[1])
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.parquet").symlink_to("../outside.parquet")
    with pytest.raises(InputError, match=r"train\.parquet: got no regular file inside"):
        parquet.split_files(tmp_path / "set")
    (tmp_path / "set" / "train.parquet").unlink()
    os.mkfifo(tmp_path / "set" / "train.parquet")
    with pytest.raises(InputError, match=r"train\.parquet: got no regular file inside"):
        parquet.split_files(tmp_path / "set")
    with pytest.raises(InputError, match="no regular file"):
        parquet.read_rows([tmp_path / "set" / "train.parquet"], "image", "label")


BOMB = """
import sys
from pathlib import Path
from edgekd.bench import memory
from edgekd.errors import InputError
from edgekd.learn.formats import parquet
try:
    for _ in parquet.read_rows([Path(sys.argv[1])], "image", "label").pairs:
        pass
except InputError as error:
    print(error)
print(memory.read_memory()["VmHWM"] // 2**20)
"""


def test_a_value_stored_once_and_named_often_takes_no_more_than_stated(tmp_path: Path) -> None:
    """64 MB in a dictionary, 64 rows that point at it: 4 GB once written out."""
    image = pyarrow.DictionaryArray.from_arrays([0] * 64, [bytes(2**26)])
    rows = pyarrow.table({"image": image, "label": [0] * 64})
    path = tmp_path / "bomb.parquet"
    how = {"compression": "zstd", "dictionary_pagesize_limit": 2**27, "store_schema": False}
    pyarrow.parquet.write_table(rows, path, **how)
    assert path.stat().st_size < 2**20
    run = [sys.executable, "-c", BOMB, str(path)]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    message, peak_mb = done.stdout.splitlines()
    assert "unpacks to more than" in message
    assert int(peak_mb) < 1500
