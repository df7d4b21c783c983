"""Texts of a teacher as rows of a training split, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

import numpy as np
import torch
from torch import nn

from edgekd.field import from_rows
from edgekd.fields.next_tokens import NextTokens
from edgekd.fields.tags import IGNORED
from edgekd.fields.tokens import Tokens
from edgekd.fields.tokens import encode_text
from edgekd.learn.synthesis.texts import TextRequest
from edgekd.learn.synthesis.texts import WrittenTexts

if TYPE_CHECKING:
    from edgekd.dataset import Dataset
    from edgekd.field import RaggedRows
    from edgekd.field import Rows
    from edgekd.stage import Context

TEXT, NEXT, BYTES = "text", "next_tokens", "text_bytes"


def make_request(
    dataset: Dataset,
    files: Mapping[str, bytes],
    number: int,
    device: torch.device,
    context: Context,
) -> TextRequest:
    """What is asked of a teacher for these data.

    Args:
        dataset: of running text.
        files: its tokenizer's, if it has one.
        number: of texts.
        device: of the teacher.
        context: of the stage.

    Raises:
        ValueError: if the data are no running text.
    """
    field = dataset.inputs.get(TEXT)
    if not isinstance(field, Tokens) or not isinstance(dataset.targets.get(NEXT), NextTokens):
        raise ValueError("got data that are no running text, want task: language-modelling")
    field = field.with_files(files)
    separator: int | None = None
    if field.encoding == "bytes":
        separator = int(encode_text("a\nb")[1])
    elif field.tokenizer_file:
        separator = field.load_tokenizer().end
    end = dataset.find_answer_end()
    return TextRequest(field, separator, end, number, context.seed, device, context.progress)


def read_prompts(rows: Mapping[str, Rows], wanted: TextRequest) -> RaggedRows:
    """What a teacher goes on from: training texts, of conversations what stands before the last answer.

    Args:
        rows: of the training split.
        wanted: of these data.
    """
    texts, following = (cast("RaggedRows", rows[name]) for name in (TEXT, NEXT))
    if wanted.end is None:
        return texts
    prompts = []
    for text, after in zip(texts, following, strict=True):
        lessons = np.concatenate([[False], after != IGNORED])
        begins = np.flatnonzero(lessons[1:] & ~lessons[:-1])
        prompts.append(text[: begins[-1] + 1])
    return from_rows(prompts, texts.values)


def collect_texts(
    teacher: nn.Module, texts: Iterator[WrittenTexts], wanted: TextRequest
) -> tuple[dict[str, Rows], dict[str, Any]]:
    """The fields of a split, and facts: tokens that are lessons, how unsure the teacher is of a token of its own, and
    which share of the texts is different from all others."""
    tokens: list[Any] = []
    following: list[Any] = []
    sizes, nats, count = [], 0.0, 0
    for batch in texts:
        surprise, lessons = _sum_surprise(teacher, batch)
        nats, count = nats + surprise, count + lessons
        for row, after, length in zip(
            batch.tokens, batch.following, batch.mask.sum(1).tolist(), strict=True
        ):
            tokens.append(row[:length].cpu().numpy().astype(np.int32))
            following.append(after[:length].cpu().numpy())
            sizes.append([_count_bytes(following[-1], wanted.field)])
    rows: dict[str, Rows] = {
        TEXT: from_rows(tokens, np.zeros(0, np.int32)),
        NEXT: from_rows(following, np.zeros(0, np.int64)),
        BYTES: np.array(sizes, np.float32),
    }
    distinct = len({each.tobytes() for each in tokens}) / len(tokens)
    return rows, {
        "tokens": count,
        "mean_nats": nats / max(count, 1),
        "distinct_share": distinct,
    }


@torch.no_grad()
def _sum_surprise(teacher: nn.Module, batch: WrittenTexts) -> tuple[float, int]:
    counted = batch.following != IGNORED
    logits = torch.log_softmax(teacher(batch.tokens, batch.mask)[counted].double(), 1)
    own = logits.gather(1, batch.following[counted][:, None])
    return -float(own.sum()), int(counted.sum())


def _count_bytes(following: Any, field: Tokens) -> float:
    """Bytes of UTF-8 of what follows; tokens where the tokenizer is not at hand."""
    counted = following[(following != IGNORED) & (following != field.find_answer_end())]
    if field.tokenizer_file:
        return float(len(field.load_tokenizer().decode(counted.tolist()).encode()))
    return float(len(counted))
