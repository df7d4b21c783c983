"""What a loss cannot do is said before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import check


def run(folder: Path, *losses: Any, classes: int = 10, batch_size: int = 8) -> dict[str, Any]:
    pixels = {"height": 8, "width": 8, "channels": 1, "mean": [0.5], "std": [0.3]}
    about = {"classes": [str(n) for n in range(classes)], "preprocessing": pixels}
    (folder / "data.json").write_text(json.dumps(about))
    np.save(folder / "labels.npy", np.zeros(30, np.int64))
    given = {"data": folder / "data.json", "train_labels": folder / "labels.npy"}
    case = {
        "label": "distil",
        "student": {"model": {"name": "resnet8", "base": 4}, "input": None},
        "teacher": {"model": {"name": "resnet14", "base": 8}, "input": {"height": 12, "width": 12}},
        "losses": list(losses),
        "batch_size": batch_size,
    }
    config = check.Config.model_validate({"cases": [case]})
    context = Context(folder=folder, checkpoints=folder / "kept", seed=0, progress=Silent())
    made = check.run(config, given, context)
    found: dict[str, Any] = json.loads(made["plan.json"].read_bytes())
    return found


def test_the_plan_says_which_layers_are_compared(tmp_path: Path) -> None:
    (row,) = run(tmp_path, "kd", "fitnet")["distil"]
    assert (row["loss"], row["student"], row["teacher"]) == ("fitnet", "layer2", "model.layer2")
    assert row["student_shape"] == [8, 8, 4, 4] and row["companion_parameters"] > 0


@pytest.mark.parametrize(
    ("loss", "more", "told"),
    [
        ("dkd", {"classes": 2}, "distil: loss dkd: got 2 classes, want at least 3"),
        ("dist", {"batch_size": 1}, "distil: loss dist: got a batch of 1"),
        ("sp", {"batch_size": 1}, "distil: loss sp: got a batch of 1"),
        (
            {"name": "fitnet", "layers": {"student": "layer7", "teacher": "fc"}},
            {},
            "no layer 'layer7' in the model; did you mean 'layer",
        ),
        (
            {"name": "attention-scores"},
            {},
            "distil: loss attention-scores",
        ),
    ],
)
def test_what_cannot_be_is_named(
    tmp_path: Path, loss: Any, more: dict[str, int], told: str
) -> None:
    with pytest.raises(InputError, match=told) as caught:
        run(tmp_path, loss, **more)
    assert caught.value.exit_code == 2
