"""Logits that have a row for every place of a sample, such as the tokens of a text: how many, and which are stored."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.learn.knowledge.filling import Answer
from edgekd.learn.knowledge.reading import PlaceAnswers
from edgekd.learn.knowledge.rows import CutLogits
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.learn.mathematics.tokens import CHUNK
from edgekd.learn.mathematics.top_k import TopKLogits
from edgekd.learn.mathematics.top_k import cut_logits
from edgekd.learn.signals import is_place_classifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Rows
    from edgekd.interface import Tensor as End


class Places(NamedTuple):
    """Of a model whose only output is logits [batch, length, classes]."""

    lengths: NDArray[np.int64]
    """[samples], places of each."""
    classes: int
    target: str = ""
    """Of which only the places that count are stored; empty where all tokens are."""

    @property
    def values(self) -> int:
        """Logits of the longest sample."""
        return int(self.lengths.max(initial=1)) * self.classes


def find_places(
    dataset: Dataset, rows: Mapping[str, Rows], outputs: Sequence[End]
) -> Places | None:
    """The places of the samples of a split; None where a model gives something else than logits as long as an input.

    Args:
        dataset: what the inputs are.
        rows: of the split.
        outputs: what a model gives.
    """
    if not is_place_classifier(outputs):
        return None
    shape = outputs[0].shape
    for name, field in dataset.inputs.items():
        values = rows[name]
        named = any(axis.name == shape[1] for axis in field.axes(name))
        if named and isinstance(values, RaggedRows):
            target = outputs[0].target
            known = dataset.targets.get(target)
            fewer = None if known is None else known.count_compared(rows[target])
            if fewer is not None:
                return Places(fewer, int(shape[2]), target)
            return Places(values.lengths, int(shape[2]))
    return None


def locate_rows(
    lengths: NDArray[np.int64], targets: Mapping[str, NDArray[Any]]
) -> NDArray[np.bool_]:
    """Find where the stored rows of a batch belong, [B, L]: at the places of which a target says that they count, if those
    are as many of each sample; else at the first ones.

    Of answers to all tokens both are the same, since no more can count.

    Args:
        lengths: [B], rows of each sample.
        targets: of the batch.
    """
    for target in targets.values():
        if target.ndim == 2 and target.dtype.kind in "iu" and len(target) == len(lengths):
            counting: NDArray[np.bool_] = target >= 0
            if np.array_equal(counting.sum(1), lengths):
                return counting
    return np.asarray(np.arange(lengths.max(initial=0)) < lengths[:, None])


def require_rows_fit(
    lengths: NDArray[np.int64],
    indices: NDArray[np.int64],
    inputs: Sequence[NDArray[Any]],
    targets: Mapping[str, NDArray[Any]],
) -> None:
    """Refuse stored rows that are not as many as a batch has tokens, or places that count: of another text, they would be read
    as answers to this one.

    Args:
        lengths: [B], rows of each sample.
        indices: [B], of the samples, for a message.
        inputs: of the batch; its mask [B, L] is what says how many tokens there are.
        targets: of the batch.

    Raises:
        InputError: naming the first sample.
    """
    masks = [each for each in inputs if each.ndim == 2 and np.isin(each, (0, 1)).all()]
    whole = [each for each in targets.values() if each.ndim == 2 and each.dtype.kind in "iu"]
    counts = [each.sum(1) for each in masks] + [(each >= 0).sum(1) for each in whole]
    if not counts or any(np.array_equal(each, lengths) for each in counts):
        return
    at = int(np.argmax(lengths != counts[0]))
    raise InputError(
        f"stored answers: got {lengths[at]} rows for sample {indices[at]}, want {counts[0][at]}, its tokens: they are of "
        "other texts"
    )


def take_places(logits: Tensor, there: NDArray[np.bool_], settings: KnowledgeSettings) -> Answer:
    """What is stored of logits [B, L, V]: a row for each place of `there` [B, L], one sample behind the other.

    Raises:
        ValueError: if they are of fewer places than that.
    """
    classes = logits.shape[-1]
    if logits.ndim != 3 or logits.shape[1] < there.shape[1]:
        got = f"logits {list(logits.shape)}"
        raise ValueError(f"teacher: got {got}, want [batch, {there.shape[1]}, classes]")
    chosen = torch.from_numpy(there).to(logits.device)
    parts = [one[: there.shape[1]][own] for one, own in zip(logits, chosen, strict=True)]
    if not settings.cuts(classes):
        return (torch.cat(parts).float().cpu().numpy(),)
    cut = list(_cut(parts, settings))
    indices, values, rest = (
        np.concatenate([getattr(each, name).cpu().numpy() for each in cut])
        for name in ("indices", "values", "rest")
    )
    return CutLogits(indices, values, rest, classes)


def _cut(parts: Sequence[Tensor], settings: KnowledgeSettings) -> Iterator[TopKLogits]:
    assert settings.top_k is not None
    for part in parts:
        for few in part.split(max(1, CHUNK // part.shape[-1])):
            yield cut_logits(few, settings.top_k, temperature=settings.temperature)


def pad_answers(
    answers: PlaceAnswers, there: NDArray[np.bool_], temperature: float
) -> Tensor | TopKLogits:
    """Stored answers to the places of samples as a batch has them, [B, L, V]; what fills up counts for nothing, and has
    logits of 0 or one class alone.

    Args:
        answers: of a batch.
        there: [B, L], where they belong.
        temperature: at which the weight of what is not stored is exact.
    """
    stored = answers.logits
    if not isinstance(stored, CutLogits):
        return torch.from_numpy(_fill(stored, there))
    indices = _fill(stored.indices.astype(np.int64), there)
    indices[~there] = np.arange(indices.shape[-1])
    return TopKLogits(
        torch.from_numpy(indices),
        torch.from_numpy(_fill(stored.values, there)),
        torch.from_numpy(_fill(stored.rest, there)),
        stored.classes,
        temperature,
    )


def _fill(rows: NDArray[np.generic], there: NDArray[np.bool_]) -> NDArray[np.generic]:
    found = np.zeros((*there.shape, *rows.shape[1:]), rows.dtype)
    found[there] = rows
    return found
