from __future__ import annotations

import time

import pytest

from edgekd.device import Order
from edgekd.devices import local

# `python -I -m MODULE` runs any module; these of the standard library stand in for a worker


def test_stdin_stdout_and_exit_code() -> None:
    ended = local.run(Order("json.tool", b'{"a": 1}', {"PATH": ""}, 30))
    assert (ended.returncode, ended.timed_out, ended.overflowed) == (0, False, False)
    assert b'"a": 1' in ended.stdout
    ended = local.run(Order("json.tool", b"{", {}, 30))
    assert ended.returncode == 1 and ended.stderr


def test_a_slow_one_is_killed() -> None:
    start = time.monotonic()
    ended = local.run(Order("http.server", b"", {}, 0.5))
    assert ended.timed_out and ended.returncode == -9
    assert time.monotonic() - start < 10


def test_one_that_writes_for_ever_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "STDOUT_BYTES", 1000)
    # json.tool echoes its input
    ended = local.run(Order("json.tool", b'["' + b"x" * 5000 + b'"]', {}, 30))
    assert ended.overflowed and len(ended.stdout) == 1000
