"""Sentences as tokens, and how well vectors keep what the float model's say."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

HELD, CALIBRATED = 300, 256
MOST_TOKENS = 256


class Sentences(NamedTuple):
    """Token numbers of each sentence, those of a part alike with none of another."""

    held: list[list[int]]
    calibration: list[list[int]]
    learning: list[list[int]]


def read(texts: Path, tokenizer: Path, learning: int) -> Sentences:
    """The distinct lines of `texts`, ordered by their hash, as tokens."""
    from tokenizers import Tokenizer

    known = Tokenizer.from_file(str(tokenizer))
    known.no_padding()
    known.enable_truncation(MOST_TOKENS)
    lines = {line.strip() for line in texts.read_text(encoding="utf-8").splitlines()} - {""}
    ordered = sorted(lines, key=lambda line: hashlib.sha256(line.encode()).digest())
    wanted = ordered[: HELD + CALIBRATED + learning]
    tokens = [each.ids for each in known.encode_batch(wanted)]
    return Sentences(tokens[:HELD], tokens[HELD : HELD + CALIBRATED], tokens[HELD + CALIBRATED :])


def batches(tokens: list[list[int]], most: int, seed: int) -> list[tuple[NDArray, NDArray]]:
    """Token numbers and masks [n <= most, length], each batch of one length, in a random order set by `seed`."""
    groups: dict[int, list[list[int]]] = {}
    for row in tokens:
        groups.setdefault(len(row), []).append(row)
    found = [
        np.array(rows[start : start + most], np.int64)
        for rows in groups.values()
        for start in range(0, len(rows), most)
    ]
    order = np.random.default_rng(seed).permutation(len(found))
    return [(found[at], np.ones_like(found[at])) for at in order]


def agreement(got: NDArray, want: NDArray) -> dict[str, float]:
    """Cosine to the float vectors [N, D], share of sentences whose nearest neighbour stays, Spearman's correlation of
    all similarities."""
    got, want = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (got, want))
    cosine = (got * want).sum(1)
    above = np.triu_indices(len(want), 1)
    similar, wanted = got @ got.T, want @ want.T
    correlation = stats.spearmanr(similar[above], wanted[above]).statistic
    for each in (similar, wanted):
        np.fill_diagonal(each, -2)
    kept = similar.argmax(1) == wanted.argmax(1)
    return {
        "cosine": round(float(cosine.mean()), 5),
        "least_cosine": round(float(cosine.min()), 4),
        "neighbour_kept": round(float(kept.mean()), 4),
        "spearman": round(float(correlation), 5),
    }
