"""What a folder says of the stream that was spooled into it: its shards, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError

FORMAT = "edgekd-spool/1"
_MOST_BYTES = 2**28
"""Of the description: a million shards."""


class SpooledShard(NamedTuple):
    """A shard that is there."""

    samples: int
    sha256: str
    """Of its file."""
    content: str
    """SHA-256 of what the stream gave from its beginning to the end of this shard."""
    is_full: bool
    """Whether the next sample begins another one."""


class Spool(NamedTuple):
    """What a folder holds of a stream."""

    source: str
    split: str
    shards: tuple[SpooledShard, ...]
    has_ended: bool
    """Whether the stream ended, so that there is no more of it."""
    skipped: tuple[str, ...] = ()
    """Samples that cannot be used, each with the reason."""
    first: str = ""
    """SHA-256 of what the first sample is."""
    words: Mapping[str, Any] = {}
    """What else shaped the shards: of texts their source, its arguments, tokenizer and commit."""

    @property
    def samples(self) -> int:
        """Of all shards."""
        return sum(shard.samples for shard in self.shards)


def description_path(folder: Path, split: str) -> Path:
    """The file that says what there is of a split."""
    return folder / f"spool-{split}.json"


def shard_path(folder: Path, split: str, number: int, suffix: str) -> Path:
    """The file of a shard."""
    return folder / f"{split}-{number:05}.{suffix}"


def save_description(folder: Path, spool: Spool) -> None:
    """Write what there is of a split."""
    value = {**spool._asdict(), "shards": [each._asdict() for each in spool.shards]}
    files.write_bytes(
        description_path(folder, spool.split), files.pretty_json({"format": FORMAT, **value})
    )


def read_description(folder: Path, split: str) -> Spool | None:
    """What an earlier call says that there is of a stream; None where there was none.

    Raises:
        InputError: if it is no description.
    """
    path = description_path(folder, split)
    if not path.exists():
        return None
    value = files.read_json(path, limit_bytes=_MOST_BYTES)
    try:
        if value.pop("format") != FORMAT:
            raise ValueError("another format")
        shards = tuple(SpooledShard(**each) for each in value.pop("shards"))
        spool = Spool(**{**value, "shards": shards, "skipped": tuple(value["skipped"])})
        texts = spool.source, spool.split, spool.first, *(each.sha256 for each in shards)
        if (
            any(type(each.samples) is not int or each.samples < 1 for each in shards)
            or not all(isinstance(each, str) for each in (*texts, *spool.skipped))
            or not isinstance(spool.words, dict)
        ):
            raise ValueError("another format")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: got no description of a spool, want what edgekd spool wrote ({FORMAT})",
            hint="give a new folder",
        ) from error
    return spool
