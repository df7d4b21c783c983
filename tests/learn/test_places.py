"""Answers to every token of a text: which there are, what is stored of them, and how a batch has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.masked_tokens import MaskedTokens
from edgekd.fields.next_tokens import NextTokens
from edgekd.fields.number import Number
from edgekd.fields.tokens import Tokens
from edgekd.learn import answers
from edgekd.learn import places as places_of
from edgekd.learn import teacher_answers
from edgekd.learn.data.loader import Samples
from edgekd.learn.knowledge.layout import LENGTH
from edgekd.learn.knowledge.layout import shard_name
from edgekd.learn.knowledge.reading import open_shards
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.mathematics.top_k import TopKLogits
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.teacher import combine_teachers
from edgekd.learn.method.teacher import open_knowledge
from edgekd.learn.places import find_places
from edgekd.learn.places import pad_answers
from edgekd.learn.settings import Arithmetic
from edgekd.learn.training.batches import to_tensors
from edgekd.learn.view_settings import Views
from edgekd.progress import Silent
from edgekd.task import interface_of
from edgekd.tasks.language_modelling import TASK
from edgekd.tasks.masked_language_modelling import TASK as MASKED
from edgekd.tasks.segmentation import TASK as SEGMENTATION

VOCABULARY = 50
LENGTHS = (4, 9, 1, 7, 3, 9, 2)
PLAIN = Arithmetic(precision="fp32", channels_last=False, threads=1)


class Teacher(nn.Module):
    """Logits [B, L, V] that depend on the tokens before, and not on what fills up."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(VOCABULARY, 8)
        self.head = nn.Linear(8, VOCABULARY)

    def forward(self, text: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        inner = self.embedding(text).cumsum(1) * mask.unsqueeze(-1)
        out: torch.Tensor = self.head(inner)
        return out


def samples() -> Samples:
    generator = np.random.default_rng(0)
    texts = [generator.integers(1, VOCABULARY, length).astype(np.int32) for length in LENGTHS]
    rows: dict[str, Any] = {
        "text": from_rows(texts, np.zeros(0, np.int32)),
        "next_tokens": from_rows([t.astype(np.int64) for t in texts], np.zeros(0, np.int64)),
        "text_bytes": np.ones((len(texts), 1), np.float32),
    }
    dataset = Dataset(
        task="language-modelling",
        inputs={"text": Tokens(vocabulary=VOCABULARY, usual=4, longest=9)},
        targets={
            "next_tokens": NextTokens(vocabulary=VOCABULARY),
            "text_bytes": Number(columns=("bytes",), mean=(0.0,), std=(1.0,)),
        },
        counts={"train": len(texts)},
    )
    return Samples(dataset=dataset, rows=rows, views=Views(), seed=0)


def batch(given: Samples, indices: list[int]) -> TensorBatch:
    return to_tensors(given.batch(np.array(indices), 0), PLAIN, 0.0, 1)


def live(teacher: nn.Module, given: TensorBatch) -> torch.Tensor:
    with torch.no_grad():
        out: torch.Tensor = teacher(*given.inputs)
    return out


def store(folder: Path, settings: KnowledgeSettings) -> dict[str, Path]:
    folder.mkdir()
    given = samples()
    found = find_places(given.dataset, given.rows, interface_of(TASK, given.dataset).outputs)
    made = teacher_answers.fill_knowledge(
        Teacher(), given, settings, {}, folder, PLAIN, Silent(), places=found
    )
    return {f"knowledge/{name}": path for name, path in made.items()}


def test_places_are_those_of_the_input_that_logits_are_as_long_as() -> None:
    given = samples()
    (outputs,) = interface_of(TASK, given.dataset).outputs
    found = find_places(given.dataset, given.rows, [outputs])
    assert found is not None and found.lengths.tolist() == list(LENGTHS)
    assert (found.classes, found.values) == (VOCABULARY, 9 * VOCABULARY)
    assert find_places(given.dataset, given.rows, [outputs, outputs]) is None
    assert find_places(given.dataset, given.rows, SEGMENTATION.outputs) is None
    fixed = outputs._replace(shape=("batch", 9, VOCABULARY))
    assert find_places(given.dataset, given.rows, [fixed]) is None


@pytest.mark.parametrize("most", [2**25, 1])
def test_what_is_read_is_what_a_live_teacher_says_where_a_token_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(answers, "MOST_OUTPUT_VALUES", most)  # 1: a text at a time
    teacher, given = Teacher(), samples()
    dense = open_knowledge(
        store(tmp_path / "dense", KnowledgeSettings(encoding="fp32")), "knowledge"
    )
    cut = open_knowledge(store(tmp_path / "cut", KnowledgeSettings(top_k=6)), "knowledge")
    for chosen in ([1, 5], [6, 0, 3], [2]):
        seen = batch(given, chosen)
        want, counts = live(teacher, seen), seen.inputs[1].bool()
        assert torch.allclose(dense(seen)[counts], want[counts], atol=1e-5)
        stored = cut(seen)
        assert isinstance(stored, TopKLogits) and stored.shape == want.shape
        known, rest = stored[counts].log_probabilities(1.0)
        sure = torch.log_softmax(want[counts], -1)
        indices = stored[counts].indices
        assert torch.allclose(known, sure.gather(-1, indices), atol=5e-3)
        beside = sure.scatter(-1, indices, -torch.inf).logsumexp(-1)
        assert torch.allclose(rest, beside, atol=5e-3)


def test_several_teachers_are_combined_with_all_classes(tmp_path: Path) -> None:
    given = samples()
    cut = open_knowledge(store(tmp_path / "cut", KnowledgeSettings(top_k=6)), "knowledge")
    both, seen = combine_teachers([cut, cut]), batch(given, [1, 5])
    one = cut(seen)
    assert isinstance(one, TopKLogits)
    counts = seen.inputs[1].bool()
    assert torch.allclose(both(seen)[counts], one.spread()[counts], atol=1e-5)


def test_what_fills_up_names_each_class_once(tmp_path: Path) -> None:
    made = store(tmp_path / "cut", KnowledgeSettings(top_k=6))
    _, reader = open_shards(made, "knowledge")
    found = reader.read_places(0, np.array([2, 1]))
    padded = pad_answers(found, places_of.locate_rows(found.lengths, {}), 1.0)
    assert isinstance(padded, TopKLogits) and padded.indices.shape == (2, 9, 6)
    assert all(len(set(row)) == 6 for row in padded.indices.reshape(-1, 6).tolist())
    assert torch.isfinite(padded.spread()).all()


def test_rows_of_other_texts_are_refused(tmp_path: Path) -> None:
    """As many in all, but one text has a row of the next."""
    made = store(tmp_path / "cut", KnowledgeSettings(top_k=6))
    path = made[f"knowledge/{shard_name(0)}"]
    data = bytearray(path.read_bytes())
    lengths = np.frombuffer(data, LENGTH, len(LENGTHS))
    assert lengths.tolist() == list(LENGTHS)
    lengths[0] += 1
    lengths[1] -= 1
    path.write_bytes(data)
    teacher, given = open_knowledge(made, "knowledge"), samples()
    assert isinstance(teacher(batch(given, [2, 5])), TopKLogits)
    with pytest.raises(InputError, match="got 8 rows for sample 1, want 9, its tokens"):
        teacher(batch(given, [2, 1]))


def test_answers_of_fewer_places_are_refused() -> None:
    with pytest.raises(ValueError, match=r"want \[batch, 5, classes\]"):
        places_of.take_places(torch.zeros(1, 4, 9), np.ones((1, 5), bool), KnowledgeSettings())


def masked_samples() -> Samples:
    plain, masking = samples(), MaskedTokens(vocabulary=VOCABULARY, mask_token=49, share=0.4)
    text = plain.rows["text"]
    assert isinstance(text, RaggedRows)
    asked = np.where(np.asarray(text.values) % 7 == 0, -100, text.values)  # some are special
    asked[text.offsets[:-1]] = text.values[text.offsets[:-1]]
    return Samples(
        dataset=Dataset(
            task="masked-language-modelling",
            inputs=plain.dataset.inputs,
            targets={"masked_tokens": masking},
            counts={"train": len(LENGTHS)},
        ),
        rows={"text": text, "masked_tokens": RaggedRows(asked, text.offsets)},
        views=Views(count=3),
        seed=4,
    )


@pytest.mark.parametrize("most", [2**25, 1])
def test_of_masked_tokens_the_answers_to_them_alone_are_stored_and_stand_in_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(answers, "MOST_OUTPUT_VALUES", most)
    given, teacher = masked_samples(), Teacher()
    outputs = interface_of(MASKED, given.dataset).outputs
    found = find_places(given.dataset, given.rows, outputs)
    assert found is not None and found.target == "masked_tokens"
    counts = given.dataset.targets["masked_tokens"].count_compared(given.rows["masked_tokens"])
    assert found.lengths.tolist() == counts.tolist() and counts.sum() < 0.6 * sum(LENGTHS)
    for settings in (KnowledgeSettings(encoding="fp32"), KnowledgeSettings(top_k=6)):
        folder = tmp_path / settings.encoding
        folder.mkdir()
        made = teacher_answers.fill_knowledge(
            teacher, given, settings, {}, folder, PLAIN, Silent(), places=found
        )
        stored = open_knowledge(
            {f"knowledge/{name}": path for name, path in made.items()}, "knowledge"
        )
        manifest, _ = open_shards({f"knowledge/{n}": p for n, p in made.items()}, "knowledge")
        assert manifest.layout.rows == 3 * counts.sum()
        for view, chosen in ((0, [1, 5]), (2, [6, 0, 3]), (1, [2])):
            seen = to_tensors(given.batch(np.array(chosen), view), PLAIN, 0.0, 1)
            told, want = stored(seen), live(teacher, seen)
            bare = seen._replace(host_targets=None, host_inputs=None)  # of a batch that was tensors
            again = stored(bare)
            away = {name: each.to("meta") for name, each in seen.targets.items()}
            inputs = tuple(each.to("meta") for each in seen.inputs)
            afar = stored(
                seen._replace(inputs=inputs, targets=away)
            )  # nothing is read back from it
            assert afar.shape == told.shape
            known_apart = [
                each.spread() if isinstance(each, TopKLogits) else each for each in (told, again)
            ]
            assert torch.equal(*known_apart)
            counted = seen.targets["masked_tokens"] >= 0
            assert told.shape == want.shape
            if isinstance(told, TopKLogits):
                known, rest = told[counted].log_probabilities(1.0)
                sure = torch.log_softmax(want[counted], -1)
                indices = told[counted].indices.long()
                assert torch.allclose(known, sure.gather(-1, indices), atol=5e-3)
            else:
                assert torch.allclose(told[counted], want[counted], atol=1e-5)
