"""Token classification: entities against another reading of the same rules, ignored tokens, decisions by hand."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest

from edgekd import task
from edgekd.dataset import Dataset
from edgekd.field import from_rows
from edgekd.fields.tags import Tags
from edgekd.fields.tokens import Tokens
from edgekd.fields.tokens import encode_text
from edgekd.learn.chance import compute_standing
from edgekd.tasks.token_classification import TASK
from edgekd.tasks.token_classification import find_entities

KINDS = ("PER", "LOC")
NAMES = ("O", *(f"{letter}-{kind}" for kind in KINDS for letter in "BI"))


def dataset(names: tuple[str, ...] = NAMES) -> Dataset:
    text = Tokens(vocabulary=257, usual=4, longest=40, encoding="bytes")
    return Dataset(
        task="token-classification", inputs={"text": text}, targets={"tags": Tags(names=names)}
    )


def answer(tags: np.ndarray, names: tuple[str, ...] = NAMES) -> dict[str, np.ndarray]:
    """Logits that say these tags; of an ignored one the first."""
    return {"logits": np.eye(len(names), dtype=np.float32)[np.maximum(tags, 0)]}


def spell_spans(tags: list[str]) -> set[tuple[str, int, int]]:
    """The rules of conlleval's script, boundary by boundary: is one ended, and is one begun, between two tags?"""
    whole = [("O", ""), *((tag[0], tag[2:]) for tag in tags), ("O", "")]
    begun = [
        b[0] == "B"
        or b[0] == "S"
        or (a[0] in "ES" and b[0] in "EI")
        or (a[0] == "O" and b[0] in "EI")
        or (b[0] != "O" and a[1] != b[1])
        for a, b in pairwise(whole)
    ]
    ended = [
        a[0] in "ES" or (a[0] in "BI" and b[0] in "BSO") or (a[0] != "O" and a[1] != b[1])
        for a, b in pairwise(whole)
    ]
    found, start = set(), 0
    for at in range(len(tags) + 1):
        if ended[at]:
            found.add((whole[at][1], start, at - 1))
        if begun[at]:
            start = at
    return found


def test_entities_are_those_of_another_reading_of_the_rules_on_any_tags() -> None:
    draw = random.Random(0)
    letters = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in KINDS)]
    for _ in range(3000):
        tags = draw.choices(letters, k=draw.randint(0, 9))
        found = find_entities(tags)
        assert set(found) == spell_spans(tags) and len(set(found)) == len(found), tags


@pytest.mark.parametrize("seed", range(6))
def test_metrics_are_those_of_all_samples_together_with_ignored_tokens_left_out(seed: int) -> None:
    generator = np.random.default_rng(seed)
    there = generator.integers(0, len(NAMES), (17, 9))
    said = np.where(generator.random(there.shape) < 0.6, there, generator.permuted(there, axis=1))
    there[generator.random(there.shape) < 0.3] = -100
    there[3] = -100  # a text of which nothing counts
    rows = task.metric_rows(TASK.metrics, answer(said), {"tags": there}, dataset())
    for draw in (np.arange(17), generator.integers(0, 17, 17), np.array([3])):
        right = found = wanted = correct = counted = 0
        for number in draw:
            keep = there[number] != -100
            one, other = (
                spell_spans([NAMES[each] for each in tags[number][keep]]) for tags in (said, there)
            )
            right, found, wanted = right + len(one & other), found + len(one), wanted + len(other)
            correct += int((said[number] == there[number])[keep].sum())
            counted += int(keep.sum())
        got = [metric.value(rows[metric.name][draw]) for metric in TASK.metrics]
        precision, recall = (right / count if count else 0 for count in (found, wanted))
        f1 = 2 * precision * recall / (precision + recall) if right else 0
        want = [f1, precision, recall, correct / counted if counted else 0]
        np.testing.assert_allclose(got, want, atol=1e-12)


def test_values_of_seqeval() -> None:
    """Of reference/golden_tasks.json: seqeval 1.2.2, f1_score and precision_score in its default mode."""
    names = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
    there = ["B-PER I-PER O B-LOC O", "O B-ORG I-ORG I-ORG B-LOC", "I-LOC I-LOC O"]
    said = ["B-PER I-PER O O O", "O B-ORG I-ORG O B-LOC", "I-LOC I-PER O"]
    numbers = [
        [
            [names.index(tag) for tag in text.split()] + [-100] * (5 - len(text.split()))
            for text in each
        ]
        for each in (there, said)
    ]
    tags, found = map(np.array, numbers)
    rows = task.metric_rows(TASK.metrics, answer(found, names), {"tags": tags}, dataset(names))
    assert [metric.value(rows[metric.name]) for metric in TASK.metrics[:2]] == [0.4, 0.4]


def test_names_without_a_letter_are_runs_of_one_type() -> None:
    assert find_entities(["LIT", "LIT", "O", "LIT", "ARG", "ARG"]) == [
        ("LIT", 0, 1),
        ("LIT", 3, 3),
        ("ARG", 4, 5),
    ]
    assert find_entities(["U-X", "I-X", "L-X", "I-X"]) == [("X", 0, 0), ("X", 1, 2), ("X", 3, 3)]


def test_decisions_are_told_word_by_word() -> None:
    text, data = encode_text("Ada Fox  slept"), dataset()
    tags = np.zeros((1, len(text)), np.int64)
    tags[0, 0], tags[0, 4] = NAMES.index("B-PER"), NAMES.index("I-PER")
    tags[0, 1] = NAMES.index("B-LOC")  # the second byte of a word counts for nothing
    made = TASK.decide(answer(tags), data)
    assert made["tags"].tolist() == tags.tolist() and TASK.agree(made, made).tolist() == [1]
    assert TASK.describe_inputs is not None
    rows = {"text": from_rows([text], text)}
    assert TASK.describe_inputs(made, rows, data, 5) == [[("PER: Ada Fox", None)]]
    assert TASK.describe(made, data, 1) == [[("PER: tokens 0 to 0", None)]]
    bare = Dataset(
        task="", inputs={"text": Tokens(vocabulary=300, usual=1, longest=9)}, targets=data.targets
    )
    assert TASK.describe_inputs(made, rows, bare, 1) == [[("PER: tokens 0 to 0", None)]]


def test_the_guess_is_the_commonest_class_everywhere_and_knows_nothing() -> None:
    tags = np.array([[0, 1, 0, -100], [0, 0, 3, 4]])
    guessed = TASK.guess({"tags": tags}, dataset())
    assert guessed["logits"].shape == (2, 4, 5)
    assert compute_standing(TASK, guessed, {"tags": tags}, dataset()).skill == 0
    perfect = answer(np.maximum(tags, 0))
    assert compute_standing(TASK, perfect, {"tags": tags}, dataset()).skill == 1


def test_outputs_are_as_long_as_the_text() -> None:
    (end,) = task.interface_of(TASK, dataset()).outputs
    assert end.shape == ("batch", "text_length", 5) and end.class_axis == 2
