from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgekd import bundle
from edgekd import runtimes
from edgekd.bench.machine import instructions
from edgekd.bundle import models
from edgekd.bundle import verify as bundle_verify
from edgekd.bundle.manifest import Tolerance
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.runtime import Runtime
from tests import bundle_example
from tests import foreign_example


def verdicts(report: bundle_verify.Report) -> dict[str, str]:
    return {check.what: check.verdict for check in report.checks}


@pytest.mark.parametrize("runtime", [None, "onnxruntime", "openvino"])
def test_a_whole_bundle_passes_on_every_engine(tmp_path: Path, runtime: str | None) -> None:
    report = bundle_verify.verify(bundle_example.make(tmp_path), runtime)
    assert set(verdicts(report).values()) == {"ok"}
    assert report.checks[-1].what == f"golden answers, {runtime or 'onnxruntime'} fp32"
    assert "8 samples" in report.checks[-1].text and "100.00%" in report.checks[-1].text
    bundle_verify.require_sound(report)


def test_a_changed_file_is_named_and_its_model_is_not_run(tmp_path: Path) -> None:
    folder = bundle_example.make(tmp_path)
    bundle_example.model(folder / "model.onnx", seed=5)
    report = bundle_verify.verify(folder)
    found = verdicts(report)
    assert found["model.onnx"] == "failed" and found["task.json"] == "ok"
    assert found["golden answers"] == "not checked"
    with pytest.raises(BudgetMissed, match=r"tiny: model\.onnx: got another SHA-256"):
        bundle_verify.require_sound(report)


def test_another_models_answers_fail(tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    bundle_example.model(other, seed=5)
    report = bundle_verify.verify(bundle_example.make(tmp_path, model=other))
    assert report.checks[-1].verdict == "failed"
    with pytest.raises(BudgetMissed, match="largest difference"):
        bundle_verify.require_sound(report)


@pytest.mark.parametrize(
    ("max_abs", "agreement", "verdict"),
    [(1000.0, 0.0, "ok"), (1000.0, 1.0, "failed"), (1e-4, 0.0, "failed")],
)
def test_what_is_asked_is_what_the_manifest_states(
    tmp_path: Path, max_abs: float, agreement: float, verdict: str
) -> None:
    other = tmp_path / "other.onnx"
    bundle_example.model(other, seed=5)
    rows = [bundle_example.row(agreement=agreement)]
    folder = bundle_example.make(tmp_path, model=other, rows=rows, parity={"allowed": max_abs})
    assert bundle_verify.verify(folder).checks[-1].verdict == verdict


def test_without_an_engine_the_digests_are_still_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = runtimes.find_runtime

    def missing(name: str) -> Runtime:
        line = f"{name} is not installed: pip install 'edgekd[{name}]'"
        return find(name)._replace(why_not=lambda: line)

    monkeypatch.setattr(runtimes, "find_runtime", missing)
    report = bundle_verify.verify(bundle_example.make(tmp_path))
    assert list(verdicts(report).values()) == ["ok"] * 6 + ["not checked"]
    with pytest.raises(MachineError, match=r"pip install 'edgekd\[onnxruntime\]'"):
        bundle_verify.require_sound(report)


def test_a_precision_that_is_not_offered_here_falls_back_to_fp32(tmp_path: Path) -> None:
    rows = [bundle_example.row(), bundle_example.row("onnxruntime-fp16-1t")]
    folder = bundle_example.make(tmp_path, rows=rows, chosen="onnxruntime-fp16-1t")
    report = bundle_verify.verify(folder)
    assert report.checks[-1].what == "golden answers, onnxruntime fp32"
    assert report.checks[-1].verdict == "ok"


def test_a_model_no_engine_can_read_is_wrong_input(tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    folder = bundle_example.make(tmp_path, model=broken)
    with pytest.raises(InputError, match="onnxruntime"):
        bundle_verify.verify(folder)


def test_an_unknown_engine_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown 'onnxrntime'"):
        bundle_verify.verify(bundle_example.make(tmp_path), "onnxrntime")


def test_stated_asks_float32_of_engines_that_were_not_measured() -> None:
    fp32 = Tolerance(max_abs=1e-4, agreement=1.0)
    bf16 = Tolerance(max_abs=0.1, agreement=0.98)
    known = {"openvino/bf16": bf16, "openvino/fp32": fp32}
    assert models.stated_tolerance(known, "openvino", "bf16") == bf16
    assert models.stated_tolerance(known, "onnxruntime", "fp32") == fp32
    assert models.stated_tolerance(known, "onnxruntime", "bf16") is None
    assert models.stated_tolerance({"openvino/bf16": bf16}, "openvino", "fp32") is None
    beside = {"openvino/int8-bf16": bf16}
    assert models.stated_tolerance(beside, "openvino", "int8") == bf16
    assert models.stated_tolerance({**beside, "b/int8": fp32}, "openvino", "int8") == fp32
    assert models.stated_tolerance({"b/int8": fp32}, "openvino", "int8-bf16") is None


def test_no_torch(tmp_path: Path) -> None:
    import subprocess
    import sys

    folder = bundle_example.make(tmp_path)
    script = (
        "import sys; from pathlib import Path; from edgekd.bundle import verify as bundle_verify\n"
        "bundle_verify.require_sound(bundle_verify.verify(Path(sys.argv[1])))\n"
        "assert 'torch' not in sys.modules and 'onnxruntime' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script, folder], check=True, capture_output=True)
    assert bundle.load_bundle(folder)


@pytest.mark.parametrize(
    ("stated", "flags", "verdict", "said"),
    [
        (0.1, ["ssse3", "avx2"], "ok", "1.0"),
        (0.05, ["ssse3", "avx2"], "failed", "quantize them to 7 bits"),
        (0.05, ["ssse3", "avx2", "avx512_vnni"], "failed", "something else differs"),
    ],
)
def test_quantized_answers_that_are_noisier_than_where_they_were_measured_fail(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stated: float,
    flags: list[str],
    verdict: str,
    said: str,
) -> None:
    weights = bundle_example.model(tmp_path / "model.onnx")
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(200, 1, 4, 4)).astype(np.float32)
    exact = inputs.reshape(200, 16) @ weights
    noisy = (exact + rng.normal(0, 0.1, exact.shape)).astype(np.float32)
    answers = {"inputs": inputs, "outputs": noisy}
    made = bundle_example.write_golden(tmp_path / "noisy.safetensors", answers)
    row = bundle_example.row(parity_max_abs=9.0, parity_rms=stated, agreement=0.0)
    folder = bundle_example.make(tmp_path, golden=made, rows=[row])
    assert bundle.load_bundle(folder).manifest.tolerance["onnxruntime/fp32"].rms == stated
    assert (
        bundle_verify.verify(folder).checks[-1].what.startswith("golden answers")
    )  # not quantized
    monkeypatch.setattr(bundle_verify, "is_quantized", lambda folder: True)
    monkeypatch.setattr(instructions, "usable_flags", lambda told: flags)
    last = bundle_verify.verify(folder).checks[-1]
    assert (last.what, last.verdict) == ("instruction set", verdict) and said in last.text


def test_quantized_models_are_known_by_what_their_outputs_need(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    foreign_example.quantized(path)
    assert bundle_verify.is_quantized(tmp_path)
    model = onnx.load(path)
    model.graph.node[-1].input[0] = "x"  # nothing reads the 8-bit numbers any more
    model.graph.node[-1].name = "QLinearMatMul"
    onnx.save(model, path)
    assert not bundle_verify.is_quantized(tmp_path)


def test_a_quantized_model_is_compared_in_steps_on_any_engine(tmp_path: Path) -> None:
    row = bundle_example.row("onnxruntime-int8-1t", profile="x86", parity_max_abs=0.0)
    arguments = {"rows": [row], "chosen": row["name"], "parity": {"logit_step": 1e-4}}
    folder = bundle_example.make(tmp_path, quantized=True, **arguments)
    for runtime in ("onnxruntime", "openvino"):
        last = bundle_verify.verify(folder, runtime).checks[-1]
        assert last.verdict == "ok" and last.what == f"golden answers, {runtime} int8"
        assert "quantization steps (at most 8)" in last.text


def resaved(folder: Path, **tensors: np.ndarray | None) -> bundle_verify.Report:
    """The report of a bundle whose golden file was written with these tensors."""
    return bundle_verify.verify(bundle_example.make(folder, tensors=tensors))


def test_pixels_go_through_preprocessing_to_the_answer(tmp_path: Path) -> None:
    found = {check.what: check for check in resaved(tmp_path).checks}["preprocessing"]
    assert found.verdict == "ok" and "1 sample, largest difference" in found.text


def test_an_older_bundle_without_pixels_still_verifies(tmp_path: Path) -> None:
    report = resaved(tmp_path, pixels=None)
    assert verdicts(report)["preprocessing"] == "not checked"
    bundle_verify.require_sound(report)


def test_pixels_that_become_another_input_fail(tmp_path: Path) -> None:
    other = np.full((1, 4, 4, 1), 7, np.uint8)
    report = resaved(tmp_path, pixels=other)
    assert verdicts(report)["preprocessing"] == "failed"
    with pytest.raises(BudgetMissed, match="preprocessing: images becomes an input"):
        bundle_verify.require_sound(report)


def test_a_preprocessing_that_is_not_the_models_fails(tmp_path: Path) -> None:
    """Digests fit: it was written wrong, as by another tool."""
    wrong = bundle_example.dataset(dataclasses.replace(bundle_example.IMAGE, mean=(0.4,)))
    report = bundle_verify.verify(bundle_example.make(tmp_path, dataset=wrong))
    assert verdicts(report)["preprocessing"] == "failed"


def test_pixels_are_asked_of_the_engine_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = bundle_verify.compute_outputs

    def off(engine: Any, inputs: Path, *, fields: Any = None, **more: Any) -> dict[str, np.ndarray]:
        got = ask(engine, inputs, fields=fields, **more)
        return got if fields is None else {name: each + 1 for name, each in got.items()}

    monkeypatch.setattr(bundle_verify, "compute_outputs", off)
    report = resaved(tmp_path)
    assert verdicts(report)["preprocessing"] == "failed"
    assert "largest difference 1" in {c.what: c.text for c in report.checks}["preprocessing"]


def test_answers_that_are_not_finite_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (np.nan, np.inf):
        got = np.full((8, 3), value, np.float32)
        monkeypatch.setattr(
            bundle_verify, "compute_outputs", lambda *_, got=got, **__: {"logits": got}
        )
        folder = tmp_path / str(value)
        folder.mkdir()
        report = resaved(folder)
        with pytest.raises(BudgetMissed, match="got answers that are not finite"):
            bundle_verify.require_sound(report)


def test_the_timeout_is_the_workers(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"did not end within 0\.01 s"):
        bundle_verify.verify(bundle_example.make(tmp_path), timeout_s=0.01)


def test_an_unknown_engine_is_wrong_input_though_the_files_have_changed(tmp_path: Path) -> None:
    folder = bundle_example.make(tmp_path)
    (folder / "task.json").unlink()
    with pytest.raises(InputError, match="unknown 'onnxrntime'"):
        bundle_verify.verify(folder, "onnxrntime")
