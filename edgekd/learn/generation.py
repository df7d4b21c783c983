"""Texts that a language model goes on with: greedy, or drawn by hashed numbers, so that any text can be drawn again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import NamedTuple
from typing import cast

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.arithmetic import to_device
from edgekd.learn.cache import CacheSizes
from edgekd.learn.cache import Decoder
from edgekd.learn.cache import find_cache_sizes
from edgekd.learn.view import draw_numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NextLogits = Callable[[Tensor, Tensor], Tensor]
"""Tokens [B, N] and their mask [B, N], 1 where there is no padding, to logits [B, *, V], the last token's last."""
FIRST_DRAW = 2**20
"""Number of the first token's draw in a sample's sequence of random numbers; `edgekd.learn.view` has the lower ones."""


class Sampling(NamedTuple):
    """How the next token is chosen."""

    temperature: float = 1.0
    """What logits are divided by; 0 takes the likeliest."""
    top: int = 0
    """How many of the likeliest tokens are drawn from; 0 is all."""


DRAWN = Sampling()


class Draws(NamedTuple):
    """Uniform numbers in [0, 1) that depend on nothing but these."""

    seed: int
    indices: NDArray[np.int64]
    """[B], of the samples."""
    round: int
    """Which time they are drawn."""

    def at(self, number: int) -> NDArray[np.float64]:
        """[B], those of one place in the texts."""
        return draw_numbers(self.seed, self.indices, self.round, FIRST_DRAW + number)


class ContinuedTexts(NamedTuple):
    """Texts with what a model said behind their prompts, [B, N] each."""

    tokens: Tensor
    following: Tensor
    """What follows each: the next one, at a text's end one more that was chosen."""
    mask: Tensor
    """1 where there is a token."""


class CachedAnswer:
    """Answers to one batch of texts that grow: a call reads the tokens alone that are new since the one before."""

    def __init__(self, decoder: Decoder, sizes: CacheSizes) -> None:
        self._decoder, self._sizes = decoder, sizes
        self._past: tuple[Tensor, ...] = ()

    def __call__(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Logits of the new tokens."""
        if not self._past:
            shape = (len(tokens), self._sizes.heads, 0, self._sizes.head_size)
            empty = torch.zeros(shape, device=tokens.device)
            self._past = (empty,) * (2 * self._sizes.layers)
        kept = self._past[0].shape[2]
        logits, *past = self._decoder.decode(tokens[:, kept:], mask, self._past)
        self._past = tuple(past)
        return logits


def begin_answer(model: nn.Module) -> NextLogits:
    """What answers one batch of texts while they grow: with a cache where the model has one, else all anew each time."""
    sizes = find_cache_sizes(model)
    return model if sizes is None else CachedAnswer(cast(Decoder, model), sizes)


@torch.no_grad()
def continue_texts(
    answer: NextLogits,
    tokens: Tensor,
    mask: Tensor,
    prompts: Tensor,
    draws: Draws,
    sampling: Sampling = DRAWN,
    end: int | None = None,
) -> ContinuedTexts:
    """Replace what follows the first tokens of each text by what a model says.

    Args:
        answer: gives the logits of the next token; of `begin_answer`, for these texts alone.
        tokens: int64 [B, N].
        mask: [B, N], 1 where there is a token; padding stands behind the texts, and stays.
        prompts: int64 [B], how many of them stay, at least 1.
        draws: what chance is made of.
        sampling: how a token is chosen.
        end: where this token is chosen, a text ends before it; None lets all become as long as they were.

    Raises:
        ValueError: if there is no prompt.
    """
    first = int(prompts.min()) if len(prompts) else 1
    if first < 1:
        raise ValueError(f"got a prompt of {first} tokens, want at least 1")
    made, left, lengths = tokens.clone(), mask.clone(), mask.sum(1)
    following = torch.cat([tokens[:, 1:], tokens[:, :1]], dim=1)
    for place in range(first - 1, tokens.shape[1]):
        seen = slice(None, place + 1)
        goes_on = lengths > place
        if not bool(goes_on.any()):
            break
        logits = answer(made[:, seen], left[:, seen])[:, -1]
        chosen = choose_tokens(logits, draws.at(place), sampling)
        speaks = goes_on & (prompts <= place + 1)
        following[:, place] = torch.where(speaks, chosen, following[:, place])
        if end is not None:
            ended = speaks & (chosen == end)
            lengths = torch.where(ended, place + 1, lengths)
            left[:, place + 1 :].masked_fill_(ended[:, None], 0)
        if place + 1 < tokens.shape[1]:
            stays = ~speaks | (lengths <= place + 1)
            made[:, place + 1] = torch.where(stays, made[:, place + 1], chosen)
    return ContinuedTexts(made, following, left)


def choose_tokens(
    logits: Tensor, uniform: NDArray[np.float64], sampling: Sampling = DRAWN
) -> Tensor:
    """Choose one token a row: where the uniform number falls among the probabilities, the likeliest first.

    Args:
        logits: [B, V].
        uniform: [B], each in [0, 1).
        sampling: how.

    Returns:
        int64 [B].
    """
    if sampling.temperature == 0:
        return logits.argmax(1)
    count = min(sampling.top or logits.shape[1], logits.shape[1])
    likely, order = logits.double().topk(count, dim=1)
    reached = torch.softmax(likely / sampling.temperature, 1).cumsum(1)
    numbers = to_device(torch.from_numpy(uniform), logits.device)[:, None]
    place = (reached <= numbers).sum(1, keepdim=True).clamp(max=count - 1)
    return order.gather(1, place)[:, 0]
