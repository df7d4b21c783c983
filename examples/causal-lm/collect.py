"""Writes descriptions.jsonl.gz: descriptions of Debian's packages as running text, shared out by package.

    /usr/lib/apt/apt-helper cat-file LISTS/*_main_i18n_Translation-en.lz4 | python collect.py descriptions.jsonl.gz

LISTS is where ``apt-get -o Acquire::Languages=en -o Dir::State::lists=LISTS update`` put them. A number behind the file says
other characters of texts for training; those that models are judged by stay the same. Packages are drawn by a hash of their
text, so that the same list gives the same file. No eight words stand one behind the other in two texts, in whatever split:
what packages of one source have in common does not leak.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import sys

JUDGED = {"test": 96_000, "validation": 8_000}
"""Characters of each; of this text a token of SmolLM2 has about four."""
SHORTEST, LONGEST, RUN = 240, 1600, 8
"""Characters of a text; words that may not stand in two."""


def read_texts(lists: str) -> list[str]:
    """A text a package: its synopsis, and its description with a line a paragraph."""
    texts = set()
    for entry in lists.split("\n\n"):
        match = re.search(r"^Description-en: (.*)$", entry, re.MULTILINE)
        if match is None:
            continue
        lines = [line.rstrip() for line in entry[match.end() :].split("\n ")]
        paragraphs = " ".join("\n" if line == "." else line for line in lines).split("\n")
        text = "\n".join(each.strip() for each in (match[1], *paragraphs) if each.strip())
        if SHORTEST <= len(text) <= LONGEST:
            texts.add(text)
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())


def find_runs(text: str) -> set[tuple[str, ...]]:
    """All runs of `RUN` words in a text."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + RUN]) for at in range(len(words) - RUN + 1)}


def main(path: str, train: str = "72000") -> None:
    """Reads translations of descriptions, entries of ``Key: value``, from the standard input."""
    texts = iter(read_texts(sys.stdin.buffer.read().decode()))
    taken: set[tuple[str, ...]] = set()
    lines = []
    for split, characters in {**JUDGED, "train": int(train)}.items():
        while characters > 0:
            text = next(texts)
            runs = find_runs(text)
            if runs & taken:
                continue
            taken |= runs
            characters -= len(text)
            line = {"text": text, "split": split}
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    with open(path, "wb") as file:
        file.write(gzip.compress("".join(lines).encode(), 9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
