"""Samples of text as shards of tokens, which the source that they are for reads."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd import splits
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.field import sum_lengths
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.spooled_texts import SUFFIX
from edgekd.learn.data.text_line import encode_words
from edgekd.learn.source import SPLITS
from edgekd.learn.streams.spool import PackedShard
from edgekd.learn.streams.spool import ShardForm
from edgekd.learn.streams.text_samples import TextSample
from edgekd.learn.streams.text_samples import require_usable

if TYPE_CHECKING:
    from edgekd.field import Rows

SHARD_BYTES, SHARD_SAMPLES = 2**23, 2**17
"""About thirty times the bytes are in memory while a shard is made."""
TOGETHER = 2**20
"""Bytes of documents that are encoded at once."""
Arguments = Mapping[str, Any]
Shard = dict[str, "Rows"]


class _Broken(NamedTuple):
    number: int
    fault: str


def make_form(source: str, encoding: Encoding, words: Arguments) -> ShardForm:
    """How the samples of a source lie in shards.

    Args:
        source: a name of `text_samples.KINDS`.
        encoding: how its texts become tokens.
        words: its arguments.
    """
    encode = _ENCODERS[source]

    def pack(batch: list[TextSample], start: int) -> PackedShard:
        values = [json.loads(sample.content) for sample in batch]
        broken: list[_Broken] = []
        shard, kept = encode(values, encoding, words, broken)
        splits_of = (values[number][0] for number in kept)
        codes = [SPLITS.index(split) + 1 if split else 0 for split in splits_of]
        shard["split"] = np.array(codes, np.uint8)
        file = io.BytesIO()
        splits.write_to(file, shard, np.arange(len(kept)))
        faults = tuple(f"{batch[each.number].place}: {each.fault}" for each in broken)
        return PackedShard(file.getvalue(), faults)

    return ShardForm(SUFFIX, SHARD_BYTES, SHARD_SAMPLES, require_usable, _spell, pack)


def _spell(sample: TextSample) -> bytes:
    return sample.content + b"\n"


def _hash_texts(texts: Sequence[str]) -> NDArray[np.uint64]:
    """The first eight bytes of the SHA-256 of each as a number."""
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    return np.frombuffer(b"".join(each[:8] for each in digests), ">u8").astype(np.uint64)


def _encode_documents(
    values: list[Any], encoding: Encoding, words: Arguments, broken: list[_Broken]
) -> tuple[Shard, list[int]]:
    """Tokens of each document with the separator behind it, and the bytes of each; in the order of their hashes, by which
    a reader shares them out."""
    hashes = _hash_texts([value[1] for value in values])
    order = np.argsort(hashes, kind="stable")
    tokens: list[NDArray[Any]] = []
    sizes: list[NDArray[Any]] = []
    kept: list[int] = []
    lengths: list[int] = []
    behind = encoding.separator
    for some in _take_together(order, values):
        encoded = encoding.encode_documents([values[number][1] for number in some])
        whole = [
            (number, each) for number, each in zip(some, encoded, strict=True) if len(each.tokens)
        ]
        left = set(some) - {number for number, _ in whole}
        broken += [_Broken(number, "got no token, want some") for number in some if number in left]
        kept += [number for number, _ in whole]
        lengths += [len(each.tokens) + len(behind.tokens) for _, each in whole]
        joined = [part for _, each in whole for part in (each.tokens, behind.tokens)]
        tokens.append(_narrow(np.concatenate([np.zeros(0, np.int32), *joined]), encoding))
        spans = [part for _, each in whole for part in (each.sizes, behind.sizes)]
        sizes.append(_narrow_sizes(np.concatenate([np.zeros(0, np.int64), *spans])))
    offsets = sum_lengths(np.array(lengths, np.int64))
    return {
        "tokens": RaggedRows(np.concatenate(tokens), offsets),
        "sizes": RaggedRows(np.concatenate(sizes), offsets),
    }, kept


def _take_together(order: NDArray[np.int64], values: list[Any]) -> Iterator[list[int]]:
    some, size = list[int](), 0
    for number in order.tolist():
        some.append(number)
        size += len(values[number][1])
        if size >= TOGETHER:
            yield some
            some, size = [], 0
    if some:
        yield some


def _narrow(tokens: NDArray[Any], encoding: Encoding) -> NDArray[Any]:
    return tokens.astype(np.uint16 if encoding.describe(1)["vocabulary"] <= 2**16 else np.int32)


def _narrow_sizes(sizes: NDArray[Any]) -> NDArray[Any]:
    largest = int(sizes.max(initial=0))
    return sizes.astype(np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.int64)


def _encode_labelled(
    values: list[Any], encoding: Encoding, words: Arguments, broken: list[_Broken]
) -> tuple[Shard, list[int]]:
    """Tokens of one text or of two, whether some were cut off, and the label as JSON, empty for none."""
    tokens, cut, labels, kept = [], [], [], list[int]()
    for number, (_, said, label) in enumerate(values):
        each, is_cut = encode_words(said, encoding, words["longest"])
        if not len(each):
            broken.append(_Broken(number, "got no token, want some"))
            continue
        tokens.append(each)
        cut.append(is_cut)
        labels.append(b"" if label is None else json.dumps(label).encode())
        kept.append(number)
    return {
        "text": from_rows(tokens, np.zeros(0, np.int32)),
        "cut": np.array(cut, np.uint8),
        "label": _from_bytes(labels),
    }, kept


def _encode_pairs(
    values: list[Any], encoding: Encoding, words: Arguments, broken: list[_Broken]
) -> tuple[Shard, list[int]]:
    """Tokens of the first text and of the second, how many were cut, how alike they are; and a hash of both."""
    found: list[tuple[NDArray[Any], NDArray[Any]]] = []
    cut, scores, kept = [], [], list[int]()
    for number, (_, said, score) in enumerate(values):
        (one, is_cut), (other, other_cut) = (encoding.encode(t, words["longest"]) for t in said)
        if not len(one) or not len(other):
            broken.append(_Broken(number, "got no token, want some"))
            continue
        found.append((one, other))
        cut.append(is_cut + other_cut)
        scores.append(score)
        kept.append(number)
    hashes = _hash_texts(["\0".join(values[number][1]) for number in kept])
    none = np.zeros(0, np.int32)
    return {
        "first": from_rows([one for one, _ in found], none),
        "second": from_rows([other for _, other in found], none),
        "cut": np.array(cut, np.uint8),
        "score": np.array(scores, np.float64),
        "hash": hashes.view(np.int64),
    }, kept


def _encode_tagged(
    values: list[Any], encoding: Encoding, words: Arguments, broken: list[_Broken]
) -> tuple[Shard, list[int]]:
    """Tokens of each text, where its words begin in them, whether some were cut off, and the tags as JSON."""
    tokens, firsts, cut, tags, kept = [], [], [], [], list[int]()
    for number, (_, said, named) in enumerate(values):
        try:
            each = encoding.encode_words(said, words["longest"])
        except ValueError as error:
            broken.append(_Broken(number, str(error)))
            continue
        tokens.append(each.tokens)
        firsts.append(np.array(each.firsts, np.int32))
        cut.append(each.is_cut)
        tags.append(json.dumps(named).encode())
        kept.append(number)
    none = np.zeros(0, np.int32)
    return {
        "text": from_rows(tokens, none),
        "firsts": from_rows(firsts, none),
        "cut": np.array(cut, np.uint8),
        "tags": _from_bytes(tags),
    }, kept


def _from_bytes(texts: list[bytes]) -> Rows:
    return from_rows([np.frombuffer(each, np.uint8) for each in texts], np.zeros(0, np.uint8))


_Encoder = Callable[[list[Any], Encoding, Arguments, list[_Broken]], tuple[Shard, list[int]]]
_ENCODERS: dict[str, _Encoder] = {
    "text-corpus": _encode_documents,
    "masked-text": _encode_documents,
    "jsonl": _encode_labelled,
    "text-csv": _encode_labelled,
    "text-pairs": _encode_pairs,
    "tagged-text": _encode_tagged,
}
"""By the name of the source."""
