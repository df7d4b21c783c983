"""Rows a second of a store of 40 shards in random order: not in memory yet, and in memory.

4,000,000 rows of 200 bytes (1,000 classes, top 64, int8), batches of 256, one view. The page cache is emptied of the shards
before each cold reading; bytes are those that came from the disk.

    python benchmarks/knowledge/cold_reads.py --place FOLDER --store benchmarks/knowledge/cold_reads.json
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.layout import StoreLayout
from edgekd.learn.knowledge.reading import KnowledgeReader
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import KnowledgeSettings

ROWS, SHARDS, BATCH = 4_000_000, 40, 256
CODE = RowCode(KnowledgeSettings(encoding="int8", top_k=64), ((1000,),))
STORE = StoreLayout(CODE, 1, ROWS, ROWS // SHARDS)
KINDS = ("cold", "in memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--place", type=Path, required=True)
    parser.add_argument("--store", type=Path)
    options = parser.parse_args()
    paths = make_shards(options.place)
    rows = [
        {"reading": kind, "batches": batches, **read(paths, kind, batches)}
        for batches in (200, ROWS // BATCH)
        for kind in KINDS
    ]
    for row in rows:
        print(*row.values())
    if options.store is not None:
        command = "python benchmarks/knowledge/cold_reads.py --place FOLDER"
        options.store.write_text(json.dumps({"command": command, "rows": rows}, indent=1) + "\n")


def make_shards(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / layout.shard_name(number) for number in range(SHARDS)]
    for path in paths:
        if not path.exists():
            path.write_bytes(np.random.default_rng(0).bytes(STORE.shard_rows * STORE.row_bytes))
        descriptor = os.open(path, os.O_RDWR)
        os.fsync(descriptor)
        os.close(descriptor)
    return paths


def read(paths: list[Path], kind: str, batches: int) -> dict[str, float]:
    if kind != "in memory":
        forget(paths)
    order = np.random.default_rng(1).permutation(ROWS)
    reader, before = KnowledgeReader(STORE, paths), count_disk_bytes()
    start, cpu = time.perf_counter(), time.process_time()
    for number in range(batches):
        reader.read_rows(0, order[number * BATCH : (number + 1) * BATCH])
    took_s = time.perf_counter() - start
    return {
        "rows_a_second": round(batches * BATCH / took_s),
        "seconds": round(took_s, 2),
        "processor_seconds": round(time.process_time() - cpu, 2),
        "disk_megabytes": round((count_disk_bytes() - before) / 1e6),
    }


def forget(paths: list[Path]) -> None:
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def count_disk_bytes() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("read_bytes")).split()[1])


if __name__ == "__main__":
    main()
