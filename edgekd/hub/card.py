"""The README.md of a bundle on the Hub: the bundle's model card behind a front matter that the Hub reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from edgekd import bundle
from edgekd.bundle import Bundle
from edgekd.printable import escape_unprintable
from edgekd.report.result import Result
from edgekd.report.result_row import Row

NAME = "README.md"
CARD = "MODEL_CARD.md"


def write_card(folder: Path, repo: str, license_name: str, result: Result | None = None) -> str:
    """The text of README.md.

    Args:
        folder: of the bundle; each of its files is checked.
        repo: ``OWNER/NAME``.
        license_name: as the Hub spells it, ``apache-2.0``.
        result: of the run that the bundle is from, for the score on its test set; None if it is not at hand.

    Raises:
        InputError: if it is no bundle.
        BudgetMissed: if one of its files has changed.
    """
    found = bundle.load_bundle(folder)
    text = (folder / CARD).read_text(encoding="utf-8", errors="replace")
    front = yaml.safe_dump(
        _plain(describe_model(found, license_name, result)),
        sort_keys=False,
        allow_unicode=True,
        width=10_000,
    )
    use = f"```\nedgekd pull {repo} --allow-download\n```\n"
    return escape_unprintable(f"---\n{front}---\n\n{use}\n{text}", keep="\n")


def describe_model(found: Bundle, license_name: str, result: Result | None) -> dict[str, Any]:
    """The front matter: license, library, tags, and what was measured as a model-index.

    Args:
        found: the bundle.
        license_name: as the Hub spells it.
        result: as `write_card` takes it.
    """
    manifest, chosen = found.manifest, found.manifest.chosen
    task = found.dataset.task.rpartition(":")[2]
    rows = () if result is None else result.candidates
    row = next((row for row in rows if row.name == chosen.name), None)
    measured = list(_metrics(found, row))
    data = str(result.data.get("source") or "unknown") if result is not None else "unknown"
    results = [
        {
            "task": {"type": task, "name": task},
            "dataset": {"type": data, "name": data, "split": split},
            "metrics": metrics,
        }
        for split, metrics in measured
    ]
    names = [metric["type"] for _, metrics in measured for metric in metrics]
    return {
        "license": license_name,
        "library_name": "edgekd",
        "tags": ["edgekd", "onnx", task, chosen.runtime, chosen.precision],
        "metrics": list(dict.fromkeys(names)),
        "model-index": [{"name": manifest.name, "results": results}],
    }


def _plain(value: Any) -> Any:
    """The same with every text in one line: one of several could end the front matter."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return escape_unprintable(value) if isinstance(value, str) else value


def _metrics(found: Bundle, row: Row | None) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """By split, the score; and with the first of them latency and size."""
    chosen, name = found.manifest.chosen, found.manifest.metric.name
    scores = {
        "test": None if row is None else row.score,
        "validation": chosen.validation_score,
    }
    more = [
        {"type": kind, "name": text, "value": value}
        for kind, text, value in (
            ("latency", "latency of one sample, median (ms)", chosen.latency_p50_ms),
            ("size", "size of the engine's files (bytes)", chosen.size_bytes),
        )
        if value is not None
    ]
    for split, score in scores.items():
        if score is not None:
            kind = re.sub(r"\W+", "_", name.lower()).strip("_") or "score"
            yield split, [{"type": kind, "name": name, "value": score}, *more]
            more = []
