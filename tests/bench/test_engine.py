from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.bench.engine import Engine


def test_a_worker_is_told_names_not_places(tmp_path: Path) -> None:
    engine = Engine("openvino", "bf16", 2, {n: tmp_path / n for n in ("model.xml", "model.bin")})
    assert engine.spec() == {
        "runtime": "openvino",
        "precision": "bf16",
        "threads": 2,
        "files": {"model.xml": "in/model.xml", "model.bin": "in/model.bin"},
    }


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".x", "-x", "x\n", "x" * 101])
def test_only_plain_names(name: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        Engine("null", "fp32", 1, {name: Path("x")}).spec()


def test_label() -> None:
    assert Engine("onnxruntime", "fp32", 2, {}).label() == "onnxruntime-fp32-2t"
