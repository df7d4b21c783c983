"""What `measure.py` left in WORK becomes result.json here and the table of README.md.

python benchmarks/onnx_files/render.py WORK
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
HEAD = "| file | chosen | parity | int8 beside float | s |\n|---|---|---|---|---|\n"
TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)*")
DROP = 0.05
"""The budget: points of agreement that may be lost."""


def format_row(name: str, row: dict[str, Any]) -> str:
    """One file's line."""
    rows = row.get("candidates", [])
    chosen = next((each for each in rows if each["name"] == row.get("chosen")), None)
    parity = "" if chosen is None else f"{chosen['parity_max_abs']:.1e}"
    parts = [row.get("fastest_int8") or " ".join(row.get("error", []))]
    scores = [each["validation_score"] for each in rows if each["precision"] == "int8"]
    known = [score for score in scores if score is not None]
    if known and max(known) < 1 - DROP:
        parts.append(f"misses the budget of {100 * DROP:g} points")
    why = row.get("why", "")
    for said in ("there is no int8 of it: ", "it is measured as it is: "):
        parts += [f"{said}{why.partition(said)[2]}"] if said in why else []
    parts += [
        f"{each['name']}: {each['status']}: {each['reason']}"
        for each in rows
        if each["status"] in ("failed", "not measured")
    ]
    return f"| {name} | {row.get('chosen') or 'none'} | {parity} | {'; '.join(parts)} | {row['took_s']:.0f} |\n"


def main() -> None:
    """Write both files."""
    found = json.loads((Path(sys.argv[1]) / "result.json").read_text())
    (HERE / "result.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    table = HEAD + "".join(format_row(*item) for item in sorted(found["files"].items()))
    text = (HERE / "README.md").read_text()
    (HERE / "README.md").write_text(TABLE.sub(lambda _: table, text))


if __name__ == "__main__":
    main()
