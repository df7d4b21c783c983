"""A file's inputs as the data's: by name, the others in order; the answers stay."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from edgekd.errors import InputError
from edgekd.interface import BATCH
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn.onnx_import.matching import match_ends
from tests.onnx_example import make_model
from tests.onnx_example import run_model

node = helper.make_node
A, B = np.array([[1, -2]], np.float32), np.array([[0.5, 3]], np.float32)


def subtract(first: str, second: str, inner: str = "d", *, wide: int = 2) -> onnx.ModelProto:
    """`first` - `second`, doubled; with an inner value of some name."""
    nodes = [node("Sub", [first, second], [inner]), node("Add", [inner, inner], ["y"])]
    return make_model(nodes, {first: ["n", 2], second: ["n", wide]}, {"y": ["n", 2]})


def take(*names: str) -> Interface:
    ends = tuple(Tensor(name, "float32", (BATCH, 2)) for name in names)
    return Interface(ends, (Tensor("logits", "float32", (BATCH, 2)),))


@pytest.mark.parametrize(
    ("model", "names", "renamed", "rows"),
    [
        (subtract("a", "b"), ("a", "b"), {}, (A, B)),
        (subtract("a", "b"), ("b", "a"), {}, (B, A)),
        (subtract("x", "z"), ("a", "b"), {"x": "a", "z": "b"}, (A, B)),
        (subtract("x", "a"), ("a", "b"), {"x": "b"}, (B, A)),
        (subtract("x", "z", "a"), ("a", "b"), {"x": "a", "z": "b"}, (A, B)),
    ],
)
def test_names_count_before_order(
    model: onnx.ModelProto,
    names: tuple[str, ...],
    renamed: dict[str, str],
    rows: tuple[np.ndarray, ...],
) -> None:
    data = model.SerializeToString()
    matched = match_ends(data, take(*names), "m")
    again = onnx.load_from_string(matched.data)
    onnx.checker.check_model(again)
    assert [end.name for end in again.graph.input] == list(names)
    assert matched.renamed == renamed
    olds = {end.name: end.doc_string for end in again.graph.input if end.doc_string}
    assert olds == {new: old for old, new in renamed.items()}
    assert (matched.data == data) == (names == ("a", "b") and not renamed)
    np.testing.assert_array_equal(run_model(again, *rows)[0], 2 * (A - B))


def test_what_cannot_be_matched_is_told() -> None:
    data = subtract("x", "z", wide=1).SerializeToString()
    with pytest.raises(InputError, match=r"m: got inputs x, z, want .* the data have: a$"):
        match_ends(data, take("a"), "m")
    with pytest.raises(InputError, match=r"m: z: got float32 \[\?, 1\], want float32 \[batch, 2\]"):
        match_ends(data, take("a", "b"), "m")
    assert match_ends(b"MZ" * 9, take("a"), "m").data == b"MZ" * 9
