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
