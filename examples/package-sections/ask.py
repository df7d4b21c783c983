"""Writes questions.jsonl.gz: of every package of packages.jsonl.gz which section it is of, as a conversation.

    python ask.py

The questions lie beside the packages.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

HERE = Path(__file__).parent
QUESTION = "Which section is this package of? {}"


def main() -> None:
    lines = gzip.decompress((HERE / "packages.jsonl.gz").read_bytes()).splitlines()
    rows = []
    for line in lines:
        package = json.loads(line)
        user = {"role": "user", "content": QUESTION.format(package["text"])}
        rows.append({"messages": [user, {"role": "assistant", "content": package["label"]}]})
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    (HERE / "questions.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
