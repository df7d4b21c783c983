from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from google.protobuf.internal.encoder import _VarintBytes
from onnx.reference import ReferenceEvaluator

from edgekd.bench.pair import reference_model


def test_it_is_a_model_that_computes_what_it_says() -> None:
    parsed = onnx.load_model_from_string(reference_model.make_model(3, 16))
    onnx.checker.check_model(parsed, full_check=True)
    x = np.random.default_rng(0).standard_normal((2, 16)).astype(np.float32)
    matrix = np.eye(16) - np.full((16, 16), 2 / 16)
    want = x
    for _ in range(3):
        want = np.maximum(want @ matrix, 0)
    (y,) = ReferenceEvaluator(parsed).run(None, {"x": x})
    np.testing.assert_allclose(y, want, atol=1e-5)


def test_onnxruntime_runs_it() -> None:
    fixed = onnxruntime.InferenceSession(
        reference_model.make_model(batch=2), providers=["CPUExecutionProvider"]
    )
    assert fixed.get_inputs()[0].shape == [2, reference_model.SIDE]
    session = onnxruntime.InferenceSession(
        reference_model.make_model(), providers=["CPUExecutionProvider"]
    )
    (y,) = session.run(None, {"x": np.ones((1, reference_model.SIDE), np.float32)})
    assert y.shape == (1, reference_model.SIDE) and np.isfinite(y).all()


def test_more_layers_are_more_of_the_same_work() -> None:
    counts = [
        len(onnx.load_model_from_string(reference_model.make_model(layers)).graph.node)
        for layers in (20, 21)
    ]
    assert counts == [40, 42]
    assert abs(len(reference_model.make_model(20)) - len(reference_model.make_model(21))) < 200


def test_numbers_are_written_as_protobuf_does() -> None:
    for value in (0, 1, 127, 128, 129, 300, 2**14 - 1, 2**14, 2**35):
        assert reference_model._varint(value) == _VarintBytes(value)
