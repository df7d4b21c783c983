"""timm through a stand-in for the package: it does not import beside every build of torch."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.models.timm import LEAST_VERSION
from edgekd.learn.models.timm import timm


def made(reference: str) -> nn.Module:
    return timm(classes=2, channels=3, height=5, width=7, reference=reference)


def stand_in(calls: list[dict[str, Any]]) -> Any:
    def pretrained_cfg(name: str) -> Any:
        if "." in name:
            raise RuntimeError("Invalid pretrained tag")
        return SimpleNamespace(fixed_input_size=name == "vit_tiny")

    def create_model(name: str, **options: Any) -> nn.Module:
        calls.append({"name": name, **options})
        if name == "broken":
            raise RuntimeError("no such size")
        return nn.Identity()

    known = ["resnet18", "vit_tiny", "broken"]
    return SimpleNamespace(
        create_model=create_model,
        __version__=LEAST_VERSION,
        is_model=lambda name: name.split(".")[0] in known,
        list_models=lambda: known,
        get_pretrained_cfg=pretrained_cfg,
    )


def line(kind: type[EdgekdError], reference: str) -> str:
    with pytest.raises(kind) as caught:
        made(reference)
    assert "\n" not in caught.value.line()
    return caught.value.line()


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "timm", stand_in(calls))
    made("resnet18")
    made("vit_tiny")
    plain = {"pretrained": False, "num_classes": 2, "in_chans": 3}
    assert calls == [
        {"name": "resnet18", **plain},
        {"name": "vit_tiny", **plain, "img_size": (5, 7)},
    ]


def test_wrong_models(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "timm", stand_in(calls))
    assert "did you mean 'resnet18'?" in line(InputError, "resnet81")
    line(InputError, "hf-hub:someone/model")
    line(InputError, "local-dir:/tmp")
    line(InputError, "resnet18.local-dir:/tmp")
    assert "Invalid pretrained tag" in line(InputError, "resnet18.nobodys")
    assert not calls
    assert "timm cannot build it: no such size" in line(InputError, "broken")


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    got = line(MachineError, "resnet18")
    assert got == "timm: timm is not installed (pip install 'edgekd[timm]')"


def test_a_package_that_does_not_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timm.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist\\nand more')"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    assert "cannot be imported: operator torchvision::nms does not exist" in line(
        MachineError, "resnet18"
    )
