"""Stage `load`: a model somebody else trained; checked before anything is built on it, or made ready to be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Annotated

from pydantic import Field

from edgekd.learn.model_settings import Input
from edgekd.learn.model_settings import ModelName
from edgekd.learn.models import MODELS
from edgekd.learn.preprocessing import Preprocessing
from edgekd.learn.settings import WeightsAllow
from edgekd.settings import Settings
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from torch import nn

    from edgekd.learn.blueprint import Blueprint
    from edgekd.learn.classifier_head import FittedHead


MODEL, IMPORT = "model.onnx", "import.json"
"""Of a user's own file."""
_OWN_TEXTS = (
    "`texts: {tokenizer: own}`: of a language model the loss uld then compares other tokens"
)
MODEL_TOKENIZER = "model_tokenizer"
"""The input with what published weights of a text model take texts apart with."""


class LoadConfig(Settings):
    """The model that the weights belong to."""

    model: ModelName
    file_name: str
    """Name of the weights file, for messages; its suffix says what it holds."""
    input: Input | None = omit_default(None)
    """The images it takes, where they are not the data's."""
    classes: Annotated[tuple[str, ...], Field(strict=False)] = omit_default(())
    """Its classes in its own order, where that is not the data's."""
    allow: WeightsAllow = omit_default(())
    """Whether the file may have tensors that the model lacks, or lack some of its own."""
    preprocessing: Preprocessing | None = omit_default(None)
    """What published weights were trained with."""
    for_training: bool = omit_default(False)
    """Whether it is trained further: its head is then made for the data's classes, and nobody asks yet what it knows
    of them."""


def run(config: LoadConfig, given: Given, context: Context) -> Made:
    """Give blueprint.json, weights.safetensors, history.json (empty), score.json; the first two alone of what is
    trained further.

    Raises:
        InputError: if the file is no state dict, does not fit the model, or gives a model that is not trained further
            and is near chance on the student's own validation inputs.
    """
    import torch

    from edgekd.learn import blueprint
    from edgekd.learn import learner
    from edgekd.learn import weights
    from edgekd.learn.evaluation import read_split

    allow = context.allow_code
    classes = () if config.for_training else config.classes
    named_model, is_file = config.model, MODELS[config.model.name].names == "file"
    if is_file:  # it lies where the recipe's folder is
        where = {"reference": str(given["user_weights"])}
        named_model = named_model.model_copy(
            update={"arguments": {**named_model.arguments, **where}}
        )
    plan = learner.make_blueprint(
        named_model, given["data"], config.input, classes, allow_code=allow
    )
    bare = plan.model_copy(
        update={"edits": (), "inside": None, "interface": plan.inside or plan.interface}
    )
    if MODEL_TOKENIZER in given:
        _require_same_tokenizer(config, given)
    torch.manual_seed(context.seed)  # for what the file lacks
    model = blueprint.build(bare, allow_code=context.allow_code)
    if is_file:
        return _take_file(config, model, plan, given, context)
    found = weights.read_checkpoint(given["user_weights"])
    tensors, renamed = _fit_names(config, model, found.tensors)
    notes = [f"{config.file_name}: {note}" for note in (*found.notes, *renamed)]
    if config.preprocessing is not None:
        notes += _describe_preprocessing(config, given)
    if config.for_training:
        fitted = _fit_head(config, given, model, tensors, bare)
        tensors = fitted.tensors
        notes += [f"{config.file_name}: {fitted.note}"] if fitted.note else []
    for note in (*notes, *weights.load_into(model, tensors, config.file_name, config.allow)):
        context.progress.note(note)
    if config.for_training:
        for edit in plan.edits:
            model = blueprint.apply_edit(model, edit, plan)
        return blueprint.save(model, plan, context.folder)
    named = _reordered(model, given) if not config.classes else ()
    if named:
        plan = learner.make_blueprint(
            config.model, given["data"], config.input, named, allow_code=allow
        )
        context.progress.note(
            f"{config.file_name}: its classes are put in the data's order, by name"
        )
    for edit in plan.edits:
        model = blueprint.apply_edit(model, edit, plan)
    validation = read_split(given, allow_code=allow)
    rows = validation.judge(model)
    learner.require_better_than_chance(model, rows, validation, config.file_name)
    return learner.write(model, plan, [], given, context, rows)


def _require_same_tokenizer(config: LoadConfig, given: Given) -> None:
    """
    Raises:
        InputError: if texts become other tokens than those that the weights were trained on.
    """
    from edgekd.errors import InputError
    from edgekd.learn.gguf.reading import read_head
    from edgekd.learn.gguf.tokenizer import read_tokenizer
    from edgekd.learn.model_hub import GGUF
    from edgekd.tokenizer import FILE
    from edgekd.tokenizer_difference import find_tokenizer_difference

    if FILE not in given:
        raise InputError(
            f"{config.file_name}: got texts as bytes, want them as the tokens of the {FILE} in its folder",
            hint=f"say `tokenizer: FOLDER` beside the source, or of a teacher {_OWN_TEXTS}",
        )
    own, path = given[FILE].read_bytes(), given[MODEL_TOKENIZER]
    theirs = read_tokenizer(read_head(path)) if path.suffix == GGUF else path.read_bytes()
    if difference := find_tokenizer_difference(own, theirs):
        raise InputError(
            f"{config.file_name}: got texts taken apart by another tokenizer than the model's: {difference}",
            hint=f"say its folder as `tokenizer` beside the source, or of a teacher {_OWN_TEXTS}",
        )


def _fit_names(
    config: LoadConfig, model: nn.Module, tensors: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors by the model's names, and sentences on what became of them."""
    from edgekd.learn.text_network import TextNetwork
    from edgekd.learn.text_weights import fit_text_weights
    from edgekd.learn.weight_names import fit_names

    if isinstance(model, TextNetwork):
        fitted = fit_text_weights(model, tensors, begins_head=config.for_training)
        return fitted.tensors, fitted.notes
    named, taken_off = fit_names(model, tensors)
    notes = (f"{taken_off} is taken off the names of the weights",) if taken_off else ()
    return named, notes


def _describe_preprocessing(config: LoadConfig, given: Given) -> list[str]:
    """Sentences on what the weights want: what was taken from them, and what the recipe says against it."""
    from edgekd import dataset
    from edgekd.learn.data import kinds

    wanted = config.preprocessing
    try:
        _, image = kinds.find_image(dataset.read(given["data"]))
    except ValueError:
        return []
    assert wanted is not None
    notes = []
    for name in ("mean", "std"):
        want, own = getattr(wanted, name), getattr(image, name)
        if want is None:
            continue
        listed = ", ".join(f"{value:g}" for value in want)
        if len(want) != len(own) or max(abs(a - b) for a, b in zip(want, own, strict=True)) > 1e-6:
            theirs = ", ".join(f"{value:g}" for value in own)
            notes.append(f"its weights were trained with {name} {listed}; the data have {theirs}")
        else:
            notes.append(f"{name} {listed} is that of its weights")
    size = (wanted.height, wanted.width)
    if None not in size and size != (image.height, image.width) and config.input is None:
        taken = "they are scaled to that" if wanted.has_fixed_size else "it sees them as they are"
        notes.append(
            f"its weights were trained on {wanted.describe()}; the data have "
            f"{image.height}x{image.width}, and {taken}"
        )
    return [f"{config.file_name}: {note}" for note in notes]


def _take_file(
    config: LoadConfig, model: nn.Module, plan: Blueprint, given: Given, context: Context
) -> Made:
    """The same of a user's file, which has its weights; and model.onnx, the file with all of its weights, and
    import.json, which says why nothing but the file itself can be deployed (``obstacle``, empty if that is not so), and
    of one that was quantized before that (``is_quantized``)."""
    from edgekd import files
    from edgekd.bench import numerics
    from edgekd.errors import InputError
    from edgekd.learn import learner
    from edgekd.learn.evaluation import read_split
    from edgekd.learn.export import to_onnx
    from edgekd.learn.models.onnx import read_file
    from edgekd.learn.onnx_import.matching import match_ends
    from edgekd.learn.quant import tracing

    obstacle = getattr(model, "obstacle", "")
    if not obstacle:
        ends = plan.inside or plan.interface
        try:
            tracing.trace(model, ends)
            to_onnx.require_exportable(model, ends, opset=to_onnx.OPSETS[0])
        except (ValueError, InputError) as error:
            obstacle = str(error)
    for edit in plan.edits:
        from edgekd.learn import blueprint

        model = blueprint.apply_edit(model, edit, plan)
    matched = match_ends(read_file(given["user_weights"]), plan.interface, config.file_name)
    for old, new in matched.renamed.items():
        context.progress.note(f"{config.file_name}: its {old} is called {new} in what is deployed")
    made = {MODEL: context.folder / MODEL}
    made[MODEL].write_bytes(matched.data)
    is_quantized = numerics.is_quantized(numerics.read_contents(made[MODEL]))
    if obstacle:
        form = "" if is_quantized else ", in float"
        context.progress.note(f"{config.file_name}: {obstacle}; it stays as it is{form}")
    validation = read_split(given, allow_code=context.allow_code)
    rows = validation.judge(model)
    learner.require_better_than_chance(model, rows, validation, config.file_name)
    opened = {"obstacle": obstacle} | ({"is_quantized": True} if is_quantized else {})
    made[IMPORT] = context.folder / IMPORT
    made[IMPORT].write_bytes(files.pretty_json(opened))
    return {**learner.write(model, plan, [], given, context, rows), **made}


def _fit_head(
    config: LoadConfig,
    given: Given,
    model: nn.Module,
    tensors: dict[str, Tensor],
    plan: Blueprint,
) -> FittedHead:
    """`classifier_head.fit_head` for the data's classes, where they have names."""
    from edgekd import dataset
    from edgekd.learn import classifier_head

    targets = dataset.read(given["data"]).targets.values()
    names = next((each.names for each in targets if hasattr(each, "names")), ())
    own = config.classes or getattr(model, "class_names", ())
    return classifier_head.fit_head(model, tensors, names, own, plan.blank(2))


def _reordered(model: nn.Module, given: Given) -> tuple[str, ...]:
    """The names of a model's classes, where it has the data's in another order; empty otherwise."""
    from edgekd import dataset
    from edgekd.learn.class_order import class_order
    from edgekd.learn.data import kinds

    own: tuple[str, ...] = getattr(model, "class_names", ())
    try:
        wanted = kinds.find_label(dataset.read(given["data"]))[1].names
        if len(own) != len(wanted):
            return ()
        order = class_order(wanted, own)
    except ValueError:  # no classes, or names that say nothing, such as LABEL_0
        return ()
    return own if order != tuple(range(len(own))) else ()


STAGE = Stage("load", LoadConfig, run, packages=("torch", "safetensors"))
