"""Stage `data`: a source becomes three splits of plain arrays, the same bytes for the same seed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import Self

from pydantic import BeforeValidator
from pydantic import Field
from pydantic import model_validator

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.data import SOURCES
from edgekd.preprocessing import Preprocessing
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.table import Named
from edgekd.units import number_text

if TYPE_CHECKING:
    import numpy as np

    from edgekd.learn.source import Source
    from edgekd.learn.split import Part

_CHUNK = 1024
_MOST_NAMED = 5


def _source(value: Any) -> Named:
    return Named.parse(value, SOURCES, "data source")


SourceName = Annotated[Named, BeforeValidator(_source)]
"""A source of `edgekd.learn.data`, by name or with its arguments."""
PerChannel = Annotated[tuple[float, ...], Field(min_length=1, max_length=64, strict=False)]
Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]


class Config(Settings):
    """Which images, and how they are shared out."""

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


def origin(
    config: Config,
    *,
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
    cache: Path | None = None,
    renew: bool = True,
) -> dict[str, str]:
    """What the source is made of: relative file name to SHA-256, for the stage's key.

    Asked again after the stage has run, it must say the same.

    Args:
        config: the stage's settings.
        data_dir: the user's folder of data sets.
        allow_code: whether ``python:`` references may run; nothing runs here.
        allow_download: whether files that are missing may be downloaded, now.
        cache: where digests of large sets are remembered.
        renew: whether `cache` may be written.

    Raises:
        InputError: if the files are missing or not what they should be.
        MachineError: if a public data set is not on this machine.
    """
    from edgekd.learn.blueprint_origin import digest_member
    from edgekd.learn.origin import digests

    name = config.source.name
    module = _module(name)
    given = _given(name, data_dir, allow_code, allow_download)
    paths = module.files(**config.source.arguments, **given)
    # A name on the hub has no files yet; what it points at is its commit.
    pins = module.pins(**config.source.arguments, **given) if hasattr(module, "pins") else {}
    code = digest_member(SOURCES[name], f"data source {name}", allow_code=allow_code)
    return {**digests(paths, cache, renew=renew), **pins, **code}


def remote(config: Config, data_dir: Path | None = None) -> tuple[str, ...]:
    """Addresses of what a run would download; nothing if all files are here, or none can be downloaded.

    Raises:
        InputError: if the source's files are missing and lie nowhere else.
    """
    module = _module(config.source.name)
    if not hasattr(module, "remote"):
        return ()
    found: tuple[str, ...] = module.remote(**config.source.arguments, data_dir=data_dir)
    return found


def _module(name: str) -> Any:
    """The module of a source, whoever wrote it.

    Raises:
        InputError: if it is a plugin's and has no `files`.
    """
    from edgekd import code

    member = SOURCES[name]
    code.load_member(member, f"data source {name}", allow_code=False)
    module = sys.modules[member.module]
    if not callable(getattr(module, "files", None)):
        raise InputError(
            f"data source {name} of {member.plugin}: got no function 'files' in {member.module}, want one"
        )
    return module


def _given(
    name: str, data_dir: Path | None, allow_code: bool, allow_download: bool
) -> dict[str, Any]:
    """What the caller supplies of a source's arguments."""
    given = {"data_dir": data_dir, "allow_code": allow_code, "allow_download": allow_download}
    return {key: given[key] for key in SOURCES[name].supplied}


def run(config: Config, given: Given, context: Context) -> Made:
    """Read the source, check it, share it out; nothing is given to it.

    Raises:
        InputError: if the source's files or arrays cannot be used.
        MachineError: if something is missing on this machine or the disk is full.
    """
    from edgekd.learn.source import checked
    from edgekd.learn.split import divide

    where = str(config.source)
    source = checked(_read(config, context), where)
    for note in source.notes:
        context.progress.note(note)
    if source.skipped:
        context.progress.note(_skipped_text(source.skipped))
    try:
        parts = divide(
            source,
            validation=config.validation,
            test=config.test,
            limit=config.limit,
            seed=context.seed,
        )
    except ValueError as error:
        raise InputError(f"{where}: {error}", hint="give each class more samples") from error
    made = {}
    for name, part in parts.items():
        for field in ("images", "labels"):
            made[f"{name}_{field}"] = context.folder / f"{name}_{field}.npy"
            _write(made[f"{name}_{field}"], getattr(part.split, field), part.order)
    made["data.json"] = context.folder / "data.json"
    _put(made["data.json"], files.pretty_json(_summary(config, source, parts)))
    return made


def _read(config: Config, context: Context) -> Source:
    from edgekd import code

    name = config.source.name
    read = code.load_member(SOURCES[name], f"data source {name}", allow_code=context.allow_code)
    given = _given(name, context.data_dir, context.allow_code, context.allow_download)
    source: Source = read(**config.source.arguments, **given)
    return source


def _summary(config: Config, source: Source, parts: dict[str, Part]) -> dict[str, Any]:
    from edgekd.fields.image import mean_and_std

    height, width, channels = source.train.images.shape[1:]
    mean, std = mean_and_std(parts["train"].split.images, parts["train"].order)
    mean, std = config.mean or mean, config.std or std
    for name, values in (("mean", mean), ("std", std)):
        if len(values) != channels:
            raise InputError(
                f"data.{name}: got {len(values)} values, want {channels}, one for each channel"
            )
    preprocessing = Preprocessing(height=height, width=width, channels=channels, mean=mean, std=std)
    return {
        "classes": list(source.classes),
        "preprocessing": preprocessing.model_dump(mode="json"),
        "counts": {name: len(part.order) for name, part in parts.items()},
        "source": str(config.source),
        "notes": list(source.notes),
        "skipped": list(source.skipped),
    }


def _skipped_text(skipped: tuple[str, ...]) -> str:
    """One line; data.json lists them all."""
    more = f"; and {len(skipped) - _MOST_NAMED} more" if len(skipped) > _MOST_NAMED else ""
    return f"left out {number_text(len(skipped), 'file')}: {'; '.join(skipped[:_MOST_NAMED])}{more}"


def _write(path: Path, array: np.ndarray, order: np.ndarray) -> None:
    """``array[order]`` as .npy, a piece at a time."""
    import numpy as np

    header = np.lib.format.header_data_from_array_1_0(array[:0])
    header["shape"] = (len(order), *array.shape[1:])
    try:
        with path.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(order), _CHUNK):
                file.write(array[order[start : start + _CHUNK]].tobytes())
    except OSError as error:
        raise MachineError(f"{path}: cannot be written: {error.strerror}") from error


def _put(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise MachineError(f"{path}: cannot be written: {error.strerror}") from error


STAGE = Stage("data", Config, run, packages=("numpy", "Pillow"))
