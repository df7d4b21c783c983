from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekd import bundle
from edgekd import dataset
from edgekd.bundle import manifest as manifests
from edgekd.bundle import verify as bundle_verify
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stage import Made
from edgekd.stages import bundle as stage
from tests import bundle_example
from tests import data_example

CHOSEN = "onnxruntime-fp32-1t"


def packed(folder: Path, *, quantized: bool = False, **other: Any) -> Made:
    """The stage run on a linear classifier, float or `quantized`, that answers alike."""
    (folder / "source").mkdir(parents=True)
    source = bundle_example.make(folder / "source")
    values = {
        "data": dataset.to_json(
            data_example.labelled(
                bundle_example.IMAGE,
                bundle_example.LABELS,
                counts={"train": 10, "validation": 5, "test": 5},
                source="made up",
            )
        ),
        "rows": [bundle_example.row()],
        "choice": {
            "metric": {"name": "accuracy"},
            "chosen": CHOSEN,
            "budget": [],
            "why": "",
            "nearest": None,
        },
        "parity": {"max_abs": 1e-6, "allowed": 1e-4},
        "test": {"candidates": {CHOSEN: 0.8}, "right_or_wrong": True},
        **other,
    }
    given = {"model": source / "model.onnx", "golden": source / "golden.safetensors"}
    if quantized:
        given["model"] = folder / "quantized.onnx"
        bundle_example.model(given["model"], quantized=True)
    for name, value in values.items():
        given[name] = folder / f"{name}.json"
        given[name].write_text(json.dumps(value))
    (folder / "out").mkdir()
    context = Context(folder=folder / "out", checkpoints=folder / "kept", seed=0, progress=Silent())
    return stage.run(stage.BundleConfig(name="tiny", lineage={"export": "a" * 64}), given, context)


def test_the_stage_gives_a_bundle_that_verifies(tmp_path: Path) -> None:
    made = packed(tmp_path)
    assert set(made) == {f"bundle/{name}" for name in ("manifest.json", *manifests.FILES)}
    folder = made["bundle/manifest.json"].parent
    bundle_verify.require_sound(bundle_verify.verify(folder))
    found = bundle.load_bundle(folder)
    assert found.manifest.created_from == {"export": "a" * 64}
    assert found.manifest.chosen.name == CHOSEN and found.manifest.name == "tiny"
    assert "| test accuracy | 80.00 % |" in made["bundle/MODEL_CARD.md"].read_text()


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = packed(tmp_path / "one"), packed(tmp_path / "two")
    assert {n: p.read_bytes() for n, p in one.items()} == {
        n: p.read_bytes() for n, p in two.items()
    }


def test_nothing_chosen_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="want a row that was measured"):
        packed(tmp_path, choice={"metric": {"name": "accuracy"}, "chosen": None})


def test_an_int8_bundle_says_its_profile_and_counts_in_steps(tmp_path: Path) -> None:
    rows = [
        bundle_example.row(),
        bundle_example.row("onnxruntime-int8-1t", profile="x86", parity_max_abs=0.0),
    ]
    choice = {
        "metric": {"name": "accuracy"},
        "chosen": "onnxruntime-int8-1t",
        "budget": [],
        "why": "",
        "nearest": None,
    }
    parity = {"logit_step": 1e-3}
    made = packed(tmp_path, quantized=True, rows=rows, choice=choice, parity=parity)
    found = bundle.load_bundle(made["bundle/manifest.json"].parent)
    assert found.manifest.chosen.profile == "x86"
    assert set(found.manifest.tolerance) == {"onnxruntime/int8"}
    assert found.manifest.tolerance["onnxruntime/int8"].step == 1e-3
    bundle_verify.require_sound(bundle_verify.verify(found.folder))
