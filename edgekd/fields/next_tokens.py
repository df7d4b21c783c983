"""The token that follows each token of a text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

from edgekd.field import Field
from edgekd.field import require
from edgekd.field import require_whole
from edgekd.fields.tags import IGNORED
from edgekd.fields.tags import check_places
from edgekd.fields.tags import pad_places
from edgekd.fields.tokens import MOST_VOCABULARY

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

    def __post_init__(self) -> None:
        require_whole("vocabulary", self.vocabulary, 2, MOST_VOCABULARY)
        require_whole("ignored", self.ignored, -(2**31), 2**31 - 1)
        known = 0 <= self.ignored < self.vocabulary
        require(not known, f"ignored {self.ignored}, which is a token, want another number")

    def check(self, rows: Rows, where: str) -> None:
        """Refuse tokens beyond the vocabulary other than `ignored`."""
        check_places(rows, where, self.vocabulary, self.ignored, "token")

    def sizes(self) -> dict[str, int]:
        """``vocabulary``."""
        return {"vocabulary": self.vocabulary}

    def prepare(self, name: str, rows: Rows) -> dict[str, NDArray[Any]]:
        """int64 [N, L], filled up with `ignored` to the longest of these rows."""
        return {name: pad_places(rows, self.ignored)}
