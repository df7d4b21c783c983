"""Which kinds of block run in int8, and that embeddings stored so are what was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd import interface
from edgekd.learn.edits import quantize as edit
from edgekd.learn.export import to_onnx
from edgekd.learn.quant import blocks
from edgekd.learn.quant import emit
from edgekd.learn.quant import insertion
from edgekd.learn.quant import operators
from edgekd.learn.quant import post_training
from edgekd.learn.quant import tracing
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES
from edgekd.runtimes import openvino
from edgekd.runtimes import ort
from tests import quant_example as example

VOCABULARY, WIDTH = 50, 16
TEXT = interface.Interface(
    (interface.Tensor("tokens", "int64", (interface.BATCH, 6), "index", below=VOCABULARY),),
    (interface.Tensor("vector", "float32", (interface.BATCH, WIDTH)),),
)


class Embedder(nn.Module):
    """A table of rows of very different sizes, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(VOCABULARY, WIDTH), nn.Linear(WIDTH, WIDTH)
        with torch.no_grad():
            self.table.weight.mul_(torch.logspace(-2, 1, VOCABULARY)[:, None])

    def forward(self, tokens: Tensor) -> Tensor:
        return self.layer(self.table(tokens).mean(1))


def tokens(count: int = 16) -> Tensor:
    return torch.randint(VOCABULARY, (count, 6), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> post_training.QuantizedStart:
    monkeypatch.setattr(blocks, "LEAST_TABLE", VOCABULARY * WIDTH)
    torch.manual_seed(0)
    batches = [(tokens(),)]
    return post_training.quantize(Embedder(), TEXT, NUMERICS["asymmetric"], lambda: batches)


def test_attention_is_found_through_masks_and_scales() -> None:
    graph = example.folded(example.Tokens).graph
    products = [node for node in graph.nodes if node.target in operators.MATMULS]
    assert len(products) == 2 and blocks.find_attention_products(graph) == set(products)
    forms = blocks.resolve_forms({})
    assert blocks.find_float_products(graph, forms) == set(products)
    assert blocks.find_float_products(graph, example.INT8_ATTENTION) == set()


def test_a_product_without_a_softmax_is_no_attention() -> None:
    class Gram(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(example.SIDE, 4)

        def forward(self, images: Tensor) -> Tensor:
            return self.fc(torch.matmul(images, images.transpose(2, 3)).mean((1, 2)))

    graph = tracing.trace(
        Gram(),
        example.INTERFACE._replace(
            outputs=(interface.Tensor("y", "float32", (interface.BATCH, 4)),)
        ),
    ).graph
    assert blocks.find_attention_products(graph) == set()


def test_what_a_kind_runs_in_is_told() -> None:
    told = example.quantized(example.Tokens).summary()["blocks"]
    assert told["attention-products"] == ("float", 2) and told["layers"][0] == "int8"
    assert told["layer-norms"] == ("float", 2) and "embeddings" not in told


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="blocks: got 'layers', want one of embeddings"):
        blocks.resolve_forms({"layers": "float"})


def test_rows_are_rounded_by_steps_of_their_own(embedder: post_training.QuantizedStart) -> None:
    (rows,) = insertion.find_row_quantizers(embedder.model).values()
    table = embedder.model.get_parameter("table.weight")
    assert not table.requires_grad
    got = rows(table, torch.arange(VOCABULARY))
    assert float(((got - table).abs().amax(1) / table.abs().amax(1)).max()) <= 0.5 / 127 + 1e-6
    assert rows.codes(table).abs().amax(1).eq(127).all()


@pytest.mark.parametrize("profile", ["x86", "openvino"])
def test_the_file_holds_codes_and_answers_as_was_trained(
    embedder: post_training.QuantizedStart, profile: str, tmp_path: Path
) -> None:
    written = emit.prepare_export(embedder.model, PROFILES[profile])
    path = to_onnx.write(written, tmp_path / "model.onnx", TEXT)
    tables = [weight for weight in onnx.load(path).graph.initializer if VOCABULARY in weight.dims]
    assert sorted((table.data_type, tuple(table.dims)) for table in tables) == [
        (onnx.TensorProto.FLOAT, (VOCABULARY, 1)),
        (onnx.TensorProto.INT8, (VOCABULARY, WIDTH)),
    ]
    session = ort.load({"model.onnx": path}, "int8", 1)
    (got,) = session.run({"tokens": tokens(8).numpy()})
    with torch.no_grad():
        want = embedder.model(tokens(8)).numpy()
    engine = {"x86": ort, "openvino": openvino}[profile]
    (tmp_path / "built").mkdir()
    built = engine.build(path, tmp_path / "built", "int8")
    assert engine.islands(built, "int8") == []  # rows that are stored so are no int8 arithmetic
    site = max(one.step() for one in insertion.find_activation_quantizers(embedder.model).values())
    np.testing.assert_allclose(got, want, atol=site)


def test_the_edit_makes_the_same_model_again(
    embedder: post_training.QuantizedStart,
) -> None:
    words = {"scheme": "asymmetric", "blocks": blocks.resolve_forms({}), "scaled": []}
    again = edit.apply(Embedder(), words, TEXT)
    again.load_state_dict(embedder.model.state_dict())
    assert torch.equal(again(tokens()), embedder.model(tokens()))
    earlier = edit.apply(Embedder(), {"scheme": "asymmetric"}, TEXT)
    assert not insertion.find_row_quantizers(earlier)  # what an edit meant before there were kinds
