"""Every task is explained by its metrics and its agreement, from the stage to the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd import dataset
from edgekd import files
from edgekd import splits
from edgekd.dataset import Dataset
from edgekd.fields import find_field
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.progress import Silent
from edgekd.report import explanation
from edgekd.report import explanation_plot
from edgekd.stage import Context
from edgekd.stages import explain
from edgekd.task import agreement
from edgekd.task import interface_of
from edgekd.task import metric_rows
from edgekd.tasks import load_task
from tests import data_example

COUNT = 40
RANDOM = np.random.default_rng(0)
TARGETS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "multi-label": (
        "labels",
        (RANDOM.random((COUNT, 3)) > 0.5).astype(np.uint8),
        {"names": ("a", "b", "c")},
    ),
    "regression": ("numbers", RANDOM.normal(size=(COUNT, 2)).astype(np.float32), {}),
    "segmentation": (
        "maps",
        RANDOM.integers(0, 3, (COUNT, 4, 4)).astype(np.uint8),
        {"names": ("a", "b", "c")},
    ),
}


def write_inputs(folder: Path, name: str) -> tuple[dict[str, Path], Dataset, dict[str, Any]]:
    """Data of a task, and six models of their own first weights; what the models give, by name."""
    task = load_task(name)
    target, rows, words = TARGETS[name]
    images = RANDOM.integers(0, 256, (COUNT, 4, 4, 1), dtype=np.uint8)
    every = np.arange(COUNT)
    field = find_field(task.targets[target]).describe(rows, every, **words)
    data = Dataset(task=name, inputs={"images": data_example.image(4, 4)}, targets={target: field})
    given = {"data": folder / "data.json", "validation": folder / "validation"}
    given["data"].write_bytes(files.pretty_json(dataset.to_json(data)))
    splits.write(given["validation"], {"images": images, target: rows}, every)
    plan = Blueprint(builder="mlp", arguments={"width": 8}, interface=interface_of(task, data))
    outputs = {}
    prepared = torch.from_numpy(data.inputs["images"].apply(images))
    names = (*explain.ROLES, "whole", "without/kd", "without/labels")
    for seed, role in enumerate(names):
        torch.manual_seed(seed if role != "whole" else names.index("student"))
        model = blueprint.build(plan)
        (folder / f"model{seed}").mkdir()
        made = blueprint.save(model, plan, folder / f"model{seed}")
        given[f"{role}_blueprint"] = made["blueprint.json"]
        given[f"{role}_weights"] = made["weights.safetensors"]
        with torch.no_grad():
            outputs[role] = {plan.interface.outputs[0].name: model.eval()(prepared).numpy()}
    return given, data, outputs


@pytest.mark.parametrize("name", TARGETS)
def test_a_task_is_explained_by_its_metrics_and_agreement(tmp_path: Path, name: str) -> None:
    given, data, outputs = write_inputs(tmp_path, name)
    (tmp_path / "out").mkdir()
    context = Context(folder=tmp_path / "out", checkpoints=tmp_path, seed=0, progress=Silent())
    config = explain.Config(attack=explain.Attack(steps=1))  # of images of one class: left out
    made = explain.run(config, given, context)
    found = json.loads(made["explain.json"].read_bytes())
    task = load_task(name)
    targets = data.prepare_targets(splits.read(given["validation"]))
    values = {}
    for role, answered in outputs.items():
        rows = metric_rows(task.metrics, answered, targets, data)
        values[role] = {metric.name: metric.value(rows[metric.name]) for metric in task.metrics}
    for role in explain.ROLES:
        assert found["models"][role]["metrics"] == pytest.approx(values[role], rel=1e-4)
    for role in ("control", "student"):
        want = agreement(task, outputs[role], outputs["teacher"], data)
        assert found["agreement"][role] == pytest.approx(want, abs=1e-6)
    score, sign = task.score.name, 1 if task.score.better == "lower" else -1
    scale = 100 if task.score.unit == "fraction" else 1
    for row in found["ablation"]:
        lost = sign * (values[f"without/{row['term']}"][score] - values["whole"][score])
        assert row["score_drop"] == pytest.approx(scale * lost, rel=1e-3, abs=1e-4)
        low, high = row["score_drop_ci95"]
        assert low <= row["score_drop"] <= high
    assert {row["term"] for row in found["ablation"]} == {"kd", "labels"}
    assert found["similarity"] and "by_class" not in found and "attack" not in found

    with made["disagreements.csv"].open(encoding="utf-8") as file:
        lines = list(csv.reader(file))
    alike = [float(cell) for _, cell in lines[1:]]
    assert lines[0] == ["index", "agreement"] and alike == sorted(alike) and max(alike) < 1
    assert [int(line[0]) for line in lines[1:]] == np.load(made["disagreements.npy"]).tolist()

    section = explanation.explanation_section(found)
    assert [table.title for table in section.tables] == ["How good", "What each term brought"]
    assert f"{score} " in " ".join(section.lead) and section.tables[0].columns[1] == score
    assert [row[0] for row in section.tables[0].rows] == list(explain.ROLES)
    assert list(section.pictures) == ["layer_similarity.svg"]
    assert set(explanation_plot.draw_plots(found, "svg")) == {"layer_similarity"}
