"""What you import is what you pay for: which modules a verb may bring along."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import edgekd

PIPELINES = Path(__file__).parents[1] / "pipelines"
HEAVY = {"torch", "scipy", "sklearn", "pandas", "onnxruntime", "openvino", "onnx", "matplotlib"}
HEAVY |= {"transformers", "datasets", "lightning_fabric", "PIL", "pooch"}

PROBE = """
import json, sys
sys.argv[0] = "edgekd"
from edgekd import cli
try:
    cli.run(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print("\\n" + json.dumps(sorted(sys.modules)))
"""


def brought(*arguments: str, code: str = PROBE) -> set[str]:
    """The modules in a fresh process after a verb has run."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def packages(modules: set[str]) -> set[str]:
    """Top-level names that are neither the standard library's nor the environment's own hooks."""
    tops = {name.partition(".")[0] for name in modules}
    return {
        name
        for name in tops - set(sys.stdlib_module_names) - {"__main__"}
        if not name.startswith(("__editable__", "_distutils_hack", "sitecustomize", "_virtualenv"))
    }


def test_the_package_imports_nothing_until_a_name_is_asked_for() -> None:
    code = "import json, sys; import edgekd; dir(edgekd); print(json.dumps(sorted(sys.modules)))"
    modules = brought(code=code)
    assert packages(modules) == {"edgekd"}
    assert {name for name in modules if name.startswith("edgekd")} == {"edgekd"}


def test_public_names_are_there_and_no_others() -> None:
    assert dir(edgekd) == sorted([*edgekd.__all__, "__version__"])
    assert set(edgekd.__all__) == set(edgekd._PLACES)
    tree = ast.parse(Path(edgekd.__file__).read_text())
    typed = {
        alias.asname or alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == set(edgekd.__all__)  # what mypy and editors see
    for name in edgekd.__all__:
        assert getattr(edgekd, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'compres'"):
        _ = edgekd.compres


def test_help_imports_click_alone() -> None:
    modules = brought("--help")
    assert packages(modules) == {"click", "edgekd"}
    ours = {name for name in modules if name.startswith("edgekd")}
    own = {"edgekd", "edgekd.cli", "edgekd.cli.border", "edgekd.cli.screen", "edgekd.garbage"}
    assert ours == own


@pytest.mark.parametrize(
    "verb", [["schema"], ["models"], ["methods", "kd"], ["store", "ls"], ["runs", "."]]
)
def test_light_verbs(verb: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKD_HOME", str(tmp_path))
    assert not packages(brought(*verb)) & (HEAVY | {"numpy", "rich"})


def test_loading_a_recipe() -> None:
    code = f"""
import json, sys
from pathlib import Path
from edgekd import recipe
recipe.load(Path({str(PIPELINES / "quickstart.yaml")!r}))
print(json.dumps(sorted(sys.modules)))
"""
    assert not packages(brought(code=code)) & (HEAVY | {"numpy", "rich", "psutil"})


def test_a_run_whose_results_are_all_there_needs_no_numpy() -> None:
    code = "import json, sys; import edgekd.pipeline; print(json.dumps(sorted(sys.modules)))"
    assert not packages(brought(code=code)) & (HEAVY | {"numpy", "rich", "psutil", "jinja2"})


@pytest.mark.parametrize("option", ["--dry-run", "--help"])
def test_compress_without_work(option: str, tmp_path: Path) -> None:
    store = ["--store", str(tmp_path / "store")]
    modules = brought("compress", str(PIPELINES / "quickstart.yaml"), option, *store)
    assert not packages(modules) & HEAVY
    assert list(tmp_path.iterdir()) == []
