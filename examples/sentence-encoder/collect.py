"""Writes pairs.jsonl.gz: the synopsis of Debian's packages with the first paragraph of their description.

    /usr/lib/apt/apt-helper cat-file LISTS/*_main_i18n_Translation-en.lz4 | python collect.py pairs.jsonl.gz

LISTS is where ``apt-get -o Acquire::Languages=en -o Dir::State::lists=LISTS update`` put them. Pairs are drawn by a hash
of both texts, so that the same list gives the same file; no synopsis and no description stands there twice.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys

SPLITS = {"test": 1000, "validation": 250, "train": 4000}
"""The test first: it stays the same with more to learn from."""
LEAST, SHORTEST, LONGEST = 20, 80, 600
"""Characters of a synopsis; of a paragraph."""


def main(path: str) -> None:
    """Reads translations of descriptions, paragraphs of ``Key: value``, from the standard input."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for paragraph in sys.stdin.buffer.read().decode().split("\n\n"):
        match = re.search(r"^Description-en: (.*)$", paragraph, re.MULTILINE)
        if match is None:
            continue
        lines = paragraph[match.end() :].split("\n ")
        stop = next((number for number, line in enumerate(lines) if line.strip() == "."), None)
        body = " ".join(line.strip() for line in lines[:stop]).strip()
        title = match[1].strip()
        fits = len(title) >= LEAST and SHORTEST <= len(body) <= LONGEST
        if fits and title not in found and body not in taken:
            found[title] = body
            taken.add(body)
    ordered = sorted(
        found, key=lambda title: hashlib.sha256((title + found[title]).encode()).digest()
    )
    lines = []
    for split, count in SPLITS.items():
        drawn, ordered = ordered[:count], ordered[count:]
        lines += [{"title": each, "body": found[each], "split": split} for each in drawn]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    with open(path, "wb") as file:
        file.write(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
