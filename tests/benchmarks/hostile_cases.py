"""benchmarks/hostile in short: its watch sees what it must, and no case breaks a rule."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[2] / "benchmarks" / "hostile"
NAMES = ("models", "devices", "bundles", "manifests")
COUNT = 12
FIRST = 1000
"""Other cases than those of the stored results."""


@pytest.fixture(scope="module")
def scripts() -> Iterator[dict[str, Any]]:
    """They import one another by name, as when one is run."""
    names = ("harness", *NAMES)
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in names:
            sys.modules.pop(name, None)


def write_outside(number: int, folder: Path, canaries: Any) -> None:
    (folder.parent.parent / "new").write_text("x")


def read_natively(number: int, folder: Path, canaries: Any) -> None:
    os.close(os.open(canaries.secret, os.O_RDONLY))


def add_beside(number: int, folder: Path, canaries: Any) -> None:
    os.close(os.open(canaries.folder / "new", os.O_CREAT | os.O_WRONLY, 0o600))


def run_code(number: int, folder: Path, canaries: Any) -> None:
    canaries.marker.write_text("")


def start_program(number: int, folder: Path, canaries: Any) -> None:
    subprocess.run(["true"], check=True)


def raise_an_error(number: int, folder: Path, canaries: Any) -> None:
    raise KeyError("files")


def hang(number: int, folder: Path, canaries: Any) -> None:
    time.sleep(60)


@pytest.mark.parametrize(
    ("attempt", "count"),
    [
        (write_outside, "touched_outside"),
        (read_natively, "touched_outside"),
        (add_beside, "touched_outside"),
        (run_code, "code_run"),
        (start_program, "touched_outside"),
        (raise_an_error, "exit_4"),
        (hang, "hung"),
    ],
)
def test_the_watch_sees(
    attempt: Callable[..., None],
    count: str,
    scripts: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scripts["harness"], "LIMIT_S", 0.5)
    found = scripts["harness"].survey(attempt, [0])
    assert found[count] == 1 and found["broke_a_rule"][0]["number"] == 0
    assert scripts["harness"].survey(lambda *case: None, [0])["broke_a_rule"] == []


def test_what_is_not_changed_is_measured(scripts: dict[str, Any], tmp_path: Path) -> None:
    """Or cases would all be refused for what they have in common."""
    models = scripts["models"]
    with scripts["harness"].forked_workers(*models.ENGINES):
        for runtime in models.RUNTIMES:
            (tmp_path / runtime).mkdir()
            seed = models.seed_model(plain=runtime == "openvino")
            (tmp_path / "m.onnx").write_bytes(seed.SerializeToString())
            models.measured(tmp_path / "m.onnx", runtime, tmp_path / runtime)
        text, weights = models._seed_ir(tmp_path)
        (tmp_path / "m.xml").write_text(text)
        (tmp_path / "m.bin").write_bytes(weights)
        (tmp_path / "ir").mkdir()
        models.measured(tmp_path / "m.xml", "openvino", tmp_path / "ir")


@pytest.mark.parametrize("name", NAMES)
def test_no_case_breaks_a_rule(name: str, scripts: dict[str, Any]) -> None:
    script = scripts[name]
    with scripts["harness"].forked_workers(*script.ENGINES):
        for attempt in script.ATTEMPTS.values():
            found = scripts["harness"].survey(attempt, range(FIRST, FIRST + COUNT))
            assert found["broke_a_rule"] == []
