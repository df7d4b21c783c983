"""Writes few.jsonl.gz: the packages with splits, of which all but some to learn from have lost their label.

    python keep_labels.py 400

The first 1,200 by a hash of the text are for the test, 600 for validation, so that more labels change neither.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
HELD = {"test": 1200, "validation": 600}


def main(labels: int) -> None:
    """Of the training texts the first `labels` keep theirs."""
    lines = gzip.decompress((HERE / "packages.jsonl.gz").read_bytes()).decode().splitlines()
    samples = [json.loads(line) for line in lines]
    samples.sort(key=lambda each: hashlib.sha256(each["text"].encode()).digest())
    names = [name for name, count in HELD.items() for _ in range(count)]
    for number, sample in enumerate(samples):
        sample["split"] = names[number] if number < len(names) else "train"
        if number >= len(names) + labels:
            del sample["label"]
    text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in samples)
    (HERE / "few.jsonl.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
