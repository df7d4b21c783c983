from __future__ import annotations

from pathlib import Path

import openvino
import pytest

from edgekd.bench import interface
from edgekd.bench import ir
from edgekd.errors import InputError
from tests import bench_example

GOOD = '<?xml version="1.0"?><net name="n" version="11"><layers>{}</layers></net>'
DATA = '<layer><data element_type="f32" shape="4" offset="{}" size="{}"/></layer>'
CONST = '<layer type="Const"><data element_type="{}" shape="{}" offset="0" size="{}"/></layer>'
NET = '<net name="n"><layers/><edges>{}</edges></net>'
EDGE = '<edge from-layer="{}" from-port="0" to-layer="{}" to-port="0"/>'


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
        (GOOD.format(DATA.format(2**64, 1)), "got the offset, size"),
        (GOOD.format(DATA.format(-1, 4)), "dimension '-1'"),
        (GOOD.format('<layer type="Const"><data offset="0"/></layer>'), "dimension ''"),
        (GOOD.format(CONST.format("f32", "5", 16)), "shape '5' in 16 bytes"),
        (GOOD.format(CONST.format("f32", "2, 3", 16)), "shape '2, 3' in 16 bytes"),
        (GOOD.format(CONST.format("u4", "33", 16)), "shape '33' in 16 bytes"),
        (GOOD.format(CONST.format("f64", "3", 16)), "shape '3' in 16 bytes"),
        (
            GOOD.format(CONST.format("f32", "4611686018427387904, 4", 16)),
            "got a constant of the shape",
        ),
        (
            GOOD.format(CONST.format("f32", "4611686018427387904, 4, 0", 16)),
            "got a constant of the",
        ),
        (GOOD.format(CONST.format("f32", ",".join(["1"] * 65), 16)), "got a constant of the shape"),
        (GOOD.format(CONST.format("f32", "-1", 16)), "dimension '-1'"),
        (GOOD.format(CONST.format("f32", "?,4", 16)), "dimension '?'"),
        (GOOD.format(CONST.format("evil", "4", 16)), "of the type 'evil'"),
        (GOOD.format('<layer type="Const"><data offset="0" size="1"/></layer>'), "of the type ''"),
        (NET.format(EDGE.format(0, 1) + EDGE.format(1, 0)), "wait for each other"),
        (NET.format(EDGE.format(3, 3)), "wait for each other"),
        (
            f"<net><layer><body>{NET.format(EDGE.format(3, 3))[14:-6]}</body></layer></net>",
            "wait for",
        ),
        ("<net>" * 100 + "</net>" * 100, "nested beyond reason"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ValueError, match="model.xml: got") as caught:
        ir.admit(*pair(tmp_path, text))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        GOOD.format(DATA.format(0, 16)),
        GOOD.format(CONST.format("f32", "", 4)),
        GOOD.format(CONST.format("f32", "4", 16)),
        GOOD.format(CONST.format("u1", "127", 16)),
        GOOD.format(CONST.format("f32", "0, 99", 0)),
        GOOD.format('<layer type="PriorBox"><data offset="0.5" step="16"/></layer>'),
        GOOD.format('<layer type="Parameter"><data shape="?,3" element_type="f32"/></layer>'),
        NET.format(EDGE.format(0, 1) + EDGE.format(1, 2) + EDGE.format(0, 2)),
    ],
)
def test_what_is_admitted(tmp_path: Path, text: str) -> None:
    ir.admit(*pair(tmp_path, text))


def test_missing_weights(tmp_path: Path) -> None:
    graph, weights = pair(tmp_path, GOOD.format(""))
    weights.unlink()
    with pytest.raises(InputError):
        ir.admit(graph, weights)


def test_a_size_of_thousands_of_digits_is_refused(tmp_path: Path) -> None:
    layer = '<layer type="Parameter" name="x"><data element_type="f32" shape="1,{}"/></layer>'
    graph, weights = pair(tmp_path, GOOD.format(layer.format("9" * 5000)))
    with pytest.raises(InputError, match=r"model\.xml: got a size of 5000 digits"):
        interface.read_ir(graph, weights)


LAYER = '<layer id="{}" type="{}" name="n">{}</layer>'


def body(*layers: str, edges: str = "") -> str:
    return f"<layers>{''.join(layers)}</layers><edges>{edges}</edges>"


@pytest.mark.parametrize(("into", "name"), [(1, "int8"), (0, "fp32")])
@pytest.mark.parametrize("inside", [False, True])
def test_only_a_quantizer_on_the_way_to_a_result_makes_an_ir_int8(
    tmp_path: Path, into: int, name: str, inside: bool
) -> None:
    layers = [LAYER.format(0, "Parameter", ""), LAYER.format(1, "FakeQuantize", "")]
    text = body(
        *layers,
        LAYER.format(2, "Result", ""),
        edges=EDGE.format(0, 1) + EDGE.format(into, 2),
    )
    if inside:
        held = LAYER.format(5, "If", f"<then_body>{text}</then_body>")
        ends = LAYER.format(4, "Parameter", ""), LAYER.format(6, "Result", "")
        text = body(ends[0], held, ends[1], edges=EDGE.format(4, 5) + EDGE.format(5, 6))
    found = interface.read_ir(*pair(tmp_path, f"<net>{text}</net>"))
    assert found.numerics == name and len(found.inputs) == 1
