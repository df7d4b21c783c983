"""The tokens of a text that a model has to tell, of which it sees something else."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import numpy as np

from edgekd.errors import InputError
from edgekd.field import Field
from edgekd.field import RaggedRows
from edgekd.field import require
from edgekd.field import require_whole
from edgekd.fields.tags import IGNORED
from edgekd.fields.tags import check_places
from edgekd.fields.tags import pad_places
from edgekd.fields.tokens import MOST_VOCABULARY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows

KIND = "masked-tokens"


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedTokens(Field):
    """Ragged int32 or int64 [*], as many as the text has tokens; `ignored` where a token is not asked for.

    Of a training split, whose texts are whole, all tokens that may be masked stand here; of any other those that are.
    """

    kind: ClassVar[str] = KIND
    vocabulary: int
    """How many tokens there are: their numbers are below it."""
    mask_token: int
    """Stands in a text for a token that is to be told."""
    special: tuple[int, ...] = ()
    """Tokens that are never masked and never drawn, ascending."""
    share: float = 0.15
    """Of the tokens of a text that are asked for: rounded, at least one."""
    mask_share: float = 0.8
    """Of those, in how many places the mask token stands."""
    random_share: float = 0.1
    """In how many any other token stands; in the rest the token itself."""
    ignored: int = IGNORED
    """Stands for no token."""

    def __post_init__(self) -> None:
        require_whole("vocabulary", self.vocabulary, 2, MOST_VOCABULARY)
        require_whole("mask_token", self.mask_token, 0, self.vocabulary - 1)
        require_whole("ignored", self.ignored, -(2**31), 2**31 - 1)
        known = 0 <= self.ignored < self.vocabulary
        require(not known, f"ignored {self.ignored}, which is a token, want another number")
        listed = isinstance(self.special, tuple) and len(self.special) < self.vocabulary
        require(listed, "special tokens that are no list, or all tokens, want some of them")
        for token in self.special:
            require_whole("special", token, 0, self.vocabulary - 1)
        rises = all(a < b for a, b in zip(self.special, self.special[1:], strict=False))
        require(rises, "special tokens out of order, want them ascending, each once")
        for name in ("share", "mask_share", "random_share"):
            value = getattr(self, name)
            plain = type(value) in (int, float) and 0 <= value <= 1
            require(plain, f"{name} {str(value)[:20]}, want a number from 0 to 1")
        require(self.share > 0, "share 0, want more")
        both = self.mask_share + self.random_share
        require(both <= 1 + 1e-9, f"mask_share and random_share {both:g} together, want at most 1")

    def check(self, rows: Rows, where: str) -> None:
        """Refuse tokens beyond the vocabulary other than `ignored`, and a text of which none is asked for."""
        check_places(rows, where, self.vocabulary, self.ignored, "token")
        assert isinstance(rows, RaggedRows)
        empty = np.flatnonzero(self.count_asked(rows) == 0)
        if len(empty):
            raise InputError(
                f"{where}: got no token to be told in sample {empty[0]}, want one at least"
            )

    def count_asked(self, rows: RaggedRows) -> NDArray[np.int64]:
        """How many tokens of each row stand here, [N]."""
        before = np.concatenate([[0], np.cumsum(np.asarray(rows.values) != self.ignored)])
        return np.asarray(before[rows.offsets[1:]] - before[rows.offsets[:-1]], np.int64)

    def count_compared(self, rows: Rows) -> NDArray[np.int64]:
        """`share` of the tokens of each row, rounded, but one at least."""
        assert isinstance(rows, RaggedRows)
        asked = self.count_asked(rows)
        rounded = np.rint(self.share * asked).astype(np.int64)
        return np.asarray(np.minimum(asked, np.maximum(1, rounded)))

    def compared_share(self) -> float:
        """`share`."""
        return self.share

    def sizes(self) -> dict[str, int]:
        """``vocabulary``."""
        return {"vocabulary": self.vocabulary}

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """int64 [N, L], filled up with `ignored` to the longest of these rows."""
        return {name: pad_places(rows, self.ignored)}
