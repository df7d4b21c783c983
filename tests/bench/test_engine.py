from __future__ import annotations

from pathlib import Path

from edgekd.bench.engine import Engine
from edgekd.bench.engine import laid_out


def test_files_lie_side_by_side_under_their_names(tmp_path: Path) -> None:
    for name in ("a1", "b2"):
        (tmp_path / name).write_text(name)
    given = {"model.xml": tmp_path / "a1", "model.bin": tmp_path / "b2"}
    engine = Engine("openvino", "bf16", 2, given)
    with laid_out(engine) as linked:
        assert {n: p.name for n, p in linked.files.items()} == {n: n for n in given}
        assert linked.files["model.xml"].read_text() == "a1"
        assert len({p.parent for p in linked.files.values()}) == 1
    assert not linked.files["model.xml"].parent.exists()
    assert (tmp_path / "a1").read_text() == "a1"


def test_label() -> None:
    assert Engine("onnxruntime", "fp32", 2, {}).label() == "onnxruntime-fp32-2t"
