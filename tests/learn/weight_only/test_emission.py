"""What engines answer of a model whose weights are in blocks, beside torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from edgekd import runtimes
from edgekd.bench import numerics
from edgekd.learn.export import to_onnx
from edgekd.learn.weight_only import emission
from edgekd.learn.weight_only import insertion
from edgekd.learn.weight_only.formats import BlockChoice
from edgekd.learn.weight_only.start import quantize_weights
from tests.block_example import INTERFACE
from tests.block_example import decoder
from tests.block_example import texts


@pytest.mark.parametrize(
    ("weights", "symmetric", "name"),
    [("int4", True, "int4"), ("int4", False, "int4"), ("int8", True, "int8")],
)
def test_engines_answer_as_torch_with_the_same_rounding(
    weights: str, symmetric: bool, name: str, tmp_path: Path
) -> None:
    choice = BlockChoice(weights, 32, symmetric, "int8", "int8")  # type: ignore[arg-type]
    data = texts(2)
    model = quantize_weights(
        decoder(), INTERFACE, choice, lambda: data, rounding="least-squares"
    ).model
    path = to_onnx.write(emission.prepare_export(model), tmp_path / "model.onnx", INTERFACE)
    graph = onnx.load(path).graph
    assert sum(node.op_type == "MatMulNBits" for node in graph.node) == 13
    floats = [w.name for w in graph.initializer if w.data_type == 1 and np.prod(w.dims) >= 48 * 48]
    assert not floats, "weights of a layer were left in float"
    assert numerics.name_numerics(numerics.read_contents(path), ()) == name
    with torch.no_grad():
        faked = model(*data[0])
        alike = emission.round_inputs(model)(*data[0])
        assert torch.allclose(faked, insertion.bake_weights(model)(*data[0]), atol=1e-5)
    feeds = dict(zip(("text", "text_mask"), (each.numpy() for each in data[0]), strict=True))
    for engine in ("onnxruntime", "openvino"):
        runtime = runtimes.find_runtime(engine)
        if runtime.why_not() is not None:
            continue
        folder = tmp_path / engine
        folder.mkdir()
        built = runtime.build(path, folder, name)
        (answer,) = runtime.load(built, name, 1).run(feeds)
        off = float((torch.from_numpy(answer) - alike).square().mean().sqrt() / alike.std())
        moved = float((faked - alike).square().mean().sqrt() / alike.std())
        # OpenVINO rounds inputs in groups of its own, where those of 32 do not divide them
        assert off < (0.5 if engine == "onnxruntime" else 1.5) * moved < 0.03, (engine, off, moved)


def test_a_model_without_blocks_is_refused() -> None:
    with pytest.raises(ValueError, match="without weights in blocks"):
        emission.prepare_export(decoder())


def test_pairs_of_codes_are_packed_low_half_first() -> None:
    codes = torch.tensor([[1, 2, 15]], dtype=torch.uint8)
    assert emission.pack_pairs(codes).tolist() == [[0x21, 0x0F]]
