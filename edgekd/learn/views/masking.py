"""Which tokens of a text a model has to tell, and what it sees in their places: another choice in every view.

As BERT is trained (Devlin et al. 2019, arXiv:1810.04805, app. A.1): of the tokens that are not special a share is asked
for; of those most are masked, some are replaced by any other token, and the rest stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import form_text
from edgekd.fields.masked_tokens import MaskedTokens
from edgekd.learn.view import MASKING
from edgekd.learn.view import draw_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Rows

JUDGED_SEED = 0
"""Of what is masked in samples that models are judged on, whatever the seed of a run: all are judged alike."""
_DRAWS = 3
"""Numbers that are drawn for each place: whether it is asked for, what is done with it, and by which token."""


def mask_split(dataset: Dataset, rows: Mapping[str, Rows]) -> dict[str, Rows]:
    """A split on which models are judged: the same texts, and the same tokens to be told of them, whoever is asked.

    Args:
        dataset: what the fields are.
        rows: of the split, whose texts are whole.

    Raises:
        InputError: as `mask_samples`.
    """
    everything = np.arange(len(next(iter(rows.values()))))
    return {**rows, **mask_samples(dataset, rows, everything, JUDGED_SEED, 0)}


def mask_samples(
    dataset: Dataset,
    rows: Mapping[str, Rows],
    indices: NDArray[np.int64],
    seed: int,
    view: int,
) -> dict[str, Rows]:
    """The texts and the masked tokens of some samples; nothing of data whose task masks none.

    Args:
        dataset: what the fields are.
        rows: of a split whose texts are whole.
        indices: [B], into it.
        seed: of the masks.
        view: its number.

    Returns:
        Rows [B] by the names of the fields, at `indices`.

    Raises:
        InputError: if it is not one text that the tokens belong to.
    """
    found: dict[str, Rows] = {}
    for name, field in dataset.targets.items():
        if not isinstance(field, MaskedTokens):
            continue
        texts = [each for each, kind in dataset.inputs.items() if kind.kind == "tokens"]
        if len(texts) != 1:
            raise InputError(f"{name}: got {len(texts)} texts, want one that they belong to")
        found[texts[0]], found[name] = mask_rows(
            field, rows[texts[0]][indices], rows[name][indices], indices, seed, view
        )
    return found


def mask_rows(
    field: MaskedTokens,
    text: Rows,
    asked: Rows,
    indices: NDArray[np.int64],
    seed: int,
    view: int,
) -> tuple[RaggedRows, RaggedRows]:
    """Texts with some tokens masked, and those tokens.

    Which places are asked for: those with the smallest numbers of (seed, index, view, place), as many of each text as
    `MaskedTokens.count_compared` says.

    Args:
        field: how many.
        text: whole texts [B].
        asked: the tokens that may be asked for [B], at their places.
        indices: [B], of the samples.
        seed: of the masks.
        view: its number.

    Raises:
        InputError: if texts and tokens are not of the same lengths.
    """
    alike = (
        isinstance(text, RaggedRows)
        and isinstance(asked, RaggedRows)
        and np.array_equal(text.lengths, asked.lengths)
    )
    if not alike:
        got = f"{form_text(text)} and {form_text(asked)}"
        raise InputError(f"masked tokens: got {got}, want one for every token of a text")
    assert isinstance(text, RaggedRows) and isinstance(asked, RaggedRows)
    starts = asked.offsets[:-1] - asked.offsets[0]
    sample = np.repeat(np.arange(len(asked)), asked.lengths)
    place = np.arange(len(sample)) - starts[sample]
    own, numbers = np.asarray(asked.values), MASKING + _DRAWS * place
    first = draw_numbers(seed, indices[sample], view, numbers)
    first[own == field.ignored] = np.inf
    rank = np.empty(len(sample), np.int64)
    rank[np.lexsort((place, first, sample))] = place  # places of a sample are its ranks, too
    chosen = np.flatnonzero(rank < field.count_compared(asked)[sample])
    where, numbers = indices[sample[chosen]], numbers[chosen]
    second = draw_numbers(seed, where, view, numbers + 1)
    third = draw_numbers(seed, where, view, numbers + 2)
    seen = np.array(text.values)
    drawn = _find_ordinary(field, third).astype(seen.dtype)
    seen[chosen] = np.select(
        [second < field.mask_share, second < field.mask_share + field.random_share],
        [np.full(len(chosen), field.mask_token, seen.dtype), drawn],
        seen[chosen],
    )
    wanted = np.full(own.shape, field.ignored, own.dtype)
    wanted[chosen] = own[chosen]
    return RaggedRows(seen, text.offsets), RaggedRows(wanted, asked.offsets)


def _find_ordinary(field: MaskedTokens, numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """A token that is not special for each number in [0, 1)."""
    special = np.array(field.special, np.int64)
    drawn = (numbers * (field.vocabulary - len(special))).astype(np.int64)
    before = special - np.arange(len(special))  # ordinary tokens below each special one
    return np.asarray(drawn + np.searchsorted(before, drawn, side="right"))
