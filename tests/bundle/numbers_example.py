"""Bundles of linear models of numbers, made without torch: one that gives numbers, one with two inputs and two outputs.

The second's task is its author's own, `TASK` of this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnx import numpy_helper

from edgekd.bench import golden
from edgekd.bench.golden import GoldenGroup
from edgekd.dataset import Dataset
from edgekd.fields.label import Label
from edgekd.fields.number import Number
from edgekd.interface import BATCH
from edgekd.interface import Tensor
from edgekd.task import Task
from edgekd.task import interface_of
from edgekd.tasks import classification
from edgekd.tasks import regression
from tests import bundle_example

if TYPE_CHECKING:
    from edgekd.field import Arrays

FACTS = Number(columns=("area", "rooms"), mean=(100.0, 3.0), std=(50.0, 2.0))
PLACE = Number(columns=("x", "y", "z"), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
PRICE = Number(columns=("price",), mean=(10.0,), std=(4.0,), unit="k€")
COUNT = 400
OFF = 0.5
"""Of the targets from what the model says, in their unit."""


def describe(decisions: Arrays, dataset: Dataset, count: int) -> list[list[tuple[str, Any]]]:
    """The class, and the number; with a sequence that would clear a screen."""
    kinds = classification.describe(decisions, dataset, 1)
    return [
        [*lines, (f"\x1b[2Jprice {value:.4g}", None)]
        for lines, (value,) in zip(kinds, decisions["values"].tolist(), strict=True)
    ]


TASK = Task(
    targets={"labels": "class", "numbers": "number"},
    outputs=(*classification.TASK.outputs, *regression.TASK.outputs),
    losses=("cross-entropy",),
    metrics=(*regression.TASK.metrics[:1], *classification.TASK.metrics[:1]),
    decide=lambda outputs, dataset: {
        **classification.decide(outputs, dataset),
        **regression.decide(outputs, dataset),
    },
    agree=classification.agree,
    guess=lambda targets, dataset: {
        **classification.guess(targets, dataset),
        **regression.guess(targets, dataset),
    },
    describe=describe,
)
ONE = Dataset(task="regression", inputs={"facts": FACTS}, targets={"numbers": PRICE})
TWO = Dataset(
    task="python:tests.bundle.numbers_example:TASK",
    inputs={"facts": FACTS, "place": PLACE},
    targets={"labels": Label(names=("flat", "house")), "numbers": PRICE},
)


def task_of(dataset: Dataset) -> Task:
    return TASK if dataset is TWO else regression.TASK


def weights(dataset: Dataset, noise: float = 0.0) -> dict[str, NDArray[np.float32]]:
    """Of every output, [values of all inputs, values of it]; `noise` spoils them."""
    random = np.random.default_rng(7)
    height = 2 + 3 * (dataset is TWO)
    found = {"values": random.normal(size=(height, 1)), "logits": random.normal(size=(height, 2))}
    wanted = [end.name for end in task_of(dataset).outputs]
    spoilt = np.random.default_rng(8)
    return {
        name: (found[name] + noise * spoilt.normal(size=found[name].shape)).astype(np.float32)
        for name in wanted
    }


def rows(dataset: Dataset, count: int = COUNT) -> dict[str, NDArray[Any]]:
    """Stored rows of every input and target; the targets are what the model of `weights` says, but for `OFF`."""
    random = np.random.default_rng(3)
    found: dict[str, NDArray[Any]] = {
        "facts": random.normal((100, 3), (50, 2), (count, 2)).astype(np.float32)
    }
    if dataset is TWO:
        found["place"] = random.normal(size=(count, 3)).astype(np.float32)
    said = answers(dataset, dataset.prepare_inputs(found))
    off = random.normal(0, OFF, (count, 1))
    found["numbers"] = (10 + 4 * said["values"] + off).astype(np.float32)
    if dataset is TWO:
        found["labels"] = said["logits"].argmax(1).astype(np.int64)
    return found


def answers(dataset: Dataset, inputs: Arrays, noise: float = 0.0) -> dict[str, NDArray[np.float32]]:
    """What the model says of prepared inputs, by numpy; values in spreads of the price from its mean."""
    together = np.concatenate([inputs[name] for name in dataset.inputs], axis=1)
    return {name: together @ held for name, held in weights(dataset, noise).items()}


def write_onnx(path: Path, dataset: Dataset, noise: float = 0.0) -> Path:
    """The model of `weights`."""
    held, widths = weights(dataset, noise), {"facts": 2, "place": 3}
    names = list(dataset.inputs)
    nodes = [helper.make_node("Concat", names, ["together"], axis=1)]
    nodes += [helper.make_node("MatMul", ["together", f"w_{name}"], [name]) for name in held]
    graph = helper.make_graph(
        nodes,
        "numbers",
        [helper.make_tensor_value_info(name, 1, [BATCH, widths[name]]) for name in names],
        [
            helper.make_tensor_value_info(name, 1, [BATCH, each.shape[1]])
            for name, each in held.items()
        ],
        [numpy_helper.from_array(each, f"w_{name}") for name, each in held.items()],
    )
    opset = helper.make_operatorsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return path


def make(folder: Path, dataset: Dataset, noise: float = 0.0, **other: Any) -> Path:
    """A bundle at ``folder/bundle``; with `noise` one that is whole, and worse."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = rows(dataset, 8)
    inputs = dataset.prepare_inputs(stored)
    group = GoldenGroup(
        inputs,
        answers(dataset, inputs, noise),
        {name: stored[name][:2] for name in dataset.inputs},
    )
    golden.write(folder / "own.safetensors", {"usual": group})
    arguments = {
        "model": write_onnx(folder / "own.onnx", dataset, noise),
        "golden": folder / "own.safetensors",
        "dataset": dataset,
        "interface": interface_of(task_of(dataset), dataset),
        "metric": task_of(dataset).score,
        "rows": [bundle_example.row(validation_score=1.25)],
    }
    return bundle_example.make(folder, **{**arguments, **other})


def interface_ends(dataset: Dataset) -> tuple[Tensor, ...]:
    """All of them."""
    found = interface_of(task_of(dataset), dataset)
    return (*found.inputs, *found.outputs)
