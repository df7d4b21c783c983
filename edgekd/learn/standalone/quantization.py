"""Post-training quantization of one's own module, and its Q/DQ files."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch import nn

from edgekd import files
from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.learn import deploy_form
from edgekd.learn.export import to_onnx
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import emit
from edgekd.learn.quant import post_training
from edgekd.learn.quant.post_training import QuantizedStart
from edgekd.learn.standalone.batches import input_names
from edgekd.learn.standalone.batches import read_batch
from edgekd.learn.standalone.batches import require_batches
from edgekd.learn.standalone.ends import infer_interface
from edgekd.profile import NUMERICS
from edgekd.profile import PROFILES

EXAMPLES = 4
"""Batches of other shapes that are looked at for free axes."""


@dataclass(frozen=True, slots=True)
class QuantizedModule:
    """A quantized model, as each target runs it fastest."""

    profiles: Mapping[str, str]
    """Target to the profile its file is written in, a name of `edgekd.profile.PROFILES`."""
    interface: Interface
    """What the model takes and gives: names and free axes in the files."""
    agreement: Mapping[str, float | None]
    """Target to the share of the calibration samples on which the largest output is the float model's; None where
    the output is a single number."""
    in_float: Mapping[str, tuple[str, ...]]
    """Target to what multiplies and stays in float, by its place in the model."""
    _starts: Mapping[str, QuantizedStart]
    """By numerics."""

    def module(self, target: str) -> nn.Module:
        """The model in torch: it computes in float what the target computes in int8.

        Raises:
            InputError: if it was not quantized for that target.
        """
        return emit.fake_quantize(self._start(target).model, PROFILES[self.profiles[target]])

    def save(self, folder: str | os.PathLike[str], *, opset: int = 18) -> dict[str, Path]:
        """Write an ONNX file with Q/DQ for each target, ``TARGET.onnx``.

        Returns:
            Target to its file.

        Raises:
            InputError: if the exporter refuses the model.
            MachineError: if the disk refuses.
        """
        root = files.make_folder(Path(folder))
        written = {}
        for target, profile in self.profiles.items():
            module = emit.prepare_export(self._start(target).model, PROFILES[profile])
            written[target] = root / f"{target}.onnx"
            least = max(opset, emit.least_opset(module))
            to_onnx.write(module, written[target], self.interface, opset=least)
        return written

    def _start(self, target: str) -> QuantizedStart:
        if target not in self.profiles:
            known = ", ".join(self.profiles)
            raise InputError(f"target: got {target!r}, want one that it was quantized for: {known}")
        return self._starts[PROFILES[self.profiles[target]].numerics]

    def __repr__(self) -> str:
        shares = ", ".join(
            f"{target}: {'-' if share is None else f'{share:.2%}'}"
            for target, share in self.agreement.items()
        )
        return f"QuantizedModule(agreement: {shares})"


def quantize_module(
    model: nn.Module,
    batches: Iterable[Any],
    profiles: Mapping[str, str],
    *,
    samples: int,
    method: str,
    float_layers: Sequence[str],
    weight_bits: int,
    equalize: float,
    correct_bias: bool,
) -> QuantizedModule:
    """Quantize `model`, which is left as it is, once for each of the profiles' numerics.

    Args:
        model: float.
        batches: as `read_batch` takes them; targets are passed over.
        profiles: target to profile.
        samples: on how many it is calibrated, at most.
        method: how ranges are found.
        float_layers: what keeps its precision, by module path.
        weight_bits: of the weights, 2 to 8.
        equalize: how much of the difference between channels behind a layer norm moves into weights.
        correct_bias: whether to try to correct biases.

    Raises:
        InputError: if the model cannot be run, traced or quantized so.
    """
    names = input_names(model)
    require_batches(batches)
    calibration = _take(batches, names, samples)
    model = copy.deepcopy(model).cpu().eval()
    interface = infer_interface(model, _examples(calibration), names)
    model = deploy_form.to_deploy_form(model, *_first(calibration, deploy_form.COMPARED)).model
    starts = {}
    for numerics in dict.fromkeys(PROFILES[profile].numerics for profile in profiles.values()):
        try:
            starts[numerics] = post_training.quantize(
                model,
                interface,
                NUMERICS[numerics],
                lambda: calibration,
                method=method,
                equalize=equalize,
                correct=correct_bias,
                float_layers=tuple(float_layers),
                every_weight_bits=weight_bits,
            )
        except ValueError as error:
            raise InputError(f"quantize: {error}") from error
    agreement = {
        numerics: _agreement(model, one.model, calibration) for numerics, one in starts.items()
    }
    numerics_of = {target: PROFILES[profile].numerics for target, profile in profiles.items()}
    return QuantizedModule(
        dict(profiles),
        interface,
        {target: agreement[numerics] for target, numerics in numerics_of.items()},
        {target: starts[numerics].in_float for target, numerics in numerics_of.items()},
        starts,
    )


def _take(batches: Iterable[Any], names: tuple[str, ...], samples: int) -> list[Inputs]:
    """The inputs of at most so many samples."""
    taken: list[Inputs] = []
    left = samples
    for value in batches:
        inputs = tuple(each[:left].detach().cpu() for each in read_batch(value, names).inputs)
        taken.append(inputs)
        left -= len(inputs[0])
        if left <= 0:
            break
    if not taken:
        raise InputError("batches: got none, want some to calibrate on")
    return taken


def _examples(calibration: Sequence[Inputs]) -> list[Inputs]:
    """The first batch, and the first of other shapes."""
    found: dict[tuple[tuple[int, ...], ...], Inputs] = {}
    for inputs in calibration:
        found.setdefault(tuple(tuple(each.shape[1:]) for each in inputs), inputs)
    return list(found.values())[:EXAMPLES]


def _first(calibration: Sequence[Inputs], count: int) -> Inputs:
    return tuple(each[:count] for each in calibration[0])


def _agreement(
    model: nn.Module, quantized: fx.GraphModule, calibration: Sequence[Inputs]
) -> float | None:
    """The share of samples (or places) on which both models' largest output along axis 1 is the same."""
    same = total = 0
    with torch.no_grad():
        for inputs in calibration:
            want, got = _classes(model, inputs), _classes(quantized, inputs)
            if want is None or got is None:
                return None
            same, total = same + int((want == got).sum()), total + want.numel()
    return same / total


def _classes(model: Callable[..., Any], inputs: Inputs) -> torch.Tensor | None:
    first = as_tuple(model(*inputs))[0]
    if first.ndim < 2 or first.shape[1] < 2 or not first.is_floating_point():
        return None
    return first.argmax(1)
