"""What the stage `tune` writes: what the recipe states, and what a trial finds of the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd.learn import arithmetic
from edgekd.learn import compile_trial
from edgekd.learn.compile_trial import CompileTrial
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import tune
from tests import data_example

COMPILER = "g++ 12.2.0"


class Noted(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def run(folder: Path, **changes: Any) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """Gives resolved.json, trial.json and the notes; of 64 samples in batches of 16, over 1,024 epochs' worth."""
    images, labels = np.zeros((64, 4, 4, 1), np.uint8), np.arange(64) % 3
    field = data_example.image(4, 4)
    given = data_example.write_data(folder, field, "abc", train=(images, labels))
    words = {"model": "mlp", "batch_size": 16, "precision": "fp32", "channels_last": False}
    words |= {"threads": 1, "compile": "auto", "compiler": COMPILER, **changes}
    progress = Noted()
    context = Context(folder=folder, checkpoints=folder / "kept", seed=0, progress=progress)
    made = tune.run(tune.TuneConfig.model_validate(words), given, context)
    read = {name: json.loads(path.read_bytes()) for name, path in made.items()}
    return read["resolved.json"], read["trial.json"], progress.notes


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A step takes 2 s, so a training of 1,024 steps 2,048 s; a trial of compilation gives what is put here."""
    told: dict[str, Any] = {"answer": CompileTrial(60.0, 2.0, 1.0, 0.0, True)}

    def find_fastest(
        model: Any, ends: Any, size: int, threads: int, steps: Any, stated: Any
    ) -> Any:
        told.update({"training_steps": steps, "stated": stated})
        resolved = Arithmetic(precision="bf16", channels_last=True, threads=threads)
        return arithmetic.Trial(resolved, True, 2.0, 4.8)

    def try_compiling(
        plan: Any, size: int, resolved: Any, folder: Path, allowed_s: float, **_: Any
    ) -> Any:
        told.update({"resolved": resolved, "allowed_s": allowed_s, "folder": folder})
        return told["answer"]

    monkeypatch.setattr(arithmetic, "find_fastest", find_fastest)
    monkeypatch.setattr(compile_trial, "try_compiling", try_compiling)
    return told


def test_what_pays_over_the_whole_training_is_compiled(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    resolved, tried, notes = run(tmp_path)
    assert resolved == {
        "precision": "fp32", "channels_last": False, "threads": 1, "compiler": COMPILER,
    }  # fmt: skip
    assert (asked["training_steps"], asked["stated"]) == (None, [("fp32", False)])
    assert asked["resolved"] == Arithmetic(precision="fp32", channels_last=False, threads=1)
    assert asked["allowed_s"] == pytest.approx(0.1 * 2.0 * 1024 - 4.8)
    assert tried["compile"]["reason"] == "it pays"
    assert tried["compile"]["steps"] == 1024
    assert notes == ["mlp trains with torch.compile, 2.00 times as fast"]


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_a_gpu_alone_is_tried_where_nobody_asked(
    tmp_path: Path, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(arithmetic, "choose_device", lambda: torch.device(kind))
    resolved, tried, notes = run(tmp_path, compile="gpu")
    if kind == "cuda":
        assert resolved["compiler"] == COMPILER
    else:
        assert "compiler" not in resolved and not tried and not notes


def test_the_arithmetic_found_is_the_one_that_is_compiled(
    tmp_path: Path, asked: dict[str, Any]
) -> None:
    resolved, _, notes = run(tmp_path, precision="auto", epochs=512)
    assert (asked["training_steps"], asked["stated"]) == (2048, None)
    assert asked["resolved"] == Arithmetic(precision="bf16", channels_last=False, threads=1)
    assert resolved["precision"] == "bf16" and not resolved["channels_last"]
    assert notes[0] == "mlp trains fastest in bf16, channels last"


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        ("it cannot be compiled: Unsupported: ...", "it cannot be compiled: Unsupported: ..."),
        (CompileTrial(2000.0, 2.0, 1.0, 0.0, True), "compilation takes 2000 s and saves 1024 s"),
    ],
)
def test_what_does_not_pay_or_cannot_be_is_trained_eagerly(
    tmp_path: Path, asked: dict[str, Any], answer: Any, want: str
) -> None:
    asked["answer"] = answer
    resolved, tried, notes = run(tmp_path)
    assert "compiler" not in resolved
    assert tried["compile"]["reason"] == want
    assert notes == [f"mlp trains without torch.compile: {want}"]


def test_a_short_training_is_not_held_up(tmp_path: Path, asked: dict[str, Any]) -> None:
    """A tenth of 128 s would not do for any compilation."""
    resolved, tried, notes = run(tmp_path, epochs=16)
    assert "allowed_s" not in asked and "compiler" not in resolved and not notes
    assert tried["compile"]["reason"] == "its training is too short: 128 s"


def test_without_a_compiler_it_says_so(tmp_path: Path) -> None:
    for number, word in enumerate(("auto", True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        resolved, tried, notes = run(folder, compile=word, compiler=None)
        assert "compiler" not in resolved
        assert tried["compile"]["reason"].startswith(
            "this machine has no C++ compiler: install g++"
        )
        assert notes == [f"mlp trains without torch.compile: {tried['compile']['reason']}"]


def test_a_recipe_that_says_so_is_not_measured(tmp_path: Path, asked: dict[str, Any]) -> None:
    assert run(tmp_path, compile=True)[0]["compiler"] == COMPILER
    assert asked.keys() == {"answer"}


def test_what_is_not_compiled_has_the_keys_it_had() -> None:
    """Results of before stay valid: of the trial, of what it found, and of trainings."""
    words: dict[str, Any] = {"model": "mlp", "batch_size": 16, "precision": "fp32"}
    config = tune.TuneConfig.model_validate({**words, "channels_last": False, "threads": 1})
    assert not {"compile", "compiler"} & config.model_dump().keys()
    resolved = Arithmetic(precision="fp32", channels_last=False, threads=1)
    assert resolved.model_dump().keys() == {"precision", "channels_last", "threads"}
    for word in ("auto", True, False):
        assert Training(compile=word).model_dump() == Training().model_dump()
