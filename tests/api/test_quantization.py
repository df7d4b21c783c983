"""What `edgekd.quantize` is asked for is checked before anything is calibrated."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from edgekd.api import quantization
from edgekd.device import Device
from edgekd.devices import find_device
from edgekd.errors import InputError


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "samples: got 0, want 1"),
        ({"equalize": 7}, "equalize: got 7, want 0 to 1"),
        ({"weight_bits": 1}, "weight_bits: got 1, want 2 to 8"),
        ({"weight_bits": "8"}, "weight_bits: got '8', want 2 to 8"),
        ({"calibration": "MSE"}, "calibration: got 'MSE', want one of: auto, min-max"),
        ({"targets": ()}, "targets: got none"),
        ({"targets": ("tflite",)}, "runtime: got unknown 'tflite'"),
        ({"batches": None}, "batches: got NoneType, want a DataLoader"),
        ({"model": "resnet8"}, "model: got str, want a torch.nn.Module"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(settings: dict[str, Any], message: str) -> None:
    said = {"model": nn.Linear(2, 2), "batches": [], **settings}
    with pytest.raises(InputError, match=message):
        quantization.quantize(said.pop("model"), said.pop("batches"), **said)


def test_one_engine_by_another_of_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def remember(runtime: str, layers: object, device: Device) -> str:
        asked.append(runtime)
        return "profile"

    monkeypatch.setattr(quantization, "runtime_profile", remember)
    assert quantization._profile("ort", find_device("local")) == "profile"
    assert asked == ["onnxruntime"]
