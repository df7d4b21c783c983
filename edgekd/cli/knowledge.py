"""``edgekd knowledge``: teachers' stored answers: build them, list them, take them out, check them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli import options as shared
from edgekd.cli.screen import echo
from edgekd.cli.screen import get_volume
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.store import Store
    from edgekd.store import StoreEntry

FOLDER = click.Path(file_okay=False, path_type=Path)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Build, list, export and check the stored answers of teachers."""


@command.command("build")
@click.argument("recipe", type=click.Path(path_type=Path))
@shared.store
@shared.overrides
@shared.data_dir
@click.option(
    "--from",
    "source",
    metavar="FOLDER|URL",
    help="Take answers that `export` wrote, from a folder or any URL that fsspec reads, or those of another store, which "
    "is only read; they are checked, and what is broken is asked anew.",
)
@shared.allow_code
@shared.allow_download
@shared.no_wait
@JSON
def build(
    recipe: Path,
    store: Path | None,
    overrides: tuple[str, ...],
    data_dir: Path | None,
    source: str | None,
    allow_code: bool,
    allow_download: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Make and store the answers that RECIPE's steps of learning read, and what they stand on.

    After a kill the same command goes on where it was. `edgekd compress RECIPE` finds them.
    """
    from edgekd import recipe as recipes
    from edgekd import run
    from edgekd.api import stored_answers
    from edgekd.display import make_display
    from edgekd.learn.knowledge.fetching import is_url

    loaded, loud = recipes.load(recipe, overrides), get_volume()
    options = run.Options(
        run_dir=run.default_run_dir(loaded.name),
        store=store or run.default_store(),
        data_dir=data_dir,
        allow_code=allow_code,
        allow_download=allow_download,
        wait=not no_wait,
        overrides=overrides,
    )
    with make_display(quiet=loud.quiet, verbose=loud.verbose) as progress:
        taken = source if source is None or is_url(source) else Path(source)
        made = stored_answers.build_knowledge(loaded, recipe, options, progress, taken)
    _show([(label, entry) for label, entry in made.items()], open_store(options.store), as_json)


@command.command("ls")
@shared.store
@JSON
def ls(store: Path | None, as_json: bool) -> None:
    """List the stored answers, oldest first: how many, their encoding, their bytes, how far they are off."""
    from edgekd import run

    found = open_store(store or run.default_store())
    entries = [("", entry) for entry in found.entries() if _is_knowledge(entry)]
    _show(entries, found, as_json)


@command.command("export")
@click.argument("key")
@click.argument("folder", type=FOLDER)
@shared.store
def export(key: str, folder: Path, store: Path | None) -> None:
    """Copy the answers of KEY, or of its beginning as `ls` prints it, to a new FOLDER."""
    import os
    import shutil

    from edgekd import files
    from edgekd import run
    from edgekd.errors import InputError

    found = open_store(store or run.default_store())
    entry = found.peek(_find_entry(found, key).key)
    if entry is None:
        raise InputError(f"{key[:70]}: its files are missing or changed", hint="build it again")
    if os.path.lexists(folder):
        raise InputError(f"{folder}: exists already, want a new folder")

    def fill(fresh: Path) -> None:
        for name, blob in entry.files.items():
            shutil.copyfile(found.blob_path(blob.sha256), fresh / name)

    files.replace_folder(folder, fill)
    name, *shards = sorted(entry.files)
    echo(f"{folder}: {name}" + (f" and {len(shards)} shards" if shards else ""))


@command.command("verify")
@click.argument("answers", metavar="FOLDER | KEY")
@shared.store
@JSON
def verify(answers: str, store: Path | None, as_json: bool) -> None:
    """Check the answers in FOLDER, which `export` wrote, or those of KEY in the store, against their digests; change
    nothing."""
    from edgekd import run
    from edgekd.errors import BudgetMissed
    from edgekd.units import number_text

    is_key = re.fullmatch(r"[0-9a-fA-F]{4,64}", answers) and not Path(answers).exists()
    if is_key:
        broken, count = _check_entry(open_store(store or run.default_store()), answers)
    else:
        broken, count = _check_folder(Path(answers))
    if as_json:
        print_json({"broken": broken, "shards": count})
    elif broken:
        for name in broken:
            echo(f"{name}: is missing or changed")
    else:
        echo(f"all {number_text(count, 'shard')} verify")
    if broken:
        hint = "edgekd knowledge build makes what is broken anew" if is_key else "export it again"
        message = f"{answers}: got {number_text(len(broken), 'broken shard')}"
        raise BudgetMissed(message, hint=hint)


def _check_folder(folder: Path) -> tuple[list[str], int]:
    """The names of broken shards, and how many there are."""
    from edgekd.learn.knowledge import layout
    from edgekd.learn.knowledge.reading import find_broken_shards
    from edgekd.learn.knowledge_settings import MANIFEST

    manifest = layout.read_manifest(folder / MANIFEST)
    return find_broken_shards(folder, manifest), manifest.layout.shards


def _check_entry(store: Store, key: str) -> tuple[list[str], int]:
    """The same of answers in the store; their manifest is looked at, too, but not counted."""
    from edgekd.learn.knowledge_settings import MANIFEST
    from edgekd.store.verification import digest_blob

    blobs = _find_entry(store, key).files
    broken = [
        name
        for name, blob in sorted(blobs.items())
        if digest_blob(store.blob_path(blob.sha256)) != blob.sha256
    ]
    return broken, len(blobs) - (MANIFEST in blobs)


def _find_entry(store: Store, key: str) -> StoreEntry:
    """The stored answers whose key begins so.

    Raises:
        InputError: if there are none, or several.
    """
    from edgekd.errors import InputError

    entries = [e for e in store.entries() if _is_knowledge(e) and e.key.startswith(key.lower())]
    if len(entries) != 1:
        hint = "give more of it" if entries else "see edgekd knowledge ls"
        raise InputError(f"{key[:70]}: got {len(entries)} stored answers, want one", hint=hint)
    return entries[0]


def open_store(folder: Path) -> Store:
    """The store in a folder, which may not be there yet.

    Raises:
        InputError: if it is no store.
    """
    from edgekd.store import Store

    found = Store(folder)
    found.require_store()
    return found


def _is_knowledge(entry: StoreEntry) -> bool:
    from edgekd.stages import knowledge

    return entry.inputs.get("stage") == knowledge.STAGE.name


def _show(entries: list[tuple[str, StoreEntry]], store: Store, as_json: bool) -> None:
    rows = [_describe(label, entry, store) for label, entry in entries]
    if as_json:
        print_json(rows)
        return
    from edgekd.units import bytes_text

    print_columns(
        (
            row["key"][:12],
            row["label"] or "",
            _count_text(row),
            row["encoding"],
            bytes_text(row["size_bytes"]),
            "" if row["kl_nats"] is None else f"KL {row['kl_nats']:.2g} nats",
        )
        for row in rows
    )


def _count_text(row: dict[str, Any]) -> str:
    if row["answers"] is None:
        return "one array"
    if not row["places"]:
        return f"{row['answers']:,} answers"
    each = row["bytes_a_place"]
    return f"{row['answers']:,} answers, {row['places']:,} places of {each} bytes"


def _describe(label: str, entry: StoreEntry, store: Store) -> dict[str, Any]:
    from edgekd.errors import InputError
    from edgekd.learn.knowledge import layout
    from edgekd.learn.knowledge_settings import MANIFEST
    from edgekd.units import number_text

    found: dict[str, Any] = {
        "key": entry.key,
        "label": label or None,
        "size_bytes": sum(blob.size_bytes for blob in entry.files.values()),
        "answers": None,
        "places": None,
        "bytes_a_place": None,
        "encoding": "fp32",
        "largest_difference": None,
        "kl_nats": None,
        "rest_probability": None,
        "layers": [],
    }
    if MANIFEST not in entry.files:
        return found
    try:
        manifest = layout.read_manifest(store.blob_path(entry.files[MANIFEST].sha256))
    except InputError:
        return found | {"answers": 0, "encoding": "missing or changed"}
    place, settings = manifest.layout, manifest.layout.code.settings
    cut = f", top {settings.top_k}" if settings.top_k is not None else ""
    tapped = manifest.layers.tapped if manifest.layers is not None else ()
    pooled = sum(layer.is_pooled for layer in tapped)
    cut += f", {number_text(len(tapped), 'layer')} of which {pooled} pooled" if tapped else ""
    return found | {
        "answers": place.views * place.samples,
        "places": place.rows if place.places else None,
        "bytes_a_place": place.row_bytes if place.places else None,
        "encoding": settings.encoding + cut,
        "largest_difference": manifest.error.get("largest_difference"),
        "kl_nats": manifest.error.get("mean_divergence_nats"),
        "rest_probability": manifest.error.get("mean_rest_probability"),
        "layers": [
            {"place": layer.place, "shape": list(layer.shape), "pooled": layer.is_pooled}
            for layer in tapped
        ],
    }
