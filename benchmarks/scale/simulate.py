"""What grows with the number of samples, files and shards, at the sizes of ImageNet-21k and of a trillion tokens.

    python benchmarks/scale/simulate.py --output benchmarks/scale/result.json

Indices, manifests and stores of that many samples are made of zeros and sparse files: the bytes of the samples are never
there, so this needs a few gigabytes and minutes. Seconds are this process's processor time; what is said to be for one file
is measured on `FILES` and `SHARDS` of them.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgekd import files
from edgekd import splits
from edgekd.field import RaggedRows
from edgekd.field import sum_lengths
from edgekd.learn import origin
from edgekd.learn.data.loader import shuffle_samples
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.layout import KnowledgeManifest
from edgekd.learn.knowledge.layout import StoreLayout
from edgekd.learn.knowledge.reading import KnowledgeReader
from edgekd.learn.knowledge.rows import RowCode
from edgekd.learn.knowledge_settings import KnowledgeSettings
from edgekd.store import Store

SAMPLES, CLASSES, VIEWS = 13_153_500, 21_841, 8
"""ImageNet-21k of winter 2021."""
FILES, SHARDS, SHARD_BYTES = 20_000, 3, 2**26
BATCH = 256


def main() -> None:
    """Measure all, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("result.json"))
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory(prefix="edgekd-scale-") as folder:
        place = Path(folder)
        result = {
            "command": "python benchmarks/scale/simulate.py",
            "processor": platform.processor() or platform.machine(),
            "shuffle": measure_shuffle(),
            "index": measure_index(place),
            "knowledge": measure_knowledge(place),
            "digests of files": measure_digests(place),
            "store": measure_store(place),
        }
    result["peak_memory_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    output.write_bytes(files.pretty_json(result))
    print(json.dumps(result, indent=1))


def time_work(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and its processor seconds."""
    start = time.process_time()
    made = work()
    return made, round(time.process_time() - start, 4)


def measure_shuffle() -> dict[str, float]:
    """One epoch's order."""
    order, seconds = time_work(lambda: shuffle_samples(SAMPLES, 0, 0))
    return {"samples": SAMPLES, "seconds": seconds, "bytes": order.nbytes}


def measure_index(place: Path) -> dict[str, float]:
    """Where each of so many samples lies: written, opened, and asked for a batch."""
    lengths = np.ones(SAMPLES, np.int64)
    rows = RaggedRows(np.zeros(SAMPLES, np.uint8), sum_lengths(lengths))
    path, order = place / "train", np.arange(SAMPLES)
    header, head_s = time_work(lambda: rows.lengths[order])
    del header
    splits.write(
        path, {"images": RaggedRows(rows.values[:BATCH], rows.offsets[: BATCH + 1])}, order[:BATCH]
    )
    opened, open_s = time_work(lambda: splits.read(path))
    chosen = np.random.default_rng(0).integers(0, SAMPLES, (50, BATCH))
    _, batches_s = time_work(lambda: [rows[each] for each in chosen])
    return {
        "samples": len(rows),
        "bytes": rows.offsets.nbytes,
        "offsets_s": time_work(lambda: sum_lengths(lengths))[1],
        "lengths_s": head_s,
        "open_s": open_s,
        "batch_of_256_s": round(batches_s / len(chosen), 6),
        "fields": len(opened),
    }


def measure_knowledge(place: Path) -> dict[str, Any]:
    """A store of every view, top 64 of all classes in int8, in sparse shards: manifest, opening, gathering."""
    settings = KnowledgeSettings(encoding="int8", top_k=64, temperature=4.0)
    store = layout.plan_layout(RowCode(settings, ((CLASSES,),)), VIEWS, SAMPLES, BATCH)
    shards = make_sparse_shards(place / "shards", store)
    manifest = KnowledgeManifest(store, {}, {}, ("0" * 64,) * store.shards)
    path = place / "knowledge.json"
    path.write_bytes(files.canonical_json(manifest.describe()))
    _, manifest_s = time_work(lambda: layout.read_manifest(path))
    reader, open_s = time_work(lambda: KnowledgeReader(store, shards))
    chosen = np.random.default_rng(0).integers(0, SAMPLES, (100, BATCH))
    _, first_s = time_work(lambda: reader.read_rows(0, chosen[0]))
    _, gather_s = time_work(lambda: [reader.read_rows(0, each) for each in chosen])
    shutil.rmtree(place / "shards")
    return {
        "answers": VIEWS * SAMPLES,
        "row_bytes": store.row_bytes,
        "bytes": store.size_bytes,
        "shards": store.shards,
        "manifest_bytes": path.stat().st_size,
        "manifest_s": manifest_s,
        "open_s": open_s,
        "first_batch_of_a_view_s": first_s,
        "batch_of_256_s": round(gather_s / len(chosen), 6),
    }


def make_sparse_shards(folder: Path, store: StoreLayout) -> list[Path]:
    """Files of the right sizes that take no room."""
    folder.mkdir()
    paths = [folder / layout.shard_name(number) for number in range(store.shards)]
    for number, path in enumerate(paths):
        _, start, stop = store.locate_shard(number)
        with path.open("wb") as file:
            file.truncate((stop - start) * store.row_bytes)
    return paths


def measure_digests(place: Path) -> dict[str, Any]:
    """digests.json of many small files, and how many it can name before it is no longer read."""
    folder, cache = place / "files", place / "digests.json"
    paths = [folder / f"n{number % 1000:08}" / f"n{number:012}.JPEG" for number in range(FILES)]
    for parent in {path.parent for path in paths}:
        parent.mkdir(parents=True)
    for path in paths:
        path.write_bytes(b"x")
    time.sleep(2.1)  # what was written just now is not remembered
    _, hash_s = time_work(lambda: origin.digest_files(paths, cache))
    _, again_s = time_work(lambda: origin.digest_files(paths, cache))
    each_bytes = cache.stat().st_size / FILES
    shutil.rmtree(folder)
    return {
        "files": FILES,
        "bytes_a_file": round(each_bytes, 1),
        "hash_us_a_file": round(hash_s / FILES * 1e6, 1),
        "look_us_a_file": round(again_s / FILES * 1e6, 1),
        "most_files_in_2_30_bytes": int(2**30 / each_bytes),
        "bytes_for_all": round(each_bytes * SAMPLES),
        "look_s_for_all": round(again_s / FILES * SAMPLES, 1),
    }


def measure_store(place: Path) -> dict[str, Any]:
    """Taking a stage's shards into the store, by link and by copy, in turns; hashing them, and believing them."""
    store = Store(place / "store").open()
    linked, copied = [], []
    for number in range(SHARDS):
        data = np.random.default_rng(number).bytes(SHARD_BYTES)
        own, other = store.work_folder("a" * 64) / "own", place / "other"
        own.write_bytes(data)
        other.write_bytes(data[::-1])
        linked.append(time_wall(lambda path=own: store.put(path)))
        copied.append(time_wall(lambda path=other: store.put(path)))
        own.unlink()
    blobs = [path for path in store.root.glob("cas/*/*") if path.is_file()]
    _, hash_s = time_work(lambda: [files.digest_file(path) for path in blobs])
    rate = SHARD_BYTES * len(blobs) / hash_s
    return {
        "shard_bytes": SHARD_BYTES,
        "copy / link, wall": round(float(np.median(np.divide(copied, linked))), 2),
        "link_s": linked,
        "copy_s": copied,
        "hash_bytes_per_s": round(rate),
        "hash_s_for_1.3e12_bytes": round(1.3e12 / rate),
    }


def time_wall(work: Callable[[], Any]) -> float:
    """Seconds that pass: of work in which the disk is waited for."""
    start = time.perf_counter()
    work()
    return round(time.perf_counter() - start, 4)


if __name__ == "__main__":
    main()
