"""Stage `data`: a source becomes three splits of the rows of every field, the same bytes for the same seed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import Literal
from typing import Self

from pydantic import BeforeValidator
from pydantic import Field
from pydantic import model_validator

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.errors import find_nearest
from edgekd.learn.data import PLACES
from edgekd.learn.data import SOURCES
from edgekd.named_member import NamedMember
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import package_version
from edgekd.tasks import DEFAULT_TASK
from edgekd.tasks import task_table
from edgekd.tokenizer import FILE as TOKENIZER

if TYPE_CHECKING:
    from edgekd.learn.source import Source
    from edgekd.progress import Progress

MODEL_FILE = "model_file"
"""What the stage is given where samples have no labels: the file whose answers stand for them."""
STUDENT = "student/"
"""Before the student's splits among the inputs; files that a note names."""


def _source(value: Any) -> NamedMember:
    return NamedMember.parse(value, SOURCES, "data source")


SourceName = Annotated[NamedMember, BeforeValidator(_source)]
"""A source of `edgekd.learn.data`, by name or with its arguments."""


def _task(value: Any) -> str:
    if not isinstance(value, str) or value not in task_table():
        hint = find_nearest(value, task_table()) if isinstance(value, str) else ""
        raise ValueError(f"got {value!r}, want a task; {hint}")
    return value


TaskName = Annotated[str, BeforeValidator(_task)]
PerChannel = Annotated[tuple[float, ...], Field(min_length=1, max_length=64, strict=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class DataSettings(Settings):
    """Settings in a recipe: the samples, and how they are divided."""

    source: SourceName
    """Where they are from: ``digits``, ``image-folder:DIR``, or a mapping with `name`."""
    validation: Share = 0.1
    """Fraction of the training set kept for choices, if the source has no validation split."""
    test: Share = 0.2
    """Fraction kept for the report, if the source has no test split."""
    limit: Count | None = None
    """Largest number of training samples."""
    mean: PerChannel | None = None
    """Subtracted from pixel / 255, per channel; None is the training split's own. A teacher that was
    trained elsewhere wants what it was trained with."""
    std: PerChannel | None = None
    """Divided by afterwards, per channel; None is the training split's own."""

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"got std {list(self.std)}, want numbers above 0")
        return self


class DataConfig(DataSettings):
    """The same, and what is asked of the samples."""

    task: TaskName = omit_default(DEFAULT_TASK)
    """A name of `edgekd tasks`."""
    published_mean: PerChannel | None = omit_default(None)
    """What published weights were trained with, in place of `mean` where the recipe says none."""
    published_std: PerChannel | None = omit_default(None)
    """The same in place of `std`."""
    blocks_by: str | None = omit_default(None)
    """Of texts that a teacher reads by its own tokenizer: the one that cuts a corpus into blocks, empty for bytes."""
    align: Literal["text", "position"] = omit_default("text")
    """How tokens of both answer to one another."""


def digest_source(
    config: DataConfig,
    *,
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
    cache: Path | None = None,
    renew: bool = True,
    progress: Progress | None = None,
) -> dict[str, str]:
    """Return what the source is made of: relative file name to SHA-256 (of many files one of all),
    for the stage's key.

    Asked again after the stage has run, it must say the same.

    Args:
        config: the stage's settings.
        data_dir: the user's folder of data sets.
        allow_code: whether ``python:`` references may run; nothing runs here.
        allow_download: whether files that are missing may be downloaded, now.
        cache: where digests of large sets are remembered.
        renew: whether `cache` may be written.
        progress: is shown how far hashing of a large set is.

    Raises:
        InputError: if the files are missing or not what they should be.
        MachineError: if a public data set is not on this machine.
    """
    from edgekd.learn.blueprint_origin import digest_member
    from edgekd.learn.data.source_call import find_module
    from edgekd.learn.data.source_text import spell_out_hints
    from edgekd.learn.origin import digest_files
    from edgekd.learn.origin import fold_digests

    name = config.source.name
    module = find_module(name)
    given = _given(config, data_dir, allow_code, allow_download)
    with spell_out_hints(name, config.source.arguments):
        paths = module.files(**config.source.arguments, **given)
    # A name on the hub has no files yet; what it points at is its commit.
    pins = module.pins(**config.source.arguments, **given) if hasattr(module, "pins") else {}
    if config.source.arguments.get("tokenizer"):  # whose tokens may change from version to version
        pins["tokenizers"] = package_version("tokenizers") or "none"
    code = digest_member(SOURCES[name], f"data source {name}", allow_code=allow_code)
    task = _task_code(config, allow_code)
    digests = digest_files(paths, cache, renew=renew, progress=progress)
    return {**fold_digests(digests), **pins, **code, **task}


def list_downloads(config: DataSettings, data_dir: Path | None = None) -> tuple[str, ...]:
    """Addresses of what a run would download; nothing if all files are here, or none can be downloaded.

    Raises:
        InputError: if the source's files are missing and lie nowhere else.
    """
    from edgekd.learn.data.source_call import find_module

    module = find_module(config.source.name)
    if not hasattr(module, "remote"):
        return ()
    found: tuple[str, ...] = module.remote(**config.source.arguments, data_dir=data_dir)
    return found


def _given(
    config: DataConfig, data_dir: Path | None, allow_code: bool, allow_download: bool
) -> dict[str, Any]:
    """Return what the caller supplies of a source's arguments."""
    from edgekd.learn.data.source_call import pick_supplied

    asked = {"allow_code": allow_code, "allow_download": allow_download, "data_dir": data_dir}
    return pick_supplied(config.source.name, config, asked)


def run(config: DataConfig, given: Given, context: Context) -> Made:
    """Read the source, check it, share it out.

    Gives data.json (`edgekd.dataset`), a file a split (`edgekd.splits`) and the tokenizer.json of the tokens, if any. With
    the student's splits under ``student/`` these are the same texts as a teacher reads them; of a corpus ``places`` says
    which of its tokens answers to which of the student's.

    Raises:
        InputError: if the source's files or rows cannot be used, are not what the task wants, or not the student's.
        MachineError: if something is missing on this machine or the disk is full.
    """
    from edgekd import dataset
    from edgekd import splits
    from edgekd.learn import describe
    from edgekd.learn.data.overlap import describe_overlap
    from edgekd.learn.data.survey import describe_skipped
    from edgekd.learn.formats.encoded_images import undo_decoding
    from edgekd.learn.source import require_sound
    from edgekd.learn.split import divide_samples
    from edgekd.learn.split import require_same_samples
    from edgekd.learn.views.masking import mask_split
    from edgekd.tasks import load_task

    where, task = str(config.source), load_task(config.task, allow_code=context.allow_code)
    source = require_sound(_read(config, context), where)
    words = describe.find_per_channel(
        source,
        {"mean": config.mean, "std": config.std},
        {"mean": config.published_mean, "std": config.published_std},
    )
    if task.from_answers:
        source = require_sound(_answered(source, words, given, where), where)
    for note in source.notes:
        context.progress.note(note)
    if source.skipped:
        context.progress.note(describe_skipped(source.skipped))
    counts = {name: len(next(iter(rows.values()))) for name, rows in source.splits.items()}
    try:
        shares = divide_samples(
            counts,
            describe.find_strata(source, task, where),
            validation=config.validation,
            test=config.test,
            limit=config.limit,
            seed=context.seed,
            names=describe.find_names(source, task),
        )
    except ValueError as error:
        raise InputError(f"{where}: {error}", hint="give each class more samples") from error
    for note in describe_overlap(source, shares):
        context.progress.note(note)
    found = describe.describe_fields(source, task, shares["train"].order, words, where)
    made = {name: context.folder / name for name in shares}
    for name, share in shares.items():
        rows = source.splits[share.split]  # all but training is decoded and masked for boards
        rows = undo_decoding(rows) if name == "train" else mask_split(found, rows)
        splits.write(made[name], rows, share.order)
        if STUDENT + name in given:
            require_same_samples(given[STUDENT + name], made[name], f"{where}, {name} split")
    if source.places:
        made[PLACES], share = context.folder / PLACES, shares["train"]
        splits.write(made[PLACES], {PLACES: source.places[share.split]}, share.order)
    code = _task_code(config, context.allow_code)
    counted = {name: len(share.order) for name, share in shares.items()}
    found = dataclasses.replace(found, task=config.task, code=code, counts=counted, source=where)
    if source.tokenizer:
        made[TOKENIZER] = context.folder / TOKENIZER
        _put(made[TOKENIZER], source.tokenizer)
    made["data.json"] = context.folder / "data.json"
    _put(made["data.json"], files.pretty_json(dataset.to_json(found)))
    return made


def _answered(
    source: Source, words: dict[str, tuple[float, ...]], given: Given, where: str
) -> Source:
    """The source with the answers of the model that the run begins with.

    Raises:
        InputError: if that is no ONNX file: it alone answers before anything is built.
    """
    from edgekd.learn.model_answers import add_answers

    if MODEL_FILE not in given:
        raise InputError(
            "task: got one that is judged by a model's own answers, want student: {model: onnx:FILE}"
        )
    return add_answers(source, given[MODEL_FILE], words, where)


def _task_code(config: DataConfig, allow_code: bool) -> dict[str, str]:
    from edgekd.learn.blueprint_origin import digest_member
    from edgekd.tasks import task_table

    return digest_member(task_table()[config.task], f"task {config.task}", allow_code=allow_code)


def _read(config: DataConfig, context: Context) -> Source:
    from edgekd import code
    from edgekd.learn.data.image_storage import require_decodable
    from edgekd.learn.data.source_text import spell_out_hints

    name = config.source.name
    read = code.load_member(SOURCES[name], f"data source {name}", allow_code=context.allow_code)
    given = _given(config, context.data_dir, context.allow_code, context.allow_download)
    on_broken = str(config.source.arguments.get("on_broken", "refuse"))
    with spell_out_hints(name, config.source.arguments):
        source: Source = read(**config.source.arguments, **given)
        return require_decodable(source, on_broken, context.progress.update)


def _put(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise MachineError(f"{path}: cannot be written: {error.strerror}") from error


STAGE = Stage("data", DataConfig, run, packages=("numpy", "Pillow"))
