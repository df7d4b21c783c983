"""``edgekd store``: look at the store of results, check it, clear it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.store import Garbage
    from edgekd.store import Store
    from edgekd.store import StoreEntry

STORE = click.option(
    "--store",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder of stored results.  [default: $EDGEKD_HOME, else the user's cache folder]",
)
DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """List, check and remove stored results."""


@command.command("ls")
@STORE
@JSON
def ls(folder: Path | None, as_json: bool) -> None:
    """List the results, oldest first."""
    from edgekd.units import bytes_text

    entries = list(_store(folder).entries())
    if as_json:
        print_json([_described(entry) for entry in entries])
        return
    rows = []
    for entry in entries:
        size = bytes_text(sum(blob.size_bytes for blob in entry.files.values()))
        stage = str(entry.inputs.get("stage", "?"))
        rows.append((entry.key[:12], stage, f"{size:>8}", ", ".join(entry.files)))
    print_columns(rows)


@command.command("verify")
@STORE
@JSON
def verify(folder: Path | None, as_json: bool) -> None:
    """Check every result against its digests; change nothing."""
    from edgekd.errors import BudgetMissed
    from edgekd.units import number_text

    faults = _store(folder).verify()
    if as_json:
        print_json({"faults": faults})
    else:
        for fault in faults:
            echo(fault)
    if faults:
        raise BudgetMissed(
            f"store: got {number_text(len(faults), 'fault')}",
            hint="run the recipe again: what does not verify is made anew",
        )
    if not as_json:
        echo("all results verify")


@command.command("why")
@click.argument("first")
@click.argument("second")
@STORE
@JSON
def why(first: str, second: str, folder: Path | None, as_json: bool) -> None:
    """Show which inputs of two results differ; each is a key or its beginning, as `ls` prints."""
    from edgekd import strict_json

    entries = list(_store(folder).entries())
    one, other = _found(entries, first), _found(entries, second)
    rows = [
        (what, str(a), str(b))
        for what, a, b in strict_json.find_differences(one.inputs, other.inputs)
    ]
    if as_json:
        print_json([{"what": what, "first": a, "second": b} for what, a, b in rows])
    elif rows:
        print_columns((what, a, b) for what, a, b in [("what", first, second), *rows])
    else:
        echo("nothing differs")


@command.command("gc")
@click.option(
    "--keep",
    multiple=True,
    metavar="RUN_DIR",
    type=click.Path(path_type=Path),
    help="Keep the results of this run; may be repeated.",
)
@click.option("--all", "everything", is_flag=True, help="Keep nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@STORE
@JSON
def gc(
    keep: tuple[Path, ...], everything: bool, yes: bool, folder: Path | None, as_json: bool
) -> None:
    """Remove all results but those of the runs given by --keep."""
    from edgekd.errors import InputError
    from edgekd.printable import escape_unprintable
    from edgekd.units import bytes_text

    if bool(keep) == everything:
        raise InputError("store gc: got neither or both, want --keep RUN_DIR or --all")
    store = _store(folder)
    entries = list(store.entries())
    wanted = {key for path in keep for key in referenced_keys(entries, path)}
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("store gc: got no terminal to ask at", hint="add --yes")
        found = store.garbage(wanted)
        size = bytes_text(found.size_bytes)
        question = f"Remove {_counted(found)}: {size} from {store.root}?"
        click.confirm(escape_unprintable(question), abort=True)
    removed = store.open().collect_garbage(wanted)
    if as_json:
        counts = {kind: len(paths) for kind, paths in _kinds(removed)}
        print_json({**counts, "freed_bytes": removed.size_bytes})
    else:
        echo(f"{_counted(removed)}: {bytes_text(removed.size_bytes)} removed")


def _kinds(garbage: Garbage) -> list[tuple[str, list[Path]]]:
    return [
        ("results", garbage.manifests),
        ("files", garbage.blobs),
        ("checkpoints", garbage.checkpoints),
        ("quarantined", garbage.quarantined),
    ]


def _counted(garbage: Garbage) -> str:
    """Return how many of each kind, in words."""
    from edgekd.units import number_text

    words = {
        "results": ("result", ""),
        "files": ("file of results", "files of results"),
        "checkpoints": (
            "interrupted step with its checkpoints",
            "interrupted steps with their checkpoints",
        ),
        "quarantined": ("quarantined file", ""),
    }
    told = [number_text(len(paths), *words[kind]) for kind, paths in _kinds(garbage) if paths]
    return ", ".join(told) or "nothing"


def _store(folder: Path | None) -> Store:
    """The store at `folder`, or the usual one, which may not be there yet.

    Raises:
        InputError: if it is no store.
    """
    from edgekd import run
    from edgekd.errors import InputError
    from edgekd.store import Store

    if folder is not None and not folder.is_dir():
        raise InputError(f"{folder}: got no folder, want a store")
    store = Store(folder or run.default_store())
    store.require_store()
    return store


def _described(entry: StoreEntry) -> dict[str, Any]:
    blobs = {name: blob._asdict() for name, blob in entry.files.items()}
    return {"key": entry.key, "inputs": entry.inputs, "files": blobs}


def _found(entries: list[StoreEntry], start: str) -> StoreEntry:
    from edgekd.errors import InputError

    found = [entry for entry in entries if entry.key.startswith(start.lower())]
    if len(found) != 1:
        hint = "give more of it" if found else "see edgekd store ls"
        raise InputError(f"{start[:70]}: got {len(found)} results, want one", hint=hint)
    return found[0]


def referenced_keys(entries: list[StoreEntry], run_dir: Path) -> set[str]:
    """The keys of the results that a run references: those its result.json names, its explanation, report, bundle;
    those of a run that chose nothing beside it; and all that an interrupted one has begun.

    Raises:
        InputError: if it is no run folder, or a file in it cannot be read whole.
    """
    from edgekd import files
    from edgekd import run_folder

    named = run_folder.unfinished_keys(run_dir)
    own = set[str]()
    results = [run_dir / "result.json", run_dir / run_folder.WITHOUT_BUNDLE / "result.json"]
    there = [path for path in results if path.exists()]
    for path in there if there or named else results[:1]:
        named |= set(DIGEST.findall(json.dumps(files.read_json(path))))
        beside = (path, path.parent / "bundle" / "manifest.json", path.parent / "explain.json")
        own |= {files.digest_file(each) for each in beside if each.exists()}
    found = (e for e in entries if own.intersection(blob.sha256 for blob in e.files.values()))
    return named | {entry.key for entry in found}
