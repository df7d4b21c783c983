"""Small models of every task that is not one class a sample, with what they give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from edgekd import dataset
from edgekd import files
from edgekd import splits
from edgekd.dataset import Dataset
from edgekd.fields import find_field
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.task import interface_of
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
    """Data of a task with the splits validation and test, and six models of their own first weights; what the models
    give, by name."""
    task = load_task(name)
    target, rows, words = TARGETS[name]
    images = RANDOM.integers(0, 256, (COUNT, 4, 4, 1), dtype=np.uint8)
    every = np.arange(COUNT)
    field = find_field(task.targets[target]).describe(rows, every, **words)
    data = Dataset(task=name, inputs={"images": data_example.image(4, 4)}, targets={target: field})
    given = {"data": folder / "data.json", "validation": folder / "validation"}
    given["data"].write_bytes(files.pretty_json(dataset.to_json(data)))
    given["test"] = given["validation"]
    splits.write(given["validation"], {"images": images, target: rows}, every)
    plan = Blueprint(builder="mlp", arguments={"width": 8}, interface=interface_of(task, data))
    outputs = {}
    prepared = torch.from_numpy(data.inputs["images"].apply(images))
    names = (*("teacher", "control", "student"), "whole", "without/kd", "without/labels")
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
