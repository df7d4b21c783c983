"""``edgekd doctor``: what this machine can do, what is missing, and the line that installs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.table import Table

FLAGS: dict[str, tuple[str, ...]] = {
    "avx2": ("avx2",),
    "avx512": ("avx512f",),
    "vnni": ("avx512_vnni", "avx_vnni"),
    "amx": ("amx_tile",),
    "bf16": ("avx512_bf16", "amx_bf16", "bf16"),
    "neon": ("asimd", "neon"),
    "dotprod": ("asimddp",),
}
"""Instruction sets that decide which precision is fast, and what /proc/cpuinfo calls them."""


@click.command()
@click.option("--store", type=click.Path(path_type=Path), help="Folder of stored results.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="Folder of the public data sets.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(store: Path | None, data_dir: Path | None, as_json: bool) -> None:
    """Show what this machine can run: torch, GPU, engines, instruction sets, extras, data; and how to install the
    rest."""
    from edgekd import run
    from edgekd.cli import installation

    found = {
        "machine": describe_machine(),
        "torch": installation.describe_torch(),
        "engines": list_engines(),
        "extras": installation.list_extras(),
        "data": list_data_sets(data_dir),
        "plugins": describe_plugins(),
        "store": describe_disk(store or run.default_store()),
    }
    if as_json:
        print_json(found)
        return
    _print(found)


def describe_machine() -> dict[str, Any]:
    """Python, processor and memory."""
    import platform

    import psutil

    from edgekd import __version__
    from edgekd.bench.machine import fingerprint
    from edgekd.cli.installation import describe_platform
    from edgekd.cores import count_cores

    facts = fingerprint.collect_host_facts()
    return {
        "edgekd": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": facts["board"] or facts["cpu_model"] or platform.machine(),
        "emulated": facts["emulated"],
        "instruction_sets": list_instruction_sets(facts["flags"]),
        "platform": describe_platform(platform.system()),
        "cores": count_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "free_memory_bytes": psutil.virtual_memory().available,
    }


def list_instruction_sets(flags: Iterable[str]) -> list[str]:
    """The names of `FLAGS` that the flags of /proc/cpuinfo have."""
    have = set(flags)
    return [name for name, spellings in FLAGS.items() if have.intersection(spellings)]


def list_engines() -> list[dict[str, Any]]:
    """Each runtime: its version and precisions, or why it cannot be used; and whether it runs here."""
    from edgekd.bench.machine.host import describe_plugin_engine
    from edgekd.runtimes import BUILT_IN
    from edgekd.runtimes import RUNTIMES
    from edgekd.stage import package_version

    rows = []
    for name, entry in BUILT_IN.items():
        runtime = entry.load()
        why_not = runtime.why_not()
        rows.append(
            {
                "name": name,
                "version": package_version(entry.installed()),
                "precisions": [] if why_not else list(runtime.precisions()),
                "why_not": why_not,
                "why_not_run": None if why_not else runtime.why_not_run(),
            }
        )
    for name in RUNTIMES:
        if name not in BUILT_IN:
            rows.append(
                {"name": name, **describe_plugin_engine(name)._asdict(), "why_not_run": None}
            )
    return rows


def list_data_sets(data_dir: Path | None) -> list[dict[str, Any]]:
    """Each public data set: where it lies, or what is missing."""
    from edgekd.errors import EdgekdError
    from edgekd.learn.data import SOURCES
    from edgekd.table import find_signature
    from edgekd.table import usable

    rows = []
    for name, member in usable(SOURCES).items():
        if not member.built_in:
            continue  # `describe_plugins` lists it; what it reads is its own
        if any(field.is_required() for field in find_signature(member).knobs.model_fields.values()):
            continue
        folder = why_not = None
        try:
            paths = importlib.import_module(member.module).files(**member.preset, data_dir=data_dir)
            folder = str(paths[0].parent)
        except EdgekdError as error:
            why_not = error.line()
        rows.append({"name": name, "folder": folder, "why_not": why_not})
    return rows


def describe_plugins() -> list[dict[str, Any]]:
    """Each entry point of the user's distributions: what it adds, whose it is, and why it cannot be used."""
    import functools

    from edgekd.errors import InputError
    from edgekd.learn.data import SOURCES
    from edgekd.learn.losses import LOSSES
    from edgekd.learn.models import MODELS
    from edgekd.learn.schemes import SCHEMES
    from edgekd.plugins import list_plugins
    from edgekd.runtimes import KIND
    from edgekd.tasks import task_table

    tables = (LOSSES, SCHEMES, MODELS, SOURCES, task_table())
    checks: dict[str, Callable[[str], None]] = {KIND: _check_runtime}
    checks |= {table.kind: functools.partial(_check_member, table) for table in tables}
    rows = []
    for kind, check in checks.items():
        for name, found in list_plugins(kind).items():
            why_not = None
            try:
                check(name)
            except InputError as error:
                why_not = error.line()
            rows += [{**plugin._asdict(), "why_not": why_not} for plugin in found]
    return rows


def _check_member(table: Table, name: str) -> None:
    """Raises InputError if a plugin's function cannot be told from another, or is not to be read."""
    from edgekd.table import find_signature

    table.require_distinct(name)
    member = table[name]
    if table.kind != "task":  # which is no function
        find_signature(member)


def _check_runtime(name: str) -> None:
    """The same for an engine."""
    from edgekd.plugins import require_distinct
    from edgekd.runtimes import BUILT_IN
    from edgekd.runtimes import KIND
    from edgekd.runtimes import RUNTIMES

    require_distinct(KIND, name, BUILT_IN)
    RUNTIMES[name]


def describe_disk(store: Path) -> dict[str, Any]:
    """The store's folder and the space beside it."""
    import shutil

    there = next(folder for folder in (store, *store.absolute().parents) if folder.exists())
    return {"folder": str(store), "free_bytes": shutil.disk_usage(there).free}


def _emulated(by: str | None) -> str:
    return f"; emulated by {by}: no time measured here counts" if by else ""


def _print(found: dict[str, Any]) -> None:
    from edgekd.cli.installation import describe_extra
    from edgekd.cli.installation import describe_gpus
    from edgekd.units import bytes_text

    of, torch = found["machine"], found["torch"]
    memory, free = bytes_text(of["memory_bytes"]), bytes_text(of["free_memory_bytes"])
    rows = [
        ("edgekd", f"{of['edgekd']}, Python {of['python']}, {of['system']}"),
        ("platform", of["platform"]),
        ("processor", f"{of['processor']}, {of['cores']} cores{_emulated(of['emulated'])}"),
        ("instructions", ", ".join(of["instruction_sets"]) or "none that matter here"),
        ("memory", f"{memory}, {free} free"),
        ("store", f"{found['store']['folder']}, {bytes_text(found['store']['free_bytes'])} free"),
    ]
    rows.append(("torch", torch["why_not"] or torch["version"]))
    rows.append(("GPU", describe_gpus(torch)))
    for engine in found["engines"]:
        able = f"{engine['version']}, {', '.join(engine['precisions'])}"
        idle = engine["why_not_run"]
        builds = f"{able}; builds engines, runs none: {idle}" if idle else able
        rows.append((engine["name"], engine["why_not"] or builds))
    rows += [(f"[{extra['name']}]", describe_extra(extra)) for extra in found["extras"]]
    for source in found["data"]:
        rows.append((source["name"], source["folder"] or source["why_not"]))
    for plugin in found["plugins"]:
        whose = f"{plugin['kind']} of {plugin['distribution']} {plugin['version']}"
        why_not = plugin["why_not"]
        rows.append((plugin["name"], f"{whose}: cannot be used: {why_not}" if why_not else whose))
    print_columns(rows)
