"""Which tar shards belong to which split, and which files in them to one sample (WebDataset's conventions)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.data.columns import USUAL
from edgekd.learn.data.columns import name_split
from edgekd.learn.formats.image import SUFFIXES
from edgekd.learn.formats.tar import TarMember
from edgekd.learn.formats.tar import list_members
from edgekd.learn.source import SPLITS
from edgekd.learn.source import locate

IMAGES = tuple(suffix[1:] for suffix in sorted(SUFFIXES))
"""What files of images are called after the key of a sample."""
LABELS = ("cls", "json", "txt")
"""What files of labels are called; the first that is there counts."""
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_MOST_SHARDS, _MOST_LABEL_BYTES = 100_000, 2**20


class ShardSample(NamedTuple):
    """A sample of a shard."""

    name: str
    """Of its image in the shard."""
    start: int
    size_bytes: int
    label: str | int


def find_shards(reference: str, data_dir: Path | None) -> dict[str, list[Path]]:
    """The shards of each split, training first.

    Args:
        reference: a shard; several by a range, ``photos-{000..127}.tar``, which are for training; or a folder, whose
            shards name their split: ``train-000.tar``, ``val/000.tar``; those that name none are for training.
        data_dir: the user's folder of data sets.

    Raises:
        InputError: if one is missing, or none is for training.
    """
    if _RANGE.search(reference):
        names = expand_range(reference)
        return {"train": [path for name in names for path in find_shards(name, data_dir)["train"]]}
    root = locate(reference, data_dir)
    if not root.is_dir():
        return {"train": [root]}
    splits: dict[str, list[Path]] = {name: [] for name in SPLITS}
    for path in sorted(root.rglob("*.tar")):
        if not path.name.startswith("."):
            if not path.resolve().is_relative_to(root.resolve()):
                raise InputError(f"{path}: got a link out of {root}, want what lies inside")
            words = re.split(r"[-_./]", str(path.relative_to(root)))
            splits[next(filter(None, map(name_split, words)), "train")].append(path)
    if not splits["train"]:
        raise InputError(f"{root}: got no .tar file for training, want some")
    return {name: paths for name, paths in splits.items() if paths}


def expand_range(reference: str) -> Iterator[str]:
    """Yield the names of a range, ``photos-{000..127}.tar``; another name is itself.

    Raises:
        InputError: if it does not ascend.
    """
    ranges = _RANGE.search(reference)
    if ranges is None:
        yield reference
        return
    first, last = ranges.groups()
    if not int(first) <= int(last) < int(first) + _MOST_SHARDS:
        raise InputError(f"{reference}: got the range {ranges[0]}, want an ascending one")
    for number in range(int(first), int(last) + 1):
        middle = str(number).zfill(len(first))
        yield from expand_range(reference[: ranges.start()] + middle + reference[ranges.end() :])


def list_samples(path: Path, label: str | None, key: str | None) -> Iterator[ShardSample]:
    """The samples of a shard in its order: files that have all before the first dot of their name in common.

    Args:
        path: of the shard.
        label: what files of labels are called after the dot; None takes the first of `LABELS`.
        key: of the label in a JSON file; None takes the usual one.

    Raises:
        InputError: naming the shard and the sample that has no label, or none that can name a class; as `list_members`.
    """
    with disk.open_regular(path) as file:
        for stem, members in _group_members(path):
            image = next((members[end] for end in IMAGES if end in members), None)
            if image is None:
                continue
            where = f"{path}, {stem!r}"
            ending = choose_label(members, label, where)
            found = members[ending]
            if found.size_bytes > _MOST_LABEL_BYTES:
                raise InputError(
                    f"{where}: got a label of {found.size_bytes} bytes, want a short one"
                )
            file.seek(found.start)
            data = file.read(found.size_bytes)
            yield ShardSample(
                image.name, image.start, image.size_bytes, read_label(data, ending, key, where)
            )


def choose_label(endings: Iterable[str], label: str | None, where: str) -> str:
    """The ending of a sample's file that holds its label.

    Raises:
        InputError: if it has none.
    """
    there = list(endings)
    wanted = LABELS if label is None else (label,)
    found = next((end for end in wanted if end in there), None)
    if found is None:
        got, want = ", ".join(there), " or ".join(wanted)
        raise InputError(f"{where}: got the files {got}, want one of the label: {want}")
    return found


def split_name(name: str) -> tuple[str, str]:
    """The key of a sample's file and its ending in small letters; an empty key for one that is hidden, or no sample's."""
    folder, slash, file = name.rpartition("/")
    base, dot, ending = file.partition(".")
    return (folder + slash + base if base and dot else "", ending.lower())


def _group_members(path: Path) -> Iterator[tuple[str, dict[str, TarMember]]]:
    """Key of each sample, and its files by what comes after the key's dot."""
    stem, members = "", dict[str, TarMember]()
    for member in list_members(path):
        base, ending = split_name(member.name)
        if not base:
            continue
        if base != stem and members:
            yield stem, members
            members = {}
        stem = base
        if ending in members:
            raise InputError(f"{path}, {member.name!r}: got it twice, want each file once")
        members[ending] = member
    if members:
        yield stem, members


def read_label(data: bytes, ending: str, key: str | None, where: str) -> str | int:
    """The label in a file of one.

    Raises:
        InputError: if it is none that can name a class.
    """
    value: Any
    try:
        value = json.loads(data) if ending.endswith("json") else data.decode().strip()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: got a label that is no text or JSON: {error}") from error
    if isinstance(value, Mapping):
        keys = USUAL["label"] if key is None else (key,)
        value = next((value[name] for name in keys if name in value), None)
    if type(value) is str and re.fullmatch(r"-?[0-9]{1,200}", value):
        value = int(value)
    if type(value) not in (str, int) or not 0 < len(str(value)) <= 200:
        raise InputError(
            f"{where}: got {str(value)[:40]!r}, want a label: a whole number or a name",
            hint="label_key: NAME, beside the source's name, says which key of the JSON it is",
        )
    return value
