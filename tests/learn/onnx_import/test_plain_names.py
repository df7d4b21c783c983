"""Inputs and outputs of strangers' files under names that everything takes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from edgekd.interface import NAME
from edgekd.learn.onnx_import.plain_names import give_plain_names
from tests.onnx_example import make_model
from tests.onnx_example import run_model

node = helper.make_node
ODD = '{"1": "1_minute_timer", "2": "5_minute_timer", "3": "' + 90 * "x" + '"}'


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("x", "y"),
        ("onnx::Flatten_0", "13"),
        ("the input", ODD),
        ("middle!", "middle?"),
        ("äö", "{}"),
        ("-", " "),
    ],
)
def test_ends_get_plain_names_and_the_answers_stay(given: str, wanted: str) -> None:
    end = helper.make_tensor_value_info("z", 1, [1, 4])
    branches = {
        f"{word}_branch": helper.make_graph([node(op, [given], ["z"])], op, [], [end])
        for word, op in (("then", "Relu"), ("else", "Neg"))
    }
    nodes = [
        node("ReduceMax", [given], ["middle"], keepdims=0),
        node("Greater", ["middle", "one"], ["c"]),
        node("If", ["c"], [wanted], **branches),
        node("Neg", [wanted], ["again"]),
    ]
    one = {"one": np.array(1, np.float32)}
    ends = {given: [1, 4]}, {wanted: [1, 4], "again": [1, 4]}
    model = make_model(nodes, *ends, one)
    data = model.SerializeToString()
    found = give_plain_names(data)
    plain = onnx.load_from_string(found)
    onnx.checker.check_model(plain)
    assert all(end.doc_string in ("", given, wanted) for end in plain.graph.output)
    assert plain.graph.output[0].doc_string == ("" if NAME.fullmatch(wanted) else wanted)
    names = [end.name for end in (*plain.graph.input, *plain.graph.output)]
    assert all(map(NAME.fullmatch, names)) and len(set(names)) == len(names)
    if NAME.fullmatch(given) and NAME.fullmatch(wanted):
        assert found == data
    x = np.array([[1, -2, 3, 0.5]], np.float32)
    for want, got in zip(run_model(model, x), run_model(plain, x), strict=True):
        np.testing.assert_array_equal(got, want)


def test_what_cannot_be_read_is_left_to_who_runs_it() -> None:
    assert give_plain_names(b"MZ" * 9) == b"MZ" * 9
