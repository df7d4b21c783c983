"""Texts that a language model says itself, for a student to learn from: from its begin token alone, or from prompts.

Each is ``synthesizer(teacher, wanted, **knobs)`` and gives batches of tokens beside what follows each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch import nn

from edgekd.fields.tags import IGNORED
from edgekd.fields.tokens import Tokens
from edgekd.learn.generation import Draws
from edgekd.learn.generation import Sampling
from edgekd.learn.generation import begin_answer
from edgekd.learn.generation import continue_texts
from edgekd.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import RaggedRows
    from edgekd.settings import Count
    from edgekd.settings import NonNegative
    from edgekd.settings import Whole

BATCH = 64
"""Texts that are written at a time."""


class TextRequest(NamedTuple):
    """Number and form of the texts to write; the same in all methods."""

    field: Tokens
    """Its longest text is the length of those that are written."""
    separator: int | None
    """The token between two documents of the training data; None if there is none."""
    end: int | None
    """The token behind an answer where the data are conversations; None where they are not."""
    number: int
    """Of texts."""
    seed: int
    device: torch.device
    progress: Progress

    def batches(self) -> Iterator[NDArray[np.int64]]:
        """Numbers of the texts, a batch at a time."""
        for start in range(0, self.number, BATCH):
            self.progress.update(start, self.number, "texts")
            yield np.arange(start, min(start + BATCH, self.number))


class WrittenTexts(NamedTuple):
    """Some texts [B, N], padded at their ends."""

    tokens: Tensor
    following: Tensor
    """What follows each token; `IGNORED` where it is no lesson."""
    mask: Tensor
    """1 where there is a token."""


def begin_token_texts(
    teacher: nn.Module,
    wanted: TextRequest,
    *,
    temperature: NonNegative = 1.0,
    top: Whole = 0,
    begin_token: Whole | None = None,
) -> Iterator[WrittenTexts]:
    """Texts that the teacher writes from the token that stands between documents, and nothing of anybody's text.

    Data-free generation (Liu et al. 2023, arXiv:2305.17888, sec. 2.1), from one token: no first tokens are chosen by
    other rules.

    Args:
        teacher: gives logits [B, N, V] of tokens and their mask.
        wanted: how many, and of which form.
        temperature: of the choice of tokens; 0 writes one and the same text.
        top: how many of the likeliest tokens are drawn from; 0 is all.
        begin_token: its number; None is the one that the data put between documents.

    Raises:
        ValueError: if no token stands between documents, or that number is none, or the data are conversations.
    """
    if wanted.end is not None:
        raise ValueError("got conversations, want prompted-texts, which answers their prompts")
    begin = wanted.separator if begin_token is None else begin_token
    if begin is None:
        raise ValueError(
            "got a tokenizer whose texts have no end, want begin_token, a token's number"
        )
    if begin >= wanted.field.vocabulary:
        raise ValueError(f"begin_token: got {begin}, want a token below {wanted.field.vocabulary}")
    for numbers in wanted.batches():
        shape = (len(numbers), wanted.field.longest)
        tokens = torch.full(shape, begin, dtype=torch.int64, device=wanted.device)
        mask = torch.ones_like(tokens)
        draws = Draws(wanted.seed, numbers, 0)
        prompts = torch.ones_like(tokens[:, 0])
        texts = continue_texts(
            begin_answer(teacher), tokens, mask, prompts, draws, Sampling(temperature, top)
        )
        yield WrittenTexts(*texts)


def prompted_texts(
    teacher: nn.Module,
    wanted: TextRequest,
    prompts: RaggedRows,
    *,
    prompt_tokens: Count = 32,
    temperature: NonNegative = 0.0,
    top: Whole = 0,
) -> Iterator[WrittenTexts]:
    """The teacher's own continuations of the training texts' first tokens, which the student learns as if they were data.

    Sequence-level knowledge distillation (Kim and Rush 2016, arXiv:1606.07947, sec. 3.2): greedy as a beam of one, or
    drawn at a temperature. What lies in the prompt is no lesson.

    Args:
        teacher: gives logits [B, N, V] of tokens and their mask.
        wanted: how many; further rounds over the texts where there are fewer.
        prompts: tokens of training texts; of conversations what stands before the last answer.
        prompt_tokens: of each training text; of conversations all that stands before the last answer is one, and the teacher
            writes up to the token that ends an answer.
        temperature: of the choice of tokens; 0 takes the likeliest.
        top: how many of the likeliest tokens are drawn from; 0 is all.

    Raises:
        ValueError: if no training text is longer than the prompt.
    """
    long = np.flatnonzero(prompts.lengths > prompt_tokens)
    if wanted.end is not None:
        long = np.flatnonzero(prompts.lengths < wanted.field.longest)
    if not len(long):
        most = int(prompts.lengths.max(initial=0))
        raise ValueError(f"prompt_tokens: got {prompt_tokens}, want fewer than the texts' {most}")
    for numbers in wanted.batches():
        rows = prompts[long[numbers % len(long)]]
        tokens, mask, lengths = _begin_texts(rows, wanted, prompt_tokens)
        draws = Draws(wanted.seed, numbers, 0)
        said = continue_texts(
            begin_answer(teacher),
            tokens,
            mask,
            lengths,
            draws,
            Sampling(temperature, top),
            wanted.end,
        )
        places = torch.arange(tokens.shape[1], device=wanted.device)
        lessons = (said.mask != 0) & (places >= lengths[:, None] - 1)
        following = said.following.masked_fill(~lessons, IGNORED)
        yield WrittenTexts(said.tokens, following, said.mask)


def _begin_texts(
    rows: RaggedRows, wanted: TextRequest, prompt_tokens: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens [B, N], the mask of the texts that they become [B, N], and how many are prompts [B]: the first of running text, which
    becomes as long as it was; all of conversations up to an answer, which becomes as long as a text may be."""
    inputs = wanted.field.prepare("text", rows)
    tokens, mask = (torch.from_numpy(each).to(wanted.device) for each in inputs.values())
    if wanted.end is None:
        return tokens, mask, torch.full_like(tokens[:, 0], prompt_tokens)
    room = wanted.field.longest - tokens.shape[1]
    padded = nn.functional.pad(tokens, (0, room), value=wanted.field.padding)
    return padded, torch.ones_like(padded), mask.sum(1)
