"""The parts of a verification, each by itself: stored rows, differences, saturation."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

import numpy as np
import pytest

from edgekd import bundle
from edgekd.bench import saturation
from edgekd.bench.engine import Engine
from edgekd.bench.golden import GoldenGroup
from edgekd.bench.machine import host
from edgekd.bench.machine import instructions
from edgekd.bundle import Bundle
from edgekd.bundle import models
from edgekd.bundle import verify as bundle_verify
from edgekd.bundle.manifest import CheckResult
from edgekd.bundle.manifest import OutputTolerance
from edgekd.bundle.manifest import Tolerance
from edgekd.devices import local
from tests import bundle_example
from tests import text_example

if TYPE_CHECKING:
    from edgekd.bundle.manifest import Manifest


@pytest.mark.parametrize(
    ("pixel", "off", "verdict"),
    [
        (255, 1.5e-4, "ok"),  # it becomes an input of 2: a ten-thousandth of that is allowed
        (255, 2.5e-4, "failed"),
        (128, 0.5e-4, "ok"),  # an input of 0.008: a ten-thousandth of 1 is allowed
        (128, 1.5e-4, "failed"),
    ],
)
def test_pixels_become_the_golden_inputs_but_for_rounding(
    tmp_path: Path, pixel: int, off: float, verdict: str
) -> None:
    pixels = np.full((1, 4, 4, 1), pixel, np.uint8)
    inputs = np.repeat(bundle_example.IMAGE.apply(pixels), 8, axis=0)
    inputs[0, 0, 1, 2] += off
    tensors = {"inputs": inputs, "pixels": pixels}
    found = bundle.load_bundle(bundle_example.make(tmp_path, tensors=tensors))
    want = found.golden["usual"].outputs["logits"][:1]
    got = bundle_verify._from_rows(found, lambda *_, **__: {"y": want}, None, tmp_path)
    assert got.verdict == verdict and ("becomes an input" in got.text) is (verdict == "failed")


@pytest.mark.parametrize(
    ("answers", "max_abs", "verdict", "says"),
    [
        (0.5, 0.5, "ok", "largest difference 0.5"),
        (0.5, 0.49, "failed", "largest difference 0.5"),
        (0.5, None, "ok", "largest difference 0.5"),
        ((2, 3), 9.0, "failed", "stored rows get logits (2, 3), want (1, 3)"),
    ],
)
def test_answers_to_pixels_are_held_to_the_tolerance(
    tmp_path: Path, answers: Any, max_abs: float | None, verdict: str, says: str
) -> None:
    outputs = np.full((8, 3), 2, np.float32)
    found = bundle.load_bundle(bundle_example.make(tmp_path, tensors={"outputs": outputs}))
    tolerance = None if max_abs is None else Tolerance(max_abs=max_abs, agreement=1.0)
    given = np.zeros(answers) if isinstance(answers, tuple) else outputs[:1] + answers
    got = bundle_verify._from_rows(found, lambda *_, **__: {"y": given}, tolerance, tmp_path)
    assert got.verdict == verdict and says in got.text


ENGINE = Engine("onnxruntime", "fp32", 1, {})
GOLDEN = GoldenGroup(
    {"images": np.zeros((4, 1, 4, 4), np.float32)}, {"logits": np.eye(4, 3, dtype=np.float32)}
)


def bundled(usual: GoldenGroup, task: str = "classification") -> Bundle:
    """As much of a bundle as answers are compared by."""
    dataset = dataclasses.replace(bundle_example.dataset(), task=task)
    return Bundle(Path("nowhere"), cast("Manifest", None), dataset, {"usual": usual})


def compared(got: np.ndarray, tolerance: Tolerance | None, **more: str) -> CheckResult:
    """An engine's only output beside that of `GOLDEN`."""
    found = bundled(GOLDEN, **more)
    return bundle_verify._compared(found, {"usual": {"y": got}}, tolerance, ENGINE, found.golden)


@pytest.mark.parametrize(
    ("off", "tolerance", "verdict", "says"),
    [
        (0.5, Tolerance(max_abs=0.5, agreement=1.0), "ok", "0.5 (at most 0.5)"),
        (0.5, Tolerance(max_abs=0.49, agreement=1.0), "failed", "0.5 (at most 0.49)"),
        (
            0.5,
            Tolerance(max_abs=2.0, agreement=1.0, step=0.25),
            "ok",
            "0.5, 2 quantization steps (at most 8)",
        ),
        (0.5, None, "not checked", "never measured"),
    ],
)
def test_the_largest_difference_may_be_the_one_that_is_stated(
    off: float, tolerance: Tolerance | None, verdict: str, says: str
) -> None:
    found = compared(GOLDEN.outputs["logits"] + off, tolerance)
    assert (found.verdict, found.what) == (verdict, "golden answers, onnxruntime fp32")
    assert says in found.text


@pytest.mark.parametrize(
    ("least", "verdict"), [(0.75, "ok"), (0.75 + 3e-15, "ok"), (0.7502, "failed")]
)
def test_the_agreement_may_be_the_one_that_is_stated(least: float, verdict: str) -> None:
    got = GOLDEN.outputs["logits"].copy()
    got[1] = [0.5, 0.25, 0]  # one of four names another class
    found = compared(got, Tolerance(max_abs=1, agreement=least))
    assert found.verdict == verdict and "agreement 75.00%" in found.text


def test_answers_of_another_shape_fail() -> None:
    for shape in ((3, 3), (4, 4), (4,)):
        tolerance = Tolerance(max_abs=9, agreement=0)
        found = compared(np.zeros(shape), tolerance)
        assert found.verdict == "failed" and f"got logits {shape}, want (4, 3)" in found.text


NOISE = Tolerance(max_abs=1, agreement=1, rms=0.1)


def test_saturation_is_looked_for_in_32_samples_of_the_same_shape() -> None:
    outputs = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    usual = GoldenGroup({"images": np.zeros((32, 1, 4, 4), np.float32)}, {"logits": outputs})
    (found,) = bundle_verify._saturated(usual, {"y": outputs}, NOISE, local.DEVICE)
    assert (found.what, found.verdict) == ("instruction set", "ok")
    fewer = GoldenGroup({"images": usual.inputs["images"][1:]}, {"logits": outputs[1:]})
    assert bundle_verify._saturated(fewer, {"y": outputs[1:]}, NOISE, local.DEVICE) == []
    assert bundle_verify._saturated(usual, {"y": outputs[:, :2]}, NOISE, local.DEVICE) == []
    unknown = Tolerance(max_abs=1, agreement=1)
    assert bundle_verify._saturated(usual, {"y": outputs}, unknown, local.DEVICE) == []


def test_the_cause_of_noise_is_read_from_the_flags_of_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    usual = GoldenGroup({"images": np.zeros((32, 1, 4, 4), np.float32)}, {"logits": outputs})
    elsewhere = local.DEVICE._replace(name="elsewhere")
    described = host.describe_host()
    for flags, device, says in (
        (["ssse3", "avx2"], elsewhere, "quantize them to 7 bits"),
        (["ssse3", "avx2", "avx512_vnni"], elsewhere, "something else differs"),
        (None, elsewhere, "something else differs"),
        (["ssse3", "avx2"], local.DEVICE, "something else differs"),  # as `usable` says below
    ):
        here = described._replace(facts={"flags": flags})
        monkeypatch.setattr(host, "describe_host", lambda device, here=here: here)
        monkeypatch.setattr(instructions, "usable_flags", lambda flags: [*flags, "avx512_vnni"])
        (found,) = bundle_verify._saturated(usual, {"y": outputs + 1}, NOISE, device)
        assert found.verdict == "failed" and says in found.text


@pytest.mark.parametrize(("step", "want"), [(None, 0.05), (0.01, 0.05), (0.2, 0.2)])
def test_noise_is_held_to_what_was_measured_or_one_step(
    monkeypatch: pytest.MonkeyPatch, step: float | None, want: float
) -> None:
    outputs = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    group = GoldenGroup({"images": np.zeros((32, 1), np.float32)}, {"logits": outputs})
    tolerance = Tolerance(max_abs=1, agreement=1, rms=0.05, step=step)
    asked: list[float] = []
    check = saturation.check_saturation

    def record(*given: Any, stated_rms: float) -> Any:
        asked.append(stated_rms)
        return check(*given, stated_rms=stated_rms)

    monkeypatch.setattr(saturation, "check_saturation", record)
    bundle_verify._saturated(group, {"y": outputs}, tolerance, local.DEVICE)
    assert asked == [want]


def test_an_engine_that_was_measured_is_held_to_its_own_tolerance() -> None:
    first = Tolerance(max_abs=1e-4, agreement=1.0)
    own = Tolerance(max_abs=1e-3, agreement=1.0)
    for precision in ("fp32", "int8"):
        known = {f"onnxruntime/{precision}": first, f"openvino/{precision}": own}
        assert models.stated_tolerance(known, "openvino", precision) == own
        assert models.stated_tolerance(known, "another", precision) == first


def test_each_of_several_outputs_is_held_to_its_own_tolerance() -> None:
    inputs = text_example.inputs(4, 5)
    want = {name: a.astype(np.float32) for name, a in text_example.answers(inputs).items()}
    wanted = bundled(GoldenGroup(inputs, want))
    tolerance = Tolerance(
        max_abs=0.5, agreement=1, outputs={"states": OutputTolerance(max_abs=0.1)}
    )
    for name, off, verdict, says in (
        ("logits", 0.4, "ok", "largest difference of logits 0.4 (at most 0.5)"),
        ("states", 0.4, "failed", "largest difference of states 0.4 (at most 0.1)"),
        ("logits", 0.6, "failed", "largest difference of logits 0.6 (at most 0.5)"),
    ):
        got = {"usual": {**want, name: want[name] + np.float32(off)}}
        found = bundle_verify._compared(wanted, got, tolerance, ENGINE, wanted.golden)
        assert found.verdict == verdict and says in found.text
    less = {"usual": {"logits": want["logits"]}}
    missing = bundle_verify._compared(wanted, less, tolerance, ENGINE, wanted.golden)
    assert missing.verdict == "failed" and "got no output states, but logits" in missing.text


@pytest.mark.parametrize("got", [GOLDEN.outputs["logits"], -GOLDEN.outputs["logits"]])
def test_decisions_of_a_task_of_its_authors_own_are_not_compared(got: np.ndarray) -> None:
    """Its code is not run; the numbers are still held to theirs."""
    own = "python:no_such_module:TASK"
    found = compared(got, Tolerance(max_abs=2, agreement=1), task=own)
    assert found.verdict == "ok" and "agreement" not in found.text
    assert found.text.endswith("the task is its author's own code, which is not run")
    assert compared(got + 3, Tolerance(max_abs=2, agreement=1), task=own).verdict == "failed"


def test_a_task_that_is_not_installed_fails_in_one_line() -> None:
    found = compared(GOLDEN.outputs["logits"], Tolerance(max_abs=2, agreement=1), task="parsing")
    assert found.verdict == "failed" and "unknown 'parsing'" in found.text
