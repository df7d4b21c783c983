"""Stage `export`: a trained model becomes one ONNX file, shown to give the same answers."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

from pydantic import Field

from edgekd import files
from edgekd.bench import answer_jobs
from edgekd.bench import engine_answers
from edgekd.bench import golden
from edgekd.bench import golden_choice
from edgekd.bench import parity_file
from edgekd.bench import states
from edgekd.bench.answers import explain_other_operators
from edgekd.bench.differences import are_finite
from edgekd.bench.differences import compare_answers
from edgekd.bench.narrow_cache import narrow_cache
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.field import RaggedRows
from edgekd.interface import is_decoder
from edgekd.settings import Count
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.task import interface_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgekd.bench.differences import Differences
    from edgekd.bench.golden import Golden
    from edgekd.bench.golden import GoldenGroup
    from edgekd.field import Arrays
    from edgekd.learn.evaluation import EvaluationSplit

MODEL = "model.onnx"
GENERATION = "generation.json"
"""Of a decoder: a prompt, and what the trained model writes behind it."""
FUSED = "fused.onnx"
"""A decoder as an engine's own operators, with keys and values in 8 bits where weights are codes, or else the same as
model.onnx."""
USER_MODEL = "user_model"
"""The user's own file, which is deployed byte for byte."""
PARTS = {"graph": 0, "fused operators": 6, "golden answers": 7, "answers of ONNX Runtime": 8}
"""Of an export, and how many tenths of its time of a decoder lie before each."""
EXTREMES = 8
"""Golden samples of the least and of the longest size, where sizes differ."""


class ExportSettings(Settings):
    """Settings in a recipe: the form of the model, and the tolerance of its answers."""

    opset: Annotated[int, Field(ge=18, le=23)] = 18
    """ONNX operator set; torch's exporter writes these without converting down. An int8 file may need a later one."""
    golden: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Real validation samples stored with torch's answers to them."""
    tolerance: Positive = 1e-4
    """Largest difference of a logit between torch and an engine, both float32; of logits whose root mean
    square is above 10, that many times a tenth of it."""


class ExportConfig(ExportSettings):
    """The same for one model."""

    profile: str = ""
    """Of `edgekd.profile`, how a quantized model is written; empty for a float one."""
    sizes: dict[str, Annotated[tuple[Count, ...], Field(strict=False)]] = omit_default({})
    """Sizes of free axes by their names, for each of which samples are stored that are nearest to it from below."""


def run(config: ExportConfig, given: Given, context: Context) -> Made:
    """Give model.onnx, golden.safetensors (`edgekd.bench.golden`: inputs, outputs, and of the first the pixels),
    parity.json; deploy.json if modules were merged; of a decoder fused.onnx.

    The golden outputs are torch's: of a quantized model, with its activations and weights rounded.

    Raises:
        InputError: if the exporter refuses the model, or float answers leave the tolerance.
        MachineError: if ONNX Runtime is not installed.
    """
    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint
    from edgekd.learn import cache
    from edgekd.learn import deploy_form
    from edgekd.learn import greedy
    from edgekd.learn import quantized_form
    from edgekd.learn.evaluation import read_split
    from edgekd.learn.export import cache_in_8_bits
    from edgekd.learn.export import fused_file
    from edgekd.learn.export import to_onnx

    require_onnxruntime()
    plan = blueprint.Blueprint.model_validate_json(given["blueprint"].read_bytes())
    model = blueprint.load(given["blueprint"], given["weights"], allow_code=context.allow_code)
    made = {name: context.folder / name for name in (MODEL, "golden.safetensors")}
    form, opset, reason = None, config.opset, ""

    def tell(part: str) -> None:
        context.progress.update(PARTS[part], 10, part)

    with arithmetic.deterministic_torch(context.seed, 1):
        if USER_MODEL in given:
            shutil.copyfile(given[USER_MODEL], made[MODEL])
        else:
            form = deploy_form.to_deploy_form(model, *plan.noise(deploy_form.COMPARED))
            written = form.model
            if config.profile:
                written = quantized_form.prepare_export(written, config.profile)
            deployed, interface = cache.with_cache(written, plan.interface)
            opset = max(opset, quantized_form.least_opset(written))
            tell("graph")
            to_onnx.write(deployed, made[MODEL], interface, opset=opset)
            if is_decoder(plan.interface):
                tell("fused operators")
                made[FUSED] = context.folder / FUSED
                reason = fused_file.write(written, made[FUSED], plan.interface, opset)
    validation = read_split(given, allow_code=context.allow_code)
    with arithmetic.deterministic_torch(context.seed, 1):
        tell("golden answers")
        count = golden.limit_samples(plan.interface, config.golden)
        chosen = choose_groups(validation, count, context.seed, config.sizes)
        groups = {name: make_group(model, validation, rows) for name, rows in chosen.items()}
        moved = _round_as_engines(model, validation, chosen) if config.profile else {}
        if is_decoder(plan.interface):
            made[GENERATION] = context.folder / GENERATION
            prompts = groups[golden.USUAL].inputs
            told = greedy.write_golden_text(model, prompts, plan.interface)
            made[GENERATION].write_bytes(files.canonical_json(told))
    golden.write(made["golden.safetensors"], groups)
    tell("answers of ONNX Runtime")
    answered = {name: run_onnx(made[MODEL], each) for name, each in groups.items()}
    if FUSED in made:
        if not reason:
            fused = {name: run_onnx(made[FUSED], each) for name, each in groups.items()}
            trained = {name: each.outputs for name, each in groups.items()}
            reason = explain_other_operators(fused, answered, trained, moved, config.tolerance)
        if reason:
            shutil.copyfile(made[MODEL], made[FUSED])
            context.progress.note(f"the decoder is not fused: {reason}")
        elif config.profile:
            (mask,) = (end.name for end in plan.interface.inputs if end.kind == "mask")
            write = cache_in_8_bits.write_narrow
            if reason := narrow_cache(made[FUSED], groups, fused, mask, write):
                context.progress.note(f"keys and values stay in float: {reason}")
    found = find_differences(answered, groups, validation)
    if config.profile:
        rounded = find_differences(moved, groups, validation)
        names = [end.name for end in plan.interface.outputs]
        steps = quantized_form.find_steps(model, names)
        parity = parity_file.describe_quantized(
            found, steps, rounded=rounded, profile=config.profile, opset=opset
        )
        if sentence := parity_file.describe_noise(rounded):
            context.progress.note(sentence)
    else:
        parity = parity_file.describe_float(found, tolerance=config.tolerance, opset=opset)
    made["parity.json"] = context.folder / "parity.json"
    made["parity.json"].write_bytes(files.canonical_json(parity))
    if form is not None and (form.paths or form.left):
        made["deploy.json"] = context.folder / "deploy.json"
        made["deploy.json"].write_bytes(files.pretty_json(form.summary()))
        context.progress.note(form.sentence())
    return made


def _round_as_engines(
    model: nn.Module, split: EvaluationSplit, chosen: Mapping[str, NDArray[np.int64]]
) -> dict[str, Arrays]:
    """Outputs by group of the golden samples when what an engine rounds is rounded, too."""
    from edgekd.learn import quantized_form

    rounded = quantized_form.round_as_engines(model)
    return {name: make_group(rounded, split, rows).outputs for name, rows in chosen.items()}


def require_onnxruntime() -> None:
    """Say now that the parity check cannot run, not after hours of training.

    Raises:
        MachineError: with the line that installs it.
    """
    from edgekd import runtimes

    missing = runtimes.find_runtime("onnxruntime").why_not()
    if missing:
        raise MachineError(f"export: {missing}")


def choose_groups(
    split: EvaluationSplit, count: int, seed: int, sizes: Mapping[str, Sequence[int]] = {}
) -> dict[str, NDArray[np.int64]]:
    """Indices of the golden samples of each group: one where all samples have one size; else up to `count` no longer than
    usual, with the longest of these, and up to `EXTREMES` of the shortest, the longest and below each of `sizes`."""
    import numpy as np

    lengths = {
        name: rows.lengths
        for name in split.dataset.inputs
        if isinstance(rows := split.rows[name], RaggedRows)
    }
    if not lengths:
        return {golden.USUAL: choose_golden(split, count, seed)}
    usual, along = np.ones(split.size, bool), {}
    for name, each in lengths.items():
        (axis,) = split.dataset.inputs[name].axes(name)
        usual &= each <= axis.usual
        along[axis.name] = each
    if not usual.any():
        usual[:] = True
    total = np.sum(list(lengths.values()), axis=0)
    longest = int(np.argmax(np.where(usual, total, -1)))
    chosen = choose_golden(split, count, seed, np.flatnonzero(usual))
    others = chosen[chosen != longest][: count - 1]
    groups = {golden.USUAL: np.append(longest, others)}  # its stored row needs no padding
    if is_decoder(
        interface_of(split.task, split.dataset)
    ):  # what it answers to padding is nobody's
        groups[golden.USUAL] = groups[golden.USUAL][total[groups[golden.USUAL]] == total[longest]]
    firsts = {golden.LEAST: int(total.argmin()), golden.LONGEST: int(total.argmax())}
    for own, size in ((along[name], s) for name, asked in sizes.items() for s in asked):
        if (own <= size).any():
            firsts[f"upto-{size}"] = int(np.where(own <= size, own, -1).argmax())
    for name, first in firsts.items():
        alike = np.all([each == each[first] for each in lengths.values()], axis=0)
        groups[name] = choose_golden(split, min(count, EXTREMES), seed, np.flatnonzero(alike))
    return groups


def choose_golden(
    split: EvaluationSplit, count: int, seed: int, among: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Indices [<= count] of samples whose inputs are pairwise different, of each stratum of the targets as many as
    can be, ascending in a random order set by `seed`; of those in `among`, if it is given."""
    inputs = [split.rows[name] for name in split.dataset.inputs]
    pool = golden_choice.find_distinct(inputs, count * golden_choice.POOL, seed, among)
    for name, field in split.dataset.targets.items():
        strata = field.strata(split.rows[name])
        if strata is not None:
            return pool[golden_choice.pick_evenly(strata[pool], count)]
    return pool[:count]


def make_group(model: nn.Module, split: EvaluationSplit, chosen: NDArray[np.int64]) -> GoldenGroup:
    """The golden samples at `chosen`; the stored rows of the first are kept, too."""
    some = split._replace(rows={name: rows[chosen] for name, rows in split.rows.items()})
    first = {name: some.rows[name][:1] for name in some.dataset.inputs}
    return golden.GoldenGroup(some.dataset.prepare_inputs(some.rows), some.outputs(model), first)


def run_onnx(path: Path, group: GoldenGroup) -> dict[str, NDArray[Any]]:
    """ONNX Runtime's outputs by name at the optimization level of the deployment, one thread."""
    from edgekd import runtimes

    try:
        session = runtimes.find_runtime("onnxruntime").load({MODEL: path}, "fp32", 1)
    except ValueError as error:
        raise InputError(f"export: {error}", hint="give export.opset another value") from error
    return answer_jobs.run_pieces(states.hide_states(session), group.inputs)


def find_differences(
    answered: Mapping[str, Arrays], groups: Golden, split: EvaluationSplit
) -> Differences:
    """Return how far an engine's outputs are from torch's.

    Raises:
        InputError: if an output is missing, of another shape or not finite.
    """
    if not are_finite(answered):
        raise InputError("export: got answers that are not finite")
    agree = functools.partial(engine_answers.agree_answers, split.task, split.dataset)
    try:
        return compare_answers(answered, groups, agree)
    except ValueError as error:
        raise InputError(f"export: got {error}") from error


STAGE = Stage(
    "export",
    ExportConfig,
    run,
    packages=("torch", "onnx", "onnxscript", "onnxruntime", "safetensors"),
)
