from __future__ import annotations

import onnx
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from edgekd.wire import BYTES
from edgekd.wire import VARINT
from edgekd.wire import read_fields
from edgekd.wire import read_varint


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**63 - 1)), st.binary(), st.floats(width=32))
def test_fields_are_protobufs(dims: list[int], raw: bytes, value: float) -> None:
    tensor = onnx.TensorProto(dims=dims, raw_data=raw, float_data=[value], name="n")
    data = tensor.SerializeToString()
    found = list(read_fields(data, 0, len(data)))
    assert [f.start for f in found if f.number == 1 and f.wire == VARINT] == dims
    texts = {f.number: data[f.start : f.end] for f in found if f.wire == BYTES}
    assert texts[8] == b"n" and texts.get(9, b"") == raw


@settings(deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_fields_or_a_value_error(data: bytes) -> None:
    try:
        found = list(read_fields(data, 0, len(data)))
    except ValueError as error:
        assert "want an ONNX model" in str(error)
    else:
        assert all(f.end <= len(data) for f in found)


@pytest.mark.parametrize("data", [b"\x80", b"\x80" * 11])
def test_a_number_cut_short_or_too_long(data: bytes) -> None:
    with pytest.raises(ValueError, match="want an ONNX model"):
        read_varint(data, 0, len(data))
