"""Encoded images with their labels as tar shards, which source `webdataset` reads."""

from __future__ import annotations

import tarfile

from edgekd.learn.streams.samples import StreamSample
from edgekd.learn.streams.spool import PackedShard
from edgekd.learn.streams.spool import ShardForm

SHARD_BYTES, SHARD_SAMPLES = 2**26, 10_000


def _check(sample: StreamSample) -> None:
    sample.find_ending()


def _spell(sample: StreamSample) -> bytes:
    label = str(sample.label).encode()
    return b"%d %d " % (len(sample.image), len(label)) + label + sample.image


def _pack(batch: list[StreamSample], start: int) -> PackedShard:
    blocks: list[bytes] = []
    for number, sample in enumerate(batch, start=start):
        parts = {sample.find_ending(): sample.image, "cls": str(sample.label).encode()}
        for end, content in parts.items():
            member = tarfile.TarInfo(f"{number:09}.{end}")
            member.size = len(content)
            padding = bytes(-len(content) % tarfile.BLOCKSIZE)
            blocks += [member.tobuf(tarfile.USTAR_FORMAT), content, padding]
    return PackedShard(b"".join([*blocks, bytes(2 * tarfile.BLOCKSIZE)]))


IMAGES = ShardForm("tar", SHARD_BYTES, SHARD_SAMPLES, _check, _spell, _pack)
