"""timm through a stand-in for the package: it does not import beside every build of torch."""

from __future__ import annotations

import json
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
from edgekd.learn.models.timm import find_source
from edgekd.learn.models.timm import timm
from tests import model_hub_example


def made(reference: str) -> nn.Module:
    return timm(classes=2, channels=3, height=5, width=7, reference=reference)


def stand_in(calls: list[dict[str, Any]]) -> Any:
    def pretrained_cfg(name: str) -> Any:
        if "." in name:
            raise RuntimeError("Invalid pretrained tag")
        places = {"resnet18": "timm/", "vit_tiny": "someone/vit"}
        return SimpleNamespace(
            fixed_input_size=name == "vit_tiny",
            hf_hub_id=places.get(name),
            architecture=name,
            tag="a1_in1k",
        )

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


def test_wrong_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    calls: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "timm", stand_in(calls))
    assert "did you mean 'resnet18'?" in line(InputError, "resnet81")
    assert "want leave to download it" in line(MachineError, "hf-hub:someone/model")
    assert "got no config.json there" in line(InputError, f"local-dir:{tmp_path}")
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


def test_a_folder_or_a_repository_names_the_architecture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "timm", stand_in(calls))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    config = {"architecture": "resnet18", "num_classes": 7, "model_args": {"in_chans": 1}}
    data = json.dumps(config).encode()
    model_hub_example.fill_cache(tmp_path / "cache", {("someone/net", "config.json"): data})
    (tmp_path / "config.json").write_bytes(data)
    for reference in ("hf-hub:someone/net", str(tmp_path), f"local-dir:{tmp_path}"):
        model: Any = made(reference)
        assert calls.pop()["name"] == "resnet18"
        assert model.blueprint_arguments == {"reference": "resnet18"}  # builds without the folder


@pytest.mark.parametrize(
    ("config", "want"),
    [
        ({}, "without architecture"),
        ({"architecture": "resnet18", "model_args": {"act_layer": "x.y"}}, "sets act_layer"),
        ({"architecture": "local-dir:/tmp"}, "got no such model"),
        ({"architecture": "../resnet18"}, "got no such model"),
    ],
)
def test_a_configuration_may_name_an_architecture_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], want: str
) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.setitem(sys.modules, "timm", stand_in(calls))
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert want in line(InputError, f"local-dir:{tmp_path}")
    assert not calls


def test_where_pretrained_weights_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", stand_in([]))
    assert find_source("resnet18").repository == "timm/resnet18.a1_in1k"
    assert find_source("vit_tiny").repository == "someone/vit"
    with pytest.raises(InputError, match="timm has no weights of it on the hub"):
        find_source("broken")
    with pytest.raises(InputError, match="got no such model"):
        find_source("resnet81")
