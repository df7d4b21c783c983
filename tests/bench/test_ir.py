from __future__ import annotations

from pathlib import Path

import openvino
import pytest

from edgekd.bench import ir
from edgekd.errors import InputError
from tests import bench_example

GOOD = '<?xml version="1.0"?><net name="n" version="11"><layers>{}</layers></net>'
DATA = '<layer><data element_type="f32" shape="4" offset="{}" size="{}"/></layer>'


def pair(folder: Path, text: str, size_bytes: int = 16) -> tuple[Path, Path]:
    (folder / "model.xml").write_text(text)
    (folder / "model.bin").write_bytes(b"x" * size_bytes)
    return folder / "model.xml", folder / "model.bin"


def test_an_ir_that_openvino_wrote(tmp_path: Path) -> None:
    model = openvino.Core().read_model(bench_example.write_onnx(tmp_path / "net.onnx"))
    openvino.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
    ir.admit(tmp_path / "model.xml", tmp_path / "model.bin")
    weights = (tmp_path / "model.bin").read_bytes()
    (tmp_path / "model.bin").write_bytes(weights[:-1])
    with pytest.raises(ValueError, match="got weights at"):
        ir.admit(tmp_path / "model.xml", tmp_path / "model.bin")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "got 0 bytes"),
        ("no xml", "got no XML"),
        (GOOD.format("")[:-4], "got no XML"),
        ("<html></html>", "got <html>"),
        ('<!DOCTYPE net [<!ENTITY a "b">]><net>&a;</net>', "got a DOCTYPE"),
        ('<!DOCTYPE net SYSTEM "file:///etc/passwd"><net/>', "got a DOCTYPE"),
        ("<?evil go?><net/>", "a processing instruction"),
        (GOOD.format(DATA.format(0, 17)), "got weights at 0 of 17 bytes in a file of 16"),
        (GOOD.format(DATA.format(2**64, 1)), "got the offset or size"),
        (GOOD.format(DATA.format(-1, 4)), "got the offset or size '-1'"),
        (GOOD.format('<layer><data offset="0"/></layer>'), "got the offset or size ''"),
        ("<net>" * 100 + "</net>" * 100, "nested beyond reason"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ValueError, match="model.xml: got") as caught:
        ir.admit(*pair(tmp_path, text))
    assert says in str(caught.value)


def test_what_is_admitted(tmp_path: Path) -> None:
    ir.admit(*pair(tmp_path, GOOD.format(DATA.format(0, 16))))


def test_missing_weights(tmp_path: Path) -> None:
    graph, weights = pair(tmp_path, GOOD.format(""))
    weights.unlink()
    with pytest.raises(InputError):
        ir.admit(graph, weights)
