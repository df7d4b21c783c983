"""Weights that are taken out of a model come back to the same model."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx import numpy_helper

from edgekd.admission import weight_files
from edgekd.admission.external_data import embed_weights

SIZES = {"a": (40, 16), "b": (16, 33), "c": (3,)}


def model(path: Path, seed: int = 0, names: str = "abc") -> Path:
    """x times a times b, and a number that nothing needs outside; the names are those of the weights."""
    random = np.random.default_rng(seed)
    held = [
        numpy_helper.from_array(random.standard_normal(size).astype(np.float32), name)
        for name, size in zip(names, SIZES.values(), strict=True)
    ]
    nodes = [
        helper.make_node("MatMul", ["x", names[0]], ["y"]),
        helper.make_node("MatMul", ["y", names[1]], ["z"]),
    ]
    ends = [helper.make_tensor_value_info(n, 1, ["n", w]) for n, w in (("x", 40), ("z", 33))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], held)
    opset = [helper.make_opsetid("", 18)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset).SerializeToString())
    return path


def test_weights_beside_the_graph_are_the_same_when_put_back(tmp_path: Path) -> None:
    path, folder = model(tmp_path / "m.onnx"), tmp_path / "out"
    folder.mkdir()
    read, name = weight_files.detach_weights(path, folder)
    assert [each.name for each in folder.iterdir()] == [name]
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == name
    assert len(read) < 1500
    (folder / "g.onnx").write_bytes(read)
    back = onnx.load(embed_weights(folder / "g.onnx", tmp_path / "back.onnx"))
    want = onnx.load(path)
    assert back.graph.node == want.graph.node
    assert {w.name: w.raw_data for w in back.graph.initializer} == {
        w.name: w.raw_data for w in want.graph.initializer
    }
    onnx.checker.check_model(str(folder / "g.onnx"), full_check=True)
    graph = onnx.load(folder / "g.onnx", load_external_data=False).graph.initializer
    assert [len(w.external_data) for w in graph] == [3, 3, 0]  # a small one stays
    offsets = {int(e.value) for w in graph for e in w.external_data if e.key == "offset"}
    assert offsets == {0, 40 * 16 * 4} and not any(o % weight_files.ALIGNMENT for o in offsets)
    again = weight_files.detach_weights(path, folder)
    assert again == (read, name)


def test_only_what_the_other_model_holds_is_left_to_it(tmp_path: Path) -> None:
    holder = model(tmp_path / "holder.onnx", seed=0)
    same, other = model(tmp_path / "a", 0, "uvw"), model(tmp_path / "b", 1, "uvw")
    shared = onnx.load_from_string(weight_files.share_weights(same, holder, "holder.onnx"))
    assert {w.name: len(w.raw_data) for w in shared.graph.initializer} == {"u": 0, "v": 0, "w": 12}
    (tmp_path / "shared.onnx").write_bytes(shared.SerializeToString())
    whole = onnx.load(embed_weights(tmp_path / "shared.onnx", tmp_path / "whole.onnx"))
    assert {w.name: w.raw_data for w in whole.graph.initializer} == {
        w.name: w.raw_data for w in onnx.load(same).graph.initializer
    }
    alone = weight_files.share_weights(other, holder, "holder.onnx")
    assert onnx.load_from_string(alone) == onnx.load(other)


def test_other_files_than_its_own_are_refused(tmp_path: Path) -> None:
    read, name = weight_files.detach_weights(model(tmp_path / "m.onnx"), tmp_path)
    (tmp_path / "g.onnx").write_bytes(read)
    weight_files.require_beside(tmp_path / "g.onnx", {name})
    with pytest.raises(ValueError, match=f"got weights in '{name}', want them in its own files"):
        weight_files.require_beside(tmp_path / "g.onnx", {"weights"})
