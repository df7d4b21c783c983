from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from safetensors.numpy import save_file

from edgekd.bench import golden
from edgekd.bench.golden import GoldenGroup
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from tests import text_example


def group(tokens: int, count: int = 4) -> GoldenGroup:
    """Samples of the small classifier of texts, and the stored rows of the first two."""
    inputs = text_example.inputs(count, tokens)
    pairs = zip(inputs["text"][:2], inputs["text_mask"], strict=False)
    rows = [text[: mask.sum()] for text, mask in pairs]
    outputs = {name: a.astype(np.float32) for name, a in text_example.answers(inputs).items()}
    return GoldenGroup(inputs, outputs, {"text": from_rows(rows, inputs["text"][0])})


def test_groups_come_back_by_name_and_the_same_ones_are_the_same_bytes(tmp_path: Path) -> None:
    groups = {name: group(tokens) for name, tokens in zip(golden.GROUPS, (1, 5, 9), strict=True)}
    for name in ("one", "other"):
        golden.write(tmp_path / name, groups)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    found = golden.read(tmp_path / "one")
    assert list(found) == ["least", "usual", "longest"]
    for name, want in groups.items():
        assert found[name].sample_count == 4
        for side in ("inputs", "outputs"):
            ours, theirs = getattr(found[name], side), getattr(want, side)
            assert set(ours) == set(theirs)
            for end, array in theirs.items():
                assert ours[end].dtype == array.dtype
                np.testing.assert_array_equal(ours[end], array)
        text = found[name].rows["text"]
        assert isinstance(text, RaggedRows) and len(text) == 2
        for row, sent in zip(text, want.rows["text"], strict=True):
            np.testing.assert_array_equal(row, sent)


def test_the_older_form_is_the_usual_group_without_names(tmp_path: Path) -> None:
    x, y, pixels = np.ones((2, 3), np.float32), np.zeros((2, 4), np.float32), np.ones((1, 3), "u1")
    save_file({"inputs": x, "outputs": y, "pixels": pixels}, tmp_path / "g.safetensors")
    (usual,) = golden.read(tmp_path / "g.safetensors").values()
    np.testing.assert_array_equal(usual.inputs[golden.UNNAMED], x)
    np.testing.assert_array_equal(usual.outputs[golden.UNNAMED], y)
    np.testing.assert_array_equal(usual.rows[golden.UNNAMED], pixels)


X, Y = np.ones((2, 3), np.float32), np.zeros((2, 4), np.float32)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"usual/outputs/y": None}, "got 0 outputs in group usual"),
        ({"usual/inputs/x": None}, "got 0 inputs in group usual"),
        ({"usual/outputs/y": Y[:1]}, r"got float32 \[1, 4\] in usual/outputs/y, want 2 rows"),
        ({"usual/outputs/y": Y[:0]}, r"got float32 \[0, 4\] in usual/outputs/y, want rows of"),
        ({"usual/outputs/y": np.float32(1)}, "got one number in usual/outputs/y"),
        ({"usual/outputs/y": np.full_like(Y, np.nan)}, "in usual/outputs/y that are not finite"),
        ({"usual/inputs/x": X.astype(np.float64)}, "got float64"),
        ({"usual/outputs/": Y}, "got 2 outputs in group usual"),
        ({"usual/inputs/a b": X}, "got an array 'usual/inputs/a b'"),
        ({"usual/inputs/../x": X}, "got an array 'usual/inputs/../x'"),
        ({"usual/states/x": X}, "got an array 'usual/states/x'"),
        ({"other/inputs/x": X}, "got an array 'other/inputs/x'"),
        ({"inputs": X}, "got an array 'inputs'"),
        ({"usual/rows/x": np.ones((3, 2), "u1")}, "got 3 rows in usual/rows/x, want 1 to 2"),
        ({"usual/rows/x": np.ones((0, 2), "u1")}, "got 0 rows in usual/rows/x"),
        ({"usual/rows/x.offsets": np.asarray([0, 1])}, "got offsets without values: x"),
        ({"least/inputs/x": X, "least/outputs/z": Y}, "got other ends in group least"),
        ({"least/inputs/x": X, "least/outputs/y": Y[:, 0]}, "got other ends in group least"),
        ({"least/inputs/x": X}, "got 0 outputs in group least"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, changed: dict[str, np.ndarray | None], says: str
) -> None:
    tensors = {"usual/inputs/x": X, "usual/outputs/y": Y, **changed}
    save_file({n: np.asarray(a) for n, a in tensors.items() if a is not None}, tmp_path / "g")
    with pytest.raises(InputError, match=f"/g: .*{says}") as caught:
        golden.read(tmp_path / "g")
    assert "\n" not in str(caught.value)


def test_what_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\xff" * 40)
    save_file({"inputs": X}, tmp_path / "half")
    save_file({"least/inputs/x": X, "least/outputs/y": Y}, tmp_path / "least")
    (tmp_path / "folder").mkdir()
    for name, says in (
        ("bad", "want safetensors of golden samples"),
        ("half", "got 0 outputs"),
        ("least", "got no samples"),
        ("folder", "folder: "),
    ):
        with pytest.raises(InputError, match=says):
            golden.read(tmp_path / name)


def test_a_file_cannot_hold_more_ends_than_a_model(tmp_path: Path) -> None:
    golden.write(tmp_path / "g", {"usual": GoldenGroup({"x": X}, {"y": Y})})
    assert list(load_file(tmp_path / "g")) == ["usual/inputs/x", "usual/outputs/y"]
    many = {f"usual/inputs/x{number}": X for number in range(257)}
    save_file({**many, "usual/outputs/y": Y}, tmp_path / "g")
    with pytest.raises(InputError, match="got 257 inputs"):
        golden.read(tmp_path / "g")
