from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgekd import runtimes
from edgekd.bench.build import build_engine
from edgekd.errors import InputError
from edgekd.files import digest_file
from edgekd.runtimes import tensorrt
from edgekd.runtimes.tensorrt import cuda
from edgekd.runtimes.tensorrt import library
from tests import tensorrt_example
from tests.cuda_example import FakeCudart
from tests.runtimes.tensorrt.test_session import Engine

needs = pytest.mark.skipif(
    library.why_not() is not None or library.find_installed() is not library.RTX,
    reason="TensorRT for RTX is not installed",
)


@pytest.fixture
def no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "capability", lambda: None)


def on(monkeypatch: pytest.MonkeyPatch, device: str, of: library.Library = library.RTX) -> None:
    monkeypatch.setattr(cuda, "capability", lambda: device)
    monkeypatch.setattr(library, "find_installed", lambda: of)


def made(folder: Path, precision: Any = "int8", *, capability: str = "sm89", **of: Any) -> Any:
    folder.mkdir()
    model = tensorrt_example.write(folder / "blob", quantized=precision == "int8", **of)
    return tensorrt.build(model, folder, precision, capability=capability)


@needs
def test_an_int8_file_becomes_an_engine_of_int8_products(tmp_path: Path) -> None:
    files = made(tmp_path / "int8")
    counted = tensorrt.kernels(files, "int8")
    assert counted["correlation i8"] == 2 and counted["gemm i8"] == 1
    assert not {kind for kind in counted if kind.startswith(("correlation f", "gemm f"))}
    assert tensorrt.islands(files, "int8") == []
    assert sorted(files) == ["engine.plan", "plan.json"]
    about = json.loads(files["plan.json"].read_bytes())
    assert (about["library"], about["capability"]) == ("tensorrt_rtx", "sm89")
    assert about["version"] == library.load_library().module.__version__


@needs
def test_a_product_without_its_pair_is_an_island(tmp_path: Path) -> None:
    files = made(tmp_path / "mixed", second_in_float=True)
    (found,) = tensorrt.islands(files, "int8")
    assert found["node"] == "block/Conv" and "reach it as f32" in found["cause"]
    assert tensorrt.kernels(files, "int8")["correlation f32"] == 1
    assert tensorrt.islands(files, "fp32") == []


@needs
@pytest.mark.parametrize(("precision", "element"), [("fp32", "f32"), ("fp16", "f16")])
def test_a_float_file_in_both_precisions(tmp_path: Path, precision: Any, element: str) -> None:
    counted = tensorrt.kernels(made(tmp_path / "a", precision), precision)
    assert counted[f"correlation {element}"] == 2
    products = [kind for kind in counted if not kind.startswith("kgen")]
    assert {kind.rpartition(" ")[2] for kind in products} == {element}


@needs
def test_fp32_is_never_tf32(tmp_path: Path) -> None:
    assert b"tf32=0" in made(tmp_path / "a", "fp32")["engine.plan"].read_bytes()


@needs
def test_a_fresh_process_gives_the_same_bytes(tmp_path: Path) -> None:
    model = tensorrt_example.write(tmp_path / "blob")
    digests = []
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        told = build_engine(model, "tensorrt", "int8", folder, timeout_s=120, kernels=True)
        assert told["kernels"]["correlation i8"] == 2 and told["islands"] == []
        digests.append({file: digest_file(folder / file) for file in told["files"]})
        if cuda.capability() is None:
            assert told["not_measured"] == "no CUDA device"
    assert digests[0] == digests[1] and set(digests[0]) == {"engine.plan", "plan.json"}


@needs
def test_it_is_built_for_the_capability_that_is_asked_for(tmp_path: Path) -> None:
    for capability in ("sm86", "sm120"):
        files = made(tmp_path / capability, capability=capability)
        assert f"accelerators={{{capability} }}".encode() in files["engine.plan"].read_bytes()
        assert json.loads(files["plan.json"].read_bytes())["capability"] == capability


@needs
@pytest.mark.parametrize(("device", "want"), [(None, "sm89"), ("sm120", "sm120"), ("sm90", "sm89")])
def test_the_device_that_is_there_is_built_for(
    monkeypatch: pytest.MonkeyPatch, device: str | None, want: str
) -> None:
    monkeypatch.setattr(cuda, "capability", lambda: device)
    opened = SimpleNamespace(library=library.RTX)
    assert tensorrt._capability(opened, None) == want
    with pytest.raises(ValueError, match="capability: got 'sm90', want one of sm75"):
        tensorrt._capability(opened, "sm90")


def test_classic_builds_for_the_device_that_is_there_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = SimpleNamespace(library=library.CLASSIC)
    on(monkeypatch, "sm90", library.CLASSIC)
    assert tensorrt._capability(opened, None) == tensorrt._capability(opened, "sm90") == "sm90"
    with pytest.raises(ValueError, match="got 'sm89', want sm90, the device that is there"):
        tensorrt._capability(opened, "sm89")
    monkeypatch.setattr(cuda, "capability", lambda: None)
    with pytest.raises(ValueError, match="no CUDA device"):
        tensorrt._capability(opened, None)


def test_classic_is_of_no_use_without_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, "sm87", library.CLASSIC)
    monkeypatch.setattr(library, "why_not", lambda: None)
    assert tensorrt.why_not() is None and tensorrt.why_not_run() is None
    monkeypatch.setattr(cuda, "capability", lambda: None)
    assert "classic TensorRT builds on the one" in str(tensorrt.why_not())


@needs
def test_precision_and_file_must_fit(tmp_path: Path) -> None:
    model = tensorrt_example.write(tmp_path / "float", quantized=False)
    with pytest.raises(ValueError, match="got 'int8' of a float file"):
        tensorrt.build(model, tmp_path, "int8")
    model = tensorrt_example.write(tmp_path / "int8")
    with pytest.raises(ValueError, match="got 'fp16' of a file with QuantizeLinear"):
        tensorrt.build(model, tmp_path, "fp16")
    with pytest.raises(ValueError, match="got 'bf16', want one of fp32, fp16, int8"):
        tensorrt.build(model, tmp_path, "bf16")


@needs
def test_only_the_batch_may_be_free(tmp_path: Path) -> None:
    model = tensorrt_example.write(tmp_path / "m", quantized=False, side="S")
    with pytest.raises(ValueError, match="input 'x': got .* want a free batch alone"):
        tensorrt.build(model, tmp_path, "fp32")
    assert made(tmp_path / "fixed", "fp32", batch=4)


@needs
def test_a_refused_file_is_the_users_and_names_the_node(tmp_path: Path) -> None:
    model = tensorrt_example.write(tmp_path / "net.onnx", zero_point=1)
    with pytest.raises(InputError, match="tensorrt: .*x/QuantizeLinear .*Non-zero zero point"):
        build_engine(model, "tensorrt", "int8", tmp_path, timeout_s=60)
    (tmp_path / "junk.onnx").write_bytes(b"MZ" * 100)
    with pytest.raises(InputError, match="tensorrt: "):
        build_engine(tmp_path / "junk.onnx", "tensorrt", "fp32", tmp_path, timeout_s=60)


@needs
def test_an_option_it_has_not(tmp_path: Path) -> None:
    model = tensorrt_example.write(tmp_path / "net.onnx")
    for runtime, options in (("tensorrt", {"speed": "most"}), ("null", {"capability": "sm89"})):
        with pytest.raises(InputError, match=f"{next(iter(options))}: is no option of {runtime}"):
            build_engine(model, runtime, "int8", tmp_path, timeout_s=60, options=options)


def written(folder: Path, **changed: str) -> dict[str, Path]:
    """What a build leaves, without a build."""
    about = {"library": "tensorrt_rtx", "version": "1.7", "capability": "sm89", "layers": []}
    (folder / "plan.json").write_text(json.dumps({**about, **changed}))
    (folder / "engine.plan").write_bytes(b"plan")
    return {name: folder / name for name in ("engine.plan", "plan.json")}


def test_why_it_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = written(tmp_path)
    monkeypatch.setattr(cuda, "capability", lambda: None)
    assert tensorrt.why_not_run() == tensorrt.why_not_run(files) == "no CUDA device"
    on(monkeypatch, "sm90")
    assert "is sm90, TensorRT for RTX wants sm75" in str(tensorrt.why_not_run())
    on(monkeypatch, "sm86")
    assert tensorrt.why_not_run() is None
    assert tensorrt.why_not_run(files) == "built for sm89, the CUDA device is sm86"
    on(monkeypatch, "sm89")
    assert tensorrt.why_not_run(files) is None


@pytest.mark.usefixtures("no_device")
def test_without_a_device_nothing_is_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="engine.plan: no CUDA device"):
        tensorrt.load(written(tmp_path), "int8", 1)


def opened_with(monkeypatch: pytest.MonkeyPatch, engine: object) -> list[bytes]:
    """A library whose `Runtime` gives `engine`; what it was given to read."""
    read: list[bytes] = []

    class Runtime:
        def __init__(self, log: Any) -> None:
            self.log = log

        def deserialize_cuda_engine(self, plan: bytes) -> object:
            read.append(plan)
            self.log.lines.append(("ERROR", "the plan is damaged"))
            return engine

    module = SimpleNamespace(__version__="1.7", Runtime=Runtime)
    log = SimpleNamespace(lines=[])
    monkeypatch.setattr(
        library, "load_library", lambda: library.LoadedLibrary(library.RTX, module, log)
    )
    monkeypatch.setattr(library, "cudart", FakeCudart)
    on(monkeypatch, "sm89")
    return read


def test_an_engine_of_this_version_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = opened_with(monkeypatch, Engine())
    session = tensorrt.load(written(tmp_path), "int8", 1)
    assert session.inputs[0].name == "x" and read == [b"plan"]


def test_an_engine_of_another_version_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = opened_with(monkeypatch, Engine())
    with pytest.raises(ValueError, match=r"of tensorrt_rtx 1\.6, want tensorrt_rtx 1\.7"):
        tensorrt.load(written(tmp_path, version="1.6"), "int8", 1)
    with pytest.raises(ValueError, match="an engine of tensorrt 1"):
        tensorrt.load(written(tmp_path, library="tensorrt"), "int8", 1)
    assert read == []


def test_a_damaged_engine_is_a_value_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened_with(monkeypatch, None)
    with pytest.raises(ValueError, match=r"refuses engine\.plan: the plan is damaged"):
        tensorrt.load(written(tmp_path), "int8", 1)


def test_the_table_names_it() -> None:
    runtime, entry = runtimes.find_runtime("tensorrt"), runtimes.RUNTIMES["tensorrt"]
    assert (runtime.distribution, runtime.extra) == (entry.distribution, entry.extra)
    assert runtime.precisions() == entry.known_precisions


@pytest.mark.skipif(
    tensorrt.why_not() is not None or tensorrt.why_not_run() is not None,
    reason="wants TensorRT and a CUDA device it knows",
)
@pytest.mark.parametrize(
    ("precision", "largest"), [("fp32", 1e-4), ("fp16", 0.05), ("int8", tensorrt_example.SCALE)]
)
def test_on_the_device_answers_are_onnxruntimes(
    tmp_path: Path, precision: Any, largest: float
) -> None:
    import onnxruntime

    files = made(tmp_path / "a", precision, capability=cuda.capability() or "")
    session = tensorrt.load(files, precision, 1)
    other = onnxruntime.InferenceSession(tmp_path / "a" / "blob")
    for batch in (1, 8, 3):
        shape = (batch, tensorrt_example.CHANNELS, tensorrt_example.SIDE, tensorrt_example.SIDE)
        x = np.random.default_rng(batch).standard_normal(shape).astype(np.float32)
        (want,), (got,) = other.run(None, {"x": x}), session.run({"x": x})
        np.testing.assert_allclose(got, want, atol=largest * np.abs(want).max())
