"""Stage `export`: a trained model becomes one ONNX file, shown to give the same answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

from pydantic import Field

from edgekd import files
from edgekd.bench import golden
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.field import RaggedRows
from edgekd.profile import PROFILES
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgekd.bench.golden import Group
    from edgekd.field import Rows
    from edgekd.learn.evaluation import EvaluationSplit

POOL = 16
"""Samples from which each golden one is taken, so that every class is among them."""


class Words(Settings):
    """What a recipe may say: how the model is written and how close its answers must stay."""

    opset: Annotated[int, Field(ge=18, le=23)] = 18
    """ONNX operator set; torch's exporter writes these without converting down."""
    golden: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Real validation samples stored with torch's answers to them."""
    tolerance: Positive = 1e-4
    """Largest difference of a logit between torch and an engine, both float32; of logits whose root mean
    square is above 10, that many times a tenth of it."""


class Config(Words):
    """The same for one model."""

    profile: str = ""
    """Of `edgekd.profile`, how a quantized model is written; empty for a float one."""


def run(config: Config, given: Given, context: Context) -> Made:
    """Give model.onnx, golden.safetensors (`edgekd.bench.golden`: inputs, outputs, and of the first the pixels),
    parity.json; deploy.json if modules were merged.

    The golden outputs are torch's: of a quantized model, with its activations and weights rounded.

    Raises:
        InputError: if the exporter refuses the model, or float answers leave the tolerance.
        MachineError: if ONNX Runtime is not installed.
    """

    from edgekd.learn import arithmetic
    from edgekd.learn import blueprint
    from edgekd.learn import deploy_form
    from edgekd.learn.evaluation import read_split
    from edgekd.learn.export import to_onnx

    want_onnxruntime()
    plan = blueprint.Blueprint.model_validate_json(given["blueprint"].read_bytes())
    model = blueprint.load(given["blueprint"], given["weights"], allow_code=context.allow_code)
    made = {name: context.folder / name for name in ("model.onnx", "golden.safetensors")}
    with arithmetic.deterministic(context.seed, 1):
        form = deploy_form.to_deploy_form(model, *plan.noise(deploy_form.COMPARED))
        written = _prepared(form.model, config.profile)
        to_onnx.write(written, made["model.onnx"], plan.interface, opset=config.opset)
    validation = read_split(given, allow_code=context.allow_code)
    with arithmetic.deterministic(context.seed, 1):
        chosen = choose_golden(validation, config.golden, context.seed)
        usual = make_group(model, validation, chosen)
    golden.write(made["golden.safetensors"], {golden.USUAL: usual})
    got = onnx_answers(made["model.onnx"], next(iter(usual.inputs.values())))
    if config.profile:
        parity = in_steps(got, usual.first_output, _logit_step(model), config)
    else:
        parity = compare(got, usual.first_output, config)
    made["parity.json"] = context.folder / "parity.json"
    made["parity.json"].write_bytes(files.canonical_json(parity))
    if form.paths or form.left:
        made["deploy.json"] = context.folder / "deploy.json"
        made["deploy.json"].write_bytes(files.pretty_json(form.summary()))
        context.progress.note(form.sentence())
    return made


def _prepared(model: nn.Module, profile: str) -> nn.Module:
    """What is handed to the exporter: the model itself, or the one that gives a profile's Q/DQ graph."""
    from edgekd.learn.quant import emit

    return emit.prepare_export(model, PROFILES[profile]) if profile else model


def _logit_step(model: nn.Module) -> float:
    from edgekd.learn.quant import emit

    (step,) = emit.logit_steps(model)
    assert step is not None  # one output, and layers are quantized
    return step


def want_onnxruntime() -> None:
    """Say now that the parity check cannot run, not after hours of training.

    Raises:
        MachineError: with the line that installs it.
    """
    from edgekd import runtimes

    missing = runtimes.find("onnxruntime").why_not()
    if missing:
        raise MachineError(f"export: {missing}")


def choose_golden(split: EvaluationSplit, count: int, seed: int) -> NDArray[np.int64]:
    """Indices [<= count] of samples whose inputs are pairwise different, of each stratum of the targets as many as
    can be, ascending in a random order set by `seed`."""
    pool = distinct([split.rows[name] for name in split.dataset.inputs], count * POOL, seed)
    for name, field in split.dataset.targets.items():
        strata = field.strata(split.rows[name])
        if strata is not None:
            return pool[spread(strata[pool], count)]
    return pool[:count]


def make_group(model: nn.Module, split: EvaluationSplit, chosen: NDArray[np.int64]) -> Group:
    """The golden samples at `chosen`; the stored rows of the first are kept, too."""
    some = split._replace(rows={name: rows[chosen] for name, rows in split.rows.items()})
    first = {name: some.rows[name][:1] for name in some.dataset.inputs}
    return golden.Group(some.dataset.prepare_inputs(some.rows), some.outputs(model), first)


def distinct(inputs: Sequence[Rows], count: int, seed: int) -> NDArray[np.int64]:
    """Indices [<= count] of samples whose rows are pairwise different, in a random order set by `seed`."""
    import numpy as np

    seen: set[bytes] = set()
    found = []
    for index in np.random.default_rng(seed).permutation(len(inputs[0])):
        content = b"".join(_row_bytes(rows, int(index)) for rows in inputs)
        if content not in seen:
            seen.add(content)
            found.append(int(index))
        if len(found) == count:
            break
    return np.asarray(found, np.int64)


def _row_bytes(rows: Rows, index: int) -> bytes:
    row = rows.row(index) if isinstance(rows, RaggedRows) else rows[index]
    return len(row).to_bytes(8, "little") + row.tobytes() if row.ndim else row.tobytes()


def spread(classes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Positions [<= count] in `classes` [N], taken from each class in turn, ascending."""
    import numpy as np

    turn = np.zeros(len(classes), np.int64)
    for name in np.unique(classes):
        members = classes == name
        turn[members] = np.arange(members.sum())
    return np.sort(np.lexsort((classes, turn))[:count])


def onnx_answers(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """ONNX Runtime's logits [N, classes] at the optimization level of the deployment, one thread."""
    from edgekd import runtimes

    try:
        session = runtimes.find("onnxruntime").load({path.name: path}, "fp32", 1)
    except ValueError as error:
        raise InputError(f"export: {error}", hint="give export.opset another value") from error
    (answers,) = session.run({session.inputs[0].name: inputs})
    return answers


def compare(got: NDArray[np.float32], want: NDArray[np.float32], config: Config) -> dict[str, Any]:
    """The content of parity.json for two answers [N, classes].

    Raises:
        InputError: if they differ by more than the tolerance.
    """
    import numpy as np

    from edgekd.bench import answers
    from edgekd.tasks import classification

    max_abs, allowed = (
        float(np.abs(got - want).max()),
        answers.float_allowance(want, config.tolerance),
    )
    agreement = classification.top1_agreement(got, want)
    if not max_abs <= allowed:  # NaN is refused too
        raise InputError(
            f"export: got logits {max_abs:.3g} away from torch's (top-1 agreement "
            f"{agreement:.2%} of {len(want)} samples), want at most {allowed:.3g}",
            hint="give export.opset another value, or raise export.tolerance",
        )
    return {
        "max_abs": max_abs,
        "top1_agreement": agreement,
        "samples": len(want),
        "opset": config.opset,
        "tolerance": config.tolerance,
        "allowed": allowed,
    }


def in_steps(
    got: NDArray[np.float32], want: NDArray[np.float32], step: float, config: Config
) -> dict[str, Any]:
    """The content of parity.json of a quantized model, for two answers [N, classes].

    Nothing is refused here: this machine need not be the one the file is for. `edgekd.bench.answers`
    judges each engine's answers where it runs.

    Args:
        got: ONNX Runtime's.
        want: torch's, with the same roundings.
        step: how far a logit moves when one input of the classifier moves by one quantization step.
        config: what was written.

    Raises:
        InputError: if an answer is not finite.
    """
    import numpy as np

    from edgekd.bench import saturation
    from edgekd.tasks import classification

    if not np.isfinite(got).all():
        raise InputError(f"export: got answers that are not finite in profile {config.profile}")
    max_abs = float(np.abs(got - want).max())
    return {
        "profile": config.profile,
        "max_abs": max_abs,
        "rms": saturation.rms(want, got),
        "logit_step": step,
        "max_steps": max_abs / step,
        "top1_agreement": classification.top1_agreement(got, want),
        "samples": len(want),
        "opset": config.opset,
    }


STAGE = Stage(
    "export",
    Config,
    run,
    packages=("torch", "onnx", "onnxscript", "onnxruntime", "safetensors"),
)
