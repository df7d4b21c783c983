"""A user's own builder: what it is called with, and each way it can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn.models.python import python

SOURCE = """
from torch import nn
def some(classes, width): return nn.Linear(width, classes)
def all_of(**shape): return nn.Linear(sum(shape.values()), 1)
def nothing(): return nn.Identity()
def ends(interface, **shape): return nn.Linear(interface.inputs[0].shape[1], len(shape))
def number(classes): return classes
def fails(classes): raise RuntimeError("first\\nsecond")
not_callable = 3
"""


@pytest.fixture(autouse=True)
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_builders.py").write_text(SOURCE)
    (tmp_path / "own_broken.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(__import__("sys").modules, "own_builders", raising=False)


def made(reference: str, *, allow_code: bool = True) -> nn.Module:
    interface = image_classifier(classes=2, channels=3, height=5, width=7)
    return python(interface=interface, reference=reference, allow_code=allow_code)


def test_called_with_what_it_takes() -> None:
    some, all_of = made("own_builders:some"), made("own_builders:all_of")
    assert (some.in_features, some.out_features) == (7, 2)
    assert all_of.in_features == 2 + 3 + 5 + 7
    assert isinstance(made("own_builders:nothing"), nn.Identity)
    assert str(made("own_builders:ends")) == str(nn.Linear(3, 4))


@pytest.mark.parametrize(
    "reference, want",
    [
        ("own_builders:number", "got int, want a torch.nn.Module"),
        ("own_builders:fails", "the function failed: RuntimeError: first"),
        ("own_builders:absent", "got no function 'absent'"),
        ("own_builders:not_callable", "got no function"),
        ("own_absent:f", "got no module 'own_absent'"),
        ("own_broken:f", "own_broken raised ZeroDivisionError"),
        ("own_builders", "want python:package.module:function"),
        ("own_builders:a.b", "want python:package.module:function"),
        ("../own:f", "want python:package.module:function"),
    ],
)
def test_each_fault_is_one_line(reference: str, want: str) -> None:
    with pytest.raises(InputError) as caught:
        made(reference)
    assert want in str(caught.value) and "\n" not in str(caught.value)


def test_refused_without_leave() -> None:
    with pytest.raises(InputError, match="want that allowed"):
        made("own_broken:f", allow_code=False)
