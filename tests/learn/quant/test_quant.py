"""What is no classifier of images is quantized, exported, and answered as torch does by both engines."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.interface import Interface
from edgekd.learn.export import to_onnx
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import blocks
from edgekd.learn.quant import emit
from edgekd.learn.quant import insertion
from edgekd.learn.quant import post_training
from edgekd.learn.quant import rewriting
from edgekd.learn.quant import tracing
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES
from edgekd.runtime import Session
from edgekd.runtimes import openvino
from edgekd.runtimes import ort
from tests import ends_example as example

LENGTHS = (5, 9, 16, 33, 128)
TEXTS = [example.texts(8, length, seed=1) for length in LENGTHS[:4]]
CASES = {
    "text": (example.Encoder, example.TEXT, TEXTS),
    "map": (example.UNet, example.MAP, [example.drawn(example.MAP, 16, s) for s in (0, 1)]),
    "two": (example.TwoEnds, example.TWO, [example.drawn(example.TWO, 16, s) for s in (0, 1)]),
}
NAMES = tuple(CASES)


@functools.cache
def quantized(name: str) -> post_training.QuantizedStart:
    kind, interface, batches = CASES[name]
    model = example.made(kind)
    return post_training.quantize(model, interface, NUMERICS["asymmetric"], lambda: batches)


@functools.cache
def exported(name: str, profile: str) -> bytes:
    """An ONNX file, written once for all tests."""
    written = emit.prepare_export(quantized(name).model, PROFILES[profile])
    with tempfile.TemporaryDirectory() as folder:
        return to_onnx.write(written, Path(folder) / "model.onnx", CASES[name][1]).read_bytes()


def open_in(engine: str, name: str, profile: str, folder: Path) -> Session:
    path = folder / "model.onnx"
    path.write_bytes(exported(name, profile))
    if engine == "onnxruntime":
        return ort.load({"model.onnx": path}, "fp32", 1)
    return openvino.load(openvino.build(path, folder, "int8"), "int8", 1)


def run_in(session: Session, interface: Interface, inputs: Inputs) -> list[np.ndarray]:
    named = {end.name: x.numpy() for end, x in zip(interface.inputs, inputs, strict=True)}
    return list(session.run(named))


def in_torch(name: str, profile: str, inputs: Inputs) -> list[np.ndarray]:
    faked = emit.fake_quantize(quantized(name).model, PROFILES[profile])
    with torch.no_grad():
        return [each.numpy() for each in as_tuple(faked(*inputs))]


@pytest.mark.parametrize("name", NAMES)
def test_quantized_it_answers_like_the_float_model(name: str) -> None:
    kind, _, batches = CASES[name]
    started = quantized(name)
    assert started.undone == () and max(started.tried.values()) < 1e-3
    with torch.no_grad():
        pairs = [
            (got, want)
            for inputs in batches
            for got, want in zip(
                as_tuple(started.model(*inputs)), as_tuple(example.made(kind)(*inputs)), strict=True
            )
        ]
    for got, want in pairs:
        assert (got - want).abs().mean() < 0.1 * want.std()


@pytest.mark.parametrize(("engine", "profile"), [("onnxruntime", "x86"), ("openvino", "openvino")])
@pytest.mark.parametrize("name", NAMES)
def test_both_engines_answer_as_the_rounded_torch_does(
    name: str, engine: str, profile: str, tmp_path: Path
) -> None:
    session, interface = open_in(engine, name, profile, tmp_path), CASES[name][1]
    if name == "text":
        tried = [example.texts(4, length, seed=7) for length in LENGTHS]
    else:
        tried = [example.drawn(interface, count, 9) for count in (1, 5)]
    steps = emit.logit_steps(quantized(name).model)
    for inputs in tried:
        pairs = zip(
            run_in(session, interface, inputs), in_torch(name, profile, inputs), steps, strict=True
        )
        for got, want, step in pairs:
            assert got.shape == want.shape and step is not None
            assert np.sqrt(np.square(got - want).mean()) < 2 * step


@pytest.mark.parametrize(("engine", "profile"), [("onnxruntime", "x86"), ("openvino", "openvino")])
def test_neither_padding_nor_the_others_of_a_batch_change_an_answer(
    engine: str, profile: str, tmp_path: Path
) -> None:
    session = open_in(engine, "text", profile, tmp_path)
    (step,) = emit.logit_steps(quantized("text").model)
    assert step is not None
    for length in LENGTHS:
        ids, mask = example.texts(4, length, seed=3)
        (together,) = run_in(session, example.TEXT, (ids, mask))
        padded = [nn.functional.pad(each, (0, example.LONGEST - length)) for each in (ids, mask)]
        (longer,) = run_in(session, example.TEXT, tuple(padded))
        count = int(mask[1].sum())
        (alone,) = run_in(session, example.TEXT, (ids[1:2, :count], mask[1:2, :count]))
        np.testing.assert_allclose(longer, together, atol=step / 2, rtol=0)
        np.testing.assert_allclose(alone, together[1:2], atol=step / 2, rtol=0)


def test_its_products_run_in_int8(tmp_path: Path) -> None:
    """All thirteen linear layers; the two products of an attention stay in float in each block."""
    open_in("onnxruntime", "text", "x86", tmp_path)
    kernels = ort.kernels({"model.onnx": tmp_path / "model.onnx"}, "fp32")
    counts = {name.split()[0]: 0 for name in kernels}
    for name, count in kernels.items():
        counts[name.split()[0]] += count
    assert counts["MatMulIntegerToFloat"] + counts["QGemm"] == 13
    assert counts["MatMul"] + counts.get("FusedMatMul", 0) == 4 and not counts.get("Gemm")


def test_attention_that_is_one_operator_is_quantized_under_a_mask_of_booleans() -> None:
    fused, apart = example.made(example.Encoder, True), example.made(example.Encoder)
    compared = [example.texts(8, length, seed=2) for length in (5, 33)]
    module, undone = rewriting.trace_and_rewrite(fused, example.TEXT, compared)
    assert undone == ()
    got, want = (rewriting.compute_answers(each, compared) for each in (module, apart))
    assert rewriting.compare_answers(got, want) <= 1
    inserted = insertion.insert_quantizers(
        module, NUMERICS["asymmetric"], forms=blocks.resolve_forms({"attention-products": "int8"})
    )
    assert "blocks.0" in insertion.find_activation_quantizers(inserted)  # the softmax
    ranges = insertion.find_activation_quantizers(inserted)["blocks.0"]
    assert not ranges.learns


def test_an_axis_that_is_usually_one_long_stays_free() -> None:
    interface = example.TEXT._replace(
        axes=tuple(axis._replace(usual=1) for axis in example.TEXT.axes)
    )
    traced = tracing.trace(example.made(example.Encoder), interface)
    inputs = example.texts(3, 7)
    with torch.no_grad():
        want = example.made(example.Encoder)(*inputs)
        torch.testing.assert_close(traced(*inputs), want, rtol=1e-5, atol=1e-6)


def test_each_output_has_the_step_of_the_layer_before_it() -> None:
    model = quantized("two").model
    site = insertion.find_activation_quantizers(model)["relu_2"]
    for name, step in zip(("classes", "numbers"), emit.logit_steps(model), strict=True):
        largest = float(model.get_parameter(f"{name}.weight").detach().abs().max())
        assert step == pytest.approx(site.step() * largest)


class Passes(nn.Module):
    """Gives its input on, beside what a layer makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 3)

    def forward(self, images: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.fc(values), values[:, :2] * images.mean()


def test_an_output_that_no_layer_leads_to_has_no_step() -> None:
    batches = [example.drawn(example.TWO, 8)]
    started = post_training.quantize(
        example.made(Passes), example.TWO, NUMERICS["asymmetric"], lambda: batches
    )
    known, unknown = emit.logit_steps(started.model)
    assert known is not None and unknown is None


class Fixed(example.Encoder):
    """Written for one length."""

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return super().forward(ids, mask).reshape(-1, 3) + self.positions.weight[:3, 0] * ids.view(
            -1, 16
        ).sum(1, keepdim=True)


def test_a_model_for_one_length_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="cannot be traced: ") as caught:
        tracing.trace(example.made(Fixed), example.TEXT)
    assert "\n" not in str(caught.value)
