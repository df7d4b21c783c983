from __future__ import annotations

import pytest
from onnx import TensorProto
from onnx import helper

from edgekd import value_info


@pytest.mark.parametrize(
    ("sizes", "read"),
    [
        ([2, 3], (2, 3)),
        ([], ()),
        (["N", 0, None, "", -1, "a b"], ("N", 0, None, None, None, "a b")),
        (None, None),
    ],
)
def test_sizes_are_numbers_names_or_free(
    sizes: list[int | str | None] | None, read: object
) -> None:
    data = helper.make_tensor_value_info("x", TensorProto.INT64, sizes).SerializeToString()
    assert value_info.read(data, 0, len(data)) == ("x", TensorProto.INT64, read)


def test_a_sequence_is_no_tensor() -> None:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(1, [2]))
    data = helper.make_value_info("s", kind).SerializeToString()
    assert value_info.read(data, 0, len(data)) == ("s", 0, None)
