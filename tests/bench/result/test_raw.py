from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.bench.result import raw
from edgekd.errors import InputError
from tests.measured_example import measured


def test_the_same_times_give_the_same_bytes_and_come_back(tmp_path: Path) -> None:
    found = measured(3)
    side = raw.write(tmp_path / "raw.jsonl.gz", raw.make_lines([found], [{}]))
    data = (tmp_path / "raw.jsonl.gz").read_bytes()
    assert data == raw.pack_lines(raw.make_lines([measured(3)], [{}])) and side.size_bytes == len(
        data
    )
    lines = raw.read(tmp_path / "raw.jsonl.gz")
    assert [(line["job"], line["process"]) for line in lines] == [
        ("memory", 0),
        *(("latency", n) for n in range(3)),
    ]
    assert [line["result"] for line in lines[1:]] == found.processes


@pytest.mark.parametrize("data", [b"no gzip", b"\x1f\x8b\x08", b"{}\n"])
def test_what_is_no_such_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(InputError, match="want gzip of JSON lines"):
        raw.read(tmp_path / "x")
