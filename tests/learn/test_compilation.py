"""Compiled training: the same bytes at every run and after a kill; eager, with a reason, where it cannot be."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import nn
from torch._inductor.runtime.cache_dir_utils import default_cache_dir
from torch.nn import functional as F

from edgekd.errors import MachineError
from edgekd.fields.image import Image
from edgekd.learn import compilation
from edgekd.learn import compiler
from edgekd.learn.data.loader import Samples
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training
from edgekd.learn.training.fit import fit
from edgekd.learn.training.monitor import StepMonitor
from edgekd.learn.training.run import TrainingRun
from edgekd.learn.training.state import TrainingState
from edgekd.learn.view_settings import Views
from edgekd.progress import Silent
from tests import data_example


class Net(nn.Module):
    """Statistics, chance and a branch that its graph cannot hold if `breaks`."""

    def __init__(self, breaks: bool = False) -> None:
        super().__init__()
        self.breaks, self.traced = breaks, 0
        self.hidden, self.norm = nn.Linear(25, 8), nn.BatchNorm1d(8)
        self.out = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        if self.breaks and images.sum().item() > 1e9:
            return self.out(self.hidden(images.flatten(1)))
        hidden = F.dropout(self.norm(self.hidden(images.flatten(1))), 0.2, self.training)
        return self.out(hidden.relu())


class Notes(Silent):
    """What was noted; strikes at a step, if at any."""

    def __init__(self, kill_at: int = 0) -> None:
        self.notes: list[str] = []
        self.kill_at = kill_at

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[int]]:
    """Without a C++ compiler: torch traces the graph, which then runs as it is; gives how often one was run."""
    ran: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        def forward(*given: Any) -> Any:
            ran.append(1)
            return graph.forward(*given)

        return forward

    torch._dynamo.reset()
    monkeypatch.setenv(compilation.CACHE_VARIABLE, str(tmp_path / "compiled"))
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    yield ran
    torch._dynamo.reset()


def net(breaks: bool = False, seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net(breaks)


def samples() -> Samples:
    random = np.random.default_rng(0)
    return data_example.samples(
        images=random.integers(0, 255, (64, 5, 5, 1), dtype=np.uint8),
        labels=random.integers(0, 3, 64),
        classes=3,
        image=Image(height=5, width=5, channels=1, mean=(0.3,), std=(0.2,)),
        views=Views(count=2, flip=True),
        seed=0,
    )


def run(folder: Path, compiled_by: str | None = "g++ 1", **changes: Any) -> TrainingRun:
    values: dict[str, Any] = {
        "model": net(),
        "samples": samples(),
        "terms": bind_terms(data_example.LABELS_ALONE),
        "scheme": learn_from_labels(),
        "training": Training(epochs=2, batch_size=16, checkpoint_every_s=0, learning_rate=0.05),
        "resolved": Arithmetic(
            precision="fp32", channels_last=False, threads=1, compiler=compiled_by
        ),
        "seed": 5,
        "checkpoints": folder,
        "progress": Notes(),
        "score": lambda model: model(torch.zeros(2, 1, 5, 5)).sum().item(),
    }
    return TrainingRun(**(values | changes))


def assert_same(one: nn.Module, other: nn.Module) -> None:
    theirs = other.state_dict()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    def show(_: Any, state: TrainingState) -> None:
        if state.step == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(StepMonitor, "show", show)


def test_every_learning_pass_runs_compiled_and_nothing_else_is_changed(
    tmp_path: Path, calls: list[int]
) -> None:
    """What torch compiled here is what runs eagerly: then statistics, chance and weights are the same to the bit."""
    plain, compiled = run(tmp_path / "a", None), run(tmp_path / "b")
    assert fit(plain) == fit(compiled)
    assert len(calls) == 1 + 8  # once to compile, then every step; scores run as they are
    assert_same(plain.model, compiled.model)
    assert isinstance(compiled.progress, Notes) and not compiled.progress.notes
    assert "forward" not in vars(compiled.model)


def test_a_killed_run_goes_on_compiled_to_the_same_bytes(
    tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole")
    rows = fit(whole)
    with monkeypatch.context() as struck, pytest.raises(KeyboardInterrupt):
        kill_at(struck, 6)
        fit(run(tmp_path / "struck"))
    resumed = run(tmp_path / "struck", model=net(seed=9))
    before = len(calls)
    assert fit(resumed) == rows
    assert len(calls) == before + 1 + 4
    assert_same(whole.model, resumed.model)


def test_a_model_that_cannot_be_compiled_runs_eagerly_and_says_why(
    tmp_path: Path, calls: list[int]
) -> None:
    plain = run(tmp_path / "a", None, model=net(breaks=True))
    broken = run(tmp_path / "b", model=net(breaks=True))
    assert fit(plain) == fit(broken)
    assert not calls
    assert_same(plain.model, broken.model)
    assert isinstance(broken.progress, Notes)
    (note,) = broken.progress.notes
    assert note.startswith("torch.compile: the model cannot be compiled and runs eagerly: ")


def test_a_run_that_went_on_otherwise_than_it_began_is_refused(
    tmp_path: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as struck, pytest.raises(KeyboardInterrupt):
        kill_at(struck, 6)
        fit(run(tmp_path))
    monkeypatch.setattr(torch, "compile", lambda *given, **named: 1 / 0)
    with pytest.raises(MachineError, match=r"ran compiled until it was stopped.*ZeroDivisionError"):
        fit(run(tmp_path))


def test_who_reads_inside_the_model_has_it_run_eagerly(calls: list[int]) -> None:
    model, images, seen = net().train(), torch.zeros(4, 1, 5, 5), []
    with compilation.compiled_training(model, seen.append):
        model(images)
        compiled = len(calls)
        handle = model.hidden.register_forward_hook(lambda *_: seen.append("read"))
        model(images)
        model(images)
        assert len(calls) == compiled
        note = "torch.compile: the model runs eagerly: its layers are read"
        assert seen == [note, "read", "read"]
        handle.remove()
        model(images)
        assert (len(calls), len(seen)) == (compiled + 1, 3)


@pytest.mark.parametrize(
    "what",
    ["other size", "evaluation", "no gradient", "wants gradient", "frozen", "other mode inside"],
)
def test_what_was_not_compiled_for_runs_as_it_is(calls: list[int], what: str) -> None:
    model, images = net().train(), torch.zeros(4, 1, 5, 5)
    with compilation.compiled_training(model, print):
        model(images)
        before = len(calls)
        if what == "other size":
            model(torch.zeros(6, 1, 5, 5))
        elif what == "evaluation":
            model.eval()(images)
        elif what == "no gradient":
            with torch.no_grad():
                model(images)
        elif what == "wants gradient":
            model(images.clone().requires_grad_())
        elif what == "other mode inside":
            model.norm.eval()
            model(images)
        else:
            model.out.weight.requires_grad_(False)
            model(images)
        assert len(calls) == before
        model.train().requires_grad_(True)
        model(images)
        assert len(calls) == before + 1


def test_copies_run_as_they_are(calls: list[int]) -> None:
    model = net().train()
    with compilation.compiled_training(model, print):
        model(torch.zeros(4, 1, 5, 5))
        before = len(calls)
        other = copy.deepcopy(model)
        with torch.no_grad():
            other.out.bias.add_(100)
        assert bool((other(torch.zeros(4, 1, 5, 5)) > 50).all())
    assert len(calls) == before


def test_a_reason_known_beforehand_is_told_and_nothing_is_compiled(calls: list[int]) -> None:
    model, notes = net().train(), []
    with compilation.compiled_training(model, notes.append, "several ranks share it out"):
        model(torch.zeros(4, 1, 5, 5))
    assert not calls
    assert notes == ["torch.compile: the model runs eagerly: several ranks share it out"]


@pytest.mark.parametrize("stated", ["by the user", "by torch", ""])
def test_what_is_compiled_lies_in_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stated: str
) -> None:
    monkeypatch.delenv(compilation.CACHE_VARIABLE, raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / name)
    want = tmp_path / "edgekd" / "compiled"
    before = None
    if stated:
        before = str(tmp_path / "stated") if stated == "by the user" else default_cache_dir()
        monkeypatch.setenv(compilation.CACHE_VARIABLE, before)
    if stated == "by the user":
        want = tmp_path / "stated"
    asked: list[str] = []
    monkeypatch.setattr(
        torch, "compile", lambda *_, **__: asked.append(os.environ[compilation.CACHE_VARIABLE])
    )
    with compilation.compiled_training(net().train(), print) as forward:
        assert forward is not None
        forward(torch.zeros(4, 1, 5, 5))
    assert asked == [str(want)] and want.is_dir()
    assert os.environ.get(compilation.CACHE_VARIABLE) == before


def test_a_compiler_is_named_with_its_version_or_not_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for text, want in (("echo 9.8.7", "c++x 9.8.7"), ("exit 1", None), ("", None)):
        compiler.find_compiler.cache_clear()
        program = tmp_path / "c++x"
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755 if text else 0o644)
        monkeypatch.setenv("CXX", str(program))
        assert compiler.find_compiler() == want
    compiler.find_compiler.cache_clear()


@pytest.mark.slow
def test_inductor_gives_the_same_bytes_at_every_run_and_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a cold cache, a warm one, and after a kill; no process of torch's stays."""
    made = []
    for cache in ("one", "one", "two"):
        torch._dynamo.reset()
        monkeypatch.setenv(compilation.CACHE_VARIABLE, str(tmp_path / cache))
        folder = tmp_path / str(len(made))
        with monkeypatch.context() as struck:
            if cache == "two":
                kill_at(struck, 6)
                with pytest.raises(KeyboardInterrupt):
                    fit(run(folder))
        made.append(run(folder))
        fit(made[-1])
        assert isinstance(made[-1].progress, Notes) and not made[-1].progress.notes
    assert_same(made[0].model, made[1].model)
    assert_same(made[0].model, made[2].model)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not children
