"""Every task is explained by its metrics and its agreement, from the stage to the page."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from edgekd import splits
from edgekd.progress import Silent
from edgekd.report import explanation
from edgekd.report import explanation_plot
from edgekd.stage import Context
from edgekd.stages import explain
from edgekd.task import agree_samples
from edgekd.task import metric_rows
from edgekd.tasks import load_task
from tests.task_models_example import TARGETS
from tests.task_models_example import write_inputs

ROLES = ("teacher", "control", "student")


@pytest.mark.parametrize("name", TARGETS)
def test_a_task_is_explained_by_its_metrics_and_agreement(tmp_path: Path, name: str) -> None:
    given, data, outputs = write_inputs(tmp_path, name)
    (tmp_path / "out").mkdir()
    context = Context(folder=tmp_path / "out", checkpoints=tmp_path, seed=0, progress=Silent())
    config = explain.ExplainConfig(
        attack=explain.Attack(steps=1)
    )  # of images of one class: left out
    made = explain.run(config, given, context)
    found = json.loads(made["explain.json"].read_bytes())
    task = load_task(name)
    targets = data.prepare_targets(splits.read(given["validation"]))
    values = {}
    for role, answered in outputs.items():
        rows = metric_rows(task.metrics, answered, targets, data)
        values[role] = {metric.name: metric.value(rows[metric.name]) for metric in task.metrics}
    for role in ROLES:
        assert found["models"][role]["metrics"] == pytest.approx(values[role], rel=1e-4)
    for role in ("control", "student"):
        want = agree_samples(task, outputs[role], outputs["teacher"], data).mean()
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

    assert found["left_out"] == [
        explain.NO_RIGHT_SAMPLES.format(score),
        explain.NO_CLASSES,
        explain.NO_ATTACK,
    ]
    section = explanation.make_section(found)
    assert [table.title for table in section.tables] == ["How good", "What each term brought"]
    assert f"{score} " in " ".join(section.lead) and section.tables[0].columns[1].startswith(score)
    assert [row[0] for row in section.tables[0].rows] == list(ROLES)
    assert section.lead[-3:] == tuple(found["left_out"])
    assert list(section.pictures) == ["layer_similarity.svg"]
    assert set(explanation_plot.draw_plots(found, "svg")) == {"layer_similarity"}
