"""What a spool of texts takes: its peak of memory for more and more texts, and its tokens a second beside `datasets.map`.

    python benchmarks/spool/measure.py --output benchmarks/spool/result.json

The texts are those of examples/package-sections, again and again, each with a number before it. Each row is a process of
its own, with one thread of the tokenizers library; seconds are its processor time, so that a machine that others use does
not count. `read` is what the data step makes of the spool in blocks of 128 tokens: read, checked and written to splits; its
peak is that of memory of its own, since what a map shows of a file can be taken back.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.field import RaggedRows

TEXTS = Path(__file__).parents[2] / "examples" / "package-sections" / "packages.jsonl.gz"
SIZES_MB, COMPARED_MB, TURNS = {"bytes": (5, 50, 200), "a tokenizer's": (5, 50)}, 10, 3
VOCABULARY = 8192


def main() -> None:
    """Measure all in processes of their own, and write them down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("result.json"))
    parser.add_argument("--child", nargs=4, metavar=("WORK", "TEXTS", "TOKENIZER", "FOLDER"))
    given = parser.parse_args()
    if given.child:
        work, texts, tokenizer, folder = given.child
        print(json.dumps(WORK[work](texts, tokenizer, folder)))
        return
    with tempfile.TemporaryDirectory(prefix="edgekd-spool-") as place:
        result = measure(Path(place))
    given.output.write_bytes(files.pretty_json(result))
    print(json.dumps(result, indent=1))


def measure(place: Path) -> dict[str, Any]:
    """All rows."""
    tokenizer = make_tokenizer(place)
    memory = []
    for size in SIZES_MB["bytes"]:
        texts = make_texts(place, size)
        for kind in (each for each, sizes in SIZES_MB.items() if size in sizes):
            name = "" if kind == "bytes" else str(tokenizer)
            folder = place / "out"
            row = run("spool", texts, name, folder)
            read = run("read", texts, name, folder)
            shutil.rmtree(folder)
            kept = {f"read_{key}": value for key, value in read.items()}
            memory.append({"text_MB": size, "tokens_are": kind, **row, **kept})
        texts.unlink()
    texts = make_texts(place, COMPARED_MB)
    turns = []
    for turn in range(TURNS):
        pair = {}
        for work in ("spool", "map") if turn % 2 else ("map", "spool"):
            pair[work] = run(work, texts, str(tokenizer), place / work)
            shutil.rmtree(place / work)
        turns.append(pair)
    ratios = [each["map"]["seconds"] / each["spool"]["seconds"] for each in turns]
    return {
        "command": "python benchmarks/spool/measure.py --output benchmarks/spool/result.json",
        "processor": platform.processor() or platform.machine(),
        "memory": memory,
        "beside_datasets_map": {
            "text_MB": COMPARED_MB,
            "turns": turns,
            "tokens_a_second_of_map": statistics.median(ratios),
            "lowest": min(ratios),
            "highest": max(ratios),
        },
    }


def run(work: str, texts: Path, tokenizer: str, folder: Path) -> dict[str, Any]:
    """One row, in a process of its own."""
    threads = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    cache = {"HF_HOME": str(folder.parent / "hf"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, __file__, "--child", work, str(texts), tokenizer, str(folder)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, env={**os.environ, **threads, **cache}
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def read_texts() -> list[str]:
    """Of the example's list."""
    with gzip.open(TEXTS) as lines:
        return [json.loads(line)["text"] for line in lines]


def make_tokenizer(place: Path) -> Path:
    """Pieces of bytes, as GPT-2's, learned from the texts."""
    import tokenizers
    from tokenizers.trainers import BpeTrainer

    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    made.train_from_iterator(read_texts(), trainer)
    path = place / "tokenizer.json"
    made.save(str(path))
    return path


def make_texts(place: Path, size_mb: int) -> Path:
    """A file of JSON lines with that much text."""
    path, texts, written, number = place / f"{size_mb}.jsonl", read_texts(), 0, 0
    with path.open("w") as file:
        while written < size_mb * 10**6:
            text = f"{number} {texts[number % len(texts)]}"
            file.write(json.dumps({"text": text}) + "\n")
            written += len(text.encode())
            number += 1
    return path


def spool(texts: str, tokenizer: str, folder: str) -> dict[str, Any]:
    """`edgekd spool` of the texts."""
    from edgekd.learn.streams.rows import RowWords
    from edgekd.learn.streams.texts import find_texts
    from edgekd.learn.streams.texts import spool_texts
    from edgekd.progress import Silent

    said: dict[str, Any] = {"name": "text-corpus", "reference": texts}
    member = find_texts(said | ({"tokenizer": tokenizer} if tokenizer else {}))
    assert member is not None
    start = time.process_time()
    made = spool_texts(member, Path(folder), Silent(), words=RowWords())
    seconds = time.process_time() - start
    stored = sum(path.stat().st_size for path in Path(folder).glob("*.tokens"))
    tokens = count_tokens(folder)
    return {
        "texts": made.samples,
        "tokens": tokens,
        "bytes_a_token": round(stored / tokens, 3),
        "seconds": round(seconds, 3),
        "tokens_a_second": round(tokens / seconds),
        "peak_MB": read_status("VmHWM"),
    }


def count_tokens(folder: str) -> int:
    """Of all shards."""
    from edgekd import splits

    count = 0
    for path in Path(folder).glob("*.tokens"):
        rows = splits.read(path)["tokens"]
        assert isinstance(rows, RaggedRows)
        count += int(rows.offsets[-1])
    return count


def read(texts: str, tokenizer: str, folder: str) -> dict[str, Any]:
    """What the data step makes of a spool."""
    import numpy as np

    from edgekd import splits
    from edgekd.learn.data import text_corpus
    from edgekd.learn.describe import describe_fields
    from edgekd.tasks import load_task

    peak = [0.0]

    def watch() -> None:
        while True:
            peak[0] = max(peak[0], read_status("RssAnon"))
            time.sleep(0.005)

    threading.Thread(target=watch, daemon=True).start()
    before, start = read_status("RssAnon"), time.process_time()
    source = text_corpus.read(reference=folder, longest=128)
    rows = source.splits["train"]
    order = np.random.Generator(np.random.PCG64(0)).permutation(len(rows["text"]))
    describe_fields(source, load_task("language-modelling"), order, {}, "spool")
    splits.write(Path(folder) / "train", rows, order)
    return {
        "blocks": len(order),
        "seconds": round(time.process_time() - start, 3),
        "own_peak_MB": peak[0],
        "own_before_MB": before,
    }


def map_texts(texts: str, tokenizer: str, folder: str) -> dict[str, Any]:
    """The same tokens by `datasets.map`, batch by batch, into its own files."""
    import datasets
    import tokenizers

    datasets.disable_progress_bars()
    library = tokenizers.Tokenizer.from_file(tokenizer)
    Path(folder).mkdir()
    start = time.process_time()
    data = datasets.load_dataset("json", data_files=texts, split="train", cache_dir=folder)

    def encode(batch: dict[str, list[str]]) -> dict[str, list[list[int]]]:
        found = library.encode_batch(batch["text"], add_special_tokens=False)
        return {"input_ids": [each.ids for each in found]}

    made = data.map(encode, batched=True, remove_columns=["text"])
    seconds = time.process_time() - start
    tokens = sum(map(len, made.with_format("numpy")["input_ids"]))
    return {
        "texts": len(made),
        "tokens": tokens,
        "seconds": round(seconds, 3),
        "tokens_a_second": round(tokens / seconds),
        "peak_MB": read_status("VmHWM"),
    }


def read_status(name: str) -> float:
    """A size of this process in megabytes, as the system tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(
        round(int(line.split()[1]) * 1024 / 1e6, 1) for line in lines if line.startswith(f"{name}:")
    )


WORK: dict[str, Callable[[str, str, str], dict[str, Any]]] = {
    "spool": spool,
    "read": read,
    "map": map_texts,
}

if __name__ == "__main__":
    main()
