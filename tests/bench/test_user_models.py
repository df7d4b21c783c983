from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import openvino
import pytest
from safetensors.numpy import save_file

from edgekd.bench import user_inputs
from edgekd.bench import user_models
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import write_inputs
from edgekd.bench.user_inputs import UserInputs
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.runtimes import tensorrt
from tests import bench_example
from tests import foreign_example

ASK = user_models.MeasureRequest(("onnxruntime",), ("fp32",), (1, 2), 1, 60)


def test_every_combination_is_a_subject(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "net.onnx")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = list(user_models.prepare_subjects([model], ASK, scratch))
    names = [one.subject.name for one in found]
    assert names == ["net onnxruntime-fp32-1t", "net onnxruntime-fp32-2t"]
    assert all(one.subject.engine.files["model.onnx"].is_file() for one in found)
    assert found[0].subject.inputs is None


def test_weights_that_lie_beside_a_model_are_taken_along(tmp_path: Path) -> None:
    loaded = onnx.load(bench_example.write_onnx(tmp_path / "whole.onnx"))
    path, data = tmp_path / "m.onnx", {"location": "m.onnx.data", "size_threshold": 0}
    onnx.save(loaded, path, save_as_external_data=True, **data)
    (tmp_path / "scratch").mkdir()
    (one, _) = user_models.prepare_subjects([path], ASK, tmp_path / "scratch")
    assert one.model == path and one.subject.name == "m onnxruntime-fp32-1t"
    (built,) = one.subject.engine.files.values()
    assert one.sha256 == hashlib.sha256(built.read_bytes()).hexdigest()
    rows = write_inputs({"x": bench_example.inputs(2)}, tmp_path / "x")
    got = compute_outputs(one.subject.engine, rows)["y"]
    np.testing.assert_allclose(got, bench_example.answers(bench_example.inputs(2)), rtol=1e-4)


def test_weights_outside_a_models_folder_are_refused_by_name(tmp_path: Path) -> None:
    loaded = onnx.load(bench_example.write_onnx(tmp_path / "whole.onnx"))
    path, data = tmp_path / "m.onnx", {"location": "m.onnx.data", "size_threshold": 0}
    onnx.save(loaded, path, save_as_external_data=True, **data)
    (tmp_path / "m.onnx.data").rename(tmp_path / "other")
    (tmp_path / "m.onnx.data").symlink_to(tmp_path / "other")
    (tmp_path / "scratch").mkdir()
    with pytest.raises(InputError, match="m.onnx: got weights in 'm.onnx.data': .*not a link"):
        list(user_models.prepare_subjects([path], ASK, tmp_path / "scratch"))


def test_a_bundle_brings_its_inputs(tmp_path: Path) -> None:
    bench_example.write_onnx(tmp_path / "model.onnx")
    x = bench_example.inputs(4)
    golden = {"inputs": x, "outputs": np.zeros((4, 10), np.float32)}
    save_file(golden, tmp_path / "golden.safetensors")
    model, inputs = user_inputs.find_model(tmp_path, tmp_path / "x.npy")
    assert model == tmp_path / "model.onnx" and inputs is not None
    np.testing.assert_array_equal(np.load(inputs), x)


def test_a_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="want one with model.onnx and golden.safetensors"):
        user_inputs.find_model(tmp_path, tmp_path / "x.npy")


def test_a_hostile_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"MZ" * 100)
    with pytest.raises(InputError, match="net.onnx: got"):
        list(user_models.prepare_subjects([tmp_path / "net.onnx"], ASK, tmp_path))


def test_a_precision_that_is_not_here(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "net.onnx")
    with pytest.raises(MachineError, match="precision: got 'fp16': onnxruntime offers fp32"):
        list(user_models.prepare_subjects([model], ASK._replace(precisions=("fp16",)), tmp_path))


@pytest.mark.skipif(
    tensorrt.why_not() is not None or tensorrt.why_not_run() is None,
    reason="wants TensorRT for RTX and no CUDA device",
)
def test_an_engine_that_is_built_and_cannot_run_is_not_measured(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "net.onnx")
    asked = ASK._replace(runtimes=("tensorrt",))
    with pytest.raises(MachineError, match=r"^tensorrt: not measured: no CUDA device$"):
        list(user_models.prepare_subjects([model], asked, tmp_path))
    # nobody asked for it by name: what runs here is taken
    assert "tensorrt" not in user_models.require_runtimes(
        ()
    ) and "onnxruntime" in user_models.require_runtimes(())


def test_names_are_short_until_they_clash() -> None:
    paths = [Path("/a/net.onnx"), Path("/b/net.onnx"), Path("/b/other.onnx")]
    assert user_models.short_names(paths) == ["/a/net.onnx", "/b/net.onnx", "other"]


def test_an_engine_of_the_store_runs_on_every_number_of_threads(tmp_path: Path) -> None:
    from tests.bench.test_prebuilt_engines import KEY
    from tests.bench.test_prebuilt_engines import stored

    ask = ASK._replace(runtimes=(), store=stored(tmp_path))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    found = list(user_models.prepare_subjects([Path(f"store:{KEY[:6]}")], ask, scratch))
    assert [one.subject.name for one in found] == [
        f"store:{KEY[:6]} null-fp32-1t",
        f"store:{KEY[:6]} null-fp32-2t",
    ]


@pytest.mark.parametrize("form", ["file", "beside", "bundle", "ir", "ir16", "store"])
def test_no_form_of_a_float_model_is_called_int8(tmp_path: Path, form: str) -> None:
    from tests.bench.test_prebuilt_engines import KEY
    from tests.bench.test_prebuilt_engines import stored

    path, ask = bench_example.write_onnx(tmp_path / "model.onnx"), ASK._replace(runtimes=())
    if form == "beside":
        onnx.save(onnx.load(path), tmp_path / "m.onnx", save_as_external_data=True, location="data")
        path = tmp_path / "m.onnx"
    elif form == "bundle":
        x = bench_example.inputs(4)
        save_file(
            {"inputs": x, "outputs": np.zeros((4, 10), np.float32)},
            tmp_path / user_inputs.BUNDLED_GOLDEN,
        )
        path = tmp_path
    elif form.startswith("ir"):
        model = openvino.Core().read_model(path)
        path = tmp_path / "net.xml"
        openvino.save_model(model, path, compress_to_fp16=form == "ir16")
    elif form == "store":
        path, ask = Path(f"store:{KEY[:6]}"), ask._replace(store=stored(tmp_path))
    for asked in (("int8",), ("fp32", "int8")):
        (scratch := tmp_path / "-".join(asked)).mkdir()
        with pytest.raises(InputError, match="got precision 'int8', want 'fp32'"):
            list(user_models.prepare_subjects([path], ask._replace(precisions=asked), scratch))


@pytest.mark.parametrize("name", ["golden.safetensors", "x.npy", ""])
def test_inputs_of_three_kinds(tmp_path: Path, name: str) -> None:
    x = bench_example.inputs(4)
    golden = {"inputs": x, "outputs": np.zeros((4, 10), np.float32)}
    save_file(golden, tmp_path / "golden.safetensors")
    np.save(tmp_path / "x.npy", x)
    goal = user_inputs.find_inputs(tmp_path / name, tmp_path / "goal.npy")
    np.testing.assert_array_equal(np.load(goal), x)


def test_inputs_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("1")
    for path in (tmp_path / "x.txt", tmp_path):
        with pytest.raises(InputError):
            user_inputs.find_inputs(path, tmp_path / "goal.npy")


def test_given_inputs_are_fed_to_all_and_the_digest_is_of_what_was_given(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "net.onnx")
    np.save(tmp_path / "x.npy", bench_example.inputs(4))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ask = ASK._replace(inputs=UserInputs(tmp_path / "x.npy"), threads=(1,))
    (found,) = user_models.prepare_subjects([model], ask, scratch)
    assert found.subject.inputs == tmp_path / "x.npy"
    assert found.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()


def test_a_runtime_that_the_device_lacks() -> None:
    missing = {"onnxruntime": None, "openvino": "openvino is not installed"}
    assert user_models.require_runtimes((), missing) == ("onnxruntime",)
    with pytest.raises(MachineError, match="openvino is not installed"):
        user_models.require_runtimes(("openvino",), missing)
    with pytest.raises(MachineError, match="no engine is installed"):
        user_models.require_runtimes((), {"openvino": "no"})


def test_an_engine_that_refuses_a_model_does_not_keep_another_from_it(tmp_path: Path) -> None:
    """OpenVINO has no such operator; nobody asked for it by name."""
    model = foreign_example.unary(tmp_path / "net.onnx", "Det", ["N", 3, 3])
    missing = {"onnxruntime": None, "openvino": None}
    ask = ASK._replace(runtimes=(), precisions=(), threads=(1,))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (found,) = user_models.prepare_subjects([model], ask, tmp_path / "a", missing=missing)
    assert found.subject.name == "net onnxruntime-fp32-1t"
    assert "openvino: OpenVINO refuses" in found.note
    with pytest.raises(InputError, match="OpenVINO refuses"):
        asked = ask._replace(runtimes=("openvino",))
        list(user_models.prepare_subjects([model], asked, tmp_path / "b", missing=missing))


def test_names_may_be_those_of_a_model_that_is_compared_with(tmp_path: Path) -> None:
    fixed = foreign_example.unary(tmp_path / "fixed.onnx", "Relu", [1, 8])
    free = foreign_example.unary(tmp_path / "free.onnx", "Relu", ["N", "width"])
    ask = ASK._replace(sizes=({"width": (8,)},), threads=(1,))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    asked = ask._replace(beside=(free,))
    (found,) = user_models.prepare_subjects([fixed], asked, tmp_path / "a")
    assert found.subject.name == "fixed onnxruntime-fp32-1t"
    with pytest.raises(InputError, match="--size: got 'width'"):
        asked = ask._replace(beside=(tmp_path / "none.onnx",))
        list(user_models.prepare_subjects([fixed], asked, tmp_path / "b"))
