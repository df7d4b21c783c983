from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekd import bundle
from edgekd import runtimes
from edgekd.bundle import archive
from edgekd.bundle import signature
from edgekd.cli.verify import command
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.errors import MachineError
from tests import bundle_example
from tests.bundle.test_signature import write_keys


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_each_check_is_a_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(bundle_example.make(tmp_path))])
    lines = done.output.splitlines()
    assert done.exit_code == 0 and len(lines) == 8
    assert all("  ok: " in line for line in lines)
    assert lines[0].startswith("manifest.json") and lines[-1].startswith("golden answers, onnx")


def test_json_is_one_value_and_a_changed_file_exits_1(tmp_path: Path) -> None:
    folder = bundle_example.make(tmp_path)
    (folder / "task.json").write_text("[]")
    done = CliRunner().invoke(command, [str(folder), "--json"])
    checks = {check["what"]: check["verdict"] for check in json.loads(done.output)["checks"]}
    assert checks["task.json"] == "failed" and checks["golden answers"] == "not checked"
    assert isinstance(done.exception, BudgetMissed) and done.exception.exit_code == 1


def test_what_is_no_bundle_exits_2(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(tmp_path)])
    assert isinstance(done.exception, InputError) and done.output == ""


def test_no_engine_exits_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = runtimes.find_runtime
    monkeypatch.setattr(
        runtimes,
        "find_runtime",
        lambda name: find(name)._replace(why_not=lambda: "is not installed"),
    )
    done = CliRunner().invoke(
        command, [str(bundle_example.make(tmp_path)), "--runtime", "openvino"]
    )
    assert isinstance(done.exception, MachineError)
    assert done.output.splitlines()[-1].split(maxsplit=2)[2] == "not checked: is not installed"


def test_a_signature_is_asked_for_by_its_key(tmp_path: Path) -> None:
    folder, (private, public) = bundle_example.make(tmp_path), write_keys(tmp_path)
    digest = bundle.load_bundle(folder).manifest.digest
    archive.pack(folder, tmp_path / "plain.edgekd")
    made = signature.sign(digest, private, None)
    archive.pack(folder, tmp_path / "signed.edgekd", signature=made)

    def run(name: str, *key: str) -> tuple[object, str]:
        done = CliRunner().invoke(command, [str(tmp_path / name), *key])
        return done.exception, done.output

    by_key = ("--key", str(public))
    assert run("plain.edgekd")[0] is None and "signature" not in run("plain.edgekd")[1]
    error, output = run("signed.edgekd")
    assert error is None and "not checked: signed by ed25519:" in output
    error, output = run("signed.edgekd", *by_key)
    assert error is None and "signature.json" in output and "ok: signed by" in output
    error, output = run("plain.edgekd", *by_key)
    assert isinstance(error, BudgetMissed) and "signature.json: is missing" in str(error)
    other = write_keys(tmp_path, seed=2)[1]
    error, output = run("signed.edgekd", "--key", str(other))
    assert isinstance(error, BudgetMissed) and "golden answers" in output.splitlines()[-1]


def test_the_module_is_light() -> None:
    script = (
        "import sys, edgekd.cli.verify, edgekd.cli.report\n"
        "assert not {'numpy', 'torch', 'pydantic', 'rich'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
