"""Which folder a run fills: the first that is free, or holds the same run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgekd import run_folder
from edgekd import run_place
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.run import Options
from edgekd.run_place import RunSettings


def settings(device: str = "local", **keys: Any) -> RunSettings:
    return RunSettings({"name": "toy", **keys}, device)


def finish(root: Path, of: RunSettings, text: str | None = None) -> None:
    """Put the result of a run into `root`."""
    about = {"resolved_recipe": of.recipe, "environment": {"device": of.device}}
    with run_folder.hold_run_folder(root, wait=False) as held:
        held.fill({"result.json": (text or json.dumps(about)).encode()}, {})


def options(root: Path, *, may_move: bool = True, replace: bool = False) -> Options:
    return Options(
        run_dir=root, store=root / "store", wait=False, may_move=may_move, replace=replace
    )


def taken(root: Path, of: RunSettings, *, wait: bool = False) -> str:
    """Name of the folder that a run gets, with and without its lock."""
    ask = options(root)
    with run_place.hold_free_folder(ask, of, waiting=lambda *_: None) as held:
        return held.root.name


def test_the_first_free_folder_is_taken(tmp_path: Path) -> None:
    root = tmp_path / "toy"
    for number, name in ((1, "toy"), (2, "toy-2"), (3, "toy-3"), (2, "toy-2"), (1, "toy")):
        assert run_place.find_run_folder(options(root), settings(seed=number)).name == name
        assert taken(root, settings(seed=number)) == name
        finish(root.with_name(name), settings(seed=number))
    assert taken(root, settings("board", seed=1)) == "toy-4"


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (settings(seed=1), "another seed"),
        (settings("board"), "another device"),
        (settings(a={"b": [1]}, c=1, d=1, e=1), "another a, c, d and 1 more keys"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, other: RunSettings, says: str) -> None:
    finish(tmp_path / "toy", settings())
    asked = options(tmp_path / "toy", may_move=False)
    for ask in (
        lambda: run_place.find_run_folder(asked, other),
        lambda: run_place.hold_free_folder(asked, other, waiting=print).__enter__(),
    ):
        with pytest.raises(InputError, match=f"toy: holds a run with {says}, and keeps it"):
            ask()
    replaced = options(tmp_path / "toy", replace=True)
    assert run_place.find_run_folder(replaced, other).name == "toy"
    with run_place.hold_free_folder(replaced, other, waiting=print) as held:
        assert held.root.name == "toy"


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"resolved_recipe": {}, "environment": 5}'])
def test_a_result_that_cannot_be_read_is_another_run_s(tmp_path: Path, text: str) -> None:
    finish(tmp_path / "toy", settings(), text)
    assert taken(tmp_path / "toy", settings()) == "toy-2"
    with pytest.raises(InputError, match="toy: holds a run with other settings"):
        run_place.find_run_folder(options(tmp_path / "toy", may_move=False), settings())


def test_a_run_is_known_again_by_what_was_asked_for(tmp_path: Path) -> None:
    """Its result may say another recipe: steps that cannot be are left out on the way."""
    root, asked = tmp_path / "toy", settings(learn=["quantize"])
    about = {"resolved_recipe": {"name": "toy", "learn": []}, "environment": {"device": "local"}}
    with run_place.hold_free_folder(options(root), asked, waiting=print) as held:
        held.fill({"result.json": json.dumps(about).encode()}, {})
    assert taken(root, asked) == "toy"
    assert taken(root, settings(learn=["prune"])) == "toy-2"
    replacing = options(root, replace=True)
    with run_place.hold_free_folder(replacing, settings(seed=1), waiting=print):
        pass  # it was interrupted: the folder still holds the other
    assert taken(root, asked) == "toy" and taken(root, settings(seed=1)) == "toy-2"


def test_a_result_that_no_run_wrote_is_left_to_who_fills_the_folder(tmp_path: Path) -> None:
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "result.json").write_text("mine")
    assert taken(tmp_path / "toy", settings()) == "toy"


@contextmanager
def at_work(root: Path, of: RunSettings) -> Iterator[None]:
    """Another process that holds `root`."""
    code = (
        "import pathlib, time\nfrom edgekd import run_folder\n"
        f"with run_folder.hold_run_folder(pathlib.Path({str(root)!r}), wait=True) as held:\n"
        f" held.claim({of.digest!r}); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield
        other.kill()


def test_who_is_at_work_with_other_settings_is_not_waited_for(tmp_path: Path) -> None:
    root = tmp_path / "toy"
    with at_work(root, settings(seed=1)):
        assert taken(root, settings(seed=2)) == "toy-2"
        with pytest.raises(MachineError, match="used by another run"):
            taken(root, settings(seed=1))
        with pytest.raises(MachineError, match="used by another run"):
            run_place.hold_free_folder(
                options(root, may_move=False), settings(seed=2), waiting=print
            ).__enter__()
    assert taken(root, settings(seed=2)) == "toy"  # it was killed, and has finished nothing
