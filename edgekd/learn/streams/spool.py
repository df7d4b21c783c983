"""A stream of samples becomes tar shards on the disk, once; a killed spool goes on and ends in the same bytes."""

from __future__ import annotations

import hashlib
import itertools
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.source import SPLITS
from edgekd.learn.streams.samples import SampleStream
from edgekd.learn.streams.samples import StreamSample
from edgekd.progress import Progress
from edgekd.store.locking import hold_lock
from edgekd.units import number_text

FORMAT = "edgekd-spool/1"
SHARD_BYTES = 2**26
"""What a shard's images have together, or one image."""
SHARD_SAMPLES = 10_000
_SHOWN_EVERY = 100


class SpooledShard(NamedTuple):
    """A shard that is there."""

    samples: int
    sha256: str
    """Of its file."""
    content: str
    """SHA-256 of the images and labels of the stream from its beginning to the end of this shard."""
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
    """Samples that are no images, each with the reason."""

    @property
    def samples(self) -> int:
        """Of all shards."""
        return sum(shard.samples for shard in self.shards)


def spool_samples(
    stream: SampleStream,
    folder: Path,
    progress: Progress,
    *,
    source: str,
    split: str = "train",
    take: int | None = None,
    skip_broken: bool = False,
) -> Spool:
    """Write the samples of a stream to shards that source `webdataset` reads.

    Args:
        stream: gives the same samples whenever it is opened: what is there already is compared.
        folder: new, or one that an earlier call left.
        progress: is told how far it is.
        source: the stream's name.
        split: that the samples are for.
        take: how many at most; None is all of a stream that is known to end.
        skip_broken: whether a sample that is no image is left out.

    Raises:
        InputError: if the stream need not end, the folder holds something else, or the stream gives other samples now.
        MachineError: if the disk is full; what is there stays.
    """
    if split not in SPLITS:
        raise InputError(f"split: got {split!r}, want one of: {', '.join(SPLITS)}")
    if take is None and not stream.has_end:
        raise InputError(f"{source}: got a stream that need not end, want --take N")
    _require_own_folder(folder)
    _read_description(folder, source, split)  # what is refused is left as it was, without a lock
    files.make_folder(folder)
    with hold_lock(folder / f".edgekd-spool-{split}.lock", wait=False, hint="wait for it"):
        files.sweep_temporaries(folder)
        found = _read_spool(folder, source, split)
        if take is not None and found.samples > take:
            raise InputError(f"{folder}: got {found.samples} samples already, want {take} at most")
        if found.has_ended or found.samples == take:
            return found
        if found.shards and not found.shards[-1].is_full:
            found = found._replace(shards=found.shards[:-1])
        made = _write_shards(stream, folder, found, take, skip_broken, progress)
        for other in _list_same_beginnings(folder, split):
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
) -> Spool:
    _save(folder, spool._replace(skipped=()))
    content, skipped = hashlib.sha256(), list[str]()
    samples = _count(_take_images(stream.samples, take, skip_broken, skipped), take, progress)
    for number, known in enumerate(spool.shards):
        for sample, _ in itertools.islice(samples, known.samples):
            _add(content, sample)
        if content.hexdigest() != known.content:
            name = _shard_path(folder, spool.split, number).name
            raise InputError(f"{spool.source}: gives other samples than those in {name}, want them")
    first = next(samples, None)
    while first is not None:
        batch, following = _fill_shard(first, samples)
        for sample, _ in batch:
            _add(content, sample)
        data = _pack(batch, spool.samples)
        path = _shard_path(folder, spool.split, len(spool.shards))
        files.write_bytes(path, data)
        shard = SpooledShard(
            len(batch), files.digest_bytes(data), content.hexdigest(), following is not None
        )
        spool = spool._replace(shards=(*spool.shards, shard), skipped=tuple(skipped))
        _save(folder, spool)
        first = following
    if not spool.samples:
        raise InputError(f"{spool.source}: got no sample, want some")
    has_ended = take is None or spool.samples < take
    spool = spool._replace(has_ended=has_ended, skipped=tuple(skipped))
    _save(folder, spool)
    return spool


Encoded = tuple[StreamSample, str]
"""A sample, and what a file of its format is called after the dot."""


def _take_images(
    samples: Iterator[StreamSample], take: int | None, skip_broken: bool, skipped: list[str]
) -> Iterator[Encoded]:
    count = 0
    while count != take and (sample := next(samples, None)) is not None:
        try:
            encoded = sample, sample.find_ending()
        except InputError as error:
            if not skip_broken:
                raise InputError(str(error), hint="--skip-broken leaves such ones out") from error
            skipped.append(str(error))
            continue
        count += 1
        yield encoded


def _count(samples: Iterator[Encoded], take: int | None, progress: Progress) -> Iterator[Encoded]:
    for number, sample in enumerate(samples, start=1):
        if number % _SHOWN_EVERY == 0:
            progress.update(number, take or number, number_text(number, "sample"))
        yield sample


def _fill_shard(first: Encoded, samples: Iterator[Encoded]) -> tuple[list[Encoded], Encoded | None]:
    """The samples of one shard, and the first of the next; None at the end."""
    batch, size_bytes = [first], len(first[0].image)
    for each in samples:
        size_bytes += len(each[0].image)
        if size_bytes > SHARD_BYTES or len(batch) == SHARD_SAMPLES:
            return batch, each
        batch.append(each)
    return batch, None


def _pack(batch: list[Encoded], start: int) -> bytes:
    """A tar of samples that are numbered from `start`; the same bytes for the same samples."""
    blocks: list[bytes] = []
    for number, (sample, ending) in enumerate(batch, start=start):
        parts = {ending: sample.image, "cls": str(sample.label).encode()}
        for end, content in parts.items():
            member = tarfile.TarInfo(f"{number:09}.{end}")
            member.size = len(content)
            padding = bytes(-len(content) % tarfile.BLOCKSIZE)
            blocks += [member.tobuf(tarfile.USTAR_FORMAT), content, padding]
    return b"".join([*blocks, bytes(2 * tarfile.BLOCKSIZE)])


def _add(content: Any, sample: StreamSample) -> None:
    label = str(sample.label).encode()
    content.update(b"%d %d " % (len(sample.image), len(label)) + label + sample.image)


def _shard_path(folder: Path, split: str, number: int) -> Path:
    return folder / f"{split}-{number:05}.tar"


def _save(folder: Path, spool: Spool) -> None:
    value = {**spool._asdict(), "shards": [each._asdict() for each in spool.shards]}
    files.write_bytes(
        folder / f"spool-{spool.split}.json", files.pretty_json({"format": FORMAT, **value})
    )


def _require_own_folder(folder: Path) -> None:
    """Raises InputError if a folder holds shards that no spool wrote."""
    ours = {name for name in SPLITS if (folder / f"spool-{name}.json").exists()}
    for path in sorted(folder.glob("*.tar")):
        if path.name.rpartition("-")[0] not in ours:
            raise InputError(f"{folder}: got {path.name}, which no spool wrote, want a new folder")


def _list_same_beginnings(folder: Path, split: str) -> list[str]:
    """The other splits whose first image is that of `split`."""
    firsts = {}
    for name in SPLITS:
        path = _shard_path(folder, name, 0)
        if path.exists():
            with tarfile.open(path) as shard:
                member = shard.next()
                content = None if member is None else shard.extractfile(member)
                firsts[name] = b"" if content is None else content.read()
    return [name for name, first in firsts.items() if name != split and first == firsts.get(split)]


def _read_spool(folder: Path, source: str, split: str) -> Spool:
    """What is there of a stream: the shards up to the first that is not what was written.

    Raises:
        InputError: if they are another stream's.
    """
    spool = _read_description(folder, source, split)
    for number, shard in enumerate(spool.shards):
        place = _shard_path(folder, split, number)
        if not place.exists() or files.digest_file(place, follow=False) != shard.sha256:
            return spool._replace(shards=spool.shards[:number], has_ended=False)
    return spool


def _read_description(folder: Path, source: str, split: str) -> Spool:
    """What an earlier call says that there is of a stream; nothing where there was none.

    Raises:
        InputError: if it is another stream's, or is no description.
    """
    path = folder / f"spool-{split}.json"
    if not path.exists():
        return Spool(source, split, (), False)
    value = files.read_json(path)
    try:
        shards = tuple(SpooledShard(**each) for each in value["shards"])
        spool = Spool(
            value["source"], value["split"], shards, value["has_ended"], tuple(value["skipped"])
        )
        if value["format"] != FORMAT or any(
            type(each.samples) is not int or each.samples < 1 for each in shards
        ):
            raise ValueError("another format")
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: got no description of a spool, want what edgekd spool wrote ({FORMAT})",
            hint="give a new folder",
        ) from error
    if (spool.source, spool.split) != (source, split):
        raise InputError(f"{folder}: got a spool of {spool.source}, want {source}")
    return spool
