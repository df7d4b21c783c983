"""Writes packages.jsonl.gz: short descriptions of Debian's packages with the section each is in.

    apt-cache dumpavail | python collect.py packages.jsonl.gz

Of the eight largest sections as many of each, drawn by a hash of the description, so that the same list gives the
same file. Descriptions that stand in two sections are left out, and of several alike one is taken.
"""

from __future__ import annotations

import collections
import gzip
import hashlib
import json
import re
import sys

SECTIONS, EACH = 8, 750


def main(path: str) -> None:
    """Reads a list of packages, paragraphs of ``Key: value``, from the standard input."""
    sections: dict[str, set[str]] = collections.defaultdict(set)
    for paragraph in sys.stdin.buffer.read().decode().split("\n\n"):
        found = dict(re.findall(r"^(Section|Description): (.+)$", paragraph, re.MULTILINE))
        if len(found) == 2:
            sections[found["Description"].strip()].add(found["Section"].rpartition("/")[2])
    single = {text: min(names) for text, names in sections.items() if len(names) == 1}
    largest = [name for name, _ in collections.Counter(single.values()).most_common(SECTIONS)]
    drawn: collections.Counter[str] = collections.Counter()
    lines = []
    for text in sorted(single, key=lambda each: hashlib.sha256(each.encode()).digest()):
        section = single[text]
        if section in largest and drawn[section] < EACH:
            drawn[section] += 1
            lines.append(json.dumps({"text": text, "label": section}, ensure_ascii=False) + "\n")
    with open(path, "wb") as file:
        file.write(gzip.compress("".join(lines).encode(), 9, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
