"""Spooled samples of texts as the rows of a source; tokens stay on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.field import sum_lengths
from edgekd.fields.label import UNLABELLED
from edgekd.fields.tags import IGNORED
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.encoding import describe_cut
from edgekd.learn.data.spooled_texts import TextSpool
from edgekd.learn.data.spooled_texts import TokenShard
from edgekd.learn.formats.disk_array import DiskArray
from edgekd.learn.source import SPLITS
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.units import number_text

if TYPE_CHECKING:
    from edgekd.field import Rows

OUTSIDE = "O"
NO_LABEL = -1
LEAST_PAIRS = 30
SHARES = (("test", 0.1), ("validation", 0.1))
"""Of pairs whose splits nobody says."""


class _Collector:
    """Rows of the fields of each split, added shard by shard."""

    def __init__(self, spool: TextSpool) -> None:
        self.said = spool.says_splits()
        self._arrays: dict[tuple[str, str], DiskArray] = {}
        self._lengths: dict[tuple[str, str], DiskArray] = {}

    def add(self, codes: NDArray[np.int64], field: str, rows: Rows) -> None:
        """Add rows, each to the split of its number."""
        for code in np.unique(codes).tolist():
            key, chosen = (SPLITS[code], field), rows[np.flatnonzero(codes == code)]
            values = chosen.values if isinstance(chosen, RaggedRows) else chosen
            self._arrays.setdefault(key, DiskArray(values.dtype)).extend(values)
            if isinstance(chosen, RaggedRows):
                self._lengths.setdefault(key, DiskArray(np.int64)).extend(chosen.lengths)

    def splits(self) -> list[str]:
        """Those that have rows."""
        return [name for name in SPLITS if any(key[0] == name for key in self._arrays)]

    def rows(self, split: str, field: str) -> Rows:
        """All of a field."""
        values = self._arrays[split, field].view()
        lengths = self._lengths.get((split, field))
        return values if lengths is None else RaggedRows(values, sum_lengths(lengths.view()))

    def longest(self, field: str) -> int:
        """Tokens of the longest row."""
        lengths = [each.view() for (_, name), each in self._lengths.items() if name == field]
        return max(int(each.max()) for each in lengths)

    def count(self, field: str) -> int:
        """Rows of all splits."""
        return sum(len(self.rows(split, field)) for split in self.splits())


def read_labelled(spool: TextSpool, encoding: Encoding) -> Source:
    """The samples of a spool of `jsonl` or `text-csv`.

    Raises:
        InputError: as the sources do of classes that training lacks.
    """
    found, numbers, cut = _Collector(spool), dict[Any, int](), 0
    for shard in spool.read_shards(trusted=True):
        codes = shard.name_splits(found.said)
        labels = [numbers.setdefault(each, len(numbers)) for each in _read_labels(shard)]
        found.add(codes, "text", shard.rows["text"])
        found.add(codes, "labels", np.array(labels, np.int64))
        cut += int(np.asarray(shard.rows["cut"]).sum())
    _require_trained(spool, found)
    names = {number: name for name, number in numbers.items() if name is not None}
    kinds = sorted({type(name).__name__ for name in names.values()})
    if len(kinds) > 1:
        raise InputError(f"{spool.folder}: got labels of types {', '.join(kinds)}, want one type")
    if not names:
        raise InputError(f"{spool.folder}: got no text with a label, want some")
    classes = _order_classes(set(names.values()), spool.source)
    place = {name: number for number, name in enumerate(classes)}
    order = np.array(
        [place[names[n]] if n in names else UNLABELLED for n in range(len(numbers))], np.int64
    )
    splits: dict[str, dict[str, Rows]] = {}
    free = 0
    trained = set(np.unique(np.asarray(found.rows("train", "labels"))).tolist())
    for split in found.splits():
        known = np.asarray(found.rows(split, "labels"))
        strangers = set(np.unique(known).tolist()) - (
            trained & set(names) if split != "train" else trained
        )
        if strangers:
            got = names.get(min(strangers), "texts without a label")
            raise InputError(
                f"{spool.folder}: got {str(got)[:40]!r} in the {split} split, want a class that is in training"
            )
        free += int((order[known] == UNLABELLED).sum())
        splits[split] = {"text": found.rows(split, "text"), "labels": order[known]}
    said = spool.arguments.get("second") is not None
    describe = encoding.describe_pair if said else encoding.describe
    note = (
        f"{spool.describe()}; {number_text(found.count('text'), 'text')} of "
        f"{number_text(len(classes), 'class', 'classes')}"
        f"{f', {free} of them without a label' if free else ''}{_describe_cut(cut, spool, encoding)}"
    )
    fields = {
        "text": FieldWords("text-pair" if said else "tokens", describe(found.longest("text"))),
        "labels": FieldWords("class", {"names": tuple(map(str, classes))}),
    }
    return Source(splits, fields, (note,), spool.skipped, tokenizer=encoding.file)


def _read_labels(shard: TokenShard) -> Iterator[str | int | None]:
    """Names of classes; None of what has none."""
    for label in shard.read_json("label"):
        if label is not None and type(label) not in (str, int):
            raise shard.refuse(f"a label that is {type(label).__name__}")
        yield label


def _order_classes(names: set[Any], source: str) -> list[Any]:
    """Names as the source orders them: numbers by size, texts by letters; numbers that a CSV file holds are such."""
    whole = source == "text-csv" and all(str(name).lstrip("-").isdecimal() for name in names)
    return sorted(names, key=int) if whole else sorted(names)


def read_pairs(spool: TextSpool, encoding: Encoding, dimensions: int) -> Source:
    """The pairs of a spool of `text-pairs`.

    Raises:
        InputError: if there are too few, and nobody says their splits.
    """
    found, cut, count = _Collector(spool), 0, 0
    shared = None if found.said or len(spool.splits) > 1 else _divide(spool)
    numbers = dict.fromkeys(range(len(SPLITS)), 0)
    for shard in spool.read_shards(trusted=True):
        here = len(np.asarray(shard.rows["score"]))
        codes = shard.name_splits(found.said) if shared is None else shared[count : count + here]
        count += here
        cut += int(np.asarray(shard.rows["cut"]).sum())
        firsts, seconds = shard.rows["first"], shard.rows["second"]
        both = [each for pair in zip(firsts, seconds, strict=True) for each in pair]
        rows = np.zeros((here, 2, 3))
        for code in numbers:
            chosen = np.flatnonzero(codes == code)
            rows[chosen, :, 0] = numbers[code] + np.arange(len(chosen))[:, None]
            numbers[code] += len(chosen)
        rows[:, :, 1], rows[:, :, 2] = (0, 1), np.asarray(shard.rows["score"])[:, None]
        found.add(np.repeat(codes, 2), "text", from_rows(both, np.zeros(0, np.int32)))
        found.add(np.repeat(codes, 2 * 3), "pairs", rows.ravel())
    _require_trained(spool, found)
    scored = spool.arguments.get("score") is not None
    note = f"{spool.describe()}; {number_text(count, 'pair')} of texts{_describe_cut(cut, spool, encoding)}"
    splits = {
        split: {
            "text": found.rows(split, "text"),
            "pairs": np.asarray(found.rows(split, "pairs")).reshape(-1, 3),
        }
        for split in found.splits()
    }
    fields = {
        "text": FieldWords("tokens", encoding.describe(found.longest("text"))),
        "pairs": FieldWords("pairs", {"dimensions": dimensions, "scored": scored}),
    }
    return Source(splits, fields, (note,), spool.skipped, tokenizer=encoding.file)


def _divide(spool: TextSpool) -> NDArray[np.int64]:
    """The number of each pair's split, [N], as the hashes of the texts order them.

    Raises:
        InputError: if there are too few.
    """
    shards = spool.read_shards(trusted=True)
    hashes = np.concatenate([np.asarray(each.rows["hash"]) for each in shards]).view(np.uint64)
    if len(hashes) < LEAST_PAIRS:
        got = number_text(len(hashes), "pair")
        raise InputError(
            f"{spool.folder}: got {got}, want {LEAST_PAIRS} or more, or a column split"
        )
    left = np.argsort(hashes, kind="stable")
    codes = np.zeros(len(hashes), np.int64)
    for name, share in SHARES:
        taken = round(share * len(hashes))
        codes[left[:taken]] = SPLITS.index(name)
        left = left[taken:]
    return codes


def read_tagged(spool: TextSpool, encoding: Encoding) -> Source:
    """The texts of a spool of `tagged-text`.

    Raises:
        InputError: if training has one tag alone, or another split has one that it lacks.
    """
    found, numbers = _Collector(spool), dict[str, int]()
    cut = words = 0
    for shard in spool.read_shards(trusted=True):
        codes = shard.name_splits(found.said)
        tagged = _make_tags(shard, numbers)
        found.add(codes, "text", shard.rows["text"])
        found.add(codes, "tags", from_rows(tagged, np.zeros(0, np.int64)))
        cut += int(np.asarray(shard.rows["cut"]).sum())
        words += sum(int((each != IGNORED).sum()) for each in tagged)
    _require_trained(spool, found)
    known = {split: _find_numbers(found.rows(split, "tags")) for split in found.splits()}
    names = list(numbers)
    for split, each in known.items():
        if strangers := each - known["train"]:
            got = names[min(strangers)][:40]
            raise InputError(
                f"{spool.folder}: got tag {got!r} in the {split} split, want one that is in training"
            )
    if len(known["train"]) < 2:
        raise InputError(f"{spool.folder}: got one tag to train on, want two or more")
    trained = sorted((names[n] for n in known["train"]), key=lambda name: (name != OUTSIDE, name))
    order = np.full(len(names) + 1, IGNORED, np.int64)  # the last is for those that have none
    order[[numbers[name] for name in trained]] = np.arange(len(trained))
    splits = {
        split: {
            "text": found.rows(split, "text"),
            "tags": _renumber(found.rows(split, "tags"), order),
        }
        for split in found.splits()
    }
    note = (
        f"{spool.describe()}; {number_text(found.count('text'), 'text')} of {number_text(words, 'word')}, "
        f"{number_text(len(trained), 'tag')}{_describe_cut(cut, spool, encoding)}"
    )
    fields = {
        "text": FieldWords("tokens", encoding.describe(found.longest("text"))),
        "tags": FieldWords("tags", {"names": tuple(trained)}),
    }
    return Source(splits, fields, (note,), spool.skipped, tokenizer=encoding.file)


def _make_tags(shard: TokenShard, numbers: dict[str, int]) -> list[NDArray[np.int64]]:
    """Numbers of the tags of each token, those that are new after the others."""
    tagged = []
    ragged = (shard.rows[name] for name in ("text", "firsts"))
    for text, firsts, tags in zip(*ragged, shard.read_json("tags"), strict=True):
        whole = isinstance(tags, list) and all(isinstance(each, str) for each in tags)
        if not whole or len(tags) < len(firsts) or firsts.max(initial=-1) >= len(text):
            raise shard.refuse("tags of other words than a text has")
        named = [numbers.setdefault(each, len(numbers)) for each in tags]
        row = np.full(len(text), IGNORED, np.int64)
        row[firsts] = named[: len(firsts)]
        tagged.append(row)
    return tagged


def _find_numbers(rows: Rows) -> set[int]:
    assert isinstance(rows, RaggedRows)
    found: set[int] = set()
    for start in range(0, len(rows.values), _PIECE):
        found |= set(np.unique(rows.values[start : start + _PIECE]).tolist())
    return found - {IGNORED}


def _renumber(rows: Rows, order: NDArray[np.int64]) -> RaggedRows:
    assert isinstance(rows, RaggedRows)
    made = DiskArray(np.int64)
    for start in range(0, len(rows.values), _PIECE):
        some = rows.values[start : start + _PIECE]
        made.extend(order[np.where(some == IGNORED, len(order) - 1, some)])
    return RaggedRows(made.view(), rows.offsets)


_PIECE = 2**20
"""Numbers that are looked at together."""


def _require_trained(spool: TextSpool, found: _Collector) -> None:
    if "train" not in found.splits():
        raise InputError(f"{spool.folder}: got no sample to train on, want some")


def _describe_cut(cut: int, spool: TextSpool, encoding: Encoding) -> str:
    return describe_cut(cut, spool.arguments["longest"], encoding.unit)
