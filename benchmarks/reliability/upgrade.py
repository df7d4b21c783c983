"""Every file of edgekd edited, one at a time: which stages run again, against what they really run.

    python benchmarks/reliability/upgrade.py --output benchmarks/reliability/upgrade.json

A stage must run again if the edited file is one that it reaches by Python's own parser (imports at any depth,
those inside functions too, names of modules in strings), and need not if it is not. Members of a table, which
`sources` counts by their folder's name, stand under `run_again_without_need`: a recipe may name any.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Iterator
from pathlib import Path

from edgekd import sources

CACHED = ("reached", "_digest", "_file_of", "_folders", "_needs")
STAGES = sorted(p.stem for p in (sources.PACKAGE / "stages").glob("*.py") if p.stem != "__init__")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    texts = sources._at_start()
    before = _all_digests()
    needed = {stage: _needed(f"stages/{stage}.py", texts) for stage in STAGES}
    pairs = again = missed = more = 0
    for path in sorted(texts):
        text, texts[path] = texts[path], texts[path] + b"\n# edited\n"
        after = _all_digests()
        texts[path] = text
        for stage in STAGES:
            changed, want = after[stage] != before[stage], path in needed[stage]
            pairs, again = pairs + want, again + (want and changed)
            missed, more = missed + (want and not changed), more + (changed and not want)
    result = {
        "command": "python benchmarks/reliability/upgrade.py --output benchmarks/reliability/upgrade.json",
        "files": len(texts),
        "stages": len(STAGES),
        "pairs_that_must_run_again": pairs,
        "ran_again": again,
        "missed": missed,
        "run_again_without_need": more,
        "share_of_all_pairs_run_again": round((again + more) / (len(texts) * len(STAGES)), 3),
    }
    given.output.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def _all_digests() -> dict[str, dict[str, str]]:
    for name in CACHED:
        getattr(sources, name).cache_clear()
    return {stage: sources.digest_sources(f"edgekd.stages.{stage}") for stage in STAGES}


def _needed(start: str, texts: dict[str, bytes]) -> set[str]:
    """All files that `start` needs, by Python's parser and not by `sources`' reading."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in found and path in texts:
            found.add(path)
            waiting += [f"{parent.as_posix()}/__init__.py" for parent in Path(path).parents[:-1]]
            waiting += [] if path == sources.NOT_FOLLOWED else _files(path, texts)
    return found


def _files(path: str, texts: dict[str, bytes]) -> list[str]:
    if not path.endswith(".py"):
        return []
    stems = [
        name.partition(".")[2].replace(".", "/") for name in _names(texts[path]) if "." in name
    ]
    places = [place for stem in stems for place in (f"{stem}.py", f"{stem}/__init__.py")]
    return [place for place in places if place in texts]


def _names(text: bytes) -> Iterator[str]:
    """What a source imports, but for the eyes of a type checker; and strings that look like modules."""
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif isinstance(node, ast.Constant) and str(node.value).startswith(f"{sources.ROOT}."):
            yield str(node.value)


if __name__ == "__main__":
    main()
