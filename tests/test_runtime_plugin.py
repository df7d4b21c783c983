"""An engine that somebody installed is found by name, and a broken one is a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result

from edgekd import cli
from edgekd import recipe as recipes
from edgekd import runtimes
from edgekd.bench import build
from edgekd.bench.engine import Engine
from edgekd.bench.machine import host
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import write_inputs
from edgekd.device import Device
from edgekd.device import WorkerExit
from edgekd.device import WorkerJob
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.plan import checks
from edgekd.plan import origins
from edgekd.run import Options
from edgekd.runtimes import RUNTIMES
from tests import bench_example
from tests import engine_example
from tests.engine_example import MODULE
from tests.engine_example import NAME
from tests.plugin_example import install

PYTHON, QUICKSTART = sys.executable, engine_example.ROOT / "pipelines" / "quickstart.yaml"
LINE = 'ENTRY = RuntimeEntry("unfused_engine", "onnxruntime", "", ("fp32",), "one")'


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from engine_example.entered(tmp_path, monkeypatch)


def write(site: Path, text: str) -> None:
    """Another module in place of the engine's."""
    (site / "unfused_engine.py").write_text(text)
    sys.modules.pop("unfused_engine", None)
    engine_example.forget()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments))


def test_its_line_is_read_without_running_it(site: Path) -> None:
    assert list(RUNTIMES) == [*runtimes.BUILT_IN, NAME] and len(RUNTIMES) == 4
    entry = RUNTIMES[NAME]
    assert (entry.known_precisions, entry.profiles) == (("fp32", "int8"), ("x86",))
    assert str(entry.plugin) == "unfused-engine 0.3" and entry.version().endswith(
        "(unfused-engine 0.3)"
    )
    assert "unfused_engine" not in sys.modules and not (site / "ran").exists()
    with pytest.raises(InputError) as caught:
        runtimes.find_entry("unfuse")
    assert "did you mean 'unfused'" in caught.value.hint


def test_it_is_built_and_asked_in_workers(site: Path, tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "m")
    (tmp_path / "goal").mkdir()
    built = build.build_engine(model, NAME, "fp32", tmp_path / "goal", timeout_s=60, kernels=True)
    assert built["kernels"] == {"Anything f32": 1} and built["version"].endswith("0.3)")
    engine = Engine(NAME, "fp32", 1, {name: tmp_path / "goal" / name for name in built["files"]})
    x = bench_example.inputs(6)
    (got,) = compute_outputs(engine, write_inputs({"x": x}, tmp_path / "in.split")).values()
    np.testing.assert_allclose(got, bench_example.answers(x), atol=1e-5)
    assert (site / "ran").exists() and "unfused_engine" not in sys.modules


def test_bench_and_doctor_find_it(site: Path, tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "m.onnx")
    done = run("bench", str(model), "--runtime", NAME, "--processes", "1", "--json")
    assert done.exit_code == 0, done.output
    (row,) = json.loads(done.stdout)["results"]
    assert row["subject"]["runtime"] == NAME
    assert row["subject"]["runtime_version"].endswith("(unfused-engine 0.3)")
    found = json.loads(run("doctor", "--json").stdout)
    assert found["engines"][-1] == {
        "name": NAME,
        "version": row["subject"]["runtime_version"],
        "precisions": ["fp32", "int8"],
        "why_not": None,
        "why_not_run": None,
    }
    (plugin,) = [each for each in found["plugins"] if each["kind"] == "runtime"]
    assert plugin["distribution"] == "unfused-engine" and plugin["why_not"] is None


def test_its_files_and_versions_are_what_is_behind_a_step(site: Path) -> None:
    here = host.local.DEVICE
    assert origins.of_engines(["onnxruntime", "openvino"], here) is None
    origin = origins.of_engines(["onnxruntime", NAME], here)
    assert origin is not None
    before = origin()
    assert before["unfused/unfused-engine"] == "0.3" and before[NAME].endswith(
        "(unfused-engine 0.3)"
    )
    write(site, MODULE + "\n# another\n")
    after = origin()
    assert [name for name in before if after[name] != before[name]] == ["unfused/unfused_engine.py"]


def test_on_a_board_without_it_its_row_says_so(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_without(order: WorkerJob) -> WorkerExit:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "executable", str(PYTHON))
            return host.local.run(order)

    board = Device("board", run_without)
    why = host.describe_plugin_engine(NAME, board).why_not
    assert why == "unfused is not installed: no installed distribution has an engine of that name"
    model = bench_example.write_onnx(tmp_path / "m")
    (tmp_path / "goal").mkdir()
    built = build.build_engine(model, NAME, "fp32", tmp_path / "goal", timeout_s=60, device=board)
    assert built == {"not_measured": why}
    options = Options(run_dir=tmp_path, store=tmp_path, device=board)
    both = ["targets=[{runtime: unfused}, {runtime: onnxruntime}]"]
    checks.require_installed(recipes.load(QUICKSTART, both), options)
    with pytest.raises(MachineError, match="device board: unfused is not installed"):
        checks.require_installed(
            recipes.load(QUICKSTART, ["targets=[{runtime: unfused}]"]), options
        )


def test_one_that_takes_a_name_of_edgekds_is_refused_where_that_is_asked_for(
    site: Path, tmp_path: Path
) -> None:
    install(site, {"edgekd.runtimes": {"openvino": "unfused_engine:ENTRY"}}, "thief", "1")
    engine_example.forget()
    assert RUNTIMES["openvino"].plugin is None and list(RUNTIMES)[-1] == NAME
    options = Options(run_dir=tmp_path, store=tmp_path)
    checks.require_allowed_code(
        recipes.load(QUICKSTART, ["targets=[{runtime: onnxruntime}]"]), options
    )
    with pytest.raises(
        InputError, match="runtime 'openvino': got it from thief 1, want another name"
    ):
        checks.require_allowed_code(
            recipes.load(QUICKSTART, ["targets=[{runtime: openvino}]"]), options
        )
    assert "edgekd has one of that name" in run("doctor").stdout


def test_the_name_of_the_engine_for_tests_is_nobodys(site: Path) -> None:
    install(site, {"edgekd.runtimes": {"null": "unfused_engine:ENTRY"}}, "thief", "1")
    engine_example.forget()
    with pytest.raises(InputError, match="runtime 'null' of thief 1: got that name"):
        RUNTIMES["null"]
    assert runtimes.find_entry("null").plugin is None and "null" not in [*RUNTIMES]
    assert "null" not in RUNTIMES and "runtime 'null' of thief 1" in run("doctor").stdout


def test_two_of_one_name_cannot_be_told_apart(site: Path) -> None:
    install(site, engine_example.POINTS, "twin", "2")
    engine_example.forget()
    with pytest.raises(InputError, match="got it from twin 2 and unfused-engine 0.3, want one"):
        RUNTIMES[NAME]
    assert run("doctor").exit_code == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ENTRY = 3", "got no ENTRY, want ENTRY = RuntimeEntry"),
        ("ENTRY = (", "got '[(]' was never closed"),
        ("NAME = 'x'\n" + LINE.replace('"one"', "NAME"), "got malformed node"),
        (LINE.replace('("fp32",)', '("fp31",)'), "got known_precisions [(]'fp31',[)]"),
        (LINE.replace('("fp32",)', "()"), "got known_precisions [(][)]"),
        (LINE.replace('("fp32",)', '"fp32"'), "a field of another kind"),
        (LINE.replace('"one"', "1"), "a field that is no text"),
        (LINE.replace('"one"', '"one", profiles=("x87",)'), "got profiles [(]'x87',[)]"),
        (LINE.replace('"one"', '"one", speed=9'), "unexpected keyword argument 'speed'"),
    ],
)
def test_a_line_that_is_none_is_told_in_one(site: Path, text: str, why: str) -> None:
    write(site, text)
    with pytest.raises(InputError, match=f"runtime 'unfused' of unfused-engine 0.3: .*{why}"):
        RUNTIMES[NAME]
    done = run("doctor")
    assert done.exit_code == 0 and "cannot be used: runtime 'unfused'" in done.stdout
    assert run("schema", "recipe").exit_code == 0


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (
            ("import RuntimeEntry\n", "import RuntimeEntry\nimport nothing_of_the_kind\n"),
            "raised ModuleNotFound",
        ),
        (("RUNTIME = Runtime(", "raise SystemExit(3)\nRUNTIME = Runtime("), "raised SystemExit: 3"),
        (("    kernels=kernels,\n", ""), "raised TypeError: .*kernels"),
        (("kernels=kernels", "kernels=3"), "got no function kernels, want one"),
        (('name="unfused"', 'name="fused"'), "got a runtime called 'fused', want 'unfused'"),
        (("RUNTIME = ", "OTHER = "), "got no RUNTIME, want an edgekd.runtime.Runtime"),
        (("why_not=ort.why_not", "why_not=lambda: 1 / 0"), "ZeroDivisionError"),
        (("why_not=ort.why_not", 'why_not=lambda: "no licence"'), "^no licence"),
        (("RUNTIME = Runtime(", "import os\nos.abort()\nRUNTIME = Runtime("), "killed by SIGABRT"),
    ],
)
def test_a_broken_one_is_a_line(site: Path, changed: tuple[str, str], why: str) -> None:
    write(site, MODULE.replace(*changed))
    found = host.describe_plugin_engine(NAME)
    assert found.why_not is not None
    with pytest.raises(MachineError, match=why):
        raise MachineError(found.why_not)


def test_beside_a_broken_one_the_others_are_measured(site: Path, tmp_path: Path) -> None:
    write(site, MODULE.replace("why_not=ort.why_not", "why_not=lambda: 1 / 0"))
    model = bench_example.write_onnx(tmp_path / "m.onnx")
    asked = run("bench", str(model), "--runtime", NAME, "--processes", "1")
    assert isinstance(asked.exception, MachineError) and "ZeroDivision" in str(asked.exception)
    every = run("bench", str(model), "--processes", "1", "--json")
    assert every.exit_code == 0, every.output
    assert {row["subject"]["runtime"] for row in json.loads(every.stdout)["results"]} == {
        "onnxruntime",
        "openvino",
    }
