"""A stream of samples becomes shards on the disk, once; a killed spool goes on and ends in the same bytes."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.data.spool_folder import Spool
from edgekd.learn.data.spool_folder import SpooledShard
from edgekd.learn.data.spool_folder import description_path
from edgekd.learn.data.spool_folder import read_description
from edgekd.learn.data.spool_folder import save_description
from edgekd.learn.data.spool_folder import shard_path
from edgekd.learn.source import SPLITS
from edgekd.progress import Progress
from edgekd.store.locking import hold_lock
from edgekd.units import number_text

_SHOWN_EVERY = 100


class SampleStream(NamedTuple):
    """Samples in their order."""

    samples: Iterator[Any]
    has_end: bool
    """Whether it is known to have one."""


class PackedShard(NamedTuple):
    """Samples as the bytes of a shard."""

    data: bytes
    broken: tuple[str, ...] = ()
    """What of them cannot be used and is not in it, each with the reason."""


class ShardForm(NamedTuple):
    """How the samples of a stream lie in shards."""

    suffix: str
    """Of a shard's file."""
    most_bytes: int
    """What a shard's samples have together, or one sample."""
    most_samples: int
    check: Callable[[Any], None]
    """Raises InputError for a sample that cannot be used, as far as that is seen without work."""
    spell: Callable[[Any], bytes]
    """What a sample is, as bytes: other samples give others."""
    pack: Callable[[list[Any], int], PackedShard]
    """Makes a shard of samples that are numbered from some number on; the same bytes for the same samples."""


def spool_samples(
    stream: SampleStream,
    folder: Path,
    progress: Progress,
    *,
    source: str,
    form: ShardForm,
    split: str = "train",
    take: int | None = None,
    skip_broken: bool = False,
    words: Mapping[str, Any] | None = None,
) -> Spool:
    """Write the samples of a stream to shards that a source reads.

    Args:
        stream: gives the same samples whenever it is opened: what is there already is compared.
        folder: new, or one that an earlier call left.
        progress: is told how far it is.
        source: the stream's name.
        form: how they lie in shards.
        split: that the samples are for.
        take: how many at most; None is all of a stream that is known to end.
        skip_broken: whether a sample that cannot be used is left out.
        words: what else shapes the shards; another call has to say the same.

    Raises:
        InputError: if the stream need not end, the folder holds something else, or the stream gives other samples now.
        MachineError: if the disk is full; what is there stays.
    """
    if split not in SPLITS:
        raise InputError(f"split: got {split!r}, want one of: {', '.join(SPLITS)}")
    if take is None and not stream.has_end:
        raise InputError(f"{source}: got a stream that need not end, want --take N")
    nothing = Spool(source, split, (), False, words=dict(words or {}))
    _require_own_folder(folder, form.suffix)
    _find_known(folder, nothing)  # what is refused is left as it was, without a lock
    files.make_folder(folder)
    with hold_lock(folder / f".edgekd-spool-{split}.lock", wait=False, hint="wait for it"):
        files.sweep_temporaries(folder)
        found = _find_whole(folder, nothing, form.suffix)
        if take is not None and found.samples > take:
            raise InputError(f"{folder}: got {found.samples} samples already, want {take} at most")
        if found.has_ended or found.samples == take:
            return found
        if found.shards and not found.shards[-1].is_full:
            found = found._replace(shards=found.shards[:-1])
        made = _write_shards(stream, folder, found, take, skip_broken, progress, form)
        for other in _list_same_beginnings(folder, made):
            progress.note(
                f"warning: {split} begins with the sample that {other} begins with: what is learned from would be what "
                "is judged by; give another part of the stream, as other shards or --from-split"
            )
        return made


def _write_shards(
    stream: SampleStream,
    folder: Path,
    spool: Spool,
    take: int | None,
    skip_broken: bool,
    progress: Progress,
    form: ShardForm,
) -> Spool:
    save_description(folder, spool._replace(skipped=()))
    content, skipped = hashlib.sha256(), list[str]()
    samples = _count(_take_usable(stream.samples, take, skip_broken, skipped, form), take, progress)
    for number, known in enumerate(spool.shards):
        for sample in itertools.islice(samples, known.samples):
            content.update(form.spell(sample))
        if content.hexdigest() != known.content:
            name = shard_path(folder, spool.split, number, form.suffix).name
            raise InputError(f"{spool.source}: gives other samples than those in {name}, want them")
    first = next(samples, None)
    while first is not None:
        batch, following = _fill_shard(first, samples, form)
        for sample in batch:
            content.update(form.spell(sample))
        packed = form.pack(batch, spool.samples)
        if packed.broken and not skip_broken:
            raise InputError(packed.broken[0], hint=_SKIP_HINT)
        skipped += packed.broken
        path = shard_path(folder, spool.split, len(spool.shards), form.suffix)
        files.write_bytes(path, packed.data)
        shard = SpooledShard(
            len(batch), files.digest_bytes(packed.data), content.hexdigest(), following is not None
        )
        beginning = spool.first or files.digest_bytes(form.spell(first))
        spool = spool._replace(
            shards=(*spool.shards, shard), skipped=tuple(skipped), first=beginning
        )
        save_description(folder, spool)
        first = following
        del batch, packed  # not held while the next shard is made
    if not spool.samples:
        raise InputError(f"{spool.source}: got no sample, want some")
    has_ended = take is None or spool.samples < take
    spool = spool._replace(has_ended=has_ended, skipped=tuple(skipped))
    save_description(folder, spool)
    return spool


_SKIP_HINT = "--skip-broken leaves such ones out"


def _take_usable(
    samples: Iterator[Any],
    take: int | None,
    skip_broken: bool,
    skipped: list[str],
    form: ShardForm,
) -> Iterator[Any]:
    count = 0
    while count != take and (sample := next(samples, None)) is not None:
        try:
            form.check(sample)
        except InputError as error:
            if not skip_broken:
                raise InputError(str(error), hint=_SKIP_HINT) from error
            skipped.append(str(error))
            continue
        count += 1
        yield sample


def _count(samples: Iterator[Any], take: int | None, progress: Progress) -> Iterator[Any]:
    for number, sample in enumerate(samples, start=1):
        if number % _SHOWN_EVERY == 0:
            progress.update(number, take or number, number_text(number, "sample"))
        yield sample


def _fill_shard(first: Any, samples: Iterator[Any], form: ShardForm) -> tuple[list[Any], Any]:
    """The samples of one shard, and the first of the next; None at the end."""
    batch, size_bytes = [first], len(form.spell(first))
    for each in samples:
        size_bytes += len(form.spell(each))
        if size_bytes > form.most_bytes or len(batch) == form.most_samples:
            return batch, each
        batch.append(each)
    return batch, None


def _require_own_folder(folder: Path, suffix: str) -> None:
    """Raises InputError if a folder holds shards that no spool wrote."""
    ours = {name for name in SPLITS if description_path(folder, name).exists()}
    for path in sorted(folder.glob(f"*.{suffix}")):
        if path.name.rpartition("-")[0] not in ours:
            raise InputError(f"{folder}: got {path.name}, which no spool wrote, want a new folder")


def _list_same_beginnings(folder: Path, made: Spool) -> list[str]:
    """The other splits whose first sample is that of this one."""
    others = {name: read_description(folder, name) for name in SPLITS if name != made.split}
    return [
        name for name, other in others.items() if other is not None and other.first == made.first
    ]


def _find_whole(folder: Path, wanted: Spool, suffix: str) -> Spool:
    """What is there of a stream: the shards up to the first that is not what was written.

    Raises:
        InputError: as `_find_known`.
    """
    spool = _find_known(folder, wanted)
    for number, shard in enumerate(spool.shards):
        place = shard_path(folder, spool.split, number, suffix)
        if not place.exists() or files.digest_file(place, follow=False) != shard.sha256:
            return spool._replace(shards=spool.shards[:number], has_ended=False)
    return spool


def _find_known(folder: Path, wanted: Spool) -> Spool:
    """What an earlier call says that there is of a stream; nothing where there was none.

    Raises:
        InputError: if it is another stream's, was made in another way, or is no description.
    """
    spool = read_description(folder, wanted.split)
    if spool is None or not spool.shards:
        return wanted
    if (spool.source, spool.split) != (wanted.source, wanted.split):
        raise InputError(f"{folder}: got a spool of {spool.source}, want {wanted.source}")
    for key in sorted({*spool.words, *wanted.words}):
        got, want = spool.words.get(key), wanted.words.get(key)
        if got != want:
            raise InputError(
                f"{folder}: got a spool with {key} {str(got)[:200]}, want {str(want)[:200]}",
                hint="give a new folder",
            )
    return spool
