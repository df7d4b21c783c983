"""What a shell offers for an argument: names of members, keys of recipes, engines, runs. Loaded by the verbs, cheap until asked."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from pydantic import BaseModel

RUNS = Path("runs")
"""Where runs lie if nothing else is said."""
DEPTH = 8
"""Parts of a key that are offered at most."""


def _matching(names: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    """Items of the names that begin as what is typed, each with its help."""
    return [CompletionItem(name, help=text) for name, text in names if name.startswith(incomplete)]


def complete_method(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Losses, schemes and synthesizers."""
    from edgekd.learn.losses import LOSSES
    from edgekd.learn.schemes import CHAINS
    from edgekd.learn.schemes import SCHEMES
    from edgekd.learn.synthesis import SYNTHESIZERS

    tables: tuple[Iterable[str], ...] = (LOSSES, SCHEMES, CHAINS, SYNTHESIZERS)
    return _matching(((name, "") for table in tables for name in table), incomplete)


def complete_model(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Builders of networks."""
    from edgekd.learn.models import MODELS

    return _matching(((name, "") for name in MODELS), incomplete)


def complete_task(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Tasks."""
    from edgekd.tasks import task_table

    return _matching(((name, "") for name in task_table()), incomplete)


def complete_source(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Data sources, or folders and files where none begins so."""
    from edgekd.learn.data import SOURCES

    found = _matching(((name, "") for name in SOURCES), incomplete)
    return found or [CompletionItem(incomplete, type="file")]


def complete_engine(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Engines."""
    from edgekd.runtimes import RUNTIMES

    return _matching(((name, "") for name in RUNTIMES), incomplete)


def complete_export(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """What a student can be written as: torch, onnx, or an engine's files."""
    plain = _matching((("torch", "weights"), ("onnx", "ONNX file")), incomplete)
    return plain + complete_engine(context, parameter, incomplete)


def complete_device(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """This machine, and the devices that were added."""
    from edgekd.devices import local
    from edgekd.devices.ssh import registry
    from edgekd.errors import EdgekdError

    try:
        names = [local.DEVICE.name, *registry.read()]
    except EdgekdError:
        names = [local.DEVICE.name]
    return _matching(((name, "") for name in names), incomplete)


def complete_key(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Keys of a recipe, as ``--set`` takes them: ``student.train.epochs=``."""
    from edgekd.recipe import Recipe

    return _matching(((f"{key}=", text) for key, text in list_keys(Recipe)), incomplete)


def complete_run(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Folders of finished runs; where there is none that begins so, any file."""
    typed = Path(incomplete)
    parent = typed if incomplete.endswith("/") else typed.parent
    folders = {RUNS, parent} if not incomplete else {parent}
    found = sorted(
        path.parent.as_posix() for folder in folders for path in folder.glob("*/result.json")
    )
    items = _matching(((name, "run") for name in found), incomplete.removeprefix("./"))
    return items or [CompletionItem(incomplete, type="file")]


def list_keys(
    settings: type[BaseModel], above: str = "", depth: int = DEPTH
) -> Iterator[tuple[str, str]]:
    """Yield the dotted keys of settings with the first line of what is said of each; of lists those of the first."""
    from edgekd.settings import describe_fields

    texts = describe_fields(settings)
    for name, field in settings.model_fields.items():
        key = f"{above}{name}"
        inner = list(_find_inner(field.annotation))
        if not inner or depth <= 1:
            yield key, texts.get(name, "").partition("\n")[0]
        seen = set[str]()
        for part, kind in inner if depth > 1 else ():
            for each, text in list_keys(kind, f"{key}{part}.", depth - 1):
                if each not in seen:
                    seen.add(each)
                    yield each, text


def _find_inner(annotation: Any, part: str = "") -> Iterator[tuple[str, type[Any]]]:
    """Yield the settings inside an annotation, with ``.0`` before those of a list; a named member is a value."""
    from edgekd.named_member import NamedMember
    from edgekd.settings import Settings

    if isinstance(annotation, type) and issubclass(annotation, Settings):
        if not issubclass(annotation, NamedMember):
            yield part, annotation
        return
    origin = typing.get_origin(annotation)
    if origin is dict:
        return
    for each in typing.get_args(annotation):
        yield from _find_inner(each, f"{part}.0" if origin in (tuple, list) else part)
