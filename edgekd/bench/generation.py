"""Text a model writes: token after token, the likeliest or one drawn; draws are hashes, so the same seed gives the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from typing import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    import numpy as np

    from edgekd.runtime import TextStream

_BITS = 53
"""Of a float64 below 1."""


class TokenChoice(NamedTuple):
    """How the next token is taken."""

    temperature: float = 0.0
    """By which logits are divided before one is drawn; 0 takes the likeliest."""
    top_k: int = 0
    """Only the likeliest so many may be drawn; 0 lets all."""
    top_p: float = 1.0
    """Of these only the likeliest that together have this share of their probability, the one that reaches it included (Holtzman
    et al. 2020, nucleus sampling); 1 lets all."""
    seed: int = 0
    """Of the draws."""


GREEDY = TokenChoice()


class GeneratedText(NamedTuple):
    """What a model wrote."""

    tokens: list[int]
    margins: list[float]
    """Of each token, how much its logit is above the highest other one; below 0 where another was likelier."""


def generate_text(
    stream: TextStream,
    prompt: np.ndarray,
    count: int,
    sampling: TokenChoice = GREEDY,
    ends: Collection[int] = (),
) -> GeneratedText:
    """At most `count` tokens behind `prompt` int64 [N], up to and with the first of `ends`.

    Raises:
        ValueError: if they do not fit into the model's longest text, or logits are not finite.
    """
    import numpy as np

    stream.rewind(0)
    logits = stream.decode(prompt)
    tokens: list[int] = []
    margins: list[float] = []
    for index in range(count):
        if not np.isfinite(logits.max()):  # single ones of -infinity are tokens that are never said
            raise ValueError(f"logits of token {index}: got NaN or infinity, want finite numbers")
        token = choose_token(logits, sampling, index)
        tokens.append(token)
        margins.append(measure_margin(logits, token))
        if token in ends or len(tokens) == count:
            break
        logits = stream.decode(np.array([token], np.int64))
    return GeneratedText(tokens, margins)


def choose_token(logits: np.ndarray, sampling: TokenChoice, index: int) -> int:
    """The next token by logits [V]: the first of the likeliest, or the one that the draw of number `index` gives."""
    import numpy as np

    if not sampling.temperature:
        return int(logits.argmax())
    wide = logits.astype(np.float64)
    with np.errstate(
        over="ignore"
    ):  # the likeliest stays 0 however low it is, the others -infinity
        wide = (wide - wide.max()) / sampling.temperature
    if 0 < sampling.top_k < len(wide):
        least = np.partition(wide, -sampling.top_k)[-sampling.top_k]
        wide = np.where(wide >= least, wide, -np.inf)
    weights = np.exp(wide)
    if sampling.top_p < 1:
        order = np.argsort(-weights, kind="stable")
        ordered = weights[order]
        before = ordered.cumsum() - ordered
        weights[order[before >= sampling.top_p * ordered.sum()]] = 0
    shares = weights.cumsum()
    at = int(np.searchsorted(shares, draw_number(sampling.seed, index) * shares[-1], "right"))
    return min(at, len(wide) - 1)


def draw_number(seed: int, index: int) -> float:
    """A number in [0, 1) that is a hash of both."""
    digest = hashlib.blake2b(f"{seed} {index}".encode(), digest_size=8).digest()
    number: float = (int.from_bytes(digest, "little") >> (64 - _BITS)) / 2**_BITS
    return number


def measure_margin(logits: np.ndarray, token: int) -> float:
    """How much the logit of a token is above the highest of the others."""
    import numpy as np

    others = np.delete(logits, token)
    return float(logits[token]) - float(others.max(initial=-np.inf))
