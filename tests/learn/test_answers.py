"""What a finished model answers does not depend on how many images it is shown at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.field import MOST_VALUES
from edgekd.field import from_rows
from edgekd.fields.image import Image
from edgekd.fields.tokens import Tokens
from edgekd.learn import answers
from edgekd.learn import teacher_answers
from edgekd.learn.answers import MOST_SAMPLES
from edgekd.learn.answers import batch_size
from edgekd.learn.attack import robust_accuracy
from edgekd.learn.evaluation import EvaluationSplit
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.reading import open_shards
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.settings import Arithmetic
from edgekd.learn.view_settings import Views
from edgekd.progress import Silent
from edgekd.tasks.classification import TASK
from tests import data_example

SMALL = Image(height=6, width=5, channels=2, mean=(0.3, 0.4), std=(0.2, 0.3))
PLAIN = Arithmetic(precision="fp32", channels_last=False, threads=1)


class Counting(nn.Module):
    """A classifier that notes how many images come at once."""

    def __init__(self, values: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc = nn.Linear(values, 3)
        self.sizes: list[int] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(images))
        return self.fc(images.flatten(1))


def images(count: int, shape: tuple[int, ...] = (6, 5, 2)) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (28, 28, 1), (64, 64, 3), (224, 224, 3), (512, 512, 3), (4096, 4096, 3)]
)
def test_a_batch_is_bounded_in_images_and_in_values(shape: tuple[int, int, int]) -> None:
    each = int(np.prod(shape))
    size = batch_size(each)
    assert 1 <= size <= MOST_SAMPLES
    assert size == 1 or size * each <= MOST_VALUES
    assert size == MOST_SAMPLES or (size + 1) * each > MOST_VALUES


def everything(model: nn.Module, given: np.ndarray, folder: Path) -> dict[str, np.ndarray | float]:
    labels = np.arange(len(given)) % 3
    samples = data_example.samples(
        images=given,
        labels=labels,
        classes=3,
        image=SMALL,
        views=Views(count=2, flip=True),
        seed=1,
    )
    teacher_answers.write_knowledge(model, samples, folder / "k.npy", PLAIN, Silent())
    split = EvaluationSplit(TASK, samples.dataset, samples.rows)
    return {
        "logits": split.outputs(model)["logits"],
        "score": split.score(model),
        "knowledge": np.load(folder / "k.npy"),
        "robust": robust_accuracy(model, given, labels, SMALL, epsilon=0.02, step=0.02, steps=1),
    }


def test_answers_do_not_depend_on_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, given = Counting(60), images(23)
    whole = everything(model, given, tmp_path)
    assert set(model.sizes) == {23}
    model.sizes.clear()
    monkeypatch.setattr(answers, "MOST_VALUES", 5 * 60)
    for name, value in everything(model, given, tmp_path).items():
        np.testing.assert_allclose(value, whole[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert set(model.sizes) == {5, 3}


def test_large_images_are_answered_a_few_at_once() -> None:
    model = Counting(256 * 256 * 3)
    about = Image(height=256, width=256, channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
    found = data_example.labelled(about, data_example.names(3))
    rows = {"images": images(25, (256, 256, 3))}
    given = answers.compute_outputs(model, rows, found, ["logits"])
    assert given["logits"].shape == (25, 3) and model.sizes == [10, 10, 5]


class Counter(nn.Module):
    """Of every token how many tokens stand up to it, and its number, [B, N, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.stack([mask.cumsum(1), tokens], 2).float() * self.scale


def test_answers_to_every_token_are_of_one_length_whatever_batch_a_text_is_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(answers, "MOST_VALUES", 2 * 2 * 7)  # two texts of the longest at once
    texts = [np.arange(1, length + 1, dtype=np.int32) for length in (3, 1, 2, 7, 1, 4)]
    field = Tokens(vocabulary=9, usual=3, longest=7)
    rows = {"text": from_rows(texts, texts[0]), "tags": from_rows(texts, texts[0])}
    found = Dataset(task="", inputs={"text": field}, targets={})
    given = answers.compute_outputs(Counter(), rows, found, ["logits"], has_places=True)["logits"]
    assert given.shape == (6, 7, 2)
    for text, answer in zip(texts, given, strict=True):
        assert answer[: len(text)].tolist() == [[n, n] for n in text.tolist()]
        assert (answer[len(text) :] == [len(text), 0]).all()
    with pytest.raises(InputError, match="got outputs of several sizes"):
        answers.compute_outputs(Counter(), rows, found, ["logits"])


def test_shards_hold_the_same_bits_as_the_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "MOST_VALUES", 4 * 60)
    monkeypatch.setattr(layout, "SHARD_BYTES", 100)
    model, views = Counting(60).train(), Views(count=2, flip=True, crop=1)
    labels = np.zeros(9, np.int64)
    samples = data_example.samples(
        images=images(9), labels=labels, classes=3, image=SMALL, views=views, seed=1
    )
    teacher_answers.write_knowledge(model, samples, tmp_path / "k.npy", PLAIN, Silent())
    settings = KnowledgeSettings(encoding="fp32")
    (tmp_path / "work").mkdir()
    made = teacher_answers.fill_knowledge(
        model, samples, settings, {}, tmp_path / "work", PLAIN, Silent()
    )
    _, reader = open_shards({f"k/{name}": path for name, path in made.items()}, "k")
    assert reader.layout.shards == 4 and not model.training
    for view, want in enumerate(np.load(tmp_path / "k.npy")):
        assert reader.read(view, np.arange(9))[0].tobytes() == want.tobytes()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_knowledge_is_each_view_s_answer(
    tmp_path: Path, precision: Any, channels_last: bool
) -> None:
    model, given = Counting(60).train(), images(9)
    samples = data_example.samples(
        images=given,
        labels=np.zeros(9, np.int64),
        classes=3,
        image=SMALL,
        views=Views(count=3, flip=True, crop=1),
        seed=1,
    )
    resolved = Arithmetic(precision=precision, channels_last=channels_last, threads=1)
    teacher_answers.write_knowledge(model, samples, tmp_path / "k.npy", resolved, Silent())
    knowledge = np.load(tmp_path / "k.npy")
    assert knowledge.shape == (3, 9, 3) and not model.training
    weight, bias = (tensor.detach().numpy() for tensor in (model.fc.weight, model.fc.bias))
    for view in range(3):
        seen = samples.batch(np.arange(9), view).inputs[0].reshape(9, -1)
        tolerance = 1e-5 if precision == "fp32" else 0.05
        np.testing.assert_allclose(knowledge[view], seen @ weight.T + bias, atol=tolerance)
