"""A class of every pixel, from a recipe to an int8 student that is verified, asked and judged against itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edgekd import cli

SCENES = '''
"""Squares of two brightnesses, and which of them each pixel belongs to."""

import numpy as np

from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source


def files(**given):
    return []


def read(**given):
    random = np.random.default_rng(0)
    maps = np.zeros((160, 16, 16), np.uint8)
    for each in maps:
        for brightness in (1, 2):
            top, left = random.integers(0, 10, 2)
            each[top : top + 6, left : left + 6] = brightness
    images = (90 * maps + random.integers(0, 40, maps.shape)).astype(np.uint8)[..., None]
    described = FieldWords("map", {"names": ("ground", "grey", "white")})
    return Source(
        {"train": {"images": images, "maps": maps}},
        {"images": FieldWords("image"), "maps": described},
    )
'''
RECIPE = """
name: squares
task: segmentation
data: {source: "python:scenes:read"}
views: {count: 1}
teacher:
  model: {name: unet, base: 8, depth: 1}
  train: &train {epochs: 8, batch_size: 8, optimizer: adamw, learning_rate: 0.01, precision: fp32,
    channels_last: true, threads: 1}
student:
  model: {name: unet, base: 4, depth: 1}
  train: *train
learn:
  - {step: distil, knowledge: online, losses: [{name: kd, temperature: 1.0}]}
  - {step: quantize, calibration: min-max, train: null}
targets: [{runtime: onnxruntime, precision: [int8]}]
measure: {processes_max: 6, min_time_s: 0.01, max_time_s: 0.02, max_warmup_s: 0.05}
"""


def run(*arguments: str) -> str:
    """What a verb prints, in this process: that saves its imports."""
    done = CliRunner(env={"COLUMNS": "200"}).invoke(cli.main, list(arguments))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_maps_are_learned_quantized_measured_and_gated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scenes.py").write_text(SCENES)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    places = ("--store", "store", "--run-dir", "run")
    run("compress", "recipe.yaml", "--quiet", "--allow-code", *places)
    result = json.loads(Path("run/result.json").read_bytes())
    (row,), (reference,) = result["candidates"], result["references"]
    assert row["score"] > 0.4  # all ground is a quarter
    assert abs(row["score"] - result["student"]["score"]) < 0.05
    assert row["parity_steps"] < 8 and row["agreement"] > 0.98
    assert reference["parity_max_abs"] <= 1e-4 and reference["agreement"] > 0.999

    assert "golden answers, onnxruntime" in run("verify", "run/bundle")
    np.save("scene.npy", np.full((16, 16, 1), 200, np.uint8))
    (asked,) = json.loads(run("predict", "run/bundle", "scene.npy", "--json"))
    answers = asked["answers"]
    assert answers and all(answer["text"].endswith("% of the map") for answer in answers)
    Path("policy.yaml").write_text("score: {samples_min: 10}\n")
    policy = ("--policy", "policy.yaml", "--store", "store")
    gated = run("gate", "run", "--baseline", "run/bundle", *policy)
    assert "mIoU" in gated or "% against" in gated, gated
