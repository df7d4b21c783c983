from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import helper

from edgekd import graph
from edgekd.bench import index_ranges
from tests import foreign_example
from tests.foreign_example import INT64
from tests.foreign_example import save
from tests.foreign_example import value


def test_ids_stay_inside_their_table(tmp_path: Path) -> None:
    model = foreign_example.embedding(tmp_path / "net.onnx", rows=50)
    assert index_ranges.find_limits(graph.read(model)) == {"ids": 50}


def test_the_smallest_table_counts_along_its_own_axis(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Unsqueeze", ["ids", "axes"], ["more"]),
        helper.make_node("Gather", ["wide", "more"], ["a"], axis=-1),
        helper.make_node(
            "Constant", [], ["held"], value=helper.make_tensor("v", 1, [9, 2], [0.0] * 18)
        ),
        helper.make_node("Identity", ["held"], ["tall"]),
        helper.make_node("Gather", ["tall", "ids"], ["b"]),
        helper.make_node("Gather", ["computed", "other"], ["c"]),
        helper.make_node("Relu", ["tall"], ["computed"]),
    ]
    inputs = [value("ids", ["N"], INT64), value("other", ["N"], INT64)]
    stored = {"wide": np.zeros((3, 8), np.float32), "axes": np.array([0])}
    model = save(tmp_path / "net.onnx", nodes, inputs, [value("a", None)], stored)
    assert index_ranges.find_limits(graph.read(model)) == {"ids": 8}


def test_an_input_may_be_the_table(tmp_path: Path) -> None:
    node = helper.make_node("GatherElements", ["x", "ids"], ["y"], axis=1)
    inputs = [value("x", [4, 6]), value("ids", [4, 2], INT64)]
    model = save(tmp_path / "net.onnx", [node], inputs, [value("y", None)])
    assert index_ranges.find_limits(graph.read(model)) == {"ids": 6}
