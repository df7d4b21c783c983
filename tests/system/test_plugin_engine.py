"""An engine that a distribution adds: a recipe's target, from compile to bundle, verify and gate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import engine_example
from tests.system.conftest import Place
from tests.system.conftest import edgekd_process

ALONE = "targets=[{runtime: unfused}]"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from engine_example.entered(tmp_path, monkeypatch)


def test_it_is_chosen_shipped_and_judged_by_name(
    finished: Place, site: Path, tmp_path: Path
) -> None:
    place = finished.copy_to(tmp_path / "place")
    ran = place.compress("--set", ALONE, "--run-dir", str(tmp_path / "run"), process=True)
    assert ran.code == 0, ran.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_bytes())
    (row,) = result["candidates"]
    assert (row["runtime"], row["precision"]) == ("unfused", "fp32")
    assert row["runtime_version"].endswith("(unfused-engine 0.3)") and row["agreement"] == 1
    assert [plugin["name"] for plugin in result["plugins"]] == ["unfused"]
    bundle = str(tmp_path / "run" / "bundle")
    verified = edgekd_process("verify", bundle)
    assert verified.code == 0 and "unfused fp32" in verified.stdout, verified.stdout
    (tmp_path / "policy.yaml").write_text("parity: {}\nscore: {}\noperators: {}\n")
    policy = ("--policy", str(tmp_path / "policy.yaml"), "--store", str(place.store), "--json")
    gated = edgekd_process("gate", str(tmp_path / "run"), "--baseline", bundle, *policy)
    assert gated.code == 0 and '"runtime": "unfused"' in gated.stdout, gated.stdout + gated.stderr

    again = place.compress(
        "--set", ALONE, "--run-dir", str(tmp_path / "run"), "--dry-run", process=True
    )
    assert "runs plugins: unfused (unfused-engine 0.3)" in again.stdout, again.stdout + again.stderr

    module = site / "unfused_engine.py"
    module.write_text(module.read_text().replace("return {", "raise RuntimeError\n    return {"))
    broken = place.compress("--set", ALONE, "--run-dir", str(tmp_path / "run"), process=True)
    assert broken.code == 3 and "RuntimeError" in broken.line, broken.stderr

    (site / "unfused_engine-0.3.dist-info" / "entry_points.txt").write_text("")
    gone = place.compress("--set", ALONE, "--run-dir", str(tmp_path / "run"), process=True)
    assert gone.code == 2 and "unknown runtime 'unfused'" in gone.line
    verified = edgekd_process("verify", bundle)  # another engine answers in its place
    assert verified.code == 0 and "onnxruntime fp32" in verified.stdout, verified.stdout
