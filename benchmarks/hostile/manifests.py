"""Stores with one to three changes, through a whole run and through `edgekd store`'s verbs.

    python benchmarks/hostile/manifests.py --count 500

Each case is a finished run of toy stages, so that thousands are tried in minutes; everything around the
stages is what is shipped: the walk, the store, the run folder, the command line. A change is made to a
manifest's fields (half of the time its seal and its key are made good again, as one who knows the format
would), to its bytes, or to what lies in the store's folders (links out of it, pipes, folders, files of
other content). After that the run is started again, and one of ls, verify, why and gc.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import harness
from harness import Canaries

from edgekd import cli
from edgekd import files
from edgekd import pipeline
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.plan.settling import SettledPlan
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.settings import Settings
from edgekd.stage import BLUEPRINT
from edgekd.stage import EVERY
from edgekd.stage import Bindings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import Step
from edgekd.store import Store
from edgekd.store import compute_key

Value = dict[str, Any]
VERBS = (["ls"], ["verify"], ["why", "0", "1"], ["gc", "--all", "--yes"])


class Contents(Settings):
    """What a toy stage makes."""

    texts: dict[str, str]


def make(settings: Contents, given: Given, context: Context) -> Made:
    """Write the settings' texts, and copies of what is given under the given names, as `compile` does."""
    made = {}
    for name, text in settings.texts.items():
        path = context.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        made[name] = path
    for name, source in given.items():
        path = context.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source.read_bytes())
    return made


def _step(label: str, takes: dict[str, tuple[str, str]], **texts: str) -> Step:
    named = {name.replace("__", "/").replace("_", "."): text for name, text in texts.items()}
    return Step(label, Stage(label, Contents, make), Contents(texts=named), takes)


CHOICE = '{"chosen": "a", "why": "it is fast"}'
TOY = {"name": "toy"}
RESULT = json.dumps({"chosen": "a", "resolved_recipe": TOY, "environment": {"device": "local"}})
STEPS = (
    _step("data", {}, data_json="{}", train="images"),
    _step("teacher", {"x": ("data", "train")}, blueprint_json='{"builder": "x"}', weights="w"),
    _step("export", {"blueprint": ("teacher", BLUEPRINT)}, model_onnx="onnx", golden="g"),
    _step("compile", {"all": ("export", EVERY)}, engine__model="engine", engine__about_json="{}"),
    _step("measure", {"all": ("compile", EVERY)}, rows_json='[{"name": "a"}]'),
    _step("choose", {"rows": ("measure", "rows.json")}, choice_json=CHOICE),
)
CLOSING = (
    _step(
        "bundle", {"model": ("export", "model.onnx")}, bundle__model_onnx="m", bundle__a_json="{}"
    ),
    _step("report", {"choice": ("choose", "choice.json")}, result_json=RESULT, report_md="page"),
)


def _take_as_settled(recipe: Any, _: Path, todo: Any, *others: Any) -> SettledPlan:
    return SettledPlan(todo, recipe, recipe)


def compress(folder: Path) -> None:
    """The toy run, from its plan to its folder."""
    options = Options(run_dir=folder / "run", store=folder / "store", wait=False)
    with (
        mock.patch.object(pipeline, "plan", lambda *_: STEPS),
        mock.patch.object(pipeline.closing, "steps", lambda *_: CLOSING),
        mock.patch.object(pipeline, "find_bindings", lambda options: Bindings("", "")),
        mock.patch.object(pipeline.settling, "settle_plan", _take_as_settled),
        mock.patch.object(pipeline.deliverables, "list_deliverables", lambda *_: {}),
        mock.patch.object(pipeline.writing, "locate_weights", lambda *_: {}),
        mock.patch.object(pipeline.writing, "format_recipe", lambda *_: "the recipe"),
    ):
        recipe: Any = SimpleNamespace(model_dump=lambda mode: TOY)
        pipeline.compress(recipe, Path("recipe.yaml"), options, Silent())


def attempt(number: int, folder: Path, canaries: Canaries) -> None:
    """A run, changes, the run again, a verb of the store, and once more the run."""
    draw = random.Random(number)
    compress(folder)
    whole = _contents(folder / "run")
    store = folder / "store"
    for _ in range(draw.choice((1, 1, 2, 3))):
        draw.choice(CHANGES)(store, draw, canaries)
    failed = None
    for work in (
        lambda: compress(folder),
        lambda: cli.main(
            ["store", *draw.choice(VERBS), "--store", str(store)], standalone_mode=False
        ),
        lambda: compress(folder),
    ):
        try:
            work()
        except EdgekdError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    if _contents(folder / "run") != whole and not _was_exchanged(store):
        raise AssertionError("another run came out, and nobody said so")


def _contents(run_dir: Path) -> dict[str, bytes]:
    found = (
        path for path in run_dir.rglob("*") if path.is_file() and "edgekd-run" not in path.name
    )
    return {str(path.relative_to(run_dir)): path.read_bytes() for path in found}


def _was_exchanged(store: Path) -> bool:
    """Whether a manifest that is sound in every way names other blobs than were made: this nobody can know."""
    known = {
        files.digest_bytes(text.encode())
        for s in (*STEPS, *CLOSING)
        for text in s.settings.texts.values()
    }  # type: ignore[attr-defined]
    found = [
        (e.inputs.get("stage"), n, b.sha256)
        for e in Store(store).entries()
        for n, b in e.files.items()
    ]
    made = {
        (s.label, n, files.digest_bytes(t.encode()))
        for s in (*STEPS, *CLOSING)
        for n, t in s.settings.texts.items()
    }  # type: ignore[attr-defined]
    return any(sha256 in known and one not in made for one in found for sha256 in one[2:])


def _manifests(store: Path) -> list[Path]:
    inside = (store / "ac").iterdir() if (store / "ac").is_dir() else ()
    return sorted(path for path in inside if path.is_file() and not path.is_symlink())


def _names(draw: random.Random, canaries: Canaries) -> str:
    out = canaries.folder
    return draw.choice(
        (
            *(f"../../outside/{n}" for n in ("secret.txt", "weights.bin", "ran")),
            *(str(out / n) for n in ("secret.txt", "ran")),
            *("../store/edgekd-store.json", "..", ".", "", "/", "a/../../x", ".edgekd-run.json"),
            *(
                "bundle/../../x",
                "report.md/x",
                "a\x00b",
                "a\x1b[2J",
                "\u202ea",
                "\ud800",
                "a" * 5000,
            ),
            *("/".join("a" * 400), "C:\\x", "..\\x", "bundle", "python:os:system"),
        )
    )


def _fields(store: Path, draw: random.Random, canaries: Canaries) -> None:
    """A field of a manifest, its seal made good or not."""
    paths = _manifests(store)
    if not paths:
        return
    path = draw.choice(paths)
    try:
        value = files.read_json(path)
    except InputError:
        return
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("files"), dict)
        or not value["files"]
    ):
        return
    others = [b.name for b in store.glob("cas/*/*")] or ["0" * 64]
    name = draw.choice(sorted(value["files"]))
    odd = draw.choice(
        (None, 5, -1, "", [], {}, True, 1e300, "0" * 64, _names(draw, canaries), 2**70)
    )
    kind = draw.randrange(9)
    if kind == 0:
        value["files"][_names(draw, canaries)] = value["files"][name]
    elif kind == 1:
        value["files"][_names(draw, canaries)] = value["files"].pop(name)
    elif kind == 2:
        value["files"][name] = {
            "sha256": draw.choice(others),
            "size_bytes": draw.choice((0, 1, 2**62)),
        }
    elif kind == 3:
        blob = draw.choice(list(store.glob("cas/*/*")) or [path])
        value["files"][name] = {"sha256": blob.name, "size_bytes": blob.lstat().st_size}
    elif kind == 4:
        value["files"][name] = odd
    elif kind == 5:
        value[draw.choice(sorted(value))] = odd
    elif kind == 6:
        value["inputs"][draw.choice(sorted(value["inputs"]))] = odd
    elif kind == 7:
        del value["files"][name]
    else:
        value["made"] = {"at": draw.choice(("now", "\x1b[2J", 5)), "took_s": odd}
    goal = path
    if draw.random() < 0.5 and isinstance(value.get("inputs"), dict):
        if draw.random() < 0.5:
            value["key"] = compute_key(value["inputs"])
            goal = path.with_name(f"{value['key']}.json")
        content = {k: v for k, v in value.items() if k != "sha256"}
        value = {**content, "sha256": files.digest_bytes(files.canonical_json(content))}
    goal.write_text(json.dumps(value))


def _bytes(store: Path, draw: random.Random, canaries: Canaries) -> None:
    """The bytes of a manifest, a blob or the marker."""
    paths = [*_manifests(store), *store.glob("cas/*/*"), store / "edgekd-store.json"]
    path = draw.choice([p for p in paths if p.is_file() and not p.is_symlink()] or [store / "x"])
    data = path.read_bytes() if path.exists() else b""
    at = draw.randrange(len(data) + 1)
    text = draw.choice(
        (
            data[:at],
            data + data,
            data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :],
            b"[" * 10**5,
            b'{"inputs":' * 10**4,
            data.replace(b"{", b'{"key":"x",', 1),
            data.replace(b"1", b"NaN"),
            data.replace(b"1", b"1e999"),
            data.replace(b"0", b"9" * 5000, 1),
            b"",
            b"null",
            b"\xff" * 100,
        )
    )
    path.write_bytes(text)


def _places(store: Path, draw: random.Random, canaries: Canaries) -> None:
    """Something else than a file or a folder of the store's own."""
    key = draw.choice([*(p.stem for p in _manifests(store)), "0" * 64])
    digest = draw.choice([*(p.name for p in store.glob("cas/*/*")), "0" * 64])
    rooms = [store / name for name in ("cas", "ac", "work", "locks", "quarantine")]
    path = draw.choice(
        (
            store / "ac" / f"{key}.json",
            store / "cas" / digest[:2] / digest,
            store / "cas" / digest[:2],
            store / "work" / key,
            store / "locks" / key,
            store / "locks" / "store",
            store / "quarantine" / f"{key}.json",
            store / "edgekd-store.json",
            store / "digests.json",
            *rooms,
        )
    )
    files.remove(path)
    if path.parent.is_symlink() or not path.parent.is_dir():
        return
    kind = draw.randrange(5)
    if kind == 0:
        path.symlink_to(draw.choice((canaries.secret, canaries.folder, canaries.marker)))
    elif kind == 1:
        path.symlink_to(draw.choice(("/dev/zero", "/proc/self/mem", path.name, "../..")))
    elif kind == 2:
        os.mkfifo(path)
    elif kind == 3:
        (path / "inside").mkdir(parents=True)
        (path / "inside" / "file").write_text("x")
    else:
        path.write_text("x")


def _foreign(store: Path, draw: random.Random, canaries: Canaries) -> None:
    """A manifest in another one's place."""
    paths = _manifests(store)
    if len(paths) > 1:
        one, other = draw.sample(paths, 2)
        other.write_bytes(one.read_bytes())


CHANGES: list[Callable[[Path, random.Random, Canaries], None]] = [
    _fields,
    _fields,
    _fields,
    _bytes,
    _places,
    _foreign,
]
ATTEMPTS = {"manifests": attempt}
ENGINES = ()

if __name__ == "__main__":
    harness.main(ATTEMPTS, __doc__, Path(__file__), *ENGINES)
