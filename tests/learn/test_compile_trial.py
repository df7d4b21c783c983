"""The trial of compilation: it pays over the whole training or is left, and it can be stopped with all it started."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgekd.interface import image_classifier
from edgekd.learn import compilation
from edgekd.learn import compile_trial
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.compile_trial import CompileTrial
from edgekd.learn.settings import Arithmetic

PLAN = Blueprint(
    builder="mlp",
    arguments={},
    interface=image_classifier(classes=3, channels=1, height=4, width=4),
)
FP32 = Arithmetic(precision="fp32", channels_last=False, threads=1)


def trial(**changes: Any) -> CompileTrial:
    values = {"compile_s": 60.0, "eager_s": 0.2, "compiled_s": 0.1, "difference": 1e-6}
    return CompileTrial(**{"is_repeatable": True, **values, **changes})


@pytest.mark.parametrize(
    ("changes", "steps", "want"),
    [
        ({}, 601, ""),
        ({}, 600, "compilation takes 60 s and saves 60 s"),
        ({"compiled_s": 0.19}, 10**6, "compiled, its steps are 1.05 times as fast, want 1.1"),
        ({"compiled_s": 0.3}, 10**6, "compiled, its steps are 0.67 times as fast, want 1.1"),
        ({"is_repeatable": False}, 10**6, "compiled, it does not give the same bytes twice"),
        ({"difference": 0.2}, 10**6, "compiled, its gradients are off by 0.2 of their norm"),
        (
            {"difference": float("nan")},
            10**6,
            "compiled, its gradients are off by nan of their norm",
        ),
    ],
)
def test_it_pays_over_the_whole_training_or_is_left(
    changes: dict[str, Any], steps: int, want: str
) -> None:
    assert trial(**changes).explain_refusal("fp32", steps) == want


def test_half_precision_may_round_otherwise() -> None:
    assert not trial(difference=0.2).explain_refusal("bf16", 10**6)


class Shaken(nn.Module):
    """Compiled, it computes something else: more by `off` each time."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


@pytest.mark.parametrize(("off", "same"), [(0.0, True), (1.0, False)])
def test_both_forms_are_compared_by_their_gradients(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, off: float, same: bool
) -> None:
    def compile_otherwise(forward: Any, **_: Any) -> Any:
        calls: list[int] = []

        def compiled(x: torch.Tensor) -> torch.Tensor:
            calls.append(1)
            return forward(x) * (1 + off * len(calls))

        return compiled

    monkeypatch.setenv(compilation.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(torch, "compile", compile_otherwise)
    model = Shaken()
    found = compile_trial.measure(model, (torch.ones(2, 3),), FP32)
    assert found.is_repeatable == same
    assert (found.difference == 0) == same
    assert torch.equal(model.weight, torch.ones(3)) and model.weight.grad is None


def test_what_torch_cannot_compile_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda *_, **__: 1 / 0)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        compile_trial.measure(Shaken(), (torch.ones(2, 3),), FP32)


def test_a_trial_is_stopped_in_time_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nsleep 300 & echo $! > {tmp_path}/child\nwait\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    start = time.monotonic()
    found = compile_trial.try_compiling(PLAN, 4, FP32, tmp_path, 1.0)
    assert found == "compilation takes longer than the 1 s that a trial may take"
    assert time.monotonic() - start < 60
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or ") Z" in state.read_text():
            return
        time.sleep(0.05)
    os.kill(child, 9)
    raise AssertionError("what the trial started outlives it")


def test_the_last_words_of_a_trial_that_fails_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho 'first'; echo 'RuntimeError: no such thing' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program))
    found = compile_trial.try_compiling(PLAN, 4, FP32, tmp_path, 60.0)
    assert found == "it cannot be compiled: RuntimeError: no such thing"


@pytest.mark.slow
def test_a_trial_with_the_real_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compilation.CACHE_VARIABLE, str(tmp_path / "cache"))
    found = compile_trial.try_compiling(PLAN, 4, FP32, tmp_path, 280.0)
    assert isinstance(found, CompileTrial), found
    assert found.is_repeatable and found.difference < 1e-5
    assert 0 < found.compiled_s < found.compile_s
    assert json.loads((tmp_path / "order.json").read_bytes())["batch_size"] == 4
