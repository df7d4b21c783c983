from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

from edgekd import admission
from edgekd.admission.external_data import BITS
from edgekd.admission.external_data import digest_files
from edgekd.admission.external_data import embed_weights
from edgekd.errors import InputError
from tests import bench_example
from tests.admission.test_admission import nested


def outside(folder: Path, **entries: str) -> Path:
    """The example net with its weights in ``m.onnx.data``; `entries` change those of the first."""
    folder.mkdir(exist_ok=True)
    loaded = onnx.load(bench_example.write_onnx(folder / "whole.onnx"))
    onnx.save(
        loaded,
        folder / "m.onnx",
        save_as_external_data=True,
        location="m.onnx.data",
        size_threshold=0,
    )
    if entries:
        loaded = onnx.load(folder / "m.onnx", load_external_data=False)
        held = {e.key: e.value for e in loaded.graph.initializer[0].external_data}
        del loaded.graph.initializer[0].external_data[:]
        for key, value in {**held, **entries}.items():
            loaded.graph.initializer[0].external_data.add(key=key, value=value)
        (folder / "m.onnx").write_bytes(loaded.SerializeToString())
    return folder / "m.onnx"


def answers(path: Path, x: np.ndarray) -> np.ndarray:
    (found,) = onnxruntime.InferenceSession(str(path)).run(None, {"x": x})
    return np.asarray(found)


def test_a_file_that_holds_its_weights_is_taken_as_it_is(tmp_path: Path) -> None:
    path = bench_example.write_onnx(tmp_path / "m.onnx")
    assert embed_weights(path, tmp_path / "goal") == path
    assert not (tmp_path / "goal").exists()


def test_weights_beside_the_model_are_put_in(tmp_path: Path) -> None:
    path = outside(tmp_path / "a")
    whole = embed_weights(path, tmp_path / "goal.onnx")
    admission.admit(whole)
    x = bench_example.inputs(3)
    np.testing.assert_allclose(answers(whole, x), bench_example.answers(x), rtol=1e-4)
    held = {t.name: numpy_helper.to_array(t) for t in onnx.load(whole).graph.initializer}
    for name, value in bench_example.weights().items():
        np.testing.assert_array_equal(held[name], value)
    (tmp_path / "again").mkdir()
    again = embed_weights(path, tmp_path / "again" / "goal.onnx")
    assert again.read_bytes() == whole.read_bytes()


def test_every_file_beside_the_model_is_digested(tmp_path: Path) -> None:
    whole = bench_example.write_onnx(tmp_path / "whole.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    assert digest_files(whole) == digest_files(tmp_path / "text.onnx") == {}
    path = outside(tmp_path / "a", location="inner/first")
    data = path.parent / "m.onnx.data"
    (path.parent / "inner").mkdir()
    (path.parent / "inner" / "first").write_bytes(data.read_bytes())
    before = digest_files(path)
    assert before == {
        f"beside/{name}": hashlib.sha256(data.read_bytes()).hexdigest()
        for name in ("inner/first", "m.onnx.data")
    }
    data.write_bytes(bytes(len(data.read_bytes())))
    after = digest_files(path)
    assert [name for name in before if before[name] != after[name]] == ["beside/m.onnx.data"]
    data.unlink()
    with pytest.raises(InputError, match="No such file"):
        digest_files(path)


def test_no_file_stays_open(tmp_path: Path) -> None:
    path, bad = outside(tmp_path / "a"), outside(tmp_path / "b", length="1")
    (tmp_path / "c" / "x").mkdir(parents=True)
    folder = outside(tmp_path / "c", location="x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    embed_weights(path, tmp_path / "goal.onnx")
    for other in (bad, folder):
        with pytest.raises(InputError):
            embed_weights(other, tmp_path / "other.onnx")
        with pytest.raises(InputError):
            digest_files(other)
    digest_files(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_weights_in_a_subgraph_a_function_and_another_folder(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "w.bin").write_bytes(np.float32([1, 2, 3]).tobytes())

    def tensor(index: int) -> TensorProto:
        made = TensorProto(name="w", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
        entries = {"location": "./d/w.bin", "offset": str(4 * index), "length": "4"}
        for key, value in entries.items():
            made.external_data.add(key=key, value=value)
        return made

    branches = [
        helper.make_graph(
            [helper.make_node("Constant", [], [f"o{n}"], value=tensor(n))],
            "b",
            [],
            [helper.make_tensor_value_info(f"o{n}", 1, [1])],
        )
        for n in range(2)
    ]
    body = [helper.make_node("Constant", [], ["k"], value=tensor(2))]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("mine", 1)]
    function = helper.make_function("mine", "F", [], ["k"], body, opsets[:1])
    nodes = [
        helper.make_node("If", ["c"], ["t"], then_branch=branches[0], else_branch=branches[1]),
        helper.make_node("F", [], ["k"], domain="mine"),
        helper.make_node("Add", ["t", "k"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", 1, [1])],
    )
    made = helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=[function])
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    session = onnxruntime.InferenceSession(
        str(embed_weights(tmp_path / "m.onnx", tmp_path / "goal"))
    )
    assert session.run(None, {"c": np.array(True)})[0] == [4]
    assert session.run(None, {"c": np.array(False)})[0] == [5]


PLACES = ["/etc/passwd", "../w.bin", "a/../w.bin", "a/../../w.bin", "a//w.bin", "", ".", "d\\w.bin"]


@pytest.mark.parametrize("place", [*PLACES, "w\0.bin"])
def test_places_outside_the_folder_are_refused_by_name(tmp_path: Path, place: str) -> None:
    """Though the file is there."""
    path = outside(tmp_path / "m", location=place)
    (tmp_path / "m" / "a").mkdir()
    for name in ("w.bin", "m/w.bin", "m/a/w.bin", "m/d\\w.bin"):
        (tmp_path / name).write_bytes((tmp_path / "m" / "m.onnx.data").read_bytes())
    with pytest.raises(InputError, match="want a file in the model's own folder$") as caught:
        embed_weights(path, tmp_path / "goal")
    assert repr(place) in str(caught.value)
    assert not (tmp_path / "goal").exists()


def test_links_and_what_is_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    path = outside(folder, location="odd/w.bin")
    secret = tmp_path / "secret.bin"
    secret.write_bytes((folder / "m.onnx.data").read_bytes())
    (folder / "odd").mkdir()
    odd = folder / "odd" / "w.bin"
    for make in (
        lambda: odd.symlink_to(secret),
        lambda: os.link(secret, odd),
        lambda: os.mkfifo(odd),
        lambda: odd.mkdir(),
        lambda: None,
    ):
        make()
        with pytest.raises(InputError, match="odd/w.bin"):
            embed_weights(path, tmp_path / "goal")
        if odd.is_dir():
            odd.rmdir()
        odd.unlink(missing_ok=True)
    (folder / "odd").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "w.bin").write_bytes(secret.read_bytes())
    (folder / "odd").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="odd/w.bin"):
        embed_weights(path, tmp_path / "goal")
    (folder / "odd").unlink()
    (folder / "odd").mkdir()
    odd.write_bytes(secret.read_bytes())
    admission.admit(embed_weights(path, tmp_path / "goal"))


@pytest.mark.parametrize(
    "entries",
    [
        {"offset": "-1"},
        {"offset": "1e3"},
        {"offset": str(2**62)},
        {"offset": "9" * 30},
        {"length": "0"},
        {"length": "191"},
        {"length": "193"},
        {"length": str(2**40)},
    ],
)
def test_offsets_and_lengths_are_held_to_the_dimensions(
    tmp_path: Path, entries: dict[str, str]
) -> None:
    path = outside(tmp_path / "m", **entries)
    with pytest.raises(InputError, match="weight"):
        embed_weights(path, tmp_path / "goal")


@pytest.mark.parametrize(
    ("offset", "says"),
    [
        ("4", ""),
        ("5", "weight 'w': got 16 bytes at 5 of 'w.bin', which has 20, want 16"),
        (f"{4:018}", ""),
        (f"{4:019}", f"the offset '{4:019}' of a weight, want a whole number"),
    ],
)
def test_offsets_reach_to_the_end_of_the_file_and_have_18_digits(
    tmp_path: Path, offset: str, says: str
) -> None:
    (tmp_path / "w.bin").write_bytes(b"x" * 20)
    path = one_weight(tmp_path, location="w.bin", offset=offset, length="16")
    if says:
        with pytest.raises(InputError, match=says):
            embed_weights(path, tmp_path / "goal")
    else:
        assert embed_weights(path, tmp_path / "goal") == tmp_path / "goal"


def test_the_size_with_all_weights_is_held_to_protobufs_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One region of a file that is named often does not grow without end."""
    path = outside(tmp_path / "m")
    size_bytes = embed_weights(path, tmp_path / "goal").stat().st_size
    monkeypatch.setattr(admission, "MAX_BYTES", size_bytes)
    embed_weights(path, tmp_path / "goal")
    monkeypatch.setattr(admission, "MAX_BYTES", size_bytes - 1)
    with pytest.raises(InputError, match="bytes with its weights"):
        embed_weights(path, tmp_path / "goal")


def test_what_is_no_model_is_left_to_whoever_admits_it(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"no model")
    assert embed_weights(tmp_path / "m", tmp_path / "goal") == tmp_path / "m"


def test_elements_are_as_wide_as_onnx_says() -> None:
    """By the onnx package's own table, for the types that numpy has; those it packs are smaller."""
    for name, number in TensorProto.DataType.items():
        if name in ("UNDEFINED", "STRING"):
            assert number not in BITS
        elif number in BITS:
            width = 8 * helper.tensor_dtype_to_np_dtype(number).itemsize
            packed = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}
            assert BITS[number] == packed.get(name, width), name
    assert {n for n in TensorProto.DataType.values() if n < 27} - set(BITS) == {0, 8}


def one_weight(folder: Path, tensor: TensorProto | None = None, **entries: str) -> Path:
    """A model with the weight ``w``, of four floats unless another is given, that lies outside."""
    made = TensorProto(data_type=TensorProto.FLOAT, dims=[4]) if tensor is None else tensor
    made.name, made.data_location = "w", TensorProto.EXTERNAL
    for key, value in entries.items():
        made.external_data.add(key=key, value=value)
    graph = helper.make_graph([helper.make_node("Relu", ["w"], ["y"])], "g", [], [], [made])
    (folder / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    return folder / "m.onnx"


def test_without_a_length_the_rest_of_the_file_is_meant(tmp_path: Path) -> None:
    weights = np.arange(6, dtype=np.float32)
    (tmp_path / "w.bin").write_bytes(b"skip" + weights.tobytes())
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[6])
    path = one_weight(tmp_path, tensor, location="w.bin", offset="4")
    whole = onnx.load(embed_weights(path, tmp_path / "goal"))
    np.testing.assert_array_equal(numpy_helper.to_array(whole.graph.initializer[0]), weights)


def test_elements_that_a_weight_holds_itself_give_way_to_those_outside(tmp_path: Path) -> None:
    weights = np.float32([3, 4])
    (tmp_path / "w.bin").write_bytes(weights.tobytes())
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[2], raw_data=b"x" * 8)
    contents = [field.name for field in tensor.DESCRIPTOR.fields if field.name.endswith("_data")]
    assert len(contents) == 8  # the bytes, a list for each kind of number and text, and the place
    for name in set(contents) - {"raw_data", "external_data"}:
        getattr(tensor, name).extend([b"1"] if name == "string_data" else [1, 2])
    path = one_weight(tmp_path, tensor, location="w.bin")
    (held,) = onnx.load(embed_weights(path, tmp_path / "goal")).graph.initializer
    want = TensorProto(name="w", data_type=1, dims=[2], raw_data=weights.tobytes())
    assert held == want


@pytest.mark.parametrize(
    ("element", "count", "size_bytes"),
    [("INT4", 3, 2), ("UINT4", 4, 2), ("INT2", 5, 2), ("UINT2", 1, 1), ("FLOAT16", 3, 6)],
)
def test_packed_elements_fill_whole_bytes(
    tmp_path: Path, element: str, count: int, size_bytes: int
) -> None:
    (tmp_path / "w.bin").write_bytes(b"\x12" * size_bytes)
    tensor = TensorProto(data_type=TensorProto.DataType.Value(element), dims=[count])
    path = one_weight(tmp_path, tensor, location="w.bin")
    (held,) = onnx.load(embed_weights(path, tmp_path / "goal")).graph.initializer
    assert held.raw_data == b"\x12" * size_bytes


def test_a_weight_without_a_type_cannot_lie_outside(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(b"x" * 8)
    path = one_weight(tmp_path, TensorProto(dims=[2]), location="w.bin")
    with pytest.raises(InputError, match="weight 'w': got an element type without a size"):
        embed_weights(path, tmp_path / "goal")


def test_weights_inside_and_outside_stand_beside_each_other(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.float32([1, 2, 3, 4]).tobytes())
    loaded = onnx.load(one_weight(tmp_path, location="w.bin"), load_external_data=False)
    inside = [numpy_helper.from_array(np.float32([n]), f"i{n}") for n in range(2)]
    inside[1].data_location = TensorProto.DEFAULT
    loaded.graph.initializer.extend(inside)
    (tmp_path / "m.onnx").write_bytes(loaded.SerializeToString())
    whole = onnx.load(embed_weights(tmp_path / "m.onnx", tmp_path / "goal")).graph.initializer
    assert list(whole[1:]) == inside
    np.testing.assert_array_equal(numpy_helper.to_array(whole[0]), np.float32([1, 2, 3, 4]))


def test_a_place_or_the_word_that_there_is_one_makes_a_weight_lie_outside(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.float32([1, 2, 3, 4]).tobytes())
    with pytest.raises(InputError, match="got weights in ''"):
        embed_weights(one_weight(tmp_path), tmp_path / "goal")
    loaded = onnx.load(one_weight(tmp_path, location="w.bin"), load_external_data=False)
    loaded.graph.initializer[0].ClearField("data_location")
    (tmp_path / "m.onnx").write_bytes(loaded.SerializeToString())
    (held,) = onnx.load(embed_weights(tmp_path / "m.onnx", tmp_path / "goal")).graph.initializer
    assert held.raw_data == (tmp_path / "w.bin").read_bytes()


def test_what_is_written_is_for_its_owner_alone(tmp_path: Path) -> None:
    goal = embed_weights(outside(tmp_path / "m"), tmp_path / "goal")
    assert goal.stat().st_mode & 0o777 == 0o600


def deep(folder: Path, times: int) -> Path:
    """A weight outside, read by a node in a subgraph of a subgraph: 31 messages deep if 9 `times`."""
    (folder / "w.bin").write_bytes(b"1234")
    tensor = TensorProto(data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.bin")
    graph = nested(helper.make_node("Constant", [], ["y"], value=tensor), times)
    graph.node.append(nested(helper.make_node("Relu", ["x"], ["z"]), times + 1).node[0])
    graph.node[1].output[0] = "q"
    (folder / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    return folder / "m.onnx"


def test_a_weight_as_deep_as_any_is_put_in(tmp_path: Path) -> None:
    admission.admit(embed_weights(deep(tmp_path, 9), tmp_path / "goal"))


def test_a_file_that_was_changed_since_it_was_examined_is_not_followed_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "examine", lambda path: True)
    with pytest.raises(InputError, match="nested beyond reason"):
        embed_weights(deep(tmp_path, 10), tmp_path / "goal")
