from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.api.recipes import quantize_recipe
from edgekd.cli import arguments
from edgekd.errors import InputError


@pytest.mark.parametrize(
    ("model", "says", "hint"),
    [
        ("odd.onx", "model: got no file odd.onx", "did you mean 'odd.onnx'?"),
        ("./odd.on", "model: got no file ./odd.on", "did you mean 'odd.onnx'?"),
        ("w/odd.onnx", "model: got no file w/odd.onnx", ""),
        ("w/a.safetensors", "want an ONNX file or a name", "--weights w/a.safetensors beside"),
    ],
)
def test_a_model_s_file_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, says: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w").mkdir()
    for name in ("odd.onnx", "w/a.safetensors"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError) as refused:
        arguments.read_model(model)
    assert says in str(refused.value)
    assert refused.value.hint.startswith(hint) and bool(hint) == bool(refused.value.hint)
    assert arguments.read_model("odd.onnx") == "odd.onnx"


def test_data_may_be_a_mapping_as_in_a_recipe() -> None:
    text = "{name: image-folder, reference: photos, size: 48, on_broken: skip}"
    want = {"name": "image-folder", "reference": "photos", "size": 48, "on_broken": "skip"}
    assert arguments.read_source(text) == want
    assert quantize_recipe("resnet8", data=want)["data"] == {"source": want}
    assert arguments.read_source("npz:{odd}.npz") == "npz:{odd}.npz"
    with pytest.raises(InputError, match="want {name: SOURCE"):
        arguments.read_source("{name: [")
