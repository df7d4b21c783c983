"""Texts that a teacher writes: from its begin token alone, or from prompts; rows that stand in for a training split."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd import files
from edgekd import splits
from edgekd.dataset import Dataset
from edgekd.dataset import to_json
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.conversation import Conversation
from edgekd.fields.next_tokens import NextTokens
from edgekd.fields.number import Number
from edgekd.fields.tokens import Tokens
from edgekd.fields.tokens import encode_text
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.settings import Arithmetic
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stage import Made
from edgekd.stages import synthesize
from edgekd.task import interface_of
from edgekd.tasks.language_modelling import TASK

DATASET = Dataset(
    task="language-modelling",
    inputs={"text": Tokens(vocabulary=257, usual=12, longest=12, encoding="bytes")},
    targets={
        "next_tokens": NextTokens(vocabulary=257),
        "text_bytes": Number(columns=("bytes",), mean=(0.0,), std=(1.0,)),
    },
)
TEXTS = ["the cat sat ", "a dog", "one two thr"]


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Path]:
    """A teacher of bytes, not trained, and three texts."""
    plan = Blueprint(
        builder="text-decoder",
        arguments={"layers": 1, "width": 8, "heads": 2},
        interface=interface_of(TASK, DATASET),
    )
    torch.manual_seed(0)
    saved = blueprint.save(blueprint.build(plan), plan, tmp_path)
    paths = {name: tmp_path / name for name in ("data", "train", "resolved")}
    paths["data"].write_bytes(files.canonical_json(to_json(DATASET)))
    rows = [encode_text(each + "x") for each in TEXTS]
    training = {
        "text": from_rows([each[:-1] for each in rows], np.zeros(0, np.int32)),
        "next_tokens": from_rows([each[1:].astype(np.int64) for each in rows], np.zeros(0, int)),
        "text_bytes": np.array([[float(len(each) - 1)] for each in rows], np.float32),
    }
    splits.write(paths["train"], training, np.arange(3))
    resolved = Arithmetic(precision="fp32", channels_last=False, threads=1)
    paths["resolved"].write_text(resolved.model_dump_json())
    return paths | {"blueprint": saved["blueprint.json"], "weights": saved["weights.safetensors"]}


def ran(given: dict[str, Path], folder: Path, seed: int = 1, **words: Any) -> Made:
    folder.mkdir()
    context = Context(folder=folder, checkpoints=folder / "kept", seed=seed, progress=Silent())
    made = synthesize.run(synthesize.SynthesizeConfig(**words), given, context)
    assert set(made) == {"train", "synthesis.json"}
    return made


def rows_of(made: Made) -> dict[str, Any]:
    rows = splits.read(made["train"])
    DATASET.check(rows, "train")
    return rows


def test_texts_from_the_begin_token_alone(given: dict[str, Path], tmp_path: Path) -> None:
    del given["train"]  # nothing of the corpus is there to be read
    made = ran(given, tmp_path / "one", method="begin-token-texts", count=70)
    rows = rows_of(made)
    text, following = rows["text"], rows["next_tokens"]
    assert len(text) == 70 and set(text.lengths.tolist()) == {12}
    assert all(row[0] == ord("\n") + 1 for row in text)
    assert all(np.array_equal(a[1:], b[:-1]) for a, b in zip(text, following, strict=True))
    about = json.loads(made["synthesis.json"].read_bytes())
    assert (about["tokens"], about["prompted"], about["distinct_share"]) == (840, False, 1.0)
    teacher = blueprint.load(given["blueprint"], given["weights"])
    tokens = torch.from_numpy(np.stack(list(text)).astype(np.int64))
    with torch.no_grad():
        logits = teacher(tokens, torch.ones_like(tokens))
    want = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), torch.from_numpy(np.concatenate(list(following)))
    )
    assert about["mean_nats"] == pytest.approx(float(want), rel=1e-5)
    again = ran(given, tmp_path / "two", method="begin-token-texts", count=70)
    assert again["train"].read_bytes() == made["train"].read_bytes()
    other = ran(given, tmp_path / "three", seed=2, method="begin-token-texts", count=70)
    assert other["train"].read_bytes() != made["train"].read_bytes()
    fewer = rows_of(ran(given, tmp_path / "four", method="begin-token-texts", count=3))["text"]
    assert all(np.array_equal(a, b) for a, b in zip(fewer, text[:3], strict=True))


def test_the_teacher_goes_on_from_prompts_which_are_no_lesson(
    given: dict[str, Path], tmp_path: Path
) -> None:
    method = {"name": "prompted-texts", "prompt_tokens": 4}
    rows = rows_of(ran(given, tmp_path / "out", method=method, count=5))
    text, following = rows["text"], rows["next_tokens"]
    assert isinstance(text, RaggedRows)
    assert text.lengths.tolist() == [len(TEXTS[n % 3]) for n in range(5)]
    teacher = blueprint.load(given["blueprint"], given["weights"])
    for number, (row, after) in enumerate(zip(text, following, strict=True)):
        assert np.array_equal(row[:4], encode_text(TEXTS[number % 3] + "x")[:4])
        assert after[:3].tolist() == [-100] * 3
        tokens = torch.from_numpy(row.astype(np.int64))[None]
        with torch.no_grad():
            best = teacher(tokens, torch.ones_like(tokens))[0].argmax(1).numpy()
        assert np.array_equal(after[3:], best[3:])
        assert np.array_equal(row[4:], best[3:-1])
    assert rows["text_bytes"][:, 0].tolist() == [len(TEXTS[n % 3]) - 3 for n in range(5)]


def test_what_cannot_be_written_is_said(given: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="prompt_tokens: got 12, want fewer than the texts' 12"):
        ran(
            given,
            tmp_path / "one",
            method={"name": "prompted-texts", "prompt_tokens": 12},
            count=5,
        )
    with pytest.raises(InputError, match="begin_token: got 300, want a token below 257"):
        ran(
            given,
            tmp_path / "two",
            method={"name": "begin-token-texts", "begin_token": 300},
            count=5,
        )


def test_a_teacher_answers_the_prompts_of_conversations_up_to_their_end(
    given: dict[str, Path], tmp_path: Path
) -> None:
    """By a loop over each prompt; what the teacher says first behind one of them ends an answer here."""
    prompts = [encode_text(each) for each in ("the cat", "a dog sat", "one")]
    teacher = blueprint.load(given["blueprint"], given["weights"])

    def say(row: np.ndarray, end: int) -> list[int]:
        tokens = row.tolist()
        while True:
            text = torch.tensor([tokens])
            with torch.no_grad():
                tokens.append(int(teacher(text, torch.ones_like(text))[0, -1].argmax()))
            if tokens[-1] == end or len(tokens) == 13:
                return tokens

    end = say(prompts[1], -1)[len(prompts[1]) + 1]
    text = Conversation(vocabulary=257, usual=9, longest=12, encoding="bytes", end=end)
    talks = dataclasses.replace(DATASET, inputs={"text": text})
    given["data"].write_bytes(files.canonical_json(to_json(talks)))
    whole = [np.concatenate([each, [7, 8]]) for each in prompts]  # the answer in the data: 7 8
    lessons = [np.r_[np.full(len(each) - 1, -100), 7, 8] for each in prompts]
    training = {
        "text": from_rows([each[:-1].astype(np.int32) for each in whole], np.zeros(0, np.int32)),
        "next_tokens": from_rows(lessons, np.zeros(0, np.int64)),
        "text_bytes": np.full((3, 1), 2, np.float32),
    }
    splits.write(given["train"], training, np.arange(3))
    method = {"name": "prompted-texts", "prompt_tokens": 500}
    rows = rows_of(ran(given, tmp_path / "out", method=method, count=4))
    for number, (row, after) in enumerate(zip(rows["text"], rows["next_tokens"], strict=True)):
        prompt = prompts[number % 3]
        want = say(prompt, end)
        assert row.tolist() == want[:-1]
        assert after.tolist() == [-100] * (len(prompt) - 1) + want[len(prompt) :]
        said = [token for token in want[len(prompt) :] if token != end]
        assert rows["text_bytes"][number, 0] == len(said)
    assert rows["text"].lengths.min() < 12
    with pytest.raises(InputError, match="got conversations, want prompted-texts"):
        ran(given, tmp_path / "two", method="begin-token-texts", count=5)
