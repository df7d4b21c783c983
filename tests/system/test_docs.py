"""The site builds without a warning, and what it says of the program is so."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SAID = re.findall(r"^### `(.+)`$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)


def texts() -> str:
    """Every text in edgekd's code, a line each; `…` stands where a value is put in."""
    lines = []
    for path in sorted((ROOT / "edgekd").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
                lines.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                lines.append(node.value)
    return "\n".join(line.replace("\n", " ") for line in lines)


@pytest.fixture(scope="module")
def all_texts() -> str:
    return texts()


@pytest.mark.parametrize("said", SAID)
def test_an_explained_error_is_one_that_edgekd_gives(said: str, all_texts: str) -> None:
    parts = [re.escape(part.strip(" ")) for part in said.split("...") if part.strip(" :()")]
    assert re.search(".*".join(parts), all_texts), said


def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs-material is not installed: `make site` builds it")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {str(page.relative_to(tmp_path).parent) for page in tmp_path.rglob("index.html")}
    assert {"reference/recipe", "reference/methods", "tutorials/photos"} <= pages
