"""A loss of a user's own, or of a plugin, has the rights of a built-in one; what it cannot be is said in one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from pydantic import ValidationError

from edgekd.errors import InputError
from edgekd.learn import task_fit
from edgekd.learn.assembly import connection
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.loss import compute
from edgekd.learn.settings import Losses
from edgekd.table import find_signature

READ = TypeAdapter(Losses)
SOURCE = '''
"""Losses of one user."""

from pathlib import Path

import torch.nn.functional as F
from typing import Literal

from edgekd.settings import Positive

Path(__file__).with_name("ran").touch()


def squared(student_logits, teacher_logits, *, scale: Positive = 2.0, kind: Literal["mean", "sum"] = "mean"):
    """Squared distance, scaled."""
    return scale * F.mse_loss(student_logits, teacher_logits, reduction=kind)


def shapes(student_features, teacher_features):
    """Distance of the means of two layers."""
    return (student_features.mean() - teacher_features.mean()).square()


def misspelt(student_logit, teacher_logits): ...
def knob_in_front(student_logits, temperature=4.0): ...
def of_labels(labels): ...
def taken(student_logits, *, weight: float = 1.0): ...
def untyped(student_logits, *, knob=1.0): ...
def of_a_list(student_logits, *, knob: list[int] = 1): ...
def computed(student_logits, *, knob: float = 2.0 ** 3): ...
def hidden(student_logits, *, _knob: float = 1.0): ...
def shadow(student_logits, *, copy: bool = True): ...
def anything(student_logits, **knobs): ...
async def late(student_logits): ...
lambda_ = lambda student_logits: student_logits.mean()


def raises(student_logits): return student_logits[:, 99].mean()
def leaves(student_logits): raise SystemExit(3)
def vector(student_logits): return student_logits.mean(1)
def number(student_logits): return 1.0
def nothing(student_logits): pass
def whole(student_logits): return student_logits.argmax(1).sum()
def nan(student_logits): return student_logits.mean() * float("nan")
def infinite(student_logits): return student_logits.sum() / 0.0
def detached(student_logits): return student_logits.detach().mean()
'''


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_losses.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "own_losses", raising=False)
    return tmp_path


def read(name: str, **words: Any) -> Losses:
    return READ.validate_python(({"name": f"python:own_losses:{name}", **words},))


def test_its_knobs_are_checked_without_running_it(own: Path) -> None:
    (term,) = read("squared", weight=3.0, scale=4.0)
    assert (term.weight, term.loss.arguments) == (3.0, {"scale": 4.0, "kind": "mean"})
    assert str(term.loss) == term.loss.name == "python:own_losses:squared"
    for wrong in ({"scale": 0.0}, {"scale": "2"}, {"kind": "median"}, {"scales": 2.0}):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            read("squared", **wrong)
    assert READ.validate_python(READ.dump_python((term,), mode="json")) == (term,)
    assert not (own / "ran").exists() and "own_losses" not in sys.modules


def test_an_edit_is_read_by_the_same_process(own: Path) -> None:
    read("squared", scale=4.0)
    (own / "own_losses.py").write_text(SOURCE.replace("scale: Positive = 2.0", "size: float"))
    with pytest.raises(ValidationError, match="scale"):
        read("squared", scale=4.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("of_labels", "takes nothing of the student"),
        ("taken", "has a knob 'weight', want another name"),
        ("untyped", "got knob 'knob' without a known type"),
        ("of_a_list", "got knob 'knob' without a known type"),
        ("computed", "got a computed default of 'knob'"),
        ("hidden", "got a knob called '_knob'"),
        ("shadow", "got a knob called 'copy'"),
        ("anything", r"got \*args or \*\*kwargs"),
        ("late", "got no function 'late'"),
        ("lambda_", "got no function 'lambda_'"),
        ("squarde", "got no function 'squarde'.*did you mean 'squared'"),
    ],
)
def test_what_no_recipe_can_name_is_said(own: Path, name: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        read(name)
    assert not (own / "ran").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("misspelt", "takes 'student_logit', want a signal of this task; did you mean 'student_l"),
        ("knob_in_front", r"takes 'temperature', .* A knob comes after `\*`"),
    ],
)
def test_what_no_task_gives_is_said(own: Path, name: str, message: str) -> None:
    (term,) = read(name)
    said = task_fit.find_loss_misfit(name, LOSSES[term.loss.name], task_fit.CLASSIFIER)
    assert re.search(message, said) and "\n" not in said
    assert not (own / "ran").exists()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("own_losses", "want package.module:function"),
        ("own_losses:", "want package.module:function"),
        ("../own:f", "want package.module:function"),
        ("own_loss:f", "got no such module"),
        ("own_losses.inner:f", "got no such module"),
        ("math:sqrt", "without a .py file|got no such module"),
        ("edgekd.units:percent_text", "takes nothing of the student"),
        ("broken_losses:f", "text that is not Python"),
        ("binary_losses:f", "text that is not Python"),
    ],
)
def test_a_reference_that_leads_nowhere_is_said(own: Path, reference: str, message: str) -> None:
    (own / "broken_losses.py").write_text("def f(:\n")
    (own / "binary_losses.py").write_bytes(b"\x00\xff\xfe")
    with pytest.raises(ValidationError, match=message):
        READ.validate_python(({"name": f"python:{reference}"},))


def connect(name: str, *, allow_code: bool = True, **words: Any) -> connection.Connection:
    terms = read(name, **words)
    return connection.connect_outputs(terms, 6, classes=5, samples=20, allow_code=allow_code)


def test_it_runs_when_that_is_allowed(own: Path) -> None:
    with pytest.raises(InputError, match="runs your code, want that allowed"):
        connect("squared", allow_code=False)
    assert not (own / "ran").exists()
    (term,) = connect("squared", scale=3.0, kind="sum").terms
    student, teacher = torch.randn(6, 5), torch.randn(6, 5)
    value, parts = compute([term], {"student_logits": student, "teacher_logits": teacher})
    want = 3 * float((student - teacher).square().sum())
    assert float(parts["python:own_losses:squared"]) == pytest.approx(want)
    assert (own / "ran").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", "raised IndexError: index 99"),
        ("leaves", "raised SystemExit: 3"),
        ("vector", r"got torch.float32 of shape \[6\], want one number"),
        ("number", r"got float, want a tensor of shape \[\]"),
        ("nothing", r"got NoneType, want a tensor of shape \[\]"),
        ("whole", r"got torch.int64 of shape \[\], want one number"),
        ("nan", "got nan of random signals, want a finite number"),
        ("infinite", "got -inf of random signals, want a finite number"),
        ("detached", "got a number without a gradient"),
    ],
)
def test_what_teaches_nothing_is_said_before_training(own: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^loss python:own_losses:{name}: {message}"):
        connect(name)


def test_it_moves_no_random_numbers(own: Path) -> None:
    torch.manual_seed(7)
    want = torch.rand(3)
    torch.manual_seed(7)
    connect("squared")
    assert bool((torch.rand(3) == want).all())


def test_words_beside_it_are_those_it_has_use_for(own: Path) -> None:
    ramp = {"epochs": 2}
    (term,) = read("squared", ramp=ramp, standardize=True, labelled_only=True)
    assert term.standardize and term.labelled_only and term.ramp is not None
    with pytest.raises(ValidationError, match="reads no layers"):
        read("squared", layers=0.5)
    assert read("shapes", layers=0.5)[0].layers == 0.5
    with pytest.raises(ValidationError, match="takes no teacher's logits"):
        read("shapes", standardize=True)


def test_labelled_tokens_alone_count(own: Path) -> None:
    (term,) = bind_terms(read("squared", labelled_only=True), allow_code=True)
    labels = torch.tensor([[3, -100, 0], [-1, 5, -100]])
    student, teacher = torch.randn(2, 3, 7), torch.randn(2, 3, 7)
    signals = {"student_logits": student, "teacher_logits": teacher, "label_indices": labels}
    want = 2 * (student - teacher)[labels >= 0].square().mean()
    assert float(term.value(signals)) == pytest.approx(float(want), rel=1e-6)


def test_a_built_in_loss_is_loaded_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither leave nor a look at what is installed is needed."""
    fail: Callable[..., Any] = lambda *_: pytest.fail("looked for plugins")  # noqa: E731
    monkeypatch.setattr("edgekd.plugins.list_plugins", fail)
    (term,) = bind_terms(READ.validate_python(("kd",)))
    assert term.name == "kd" and find_signature(LOSSES["kd"]).positional == term.needs
