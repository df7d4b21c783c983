"""Texts as rows of a file, spooled into small shards."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from edgekd.learn.data.spool_folder import Spool
from edgekd.learn.streams import text_shards
from edgekd.learn.streams.rows import RowWords
from edgekd.learn.streams.texts import find_texts
from edgekd.learn.streams.texts import spool_texts
from edgekd.progress import Silent

WORDS = [
    "ada",
    "met",
    "the",
    "cat",
    "in",
    "rome",
    "and",
    "bob",
    "left",
    "oslo",
    "for",
    "the",
    "unbelievable",
    "love",
]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(text_shards, "SHARD_SAMPLES", 16)
    monkeypatch.chdir(tmp_path)


def make_texts(count: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [
        f"{number} " + " ".join(draw.choices(WORDS, k=draw.randint(3, 12)))
        for number in range(count)
    ]


def write_lines(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def spool(said: str | dict[str, Any], folder: str = "out", **words: Any) -> Spool:
    member = find_texts(said)
    assert member is not None
    given = {key: words.pop(key) for key in ("take", "split", "skip_broken") if key in words}
    return spool_texts(member, Path(folder), Silent(), words=RowWords(**words), **given)


LABELLED = [
    {
        "text": text,
        "label": ("spam", "ham", "news")[number % 3],
        "split": ("train", "test")[number % 7 == 0],
    }
    for number, text in enumerate(make_texts(60))
]
