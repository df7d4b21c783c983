"""A teacher with another tokenizer: the data as it reads them, and every step that needs those."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from edgekd import plan
from edgekd import recipe as recipes
from edgekd.errors import InputError
from edgekd.run import Options
from edgekd.stage import Step
from tests.published_text_example import write_folder
from tests.published_text_example import write_texts
from tests.tokenizer_example import byte_pairs


def planned(folder: Path, **recipe: Any) -> dict[str, Step]:
    path = folder / "r.yaml"
    path.write_text(
        yaml.safe_dump({"name": "s", "targets": [{"runtime": "onnxruntime"}], **recipe})
    )
    options = Options(run_dir=folder / "run", store=folder / "store", data_dir=folder)
    steps = plan.steps(recipes.load(path), folder, options)
    labels = [step.label for step in steps]
    for number, step in enumerate(steps):
        assert {label for label, _ in step.takes.values()} <= set(labels[:number]), step.label
    return {step.label: step for step in steps}


def readers(steps: dict[str, Step], data: str) -> dict[str, set[str]]:
    """The steps that take a file of that step, with the names they have for them."""
    found: dict[str, set[str]] = {}
    for label, step in steps.items():
        for name, (maker, _) in step.takes.items():
            if maker == data:
                found.setdefault(label, set()).add(name)
    return found


def test_a_corpus_is_cut_as_the_student_s(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("Ada met Bob.")
    (tmp_path / "pairs.json").write_bytes(byte_pairs())
    steps = planned(
        tmp_path,
        task="language-modelling",
        data={"source": {"name": "text-corpus", "reference": "texts.txt", "longest": 16}},
        teacher={
            "model": "text-decoder",
            "texts": {"tokenizer": "pairs.json", "align": "position"},
        },
        student={"model": "text-decoder"},
        learn=[{"step": "distil", "losses": ["uld"]}, {"step": "quantize", "train": None}],
    )
    own = steps["data-teacher"]
    said = own.settings.model_dump(mode="json")
    read = said["source"]["arguments"]
    assert (read["tokenizer"], read["longest"], read["reference"]) == (
        "pairs.json",
        16,
        "texts.txt",
    )
    assert (said["blocks_by"], said["align"]) == ("", "position")
    assert set(own.takes) == {f"student/{name}" for name in ("data", "train", "validation", "test")}
    assert "blocks_by" not in steps["data"].settings.model_dump(mode="json")
    assert readers(steps, "data-teacher") == {
        "check": {"teacher/data", "teacher/train", "teacher/places"},
        "tune-teacher": {"data"},
        "teacher": {"data", "train", "validation"},
        "distil": {"teacher/data", "teacher/train", "teacher/places"},
        "export-teacher": {"data", "validation"},
        "measure": {"teacher/data", "teacher/validation"},
        "evaluate": {"teacher/data", "teacher/test"},
    }
    for label in ("control", "distil", "export-student", "tune-student"):
        assert steps[label].takes["data"] == ("data", "data.json")


def test_a_published_encoder_reads_by_the_tokenizer_in_its_folder(tmp_path: Path) -> None:
    published = write_folder(tmp_path / "published", "roberta")
    write_texts(tmp_path / "texts.jsonl")
    model = {"name": f"transformers:{published}", "pretrained": True}
    words: dict[str, Any] = {
        "data": {"source": {"name": "jsonl", "reference": "texts.jsonl", "longest": 64}},
        "student": {"model": "text-encoder"},
        "learn": [{"step": "distil", "losses": ["kd"]}],
    }
    teacher = {"model": model, "train": {"epochs": 1}, "texts": {"tokenizer": "own", "longest": 9}}
    steps = planned(tmp_path, teacher=teacher, **words)
    source = steps["data-teacher"].settings.model_dump(mode="json")["source"]["arguments"]
    assert source["tokenizer"] == str(published / "tokenizer.json")
    assert source["longest"] == 9
    load = steps["load-teacher"]
    assert load.takes["tokenizer.json"] == ("data-teacher", "tokenizer.json")
    assert load.takes["validation"] == ("data-teacher", "validation")
    answered = steps["knowledge"]
    assert {answered.takes[name][0] for name in ("data", "train")} == {"data-teacher"}
    assert steps["distil"].takes["knowledge"] == ("knowledge", "knowledge.npy")
    assert "distil" not in readers(steps, "data-teacher")
    with pytest.raises(InputError, match="comes without a tokenizer.json, want the file"):
        planned(tmp_path, teacher={"model": "text-encoder", "texts": {"tokenizer": "own"}}, **words)
