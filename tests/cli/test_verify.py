from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekd import runtimes
from edgekd.cli.verify import command
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from tests import bundle_example


def test_each_check_is_a_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(bundle_example.make(tmp_path))])
    lines = done.output.splitlines()
    assert done.exit_code == 0 and len(lines) == 8
    assert all("  ok: " in line for line in lines)
    assert lines[0].startswith("manifest.json") and lines[-1].startswith("golden answers, onnx")


def test_json_is_one_value_and_a_changed_file_exits_1(tmp_path: Path) -> None:
    folder = bundle_example.make(tmp_path)
    (folder / "labels.json").write_text("[]")
    done = CliRunner().invoke(command, [str(folder), "--json"])
    checks = {check["what"]: check["verdict"] for check in json.loads(done.output)["checks"]}
    assert checks["labels.json"] == "failed" and checks["golden answers"] == "not checked"
    assert isinstance(done.exception, BudgetMissed) and done.exception.exit_code == 1


def test_what_is_no_bundle_exits_2(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(tmp_path)])
    assert isinstance(done.exception, InputError) and done.output == ""


def test_no_engine_exits_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = runtimes.find
    monkeypatch.setattr(
        runtimes, "find", lambda name: find(name)._replace(why_not=lambda: "is not installed")
    )
    done = CliRunner().invoke(
        command, [str(bundle_example.make(tmp_path)), "--runtime", "openvino"]
    )
    assert isinstance(done.exception, MachineError)
    assert done.output.splitlines()[-1].split(maxsplit=2)[2] == "not checked: is not installed"


def test_the_module_is_light() -> None:
    script = (
        "import sys, edgekd.cli.verify, edgekd.cli.report\n"
        "assert not {'numpy', 'torch', 'pydantic', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
