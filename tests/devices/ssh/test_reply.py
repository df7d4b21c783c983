from __future__ import annotations

import json
import random
from typing import Any

import pytest

from edgekd.devices.ssh import reply
from edgekd.errors import MachineError

DIGEST = "0" * 64
GOOD: dict[str, Any] = {
    "returncode": 0,
    "timed_out": False,
    "overflowed": False,
    "drawn": {"token": "t"},
    "stdout": [DIGEST, 10],
    "stderr": [DIGEST, 0],
    "files": {"model.onnx": [DIGEST, 10**9]},
}
WRONG = [
    ("returncode", "0"), ("returncode", True), ("returncode", 10**9), ("timed_out", 1), ("overflowed", None),
    ("drawn", []), ("stdout", DIGEST), ("stdout", [DIGEST]), ("stdout", [DIGEST, -1]), ("stdout", [DIGEST, 10**12]),
    ("stdout", [DIGEST, 1.5]), ("stdout", ["0" * 63, 1]), ("stdout", ["../" * 21 + "x", 1]), ("stderr", [DIGEST, 2**20]),
    ("files", []), ("files", {"../x": [DIGEST, 1]}), ("files", {"/etc/x": [DIGEST, 1]}), ("files", {".x": [DIGEST, 1]}),
    ("files", {"a\x1b[2Jb": [DIGEST, 1]}), ("files", {"a": [DIGEST, 2**40]}), ("files", {"": [DIGEST, 1]}),
    ("files", {str(i): [DIGEST, 1] for i in range(2000)}), ("files", {str(i): [DIGEST, 2**33] for i in range(3)}),
]  # fmt: skip


def test_a_result() -> None:
    told = reply.parse_result(GOOD, "device x", takes=True)
    assert told.files == {"model.onnx": reply.AnnouncedFile(DIGEST, 10**9)}


@pytest.mark.parametrize(("field", "value"), WRONG, ids=range(len(WRONG)))
def test_no_result(field: str, value: Any) -> None:
    for broken in ({**GOOD, field: value}, {k: v for k, v in GOOD.items() if k != field}):
        with pytest.raises(MachineError) as caught:
            reply.parse_result(broken, "device x", takes=True)
        assert len(caught.value.line()) <= 250 and "\x1b" not in str(caught.value)


def test_files_nobody_asked_for() -> None:
    with pytest.raises(MachineError, match="more files"):
        reply.parse_result(GOOD, "device x", takes=False)


def test_fuzzed_results_are_taken_or_refused() -> None:
    rng = random.Random(0)
    text = json.dumps(GOOD)
    for _ in range(3000):
        at = rng.randrange(len(text))
        changed = (
            text[:at] + rng.choice(["", "\x1b", '"', "{", "9" * 40, "null", "é"]) + text[at + 1 :]
        )
        try:
            told = reply.parse_result(reply.parse_frame(changed.encode(), "x"), "x", takes=True)
        except MachineError as error:
            assert error.line().isprintable()
        else:
            assert told.stdout.size_bytes <= 64 * 2**20
            assert all("/" not in name for name in told.files)


@pytest.mark.parametrize(
    "line", [b"", b"1", b"[]", b"{", b"[" * 10**5, b'{"a":' * 10**5, b"\xff", b"null"]
)
def test_no_frame(line: bytes) -> None:
    with pytest.raises(MachineError):
        reply.parse_frame(line, "device x")


def test_what_a_worker_said_moves_no_cursor() -> None:
    value = {"a\x1b": ["\x1b[2J", {"b": "\x9b1m\n"}, 1.5], "times": [1, 2.5], "mixed": [1, "\x07"]}
    lines = json.dumps(value).encode() + b"\nnot\x1bjson\n" + b"[" * 10**5
    first, second, third = reply.escape_stdout(lines, {}).splitlines()
    assert json.loads(first) == {
        "a\\x1b": ["\\x1b[2J", {"b": "\\x9b1m\\n"}, 1.5],
        "times": [1, 2.5],
        "mixed": [1, "\\x07"],
    }
    assert second == b"not\\x1bjson" and third.startswith(b"[[[")
    assert reply.escape_stderr(b"a\x1b[0m\nb\xff") == "a\\x1b[0m\nb\ufffd".encode()


def test_a_drawn_value_is_replaced_where_it_is_the_whole_text() -> None:
    line = b'{"token": "old", "other": "old and more", "number": 1}'
    cleaned = json.loads(reply.escape_stdout(line, {"old": "new"}))
    assert cleaned == {"token": "new", "other": "old and more", "number": 1}
