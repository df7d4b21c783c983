"""The stage: what it gives can be replayed, meets its budget exactly, or stays as it was and says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from edgekd import files
from edgekd.bench import lookup
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stage import Made
from edgekd.stages import factorize
from edgekd.stages import prune
from tests import data_example
from tests.learn.blueprint_example import image_blueprint

SIZE = {"classes": 3, "channels": 1, "height": 8, "width": 8}


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Path]:
    """A resnet8 of random weights and a few noisy images."""
    import torch

    from edgekd.learn import blueprint

    random, parts = np.random.default_rng(0), {}
    for split, count in (("train", 40), ("validation", 30)):
        images = random.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8)
        parts[split] = images, np.arange(count) % 3
    paths = data_example.write_data(tmp_path, data_example.image(8, 8, mean=0.3), "abc", **parts)
    plan = image_blueprint(builder="resnet8", **SIZE)
    torch.manual_seed(0)
    saved = blueprint.save(blueprint.build(plan), plan, tmp_path)
    paths["start_blueprint"] = saved["blueprint.json"]
    paths["start_weights"] = saved["weights.safetensors"]
    return paths


def macs_of(path: Path) -> int:
    """Of the convolutions and the linear layer of an ONNX file, from its shapes."""
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    places = {
        v.name: [d.dim_value or 1 for d in v.type.tensor_type.shape.dim]
        for v in model.graph.value_info
    }
    weights = {w.name: w for w in model.graph.initializer}
    total = 0
    for node in model.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul"):
            pixels = np.prod(places.get(node.output[0], [1, 1])[2:], dtype=int)
            total += int(np.prod(weights[node.input[1]].dims)) * int(pixels)
    return total


def set_engine(
    monkeypatch: pytest.MonkeyPatch, speed: Callable[[float], float], *, real_files: bool = False
) -> None:
    """An engine whose ratio is a function of the share of MACs that is left."""
    from edgekd.learn.complexity import count_macs
    from edgekd.learn.export import to_onnx

    def write(model: Any, path: Path, interface: object) -> Path:
        path.write_text(str(count_macs(model, image_blueprint(builder="resnet8", **SIZE))))
        return path

    def pairs(
        a: Path, b: Path, how: lookup.LookupSettings, processes: int, **_: Any
    ) -> lookup.PairedTimes:
        before, after = (macs_of(p) if real_files else int(p.read_text()) for p in (a, b))
        ratio = speed(after / before)
        return lookup.PairedTimes(2.0, 2.0 / ratio, ratio, None, processes)

    monkeypatch.setattr(lookup, "time_pairs", pairs)
    if not real_files:
        monkeypatch.setattr(to_onnx, "write", write)


def ran(given: dict[str, Path], folder: Path, **words: Any) -> tuple[Made, dict[str, Any]]:
    folder.mkdir()
    context = Context(folder=folder, checkpoints=folder / "kept", seed=1, progress=Silent())
    made = prune.run(prune.PruneConfig(runtime="onnxruntime", **words), given, context)
    assert set(made) == {
        "blueprint.json",
        "weights.safetensors",
        "history.json",
        "score.json",
        "prune.json",
    }
    assert {path.name for path in folder.iterdir()} == set(made)
    return made, json.loads(made["prune.json"].read_text())


def test_the_budget_is_met_as_the_complexity_counts_it(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgekd.learn import blueprint
    from edgekd.learn import complexity

    set_engine(monkeypatch, lambda share: 1 / share, real_files=True)
    made, table = ran(given, tmp_path / "out", macs=0.5, samples=32)
    plan = blueprint.read(made["blueprint.json"])
    model = blueprint.load(made["blueprint.json"], made["weights.safetensors"])
    whole = blueprint.load(given["start_blueprint"], given["start_weights"])
    macs = complexity.count_macs(model, plan)
    assert table["macs_after"] == macs <= 0.5 * complexity.count_macs(whole, plan)
    assert table["macs_before"] == complexity.count_macs(whole, plan)
    (timed,) = table["measured"]  # of the files that were written
    assert timed["ratio"] == pytest.approx(table["macs_before"] / macs)
    assert json.loads(made["score.json"].read_text())["macs"] == macs
    assert table["budget_met"] and table["latency_after_ms"] < table["latency_before_ms"]
    (edit,) = plan.edits
    assert edit["name"] == "prune"
    for row in table["layers"]:
        if row["before"] != row["after"]:
            changed = [b for b, a in zip(row["after"], row["before"], strict=True) if a != b]
            assert all(width % 8 == 0 for width in changed)
    rows = {row["path"]: row for row in table["layers"]}
    assert rows["fc"]["after"][1] == 3
    assert [row["path"] for row in table["left_alone"]] == ["fc"]
    set_engine(monkeypatch, lambda share: 1 / share)
    again, _ = ran(given, tmp_path / "again", macs=0.5, samples=32)
    for name in made:
        assert files.digest_file(made[name]) == files.digest_file(again[name])


def test_the_speed_asked_for_with_wider_steps_for_int8(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_engine(monkeypatch, lambda share: 1 / share)
    _, table = ran(given, tmp_path / "out", speedup=1.3, quantized=True, importance="magnitude")
    ratios = [timed["ratio"] for timed in table["measured"]]
    assert ratios[-1] == min(ratio for ratio in ratios if ratio >= 1.3)
    for row in table["layers"]:
        for before, after in zip(row["before"], row["after"], strict=True):
            assert before == after or after % 16 == 0


def test_what_does_not_gain_is_given_as_it_came(
    given: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_engine(monkeypatch, lambda share: 1.02)
    made, table = ran(given, tmp_path / "out", speedup=1.5, importance="magnitude")
    for name in ("blueprint", "weights"):
        (path,) = (p for p in made.values() if p.stem == name)
        assert files.digest_file(path) == files.digest_file(given[f"start_{name}"])
    assert table["decision"].startswith("stays whole: only 1.020 times as fast")
    assert table["macs_before"] == table["macs_after"] and not table["budget_met"]
    assert all(row["before"] == row["after"] for row in table["layers"])


class Looked(Exception):
    """Enough was seen."""


@pytest.mark.parametrize("kind", ["prune", "factorize"])
def test_branches_for_training_are_merged_before_anything_is_made_smaller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    from edgekd.learn import blueprint
    from edgekd.learn.lowrank import layers
    from edgekd.learn.pruning import trial
    from tests.learn.test_deploy_form import Reparameterized
    from tests.learn.test_deploy_form import made

    reference = {"reference": "tests.learn.test_deploy_form:Net"}
    size = {"classes": 4, "channels": 3, "height": 8, "width": 8}
    plan = image_blueprint(builder="python", arguments=reference, **size)
    saved = blueprint.save(made(Reparameterized), plan, tmp_path)
    given = {f"start_{path.stem}": path for path in saved.values()}
    taken: list[str] = []

    def look(model: Any, *_: Any, **__: Any) -> None:
        taken.extend(name for name, _ in model.named_modules())
        raise Looked

    monkeypatch.setattr(trial, "sound_groups", look)
    monkeypatch.setattr(layers, "find_layers", look)
    folders = {"folder": tmp_path, "checkpoints": tmp_path}
    context = Context(**folders, seed=1, progress=Silent(), allow_code=True)
    with pytest.raises(Looked):
        if kind == "prune":
            config = prune.PruneConfig(runtime="onnxruntime", parameters=0.5)
            prune.run(config, given, context)
        else:
            factorize.run(
                factorize.FactorizeConfig(runtime="onnxruntime", speedup=1.5), given, context
            )
    assert {"first.merged", "second.merged"} <= set(taken) and "first.square" not in taken


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"macs": 0.5, "speedup": 2.0},
        {"macs": 1.0},
        {"parameters": 0.0},
        {"speedup": 1.0},
        {"score_drop": float("nan")},
        {"macs": 0.5, "multiple": 0},
        {"macs": 0.5, "importance": "random"},
    ],
)
def test_words_that_are_refused(words: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        prune.PruneSettings(**words)
