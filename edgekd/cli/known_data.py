"""The data of a recipe that ``edgekd init`` writes, and what fits them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

if TYPE_CHECKING:
    from edgekd.learn.data.inspection import Inspection
    from edgekd.learn.data.proposal import Proposal


class KnownData(NamedTuple):
    """The data of a recipe, and what fits them."""

    text: str
    """The source as YAML."""
    proposal: Proposal
    inspection: Inspection | None
    """None if they are not here to be looked at."""


def look_at_data(said: str, data_dir: Path | None = None) -> KnownData:
    """What a source holds, and what fits that; of data that are not here, what fits data of their kind.

    Args:
        said: a path, or a source as a recipe names it.
        data_dir: folder of the public data sets.

    Raises:
        InputError: if there is nothing, nothing reads it, or no task or network fits.
        MachineError: if something is missing on this machine.
    """
    from edgekd.cli.sources import read_source
    from edgekd.learn.data import SOURCES
    from edgekd.learn.data.inspection import inspect_data
    from edgekd.learn.data.proposal import propose_recipe
    from edgekd.learn.data.source_text import format_source

    source = read_source(said)
    name = str(source["name"] if isinstance(source, dict) else source).partition(":")[0]
    if name in SOURCES and not Path(said).exists() and _is_elsewhere(source, data_dir):
        fields = dict(SOURCES[name].gives)
        text = format_source(name, _arguments(source))
        return KnownData(text, propose_recipe(fields, None, None, said), None)
    found = inspect_data(source, data_dir=data_dir)
    survey = found.survey
    proposal = propose_recipe(survey.fields, survey, survey.side, said)
    return KnownData(format_source(found.source, found.arguments), proposal, found)


def _is_elsewhere(source: str | dict[str, Any], data_dir: Path | None) -> bool:
    """Return whether the data are to be downloaded, or are told by the user's code.

    Raises:
        InputError: if the source cannot be named so.
    """
    from pydantic import ValidationError

    from edgekd.errors import InputError
    from edgekd.errors import MachineError
    from edgekd.stages.data import DataSettings
    from edgekd.stages.data import list_downloads

    try:
        settings = DataSettings.model_validate({"source": source})
    except ValidationError as error:
        message = str(error.errors()[0]["ctx"]["error"])
        raise InputError(f"--source: data.source: {message}") from error
    if not settings.source.name or settings.source.name == "python":
        return True
    try:
        return bool(list_downloads(settings, data_dir))
    except MachineError:
        return True


def _arguments(source: str | dict[str, Any]) -> dict[str, Any]:
    if isinstance(source, dict):
        return {key: value for key, value in source.items() if key != "name"}
    reference = source.partition(":")[2]
    return {"reference": reference} if reference else {}
