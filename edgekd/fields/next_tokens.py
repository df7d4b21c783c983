"""The token that follows each token of a text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar
from typing import Self

import numpy as np

from edgekd.field import Field
from edgekd.field import RaggedRows
from edgekd.field import require
from edgekd.field import require_whole
from edgekd.fields.tags import IGNORED
from edgekd.fields.tags import check_places
from edgekd.fields.tags import pad_places
from edgekd.fields.tokens import MOST_VOCABULARY
from edgekd.scan import find_first

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows


@dataclasses.dataclass(frozen=True, kw_only=True)
class NextTokens(Field):
    """Ragged int32 or int64 [*], as many as the text has tokens; `ignored` where what follows counts for nothing."""

    kind: ClassVar[str] = "next-tokens"
    vocabulary: int
    """How many tokens there are: their numbers are below it."""
    ignored: int = IGNORED
    """Stands for no token."""
    share: float = 1.0
    """How much of the training texts counts; of running text all, of conversations what answers say."""

    def __post_init__(self) -> None:
        require_whole("vocabulary", self.vocabulary, 2, MOST_VOCABULARY)
        require_whole("ignored", self.ignored, -(2**31), 2**31 - 1)
        known = 0 <= self.ignored < self.vocabulary
        require(not known, f"ignored {self.ignored}, which is a token, want another number")
        counts = type(self.share) in (int, float) and 0 < self.share <= 1
        require(counts, f"share {str(self.share)[:20]}, want a number above 0, at most 1")

    @classmethod
    def describe(cls, rows: Rows, order: NDArray[np.int64], **said: Any) -> Self:
        """With the `share` of the training rows."""
        found = cls(**said)
        if not isinstance(rows, RaggedRows) or not len(order):
            return found
        if find_first(rows.values, lambda some: some == found.ignored) is None:
            return found  # running text, which may be larger than memory
        counted, total = (int(each[order].sum()) for each in (found._count(rows), rows.lengths))
        return dataclasses.replace(found, share=counted / total) if counted else found

    def to_json(self) -> dict[str, Any]:
        """Without the share where all counts."""
        told = super().to_json()
        return {name: value for name, value in told.items() if name != "share" or value != 1}

    def count_compared(self, rows: Rows) -> NDArray[np.int64] | None:
        """How many tokens of each row count; None where all do."""
        return self._count(rows) if self.share < 1 and isinstance(rows, RaggedRows) else None

    def compared_share(self) -> float:
        """`share`."""
        return self.share

    def _count(self, rows: RaggedRows) -> NDArray[np.int64]:
        before = np.concatenate([[0], np.cumsum(np.asarray(rows.values) != self.ignored)])
        return np.asarray(before[rows.offsets[1:]] - before[rows.offsets[:-1]], np.int64)

    def check(self, rows: Rows, where: str) -> None:
        """Refuse tokens beyond the vocabulary other than `ignored`."""
        check_places(rows, where, self.vocabulary, self.ignored, "token")

    def sizes(self) -> dict[str, int]:
        """``vocabulary``."""
        return {"vocabulary": self.vocabulary}

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """int64 [N, L], filled up with `ignored` to the longest of these rows."""
        return {name: pad_places(rows, self.ignored)}
