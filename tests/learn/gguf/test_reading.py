"""The structure of a GGUF file: what lies, what is cut short, what claims too much."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.learn.gguf.reading import read_head
from edgekd.learn.gguf.reading import read_tensors
from tests.gguf_example import llama
from tests.gguf_example import pack
from tests.gguf_example import text

ONES = np.ones((2, 3), np.float32).tobytes()


def write(folder: Path, data: bytes) -> Path:
    path = folder / "m.gguf"
    path.write_bytes(data)
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    file = read_head(write(tmp_path, pack(llama(), {"a": (0, (2, 3), ONES), "b": (0, (6,), ONES)})))
    assert file.metadata == {
        **llama(),
        "llama.attention.layer_norm_rms_epsilon": pytest.approx(1e-5),
    }
    found = dict(read_tensors(file))
    assert found["a"].shape == (2, 3) and found["b"].shape == (6,)
    assert all((each == 1).all() for each in found.values())


def test_every_cut_is_refused(tmp_path: Path) -> None:
    whole = pack({"k": ["x", "y"], "n": 3}, {"a": (0, (2, 3), ONES)})
    for length in range(len(whole) - len(ONES) % 32, 0, -7):
        with pytest.raises(InputError, match="got no usable GGUF file"):
            read_head(write(tmp_path, whole[: length - 1]))


@pytest.mark.parametrize(
    "data, want",
    [
        (b"GGML" + bytes(40), "does not begin with GGUF"),
        (pack({}, {}, version=1), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**60, 0), "tensors and 0 entries"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**62), "in the middle"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 4, 2**40),
            "a list of 1099511627776 values",
        ),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 9, 1),
            "values of type 9",
        ),
        (pack({}, {"a": (0, (2**40, 2**40), ONES)}), "lies outside of the file"),
        (pack({}, {"a": (5, (2, 3), ONES)}), "of type 5"),
        (pack({}, {"a": (2, (2, 3), ONES)}), "want rows of whole blocks"),
        (pack({}, {"a": (0, (0,), b"")}), "want rows of whole blocks"),
        (pack({"general.alignment": 0}, {"a": (0, (2, 3), ONES)}), "alignment 0"),
    ],
)
def test_what_claims_too_much(tmp_path: Path, data: bytes, want: str) -> None:
    with pytest.raises(InputError, match=want) as caught:
        read_head(write(tmp_path, data))
    assert "\n" not in caught.value.line()
