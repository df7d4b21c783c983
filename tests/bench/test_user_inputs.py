from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edgekd.bench import golden
from edgekd.bench import user_inputs
from edgekd.bench.user_inputs import UserInputs
from edgekd.errors import InputError
from tests import text_example


def test_three_forms(tmp_path: Path) -> None:
    told = user_inputs.parse_inputs(["a.npz", "x=b.npy", "rate=16000", "/model/ids:0=1e-3"])
    assert told.file == Path("a.npz") and told.files == {"x": Path("b.npy")}
    assert told.values == {"rate": 16000, "/model/ids:0": 0.001}
    strange = tmp_path / "a=b.npy"
    strange.touch()
    assert user_inputs.parse_inputs([str(strange)]).file == strange


@pytest.mark.parametrize(
    "wrong",
    [["a.npy", "b.npy"], ["x=1", "x=2"], ["x=1", "x=a.npy"], ["x=inf"], ["x=nan"]],
)
def test_what_is_given_twice_or_not_finite(wrong: list[str]) -> None:
    with pytest.raises(InputError, match="--inputs: got"):
        user_inputs.parse_inputs(wrong)


def fed(user: UserInputs, inputs: list[str], folder: Path) -> user_inputs.ModelInputs:
    return user_inputs.gather_inputs(user, user.file, inputs, "net", folder / "goal.npz")


def test_several_files_become_one(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((5, 2), np.float32))
    np.save(tmp_path / "b.npy", np.array(["x", "y"]))
    files = {"file": tmp_path / "a.npy", "words": tmp_path / "b.npy", "of-another": tmp_path / "c"}
    found = fed(UserInputs(files=files), ["file", "words", "drawn"], tmp_path)
    assert found.file == tmp_path / "goal.npz"
    assert found.shapes == {"file": (5, 2), "words": (2,)} == user_inputs.npz_shapes(found.file)
    with np.load(found.file, allow_pickle=False) as arrays:
        assert arrays["file"].shape == (5, 2) and arrays["words"].tolist() == ["x", "y"]


def test_rows_are_for_the_one_input_that_is_left(tmp_path: Path) -> None:
    rows = tmp_path / "a.npy"
    np.save(rows, np.ones((5, 2), np.float32))
    assert fed(UserInputs(rows), ["x"], tmp_path) == (rows, {"x": (5, 2)})
    found = fed(UserInputs(rows, values={"rate": 1}), ["x", "rate"], tmp_path)
    assert found.file is not None and found.shapes == {"x": (5, 2)}
    with pytest.raises(InputError, match="got rows for one input, which has x, y") as caught:
        fed(UserInputs(rows), ["x", "y"], tmp_path)
    assert caught.value.hint == "--inputs x=FILE --inputs y=FILE"


def test_nothing_is_fed(tmp_path: Path) -> None:
    assert fed(UserInputs(values={"rate": 1}), ["x", "rate"], tmp_path) == (None, {})


def test_names_of_no_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got inputs for 'maks', did you mean 'mask'\?"):
        user_inputs.require_known(UserInputs(values={"maks": 1}), [["ids"], ["mask"]])
    np.savez(tmp_path / "a.npz", idz=np.ones(2))
    with pytest.raises(InputError, match=r"a.npz: got inputs for 'idz'"):
        fed(UserInputs(tmp_path / "a.npz"), ["ids"], tmp_path)


def test_npz_files_that_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"PK, or so")
    with pytest.raises(InputError, match="got no .npz file"):
        user_inputs.npz_shapes(path)
    np.savez(path, x=np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="got Python objects"):
        user_inputs.npz_shapes(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", bytes(2**20))
    monkeypatch.setattr(user_inputs, "MOST_BYTES", 2**19)
    with pytest.raises(InputError, match="got 1048576 bytes of arrays"):
        user_inputs.npz_shapes(path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', (",
        "-" * 5000 + "1",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "9" * 30 + ",)}",
    ],
)
def test_headers_that_numpy_s_parser_falls_over(tmp_path: Path, header: str) -> None:
    text = header.encode().ljust(6000) + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64))
    with pytest.raises(InputError, match=r"a\.npy: got no inputs"):
        fed(UserInputs(files={"ids": path}), ["ids", "mask"], tmp_path)
    packed = tmp_path / "a.npz"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(path, "ids.npy")
    with pytest.raises(InputError, match=r"a\.npz: got no \.npz file|want what its shape"):
        user_inputs.npz_shapes(packed)


def test_an_npz_file_that_asks_for_a_password(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, ids=np.ones(3))
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="got no .npz file.*encrypted"):
        user_inputs.npz_shapes(path)


def test_golden_inputs_are_fed_as_a_user_gives_his_own(tmp_path: Path) -> None:
    """Rows of the only one, several by name; both are then read like any others."""
    one, several = np.ones((3, 2), np.float32), text_example.inputs(4, 5)
    answers = {"y": np.zeros((3, 1), np.float32)}
    golden.write(tmp_path / "one.safetensors", {"usual": golden.GoldenGroup({"x": one}, answers)})
    rows = user_inputs.find_inputs(tmp_path / "one.safetensors", tmp_path / "goal.npy")
    assert fed(UserInputs(rows), ["images"], tmp_path) == (rows, {"images": (3, 2)})
    np.testing.assert_array_equal(np.load(rows), one)
    answers = {"y": np.zeros((4, 1), np.float32)}
    golden.write(tmp_path / "two.safetensors", {"usual": golden.GoldenGroup(several, answers)})
    by_name = user_inputs.find_inputs(tmp_path / "two.safetensors", tmp_path / "goal.npy")
    assert by_name.suffix == ".npz"
    found = fed(UserInputs(by_name), ["text", "text_mask"], tmp_path)
    assert found == (by_name, {"text": (4, 5), "text_mask": (4, 5)})
    with np.load(by_name, allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["text_mask"], several["text_mask"])
