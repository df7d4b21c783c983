"""A folder into which texts were spooled: the shards of their tokens, for the source that they were spooled for."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd import files
from edgekd import splits
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.data.spool_folder import Spool
from edgekd.learn.data.spool_folder import description_path
from edgekd.learn.data.spool_folder import read_description
from edgekd.learn.data.spool_folder import shard_path
from edgekd.learn.source import SPLITS
from edgekd.learn.source import locate
from edgekd.tokenizer import FILE
from edgekd.units import bytes_text
from edgekd.units import number_text

if TYPE_CHECKING:
    from edgekd.field import Rows

SUFFIX = "tokens"
"""Of a shard."""
CORPORA = ("text-corpus", "masked-text")
"""Sources of which each reads what was spooled for the other."""
_LABELLED = ("jsonl", "text-csv")
_ROWS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    **dict.fromkeys(CORPORA, (("tokens", "sizes"), ())),
    **dict.fromkeys(_LABELLED, (("text", "label"), ("cut",))),
    "text-pairs": (("first", "second"), ("cut", "score", "hash")),
    "tagged-text": (("text", "firsts", "tags"), ("cut",)),
}
"""What a shard has beside the split of each row, by its source: rows of different lengths, and a number each."""
_JSON, _SCORE, _COUNTS = ("label", "tags"), "score", ("sizes", "firsts", "cut", "split")
"""Columns of JSON in UTF-8, of fractions, and of numbers from 0 on; all others are of whole numbers."""


LARGE_BYTES = 2**26
"""Files of texts beyond which a spool is proposed."""
HINT = "edgekd spool SOURCE FOLDER makes tokens of texts of any size; a recipe then names FOLDER"
"""Where texts are too large to be read at once."""


def propose_spool(source: str, reference: str, files_of: Callable[[], Sequence[Path]]) -> str:
    """Say how large texts are read in little memory; empty where they are small, no texts, or spooled already.

    Args:
        source: that reads them.
        reference: what it reads.
        files_of: lists its files.
    """
    if source not in _ROWS:
        return ""
    paths = files_of()
    total_bytes = sum(path.stat().st_size for path in paths)
    if total_bytes < LARGE_BYTES or any(path.suffix == f".{SUFFIX}" for path in paths):
        return ""
    return (
        f"{bytes_text(total_bytes)} of texts: edgekd spool {source}:{reference} FOLDER tokenizes them once in little memory; "
        f"then source: {source}:FOLDER"
    )


class TokenShard(NamedTuple):
    """A shard that was opened."""

    split: str
    """That its folder says."""
    rows: Mapping[str, Rows]
    path: Path

    def require(self, ragged: Sequence[str], plain: Sequence[str] = ()) -> None:
        """Refuse rows that are not those of a source.

        Raises:
            InputError: if one is missing, of another form, no number, or of another count than the others.
        """
        names = (*ragged, *plain, "split")
        for name in names:
            rows = self.rows.get(name)
            values = rows.values if isinstance(rows, RaggedRows) else rows
            if (
                values is None
                or isinstance(rows, RaggedRows) != (name in ragged)
                or values.ndim != 1
                or values.dtype.kind not in ("f" if name == _SCORE else "iu")
                or (name in _JSON and values.dtype != np.uint8)
                or (name in _COUNTS and values.min(initial=0) < 0)
            ):
                raise self.refuse(f"no {name} of a spool")
        if len({len(self.rows[name]) for name in names}) > 1:
            raise self.refuse("more of one column than of another")
        if np.asarray(self.rows["split"]).max(initial=0) > len(SPLITS):
            raise self.refuse("the number of no split")

    def read_json(self, name: str) -> Iterator[Any]:
        """Yield what the cells of a column of JSON say; None of an empty one.

        Raises:
            InputError: if one is no JSON.
        """
        for cell in self.rows[name]:
            try:
                value = json.loads(cell.tobytes().decode()) if len(cell) else None
                str(value).encode()
            except (ValueError, RecursionError) as error:
                raise self.refuse(f"a {name} that is no JSON") from error
            yield value

    def refuse(self, got: str) -> InputError:
        """What is said of a shard that `got` something else than a spool has."""
        return InputError(f"{self.path}: got {got}, want what edgekd spool wrote")

    def name_splits(self, said: bool) -> NDArray[np.int64]:
        """The number of each row's split in `SPLITS`, [N].

        Args:
            said: whether rows say it themselves; of one that does not the folder does.
        """
        codes = np.asarray(self.rows["split"], np.int64)
        own = SPLITS.index(self.split)
        return np.where((codes > 0) & said, codes - 1, own)


class TextSpool(NamedTuple):
    """What was spooled, by split."""

    folder: Path
    splits: Mapping[str, Spool]

    @property
    def source(self) -> str:
        """For which it was spooled."""
        return str(self.splits["train"].words["source"])

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Of that source, as they were said."""
        found: Mapping[str, Any] = self.splits["train"].words["arguments"]
        return found

    def list_files(self) -> list[Path]:
        """All that is read of it."""
        found = []
        for name, spool in self.splits.items():
            found.append(description_path(self.folder, name))
            numbers = range(len(spool.shards))
            found += [shard_path(self.folder, name, number, SUFFIX) for number in numbers]
        return [*found, *self._find_tokenizer()]

    def _find_tokenizer(self) -> list[Path]:
        return [self.folder / FILE] if self.splits["train"].words.get("tokenizer") else []

    def open_encoding(self, tokenizer: str | None, data_dir: Path | None) -> Encoding:
        """How its texts became tokens.

        Raises:
            InputError: if that is another tokenizer than the one that is named.
        """
        own = open_encoding(str(self.folder) if self._find_tokenizer() else None, None)
        if tokenizer and open_encoding(tokenizer, data_dir).file != own.file:
            raise InputError(f"{self.folder}: got tokens of another tokenizer than {tokenizer}")
        if own.file and files.digest_bytes(own.file) != self.splits["train"].words["tokenizer"]:
            raise InputError(f"{self.folder / FILE}: got another file than was written")
        return own

    def require_same(self, source: str, said: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
        """Refuse to read by another source, or with other words than it was spooled with.

        Args:
            source: that reads it.
            said: arguments that shaped the tokens.
            usual: what they are where nobody says them.

        Raises:
            InputError: naming the first that is another one.
        """
        families = [each for each in (CORPORA, _LABELLED) if self.source in each]
        if source not in (families[0] if families else (self.source,)):
            raise InputError(f"{self.folder}: got a spool for {self.source}, want one for {source}")
        for name, value in said.items():
            spooled = self.arguments.get(name, usual[name])
            if value not in (usual[name], spooled):
                raise InputError(
                    f"{self.folder}: {name}: got {value!r}, want {spooled!r}, as it was spooled with"
                )

    def says_splits(self) -> bool:
        """Compare all shards with what was written, and return whether rows say of which split they are.

        Raises:
            InputError: as `read_shards`.
        """
        return max([bool(np.asarray(each.rows["split"]).any()) for each in self.read_shards()])

    def read_shards(self, *, trusted: bool = False) -> Iterator[TokenShard]:
        """Open the shards one after the other.

        Args:
            trusted: whether their bytes have been compared already.

        Raises:
            InputError: if one is not what was written.
        """
        for name, spool in self.splits.items():
            for number, shard in enumerate(spool.shards):
                path = shard_path(self.folder, name, number, SUFFIX)
                if not trusted and files.digest_file(path) != shard.sha256:
                    raise InputError(
                        f"{path}: got other bytes than were written",
                        hint="the command that spooled it makes it again",
                    )
                opened = TokenShard(name, splits.read(path), path)
                opened.require(*_ROWS[self.source])
                yield opened

    def describe(self) -> str:
        """``3 shards``, and what was left out."""
        shards = number_text(sum(len(spool.shards) for spool in self.splits.values()), "shard")
        return f"{shards} of {self.splits['train'].source}"

    @property
    def skipped(self) -> tuple[str, ...]:
        """What was left out, each with the reason."""
        return tuple(each for spool in self.splits.values() for each in spool.skipped)


def find_spool(reference: str, data_dir: Path | None) -> TextSpool | None:
    """What was spooled into a folder; None if `reference` is nothing of the kind.

    Raises:
        InputError: if a description is broken, training is not there, or its splits were made in several ways.
    """
    try:
        folder = locate(reference, data_dir)
    except InputError:
        return None
    if not folder.is_dir():
        return None
    found = {name: spool for name in SPLITS if (spool := read_description(folder, name))}
    if not any("source" in spool.words for spool in found.values()):
        return None
    if "train" not in found or not found["train"].shards:
        raise InputError(f"{folder}: got no spooled split for training, want one")
    words = [{**spool.words, "commit": ""} for spool in found.values()]
    source, arguments = words[0].get("source"), words[0].get("arguments")
    known = isinstance(source, str) and source in _ROWS and isinstance(arguments, dict)
    if isinstance(arguments, dict) and source not in CORPORA:
        known &= type(arguments.get("longest")) is int and arguments["longest"] > 0
    if not known or any(each != words[0] for each in words):
        raise InputError(f"{folder}: got splits that were spooled in several ways, want one way")
    return TextSpool(folder, found)


def list_spool(
    reference: str, data_dir: Path | None, other: Callable[[], list[Path]]
) -> list[Path]:
    """The files of a spool, or else what `other` lists.

    Raises:
        InputError: as `find_spool`.
    """
    spool = find_spool(reference, data_dir)
    return other() if spool is None else spool.list_files()
