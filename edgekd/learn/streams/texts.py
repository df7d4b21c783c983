"""Texts of a stream become shards of tokens, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.data import SOURCES
from edgekd.learn.data.encoding import ByteEncoding
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.data.source_text import drop_defaults
from edgekd.learn.data.source_text import format_source
from edgekd.learn.data.spool_folder import Spool
from edgekd.learn.data.spool_folder import read_description
from edgekd.learn.source import SPLITS
from edgekd.learn.streams.rows import RowWords
from edgekd.learn.streams.rows import open_rows
from edgekd.learn.streams.spool import SampleStream
from edgekd.learn.streams.spool import spool_samples
from edgekd.learn.streams.text_samples import KINDS
from edgekd.learn.streams.text_samples import make_samples
from edgekd.learn.streams.text_shards import make_form
from edgekd.named_member import NamedMember
from edgekd.progress import Progress
from edgekd.tokenizer import FILE

_LABELLED = ("text", "second", "label", "longest", "unlabelled")
SHAPING: Mapping[str, tuple[str, ...]] = {
    "text-corpus": ("text",),
    "masked-text": ("text",),
    "jsonl": _LABELLED,
    "text-csv": _LABELLED,
    "text-pairs": ("first", "second", "score", "longest"),
    "tagged-text": ("tokens", "tags", "longest"),
}
"""Arguments of a source that shape its tokens; the others are said where the folder is read."""
_ELSEWHERE = ("reference", "tokenizer", "on_broken")


def find_texts(said: str | dict[str, Any]) -> NamedMember | None:
    """The source of texts that a stream names, None if it names none.

    Raises:
        InputError: if it is one with other arguments than it takes.
    """
    name = said["name"] if isinstance(said, dict) else said.partition(":")[0]
    if name not in KINDS:
        return None
    try:
        return NamedMember.parse(said, SOURCES, "data source")
    except ValueError as error:
        raise InputError(f"{name}: {error}") from error


def spool_texts(
    member: NamedMember,
    folder: Path,
    progress: Progress,
    *,
    split: str = "train",
    take: int | None = None,
    skip_broken: bool = False,
    words: RowWords,
) -> Spool:
    """Write the texts of a stream as tokens into a folder that the same source reads.

    Args:
        member: of `text_samples.KINDS`, with its arguments.
        folder: new, or one that an earlier call left.
        progress: is told how far it is.
        split: that the samples are for.
        take: how many at most; None is all of a stream that is known to end.
        skip_broken: whether what cannot be used is left out.
        words: what may be said of the stream; its commit is that of an earlier call.

    Raises:
        InputError: as `spool_samples`; if an argument is one that is said where the folder is read.
    """
    name, arguments = member.name, dict(member.arguments)
    for each in drop_defaults(name, arguments):
        if each not in (*SHAPING[name], *_ELSEWHERE):
            raise InputError(
                f"{each}: got it for a spool, want it in the recipe, beside the folder that is spooled into"
            )
    encoding = open_encoding(_text_of(arguments["tokenizer"]), words.data_dir)
    if name == "masked-text" and isinstance(encoding, ByteEncoding):
        raise InputError("masked-text: got texts as bytes, which have no mask, want a tokenizer")
    known = read_description(folder, split)
    commit = "" if known is None else str(known.words.get("commit", ""))
    stream = open_rows(str(arguments["reference"]), words._replace(commit=commit))
    shaping = {each: arguments[each] for each in SHAPING[name]}
    digest = files.digest_bytes(encoding.file) if encoding.file else ""
    made_of = {"source": name, "arguments": shaping, "tokenizer": digest}
    for other in SPLITS:
        found = None if other == split else read_description(folder, other)
        if found is not None and {**found.words, "commit": ""} != {**made_of, "commit": ""}:
            raise InputError(
                f"{folder}: got a {other} split that was spooled in another way, want a new folder"
            )
    where = format_source(name, {"reference": arguments["reference"]})
    samples = make_samples(stream.rows, KINDS[name], shaping, where)
    spool = spool_samples(
        SampleStream(samples, stream.has_end),
        folder,
        progress,
        source=where,
        form=make_form(name, encoding, shaping),
        split=split,
        take=take,
        skip_broken=skip_broken or arguments["on_broken"] == "skip",
        words={**made_of, "commit": stream.commit},
    )
    if encoding.file and not (folder / FILE).exists():
        files.write_bytes(folder / FILE, encoding.file)
    return spool


def _text_of(argument: object) -> str | None:
    return None if argument is None else str(argument)
