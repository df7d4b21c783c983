"""What `edgekd export` takes; what it writes is looked at in `tests/system/test_compress.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekd.cli import export
from edgekd.errors import InputError
from tests import report_example


def test_the_chosen_candidate_unless_another_is_named() -> None:
    made = report_example.result()
    names = [row.name for row in made.candidates]
    for name in (None, *names):
        row = export.find_candidate(made, name)
        assert row is not None and row.name == (name or made.chosen)
    assert export.find_candidate(made.model_copy(update={"chosen": None}), None) is None
    with pytest.raises(InputError, match="--candidate: got unknown 'x'"):
        export.find_candidate(made, "x")


@pytest.mark.parametrize(
    ("form", "there"), [("onnx", "s.onnx"), ("torch", "s.json"), ("torch", "s.safetensors")]
)
def test_a_file_that_is_there_is_not_replaced_unasked(
    tmp_path: Path, form: str, there: str
) -> None:
    (tmp_path / there).write_text("mine")
    asked = [str(tmp_path), "--to", form, "-o", str(tmp_path / "s.onnx")]
    done = CliRunner().invoke(export.command, asked)
    assert isinstance(done.exception, InputError) and f"{there}: exists already" in str(
        done.exception
    )
    replaced = CliRunner().invoke(export.command, [*asked, "--replace"])  # there is no run
    assert isinstance(replaced.exception, InputError) and "result.json" in str(replaced.exception)
    assert (tmp_path / there).read_text() == "mine"


def test_the_candidate_and_how_to_get_another_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = report_example.result()
    first = next(row for row in made.candidates if row.name == made.chosen)
    row = first.model_copy(update={"name": "int8-row", "precision": "int8", "profile": "x86"})
    both = made.model_copy(update={"candidates": (first, row)})
    (tmp_path / "a").write_bytes(b"1")
    monkeypatch.setattr(export, "_delivered", lambda *_: tmp_path / "a")
    for given, form, other in ((first, "float", row), (row, "int8", first)):
        export._write_onnx(tmp_path, both, given, tmp_path / "b")
        assert capsys.readouterr().out.splitlines()[1:] == [
            f"candidate: {given.name}, {form}",
            f"another:   --candidate {other.name}",
        ]
