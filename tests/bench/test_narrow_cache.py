"""A decoder's cache is in codes where they move its answers little; else the file stays byte for byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgekd.bench import narrow_cache
from edgekd.bench.golden import GoldenGroup
from edgekd.learn.export import cache_in_8_bits
from edgekd.learn.export.fused_decoder import FusedDecoder
from edgekd.stages.export import run_onnx
from tests import decoder_example as example


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return example.write(tmp_path / "fused.onnx", FusedDecoder(example.decoder()))


def group(*lengths: int) -> GoldenGroup:
    inputs = example.texts(lengths)
    return GoldenGroup(inputs, {}, {name: rows[:1] for name, rows in inputs.items()})


def narrow(path: Path, groups: dict[str, GoldenGroup], answered: dict[str, example.Arrays]) -> str:
    write = cache_in_8_bits.write_narrow
    return narrow_cache.narrow_cache(path, groups, answered, "text_mask", write)


def test_codes_replace_the_file(path: Path) -> None:
    groups = {"usual": group(12, 12), "longest": group(24)}
    answered = {name: run_onnx(path, each) for name, each in groups.items()}
    assert narrow(path, groups, answered) == ""
    ends = [*onnx.load(path).graph.input, *onnx.load(path).graph.output]
    kinds = {
        end.type.tensor_type.elem_type for end in ends if "past" in end.name or "pres" in end.name
    }
    assert kinds == {TensorProto.INT8} and [*path.parent.iterdir()] == [path]
    got = {name: run_onnx(path, each) for name, each in groups.items()}
    assert 0 < narrow_cache.find_move(got, answered) < narrow_cache.CACHE_TOLERANCE


def test_where_codes_answer_otherwise_nothing_changes(path: Path) -> None:
    groups, before = {"usual": group(12, 12)}, path.read_bytes()
    answered = {name: run_onnx(path, each) for name, each in groups.items()}
    others = {"usual": {"logits": 1.1 * answered["usual"]["logits"]}}
    why = narrow(path, groups, others)
    assert why.startswith("codes move its logits by 9.") and why.endswith("want at most 5%")
    assert path.read_bytes() == before and [*path.parent.iterdir()] == [path]


def test_a_file_without_fused_attention_stays(tmp_path: Path) -> None:
    plain = example.write(tmp_path / "plain.onnx", example.decoder())
    before, groups = plain.read_bytes(), {"usual": group(12)}
    answered = {name: run_onnx(plain, each) for name, each in groups.items()}
    assert "no attention's" in narrow(plain, groups, answered)
    assert plain.read_bytes() == before and [*tmp_path.iterdir()] == [plain]


def test_a_move_is_in_units_of_what_was_answered() -> None:
    want = {"usual": {"logits": np.array([3.0, -4.0])}}
    got = {"usual": {"logits": np.array([3.0, -4.5])}}
    assert narrow_cache.find_move(got, want) == pytest.approx(0.1)
