from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd import splits
from edgekd.errors import InputError
from edgekd.learn import blueprint
from edgekd.progress import Silent
from edgekd.report import explanation
from edgekd.report import explanation_plot
from edgekd.stage import Context
from edgekd.stages import explain
from tests import bundle_example
from tests import data_example
from tests.learn.blueprint_example import image_blueprint

ROLES = ("teacher", "control", "student")
COUNT = 60
CLASSES = ("=cmd()", "two", "three")
PLAN = image_blueprint(builder="resnet8", arguments={}, classes=3, channels=1, height=4, width=4)


class Heard(Silent):
    """Keeps what was noted."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def saved(given: dict[str, Path], name: str, seed: int, *, overflows: bool = False) -> None:
    """A model of its own first weights, as the named input."""
    torch.manual_seed(seed)
    model = blueprint.build(PLAN)
    if overflows:
        with torch.no_grad():
            model.fc.weight.fill_(3e38)
    folder = given["data"].parent / name.replace("/", "-")
    folder.mkdir()
    made = blueprint.save(model, PLAN, folder)
    given[f"{name}_blueprint"] = made["blueprint.json"]
    given[f"{name}_weights"] = made["weights.safetensors"]


def inputs(
    folder: Path, split: str = "validation", roles: tuple[str, ...] = ROLES
) -> dict[str, Path]:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (COUNT, 4, 4, 1), dtype=np.uint8)
    part = images, generator.integers(0, 3, COUNT)
    given = data_example.write_data(folder, bundle_example.IMAGE, CLASSES, **{split: part})
    for seed, role in enumerate(roles):
        saved(given, role, seed)
    return given


def run(
    folder: Path, given: dict[str, Path], config: explain.ExplainConfig, progress: Silent
) -> dict[str, Path]:
    (folder / "out").mkdir()
    context = Context(folder=folder / "out", checkpoints=folder / "kept", seed=0, progress=progress)
    return explain.run(config, given, context)


def logits(given: dict[str, Path], role: str, split: str = "validation") -> np.ndarray:
    model = blueprint.load(given[f"{role}_blueprint"], given[f"{role}_weights"])
    images = bundle_example.IMAGE.apply(np.asarray(splits.read(given[split])["images"]))
    with torch.no_grad():
        found: np.ndarray = model.eval()(torch.from_numpy(images)).numpy()
    return found


def labels_of(given: dict[str, Path], split: str = "validation") -> np.ndarray:
    return np.asarray(splits.read(given[split])["labels"])


def test_the_stage_says_how_three_models_differ(tmp_path: Path) -> None:
    given, heard = inputs(tmp_path), Heard()
    made = run(tmp_path, given, explain.ExplainConfig(), heard)
    assert set(made) == set(explain.FILES)
    looked_at = json.loads(made["samples.json"].read_bytes())
    assert [one["index"] for one in looked_at] == np.load(made["disagreements.npy"]).tolist()[:12]
    found: dict[str, Any] = json.loads(made["explain.json"].read_bytes())
    labels = labels_of(given)
    told = {role: logits(given, role) for role in ROLES}
    assert found["split"] == "validation" and found["samples"] == COUNT
    for role in ROLES:
        want = (told[role].argmax(1) == labels).mean()
        assert found["models"][role]["accuracy"] == want
    differ = told["teacher"].argmax(1) != told["student"].argmax(1)
    assert found["fidelity"]["student"]["agreement"] == pytest.approx(1 - differ.mean())
    assert f"on {100 * (1 - differ.mean()):.2f} % of validation" in heard.notes[-1]
    rows = np.load(made["disagreements.npy"])
    assert rows.dtype == np.int64 and set(rows.tolist()) == set(np.flatnonzero(differ).tolist())
    assert [pair["other"] for pair in found["similarity"]] == ["student", "control"]
    first = found["similarity"][0]
    assert first["rows"] == first["columns"] and "fc" in first["rows"]
    assert np.array(first["cka"]).shape == (len(first["rows"]),) * 2
    assert found["ablation"] == []


def test_without_a_teacher_the_student_is_set_beside_what_it_began_with(tmp_path: Path) -> None:
    given = inputs(tmp_path, roles=("reference", "student"))
    made = run(tmp_path, given, explain.ExplainConfig(), Silent())
    found: dict[str, Any] = json.loads(made["explain.json"].read_bytes())
    assert set(found["models"]) == {"reference", "student"} and set(found["fidelity"]) == {
        "student"
    }
    differ = (logits(given, "reference").argmax(1) != logits(given, "student").argmax(1)).mean()
    assert found["agreement"] == {"student": pytest.approx(1 - differ)}
    with made["disagreements.csv"].open(newline="") as file:
        header = next(csv.reader(file))
    pair = ["reference", "student"]
    assert header == ["index", "label", *pair, *(f"{one}_confidence" for one in pair), "kl_nats"]
    section = explanation.make_section(found)
    text = " ".join(section.lead)
    assert "the same class as the reference on" in text and "control" not in text
    assert "teacher" not in text and "from the reference's (mean divergence)." in text
    titles = {table.title: table for table in section.tables}
    assert titles["Class by class"].columns[2:] == (*pair, "above reference", "p")
    assert "teacher" not in str(section.tables)
    assert set(explanation_plot.draw_plots(found, "svg")) == {
        "reliability",
        "class_gains",
        "layer_similarity",
    }


def test_a_student_that_is_what_the_run_began_with_is_described_alone(tmp_path: Path) -> None:
    given = inputs(tmp_path, roles=("student",))
    made = run(tmp_path, given, explain.ExplainConfig(), Silent())
    found: dict[str, Any] = json.loads(made["explain.json"].read_bytes())
    assert set(found["models"]) == {"student"} and found["left_out"] == [explain.NO_COMPARISON]
    assert not np.load(made["disagreements.npy"]).size and "by_class" not in found
    section = explanation.make_section(found)
    assert [table.title for table in section.tables] == ["How good", "How sure"]
    assert "Its confidence is off by" in " ".join(section.lead)
    assert set(explanation_plot.draw_plots(found, "svg")) == {"reliability"}


def test_the_table_of_disagreements_is_for_a_spreadsheet(tmp_path: Path) -> None:
    given = inputs(tmp_path)
    made = run(tmp_path, given, explain.ExplainConfig(), Silent())
    rows = np.load(made["disagreements.npy"])
    with made["disagreements.csv"].open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [int(line["index"]) for line in lines] == rows.tolist() and len(lines) > 3
    names = ("'=cmd()", "two", "three")  # a formula is not run
    labels = labels_of(given)
    for role in ROLES:
        said = logits(given, role).argmax(1)
        assert [line[role] for line in lines] == [names[said[row]] for row in rows]
    assert [line["label"] for line in lines] == [names[labels[row]] for row in rows]
    apart = [float(line["kl_nats"]) for line in lines]
    assert apart == sorted(apart, reverse=True)


def test_the_same_models_are_the_same_and_a_copy_teaches_nothing(tmp_path: Path) -> None:
    given = inputs(tmp_path, "test")
    for what in ("blueprint", "weights"):
        given[f"student_{what}"] = given[f"teacher_{what}"]
    made = run(
        tmp_path, given, explain.ExplainConfig(split="test", layers=("layer1", "fc")), Silent()
    )
    found = json.loads(made["explain.json"].read_bytes())
    assert found["fidelity"]["student"]["agreement"] == 1
    assert found["above"]["teacher"]["points"] == 0 and found["confusions"] == []
    assert np.load(made["disagreements.npy"]).shape == (0,)
    alike = found["similarity"][0]
    assert alike["columns"] == ["layer1", "fc"]
    row = alike["rows"].index("fc")
    assert alike["cka"][row][1] == pytest.approx(1)


def test_terms_left_out_are_rows(tmp_path: Path) -> None:
    given = inputs(tmp_path)
    saved(given, "whole", 7)
    saved(given, "without/kd", 8)
    saved(given, "without/cross-entropy", 7)
    made = run(tmp_path, given, explain.ExplainConfig(), Silent())
    rows = {row["term"]: row for row in json.loads(made["explain.json"].read_bytes())["ablation"]}
    labels = labels_of(given)
    right = {name: logits(given, name).argmax(1) == labels for name in ("whole", "without/kd")}
    change = 100 * (right["without/kd"].mean() - right["whole"].mean())
    assert rows["kd"]["points"] == pytest.approx(change)
    low, high = rows["kd"]["points_ci95"]
    assert low <= change <= high
    assert rows["cross-entropy"]["points"] == 0 and rows["cross-entropy"]["p_holm"] == 1


def test_layers_that_are_not_there_end_nothing(tmp_path: Path) -> None:
    heard = Heard()
    made = run(tmp_path, inputs(tmp_path), explain.ExplainConfig(layers=("nowhere",)), heard)
    assert json.loads(made["explain.json"].read_bytes())["similarity"] == []
    want = "teacher and student: layers are not compared: nowhere: is no module of the model"
    assert heard.notes[0] == want


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    given = inputs(tmp_path)
    made = [
        {
            name: path.read_bytes()
            for name, path in run(folder, given, explain.ExplainConfig(), Silent()).items()
        }
        for folder in (tmp_path / "one", tmp_path / "two")
        if not folder.mkdir()
    ]
    assert made[0] == made[1]


def test_answers_that_are_no_numbers_name_the_model(tmp_path: Path) -> None:
    given = inputs(tmp_path)
    saved(given, "without/kd", 3, overflows=True)
    saved(given, "whole", 4)
    with pytest.raises(InputError, match="^without/kd: got answers that are not finite"):
        run(tmp_path, given, explain.ExplainConfig(), Silent())


def test_a_recipe_says_no_more_than_it_may() -> None:
    assert explain.ExplainSettings().ablation is False
    assert explain.ExplainSettings.model_validate({"layers": ["a", "b"]}).layers == ("a", "b")
    for wrong in ({"layers": []}, {"split": "train"}, {"ablation": 1}, {"depth": 2}):
        with pytest.raises(ValueError):
            explain.ExplainSettings.model_validate(wrong)


def test_an_attack_is_asked_for_and_misleads(tmp_path: Path) -> None:
    given = inputs(tmp_path)
    asked = explain.ExplainConfig(attack=explain.Attack(epsilon=0.2, steps=5, samples=40))
    made = run(tmp_path, given, asked, Silent())
    attack = json.loads(made["explain.json"].read_bytes())["attack"]
    labels = labels_of(given)
    assert attack["samples"] == 40
    for role, accuracy in attack["accuracy"].items():
        plain = (logits(given, role).argmax(1) == labels).mean()
        assert accuracy < plain
