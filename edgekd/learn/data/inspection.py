"""Looks at data before anything is trained: which source reads them, with which arguments, and what they hold."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import code
from edgekd.errors import InputError
from edgekd.learn.data import SOURCES
from edgekd.learn.data.recognition import SHARDS
from edgekd.learn.data.recognition import recognize_source
from edgekd.learn.data.shard_layout import expand_range
from edgekd.learn.data.source_text import drop_defaults
from edgekd.learn.data.spooled_texts import HINT
from edgekd.learn.data.spooled_texts import propose_spool
from edgekd.learn.data.survey import Survey
from edgekd.learn.data.survey import fit_arguments
from edgekd.learn.data.survey import measure_images
from edgekd.learn.data.survey import survey_source
from edgekd.learn.source import Source
from edgekd.learn.source import locate
from edgekd.learn.source import require_sound
from edgekd.named_member import NamedMember

SKIP, KEEP = {"on_broken": "skip"}, {"unlabelled": "keep"}


class Inspection(NamedTuple):
    """What was found."""

    source: str
    """Its name."""
    arguments: dict[str, Any]
    """What a recipe has to say beside the name, for these data."""
    reason: str
    """What the source was told from; empty where it was named."""
    survey: Survey


def inspect_data(
    said: str | dict[str, Any],
    *,
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Inspection:
    """What lies at a path, or what a source named as in a recipe reads.

    Files that are broken are left out and listed; then ``on_broken: skip`` is among the arguments. Where samples lack
    their label alone, ``unlabelled: keep`` is.

    Args:
        said: a path, or a source as a recipe names it: ``SOURCE:REFERENCE``, or a mapping with `name`.
        data_dir: the user's folder of data sets.
        allow_code: whether ``python:`` references may run.
        allow_download: whether what is missing may be downloaded.

    Raises:
        InputError: if nothing reads it, or what is there cannot be used.
        MachineError: if something is missing on this machine.
    """
    text = str(said["name"] if isinstance(said, dict) else said)
    reason, place = "", Path(text)
    if isinstance(said, str) and (text.partition(":")[0] not in SOURCES or place.exists()):
        first = next(expand_range(text))  # of shards-{000..127}.tar
        found = recognize_source(locate(first, data_dir))
        if first != text and found.source == "webdataset":
            found = found._replace(reference=text, reason=SHARDS)
        said = text = found.text
        reason = found.reason
    try:
        member = NamedMember.parse(said, SOURCES, "data source")
    except ValueError as error:
        raise InputError(f"{text}: {error}") from error
    entry = SOURCES[member.name]
    read = code.load_member(entry, f"data source {member.name}", allow_code=allow_code)
    module = importlib.import_module(entry.module)
    given = {"data_dir": data_dir, "allow_code": allow_code, "allow_download": allow_download}
    given = {key: given[key] for key in entry.supplied if key in given}
    arguments = dict(member.arguments)
    lenient = arguments | (SKIP if "on_broken" in arguments else {})
    images = None
    if "size" in arguments and hasattr(module, "outline"):
        read = module.outline
        own = getattr(module, "measure", None)
        images = (
            own(**lenient, **given) if own else measure_images(module.files(**lenient, **given))
        )
    elif "size" in arguments and hasattr(module, "measure"):
        images = module.measure(**lenient, **given)
    elif "size" in arguments:
        images = measure_images(module.files(**arguments, **given))
    sized = arguments if images is None else fit_arguments(arguments, images, text)
    listed = functools.partial(getattr(module, "files", list), **arguments, **given)
    advice = propose_spool(member.name, str(arguments.get("reference")), listed)
    try:
        kept = {**lenient, **sized, **_skip(lenient)}
        source = _read_what_can_be(read, kept, _skip(arguments), given, text)
    except InputError as error:
        if advice and error.hint == HINT:
            raise InputError(str(error), hint=advice) from error
        raise
    if (
        source.skipped and "unlabelled" in sized
    ):  # a sample that lacks its label alone is none to leave out
        kept = {**lenient, **sized, **_skip(lenient), **KEEP}
        more = require_sound(read(**kept, **given), text)
        if len(more.skipped) < len(source.skipped):
            source, sized = more, sized | KEEP
    wanted = sized | (SKIP if source.skipped and "on_broken" in sized else {})
    told = drop_defaults(member.name, wanted)
    survey = survey_source(source, images)
    if advice:
        survey = survey._replace(notes=(*survey.notes, advice))
    return Inspection(member.name, told, reason, survey)


def _read_what_can_be(
    read: Callable[..., Source],
    arguments: dict[str, Any],
    said: dict[str, Any],
    given: dict[str, Any],
    text: str,
) -> Source:
    """The source without what is broken; where too little is left, the first that is broken is what is wrong, unless who
    asks `said` that it be left out.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        return require_sound(read(**arguments, **given), text)
    except InputError:
        if _skip(arguments):
            read(**{**arguments, **said}, **given)
        raise


def _skip(lenient: dict[str, Any]) -> dict[str, Any]:
    return {key: lenient[key] for key in SKIP if key in lenient}
