"""A module of one's own in int8: its files answer as the module that torch runs, and nearly as the float one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

import edgekd
from edgekd.errors import InputError
from tests.learn.standalone_example import Texts
from tests.learn.standalone_example import batches
from tests.learn.standalone_example import net
from tests.learn.standalone_example import text_batches


def answers(path: Path, *inputs: torch.Tensor) -> Any:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, (x.numpy() for x in inputs), strict=True)))[0]


def test_files_answer_as_the_module_does(tmp_path: Path) -> None:
    model, loader = net(8), batches()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    quantized = edgekd.quantize(model, loader, targets=("x86", "openvino", "arm"))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert set(quantized.profiles) == {"x86", "openvino", "arm"}
    assert all(share is not None and share > 0.95 for share in quantized.agreement.values())
    files = quantized.save(tmp_path / "int8")
    images = loader[0][0]
    with torch.no_grad():
        want, float_answers = quantized.module("x86")(images).numpy(), model.eval()(images).numpy()
    step = np.abs(float_answers).max() / 64
    assert np.abs(want - float_answers).max() > 0
    np.testing.assert_allclose(answers(files["x86"], images), want, atol=step)
    assert files["arm"].name == "arm.onnx"


def test_sizes_that_differ_stay_free(tmp_path: Path) -> None:
    quantized = edgekd.quantize(Texts(), text_batches(5, 7))
    (path,) = quantized.save(tmp_path).values()
    (longer,) = text_batches(11)
    assert answers(path, longer["ids"], longer["mask"]).shape == (8, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"float_layers": ["x"]}, "float_layers: got 'x'"),
        ({"batches": []}, "batches: got none"),
    ],
)
def test_what_cannot_be_is_said(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        edgekd.quantize(net(2), options.pop("batches", batches(1)), **options)


def test_another_target_is_refused() -> None:
    quantized = edgekd.quantize(net(2), batches(1), targets=("x86",), calibration="min-max")
    with pytest.raises(InputError, match="got 'arm', want one that it was quantized for: x86"):
        quantized.module("arm")
