"""A teacher's logits to the tokens of its own tokenizer, of which some answer to the student's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class PairedLogits:
    """Logits for those of the student's tokens that have a partner."""

    there: Tensor
    """[...], bool: which of the student's tokens have one."""
    logits: Tensor
    """[P, U], of the partners in their order."""

    @classmethod
    def gather(cls, logits: Tensor, places: Tensor) -> Self:
        """Those of `logits` [B, M, U] at `places` [B, L], of each of the student's tokens that of its partner or -1."""
        there = places >= 0
        samples = torch.arange(len(places), device=places.device)[:, None].expand_as(places)
        return cls(there, logits[samples[there], places[there]])

    @property
    def shape(self) -> tuple[int, ...]:
        """As of the logits to all of the student's tokens."""
        return (*self.there.shape, self.logits.shape[-1])

    @property
    def ndim(self) -> int:
        """The same."""
        return self.there.ndim + 1

    def __len__(self) -> int:
        return len(self.there)

    def __getitem__(self, counting: Tensor) -> PairedLogits:
        """Those of the tokens that are chosen, [n]."""
        return PairedLogits(self.there[counting], self.logits[counting[self.there]])

    def flatten(self) -> PairedLogits:
        """All tokens on one axis."""
        return replace(self, there=self.there.flatten())


def keep_paired(values: Mapping[str, Any]) -> dict[str, Any]:
    """What belongs to tokens with a partner: logits [P, U], and of all else that has a row for each token [P, ...]."""
    paired = next((each for each in values.values() if isinstance(each, PairedLogits)), None)
    if paired is None:
        return dict(values)
    there, found = paired.there, dict(values)
    for name, value in values.items():
        if isinstance(value, PairedLogits):
            found[name] = value.logits
        elif isinstance(value, Tensor) and value.shape[: there.ndim] == there.shape:
            found[name] = value[there]
    return found
