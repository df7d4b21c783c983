from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.errors import InputError
from edgekd.named_member import NamedMember
from edgekd.plan import origins
from edgekd.run import Options
from edgekd.settings import Settings
from edgekd.stage import Bindings
from edgekd.stage import Stage
from edgekd.stage import Step
from edgekd.stage import key_inputs
from edgekd.stage import origin_of
from edgekd.store import compute_key

Origin = Callable[[], dict[str, str]]


def of(name: str, reference: str = "x", *, allow_code: bool = False) -> Origin | None:
    model = NamedMember(name=name, arguments={"reference": reference})
    options = Options(run_dir=Path("run"), store=Path("store"), allow_code=allow_code)
    return origins.model_origin(model, options)


def origin(name: str, reference: str = "x", *, allow_code: bool = False) -> dict[str, str] | None:
    found = of(name, reference, allow_code=allow_code)
    return None if found is None else found()


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed, as far as anyone asks."""
    installed = {"timm": "1.0.9"}
    monkeypatch.setattr(origins, "package_version", installed.get)
    return installed


def test_another_version_of_the_package_is_another_model(versions: dict[str, str]) -> None:
    assert origin("timm", "resnet18") == {"timm": "1.0.9"}
    versions["timm"] = "1.0.10"
    assert origin("timm", "resnet18") == {"timm": "1.0.10"}


def test_a_transformers_folder_is_its_config_and_the_package(
    tmp_path: Path, versions: dict[str, str]
) -> None:
    versions["transformers"] = "5.23"
    assert origin("transformers", "vit") == {"transformers": "5.23"}
    (tmp_path / "config.json").write_text("{}")
    want = {"transformers": "5.23", "config.json": hashlib.sha256(b"{}").hexdigest()}
    assert origin("transformers", str(tmp_path)) == want


def test_the_others_have_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, versions: dict[str, str]
) -> None:
    versions.clear()
    assert origin("timm") == {} and origin("resnet8") is None
    (tmp_path / "own_model_of_origins.py").write_text("def f(): ...\n")
    monkeypatch.chdir(tmp_path)
    named = "own_model_of_origins:f"
    assert list(origin("python", named, allow_code=True) or {}) == ["own_model_of_origins.py"]
    with pytest.raises(InputError, match="allowed"):
        origin("python", named)


def test_the_version_is_in_the_key_of_what_builds_it(versions: dict[str, str]) -> None:
    builds = Stage("builds", Settings, lambda *_: {})
    teacher = Step("teacher", builds, Settings(), {}, origin=of("timm", "resnet18"))
    smaller = Step("prune", builds, Settings(), {"blueprint": ("teacher", "blueprint.json")})
    export = Step("export", builds, Settings(), {"blueprint": ("prune", "blueprint.json")})
    measure = Step("measure", builds, Settings(), {"model": ("export", "model.onnx")})
    steps = {step.label: step for step in (teacher, smaller, export, measure)}

    def keys() -> dict[str, str]:
        nowhere = Bindings("", "")
        return {
            label: compute_key(key_inputs(step, {}, nowhere, origin_of(step, steps)))
            for label, step in steps.items()
        }

    before = keys()
    versions["timm"] = "1.0.10"
    after = keys()
    changed = [label for label in steps if before[label] != after[label]]
    assert changed == [
        "teacher",
        "prune",
        "export",
    ]  # what builds the model; not who reads its ONNX
