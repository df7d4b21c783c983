from __future__ import annotations

import functools
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd.errors import MachineError
from edgekd.learn.download import RemoteFile
from edgekd.learn.download import fetch


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "a.bin").write_bytes(b"right")
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_file_is_fetched_and_verified(url: str, tmp_path: Path) -> None:
    known = f"sha256:{hashlib.sha256(b'right').hexdigest()}"
    path = fetch(RemoteFile(f"{url}/a.bin", known), tmp_path / "cache")
    assert path == tmp_path / "cache" / "a.bin"
    assert path.read_bytes() == b"right"
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["a.bin"]


def test_another_file_leaves_nothing(url: str, tmp_path: Path) -> None:
    known = f"md5:{hashlib.md5(b'other').hexdigest()}"
    with pytest.raises(MachineError, match=r"a\.bin: cannot be downloaded") as caught:
        fetch(RemoteFile(f"{url}/a.bin", known), tmp_path / "cache")
    assert caught.value.exit_code == 3
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_answer_leaves_nothing(tmp_path: Path) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}/a.bin"
        with pytest.raises(MachineError, match=r"a\.bin: cannot be downloaded") as caught:
            fetch(RemoteFile(url, "md5:0"), tmp_path / "cache")
    assert str(tmp_path / "cache") in caught.value.hint
    assert "\n" not in caught.value.line()
    assert list((tmp_path / "cache").iterdir()) == []
