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
    prompt: int,
    draws: Draws,
    sampling: Sampling = DRAWN,
) -> tuple[Tensor, Tensor]:
    """Replace what follows the first `prompt` tokens of each text by what a model says.

    Args:
        answer: gives the logits of the next token; of `begin_answer`, for these texts alone.
        tokens: int64 [B, N].
        mask: [B, N], 1 where there is a token; padding stands behind the texts, and stays.
        prompt: tokens that stay, at least 1.
        draws: what chance is made of.
        sampling: how a token is chosen.

    Returns:
        The texts [B, N], and what follows each token [B, N]: the next one, at a text's end one more that was chosen.

    Raises:
        ValueError: if there is no prompt.
    """
    if prompt < 1:
        raise ValueError(f"got a prompt of {prompt} tokens, want at least 1")
    made, lengths = tokens.clone(), mask.sum(1)
    following = torch.cat([tokens[:, 1:], tokens[:, :1]], dim=1)
    for place in range(prompt - 1, tokens.shape[1]):
        seen = slice(None, place + 1)
        logits = answer(made[:, seen], mask[:, seen])[:, -1]
        chosen = choose_tokens(logits, draws.at(place), sampling)
        following[:, place] = chosen
        if place + 1 < tokens.shape[1]:
            goes_on = lengths > place + 1
            made[:, place + 1] = torch.where(goes_on, chosen, made[:, place + 1])
    return made, following


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
