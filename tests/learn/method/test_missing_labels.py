"""Training samples without a label: labels teach nobody of them, a teacher does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given as example
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter
from torch.nn import functional as F

from edgekd import dataset
from edgekd import splits
from edgekd.errors import InputError
from edgekd.fields.label import UNLABELLED
from edgekd.learn import blueprint
from edgekd.learn.data import image_list
from edgekd.learn.data import jsonl
from edgekd.learn.data import text_csv
from edgekd.learn.data.inspection import inspect_data
from edgekd.learn.method.loss import bind_terms
from edgekd.learn.method.missing_labels import pass_over_unlabelled
from edgekd.learn.settings import Losses
from edgekd.learn.split import divide_samples
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import check
from edgekd.stages import data
from edgekd.stages import distil
from edgekd.stages import train
from tests import data_example
from tests.learn.blueprint_example import image_blueprint

MODEL = {"name": "resnet8", "base": 4}
TRAIN = {"epochs": 2, "batch_size": 8}
LABELLED = np.array([3, 4, 7, 8, 9, 11, 12, 14, 15, 17, 18, 19, 22, 24, 26, 28, 29])
LINES = [{"text": f"one {n}", "label": "a"} for n in range(12)]
LINES += [{"text": f"two {n}", "label": "b"} for n in range(12)]
FREE = [{"text": "three 1"}, {"text": "four 1", "label": None}, {"text": "five 1", "label": ""}]


class Place:
    """Thirty images, all or some with a label, and a teacher."""

    def __init__(self, root: Path) -> None:
        self.root, self.made = root, 0
        self.images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1), np.uint8)
        self.labels = np.arange(30) % 3
        torch.manual_seed(1)
        (root / "teacher").mkdir()
        plan = image_blueprint(
            builder="resnet8", arguments={"base": 8}, classes=3, channels=1, height=8, width=8
        )
        saved = blueprint.save(blueprint.build(plan), plan, root / "teacher")
        self.teacher = {
            "teacher_blueprint": saved["blueprint.json"],
            "teacher_weights": saved["weights.safetensors"],
        }
        resolved = {"precision": "fp32", "channels_last": False, "threads": 1}
        (root / "resolved.json").write_text(json.dumps(resolved))

    def data(self, chosen: np.ndarray, *, kept: np.ndarray | None = None) -> dict[str, Path]:
        """The images at `kept`, of which those at `chosen` have a label."""
        self.made += 1
        labels = np.full(30, UNLABELLED)
        labels[chosen] = self.labels[chosen]
        kept = np.arange(30) if kept is None else kept
        field, folder = data_example.image(8, 8), self.root / f"data-{self.made}"
        validation = self.images[:6], self.labels[:6]
        found = data_example.write_data(
            folder, field, "abc", train=(self.images, self.labels), validation=validation
        )
        rows = {"images": self.images, "labels": labels}
        splits.write(found["train"], rows, kept)
        return found | {"resolved": self.root / "resolved.json"}

    def context(self) -> Context:
        self.made += 1
        folder = self.root / f"made-{self.made}"
        (folder / "work").mkdir(parents=True)
        return Context(
            folder=folder, checkpoints=folder / "work", seed=0, progress=Silent(), allow_code=False
        )

    def train(self, found: Mapping[str, Path], epochs: int = 2, **more: Any) -> bytes:
        training = {**TRAIN, "epochs": epochs}
        words = {"model": MODEL, "losses": ["cross-entropy"], "train": training, **more}
        config = train.TrainConfig.model_validate({**words, "views": {}, "views_seed": 0})
        return train.run(config, found, self.context())["weights.safetensors"].read_bytes()

    def distil(
        self, found: Mapping[str, Path], *losses: Any, alone: bool = False, **more: Any
    ) -> bytes:
        words = {"model": MODEL, "losses": losses, "knowledge": "online", "train": TRAIN}
        config = {**words, "views": {"count": 1}, "views_seed": 0, **more}
        given = {**found} if alone else {**found, **self.teacher}
        made = distil.run(distil.DistilConfig.model_validate(config), given, self.context())
        return made["weights.safetensors"].read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_labels_alone_learn_from_the_samples_that_have_one(place: Place) -> None:
    all_of_them = np.arange(30)
    some = place.train(place.data(LABELLED))
    assert some == place.train(place.data(all_of_them, kept=LABELLED))
    assert some != place.train(place.data(all_of_them))
    long = place.train(place.data(LABELLED), counts_unlabelled=True)
    assert long == place.train(place.data(LABELLED), epochs=round(2 * 30 / len(LABELLED)))


def test_a_teacher_teaches_all_samples_and_labels_those_that_have_one(place: Place) -> None:
    some, every = place.data(LABELLED), place.data(np.arange(30))
    assert place.distil(some, "kd") == place.distil(every, "kd")
    assert place.distil(some, "kd") != place.distil(place.data(np.arange(30), kept=LABELLED), "kd")
    both = [{"name": "kd", "weight": 0.5}, {"name": "cross-entropy", "weight": 0.5}]
    assert place.distil(some, *both) != place.distil(every, *both)


def test_without_a_teacher_nobody_looks_at_the_others(place: Place) -> None:
    some = place.distil(place.data(LABELLED), "cross-entropy", alone=True)
    kept = place.data(np.arange(30), kept=LABELLED)
    assert some == place.distil(kept, "cross-entropy", alone=True)


@pytest.mark.parametrize("name", ["cross-entropy", "dkd"])
def test_a_loss_on_labels_is_its_value_on_the_samples_that_have_one(name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 6, 3, generator=generator)
    student.requires_grad_()
    labels = torch.tensor([0, -100, 2, 1, -100, 1])
    rows = torch.nonzero(labels >= 0).flatten()
    terms = bind_terms(TypeAdapter(Losses).validate_python([name]), classes=3)
    (term,) = pass_over_unlabelled(terms, data_example.blank(labels.numpy(), 3))
    signals = {"student_logits": student, "teacher_logits": teacher}
    got = term.value({**signals, "labels": labels, "label_indices": labels})
    chosen = {key: value[rows] for key, value in signals.items()}
    known = labels[rows]
    want = terms[0].value({**chosen, "labels": known, "label_indices": known})
    assert torch.equal(got, want)
    if name == "cross-entropy":
        assert torch.allclose(got, F.cross_entropy(student, labels))
    nobody = torch.full_like(labels, -100)
    nothing = term.value({**signals, "labels": nobody, "label_indices": nobody})
    nothing.backward()
    assert nothing.isfinite() and student.grad is not None and not student.grad.any()


def test_what_does_not_know_them_is_refused(place: Place) -> None:
    found = place.data(LABELLED)
    with pytest.raises(InputError, match="scheme: got one that may read labels"):
        place.distil(found, "kd", scheme="dml")
    with pytest.raises(InputError, match="views: got some that mix labels"):
        place.distil(found, "kd", views={"mixup": 0.2})
    with pytest.raises(InputError, match="private: got samples that have no label"):
        place.distil(found, "kd", private={"epsilon": 8.0, "delta": 1e-3, "max_norm": 1.0})
    case = {
        "label": "distil",
        "student": {"model": MODEL, "input": None},
        "teachers": [{"model": MODEL, "input": None}],
        "losses": ["kd"],
        "scheme": "dml",
        "train": TRAIN,
    }
    config = {"views": {}, "seed": 0, "plain": (), "cases": [case]}
    with pytest.raises(InputError, match="scheme: got one"):
        check.run(check.CheckConfig.model_validate(config), found, place.context())


@example(
    st.lists(st.integers(-1, 2), min_size=40, max_size=80).filter(
        lambda strata: all(strata.count(number) > 3 for number in range(3))
    ),
    st.integers(0, 2**40),
)
def test_they_are_learned_from_and_never_judged_on(strata: list[int], seed: int) -> None:
    numbers = np.array(strata)
    words: dict[str, Any] = {"validation": 0.2, "test": 0.2, "limit": None, "seed": seed}
    shares = divide_samples({"train": len(numbers)}, numbers, **words)
    held = {name: set(numbers[share.order]) for name, share in shares.items()}
    assert held["validation"] == held["test"] == {0, 1, 2}
    assert sorted(i for share in shares.values() for i in share.order) == list(range(len(strata)))


def write_lines(path: Path, lines: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


@pytest.mark.parametrize("reader", [jsonl, text_csv])
def test_texts_without_a_label_are_refused_or_kept(reader: Any, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "texts.jsonl", LINES + FREE)
    with pytest.raises(InputError, match="label") as refused:
        reader.read(reference=path)
    assert "unlabelled: keep" in refused.value.hint
    assert len(reader.read(reference=path, on_broken="skip").skipped) == 3
    source = reader.read(reference=path, unlabelled="keep")
    labels = source.splits["train"]["labels"]
    assert labels.tolist() == [0] * 12 + [1] * 12 + [UNLABELLED] * 3
    assert len(source.splits["train"]["text"]) == 27
    assert "27 texts of 2 classes, 3 of them without a label" in source.notes[0]
    with pytest.raises(InputError, match="unlabelled: got 'yes', want one of: refuse, keep"):
        reader.read(reference=path, unlabelled="yes")


@pytest.mark.parametrize("reader", [jsonl, text_csv])
def test_a_text_that_is_judged_on_needs_a_label(reader: Any, tmp_path: Path) -> None:
    lines = [{**line, "split": "train"} for line in LINES]
    path = write_lines(tmp_path / "texts.jsonl", [*lines, {"text": "three 1", "split": "test"}])
    with pytest.raises(InputError, match="line 25: "):
        reader.read(reference=path, unlabelled="keep")
    nobody = write_lines(tmp_path / "none.jsonl", [{"text": "a b", "label": ""}] * 3)
    with pytest.raises(InputError, match="label"):
        reader.read(reference=nobody, unlabelled="keep", label="label")


def test_images_without_a_label_are_kept_where_that_is_said(tmp_path: Path) -> None:
    for name in "abc":
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    path = str(tmp_path / "list.csv")
    Path(path).write_text("file,label\na.png,cat\nb.png,dog\nc.png,\n")
    with pytest.raises(InputError, match="want a label") as refused:
        image_list.read(reference=path)
    assert "unlabelled: keep" in refused.value.hint
    source = image_list.read(reference=path, unlabelled="keep")
    assert source.splits["train"]["labels"].tolist() == [0, 1, UNLABELLED]
    assert source.notes[0].endswith("1 of them without a label")


def test_the_data_stage_keeps_them_for_training(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "texts.jsonl", LINES + FREE)
    source = {"name": "jsonl", "reference": path, "unlabelled": "keep"}
    (tmp_path / "out").mkdir()
    made = data.run(
        data.DataConfig.model_validate({"source": source}),
        {},
        Context(folder=tmp_path / "out", checkpoints=tmp_path / "kept", seed=0, progress=Silent()),
    )
    described = dataset.read(made["data.json"])
    counts = {
        name: int((splits.read(made[name])["labels"] == UNLABELLED).sum())
        for name in ("train", "validation", "test")
    }
    assert counts == {"train": 3, "validation": 0, "test": 0}
    assert sum(described.counts.values()) == 27


def test_looking_at_data_proposes_to_keep_them(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "texts.jsonl", LINES + FREE)
    found = inspect_data(f"jsonl:{path}")
    assert found.arguments == {"reference": path, "unlabelled": "keep"}
    write_lines(Path(path), [*LINES, *FREE, {"label": "a"}])
    found = inspect_data(f"jsonl:{path}")
    assert found.arguments == {"reference": path, "unlabelled": "keep", "on_broken": "skip"}
    assert not inspect_data(
        f"jsonl:{write_lines(tmp_path / 'all.jsonl', LINES)}"
    ).arguments.keys() & {"unlabelled", "on_broken"}
