"""The stage on a small net, its device replaced by one that takes a nanosecond a byte."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from edgekd import splits
from edgekd.bench import lookup
from edgekd.bench.machine import host
from edgekd.learn import blueprint
from edgekd.learn.export import to_onnx
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stage import Made
from edgekd.stages import factorize as stage
from tests import data_example
from tests.learn.blueprint_example import image_blueprint

SIDE = 8


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A net of random weights, batch norms set by its data, which it answers perfectly."""
    root = tmp_path_factory.mktemp("given")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (200, SIDE, SIDE, 1), dtype=np.uint8)
    plan = image_blueprint(
        builder="resnet8", arguments={"base": 16}, classes=3, channels=1, height=SIDE, width=SIDE
    )
    torch.manual_seed(0)
    model = blueprint.build(plan)
    x = torch.from_numpy(((images / 255 - 0.5) / 0.3).astype(np.float32)).permute(0, 3, 1, 2)
    with torch.no_grad():
        for _ in range(10):
            model.train()(x)
        logits = model.eval()(x)
        model.fc.bias -= logits.mean(0)
        labels = model(x).argmax(1).numpy()
    saved = blueprint.save(model, plan, root)
    field, part = data_example.image(SIDE, SIDE, std=0.3), (images, labels)
    return {
        "start_blueprint": saved["blueprint.json"],
        "start_weights": saved["weights.safetensors"],
        **data_example.write_data(root, field, "abc", train=part, validation=part),
    }


@pytest.fixture
def bytes_are_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def times(paths: Sequence[Path], how: lookup.LookupSettings, **_: Any) -> list[float]:
        return [float(path.stat().st_size) for path in paths]

    def pairs(
        a: Path, b: Path, how: lookup.LookupSettings, processes: int, **_: Any
    ) -> lookup.PairedTimes:
        first, second = (float(path.stat().st_size) for path in (a, b))
        return lookup.PairedTimes(first / 1e6, second / 1e6, first / second, None, processes)

    def write(model: torch.nn.Module, path: Path, interface: object) -> Path:
        path.write_bytes(bytes(4 * sum(p.numel() for p in model.parameters())))
        return path

    monkeypatch.setattr(to_onnx, "write", write)
    monkeypatch.setattr(lookup, "times_us", times)
    monkeypatch.setattr(lookup, "time_pairs", pairs)


def run(given: dict[str, Path], folder: Path, **config: Any) -> Made:
    folder.mkdir(exist_ok=True)
    context = Context(folder=folder, checkpoints=folder, seed=0, progress=Silent())
    words = {"smallest": 16, "samples": 64, "most_ranks": 3, "runtime": "onnxruntime", **config}
    return stage.run(stage.FactorizeConfig(**words), given, context)


def table(made: Made) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(made["factorize.json"].read_bytes())
    return value


@pytest.mark.usefixtures("bytes_are_time")
def test_a_speed_up_is_reached_and_the_model_comes_back(
    given: dict[str, Path], tmp_path: Path
) -> None:
    made = run(given, tmp_path / "out", speedup=1.5)
    told = table(made)
    assert told["status"] == "split" and told["budget_met"]
    assert told["end_to_end"]["ratio"] >= 1.5
    rows = {row["path"]: row for row in told["layers"]}
    assert rows["conv1"]["reason"].startswith("the first convolution")
    assert rows["fc"]["reason"] == "64 channels in and 3 out, want at least 16"
    split = {path: row for path, row in rows.items() if row["decision"] == "split"}
    assert split and all(row["gain"] >= 0.03 and row["error"] < 1 for row in split.values())
    assert all(rank % 8 == 0 for row in split.values() for rank in row["ranks"])
    model = blueprint.load(made["blueprint.json"], made["weights.safetensors"])
    assert all(len(model.get_submodule(path)) >= 2 for path in split)
    score = json.loads(made["score.json"].read_bytes())
    start = blueprint.load(given["start_blueprint"], given["start_weights"])
    assert score["parameters"] == sum(p.numel() for p in model.parameters())
    assert score["parameters"] < sum(p.numel() for p in start.parameters())
    assert json.loads(made["history.json"].read_bytes()) == []
    assert set(made) == {*("blueprint.json", "weights.safetensors", "history.json"), *score_names()}
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(made)


def score_names() -> set[str]:
    return {"score.json", "factorize.json"}


@pytest.mark.usefixtures("bytes_are_time")
def test_fitting_to_the_data_beats_plain_factors(given: dict[str, Path], tmp_path: Path) -> None:
    """At the same share of parameters, against the dense net's own answers to such images."""
    x = torch.from_numpy(splits.read(given["validation"])["images"].astype(np.float32))
    x = (x.permute(0, 3, 1, 2) / 255 - 0.5) / 0.3
    dense = blueprint.load(given["start_blueprint"], given["start_weights"])(x)
    apart = []
    for aware in (True, False):
        made = run(given, tmp_path / str(aware), parameters=0.5, data_aware=aware)
        model = blueprint.load(made["blueprint.json"], made["weights.safetensors"])
        apart.append((model(x) - dense).square().mean().item())
    assert apart[0] < apart[1]


@pytest.mark.usefixtures("bytes_are_time")
@pytest.mark.parametrize("ranks", ["energy", "evbmf"])
def test_simpler_ranks(ranks: str, given: dict[str, Path], tmp_path: Path) -> None:
    told = table(run(given, tmp_path / "out", ranks=ranks, energy=0.8))
    for row in told["layers"]:
        assert len(row["candidates"]) <= 3  # one rank a structure
    assert told["status"] in ("split", "dense")


@pytest.mark.usefixtures("bytes_are_time")
def test_accuracy_is_held(given: dict[str, Path], tmp_path: Path) -> None:
    made = run(given, tmp_path / "out", score_drop=5.0)
    assert json.loads(made["score.json"].read_bytes())["score"] >= 0.95


@pytest.mark.usefixtures("bytes_are_time")
def test_where_nothing_is_faster_the_model_stays(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "times_us", lambda paths, how, **_: [100.0] * len(paths))
    made = run(given, tmp_path / "out", speedup=1.5)
    for mine, theirs in (("blueprint.json", "blueprint"), ("weights.safetensors", "weights")):
        assert made[mine].read_bytes() == given[f"start_{theirs}"].read_bytes()
    told = table(made)
    assert told["status"] == "dense" and told["why"] == "stays dense: no layer pays"
    assert told["end_to_end"] is None
    assert any(row["reason"].startswith("does not pay") for row in told["layers"])


def test_an_emulated_device_decides_nothing(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = host.describe_host()
    there = here._replace(facts={**here.facts, "emulated": "qemu-user"})
    monkeypatch.setattr(host, "describe_host", lambda device: there)
    told = table(run(given, tmp_path / "out", speedup=1.5))
    assert told["why"] == "stays dense: not measured: emulated (qemu-user)"


def test_a_real_engine_from_end_to_end(given: dict[str, Path], tmp_path: Path) -> None:
    """Whatever the times of the moment say, the account adds up."""
    made = run(given, tmp_path / "out", macs=0.7, structure="reshape", processes=1)
    told = table(made)
    timed = [row for row in told["layers"] if row["dense_us"]]
    assert timed and all(c["us"] > 0 for row in timed for c in row["candidates"])
    edits = blueprint.read(made["blueprint.json"]).edits
    assert len(edits) == (told["status"] == "split")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({}, "got none, want exactly one of speedup"),
        ({"speedup": 1.5, "macs": 0.5}, "got speedup and macs"),
        ({"ranks": "energy", "macs": 0.5}, "takes no budget"),
        ({"speedup": 1.0}, "greater than 1"),
        ({"macs": 1.0}, "less than 1"),
    ],
)
def test_one_budget(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        stage.FactorizeSettings(**words)
