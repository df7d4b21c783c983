from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from click.testing import Result

from edgekd import cli
from edgekd.cli import gate
from edgekd.errors import BudgetMissed
from edgekd.errors import EdgekdError
from edgekd.errors import Inconclusive
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.report import gate_result
from tests import gate_example


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two equal bundles, a worse one, samples, and a policy that needs no timing."""
    for name, seed in (("run", 0), ("baseline", 0), ("worse", 5)):
        gate_example.bundle_at(tmp_path / name, seed)
    np.savez(tmp_path / "samples.npz", images=gate_example.images(), labels=gate_example.labels())
    (tmp_path / "gates.yaml").write_text("size:\ncomplexity:\noperators:\nscore:\n")
    return tmp_path


def invoke(place: Path, *more: str, run: str = "run", samples: bool = True) -> Result:
    arguments = [str(place / run / "bundle"), "--baseline", str(place / "baseline" / "bundle")]
    arguments += ["--policy", str(place / "gates.yaml"), "--store", str(place / "store")]
    arguments += ["--samples", str(place / "samples.npz")] if samples else []
    return CliRunner().invoke(cli.main, ["gate", *arguments, *more])


def error(done: Result) -> EdgekdError:
    assert isinstance(done.exception, EdgekdError), done.output
    return done.exception


def test_equal_models_pass_with_a_table(place: Path) -> None:
    done = invoke(place)
    assert done.exit_code == 0, done.output
    header, *rows = done.stdout.splitlines()
    assert header.split()[:3] == ["gate", "got", "allowed"]
    verdicts, reasons = rows[: rows.index("")], rows[rows.index("") + 1 :]
    verdicts = [row for row in verdicts if not row.startswith(" ")]
    names = [row.split()[0] for row in verdicts]
    assert names[:1] == ["size"] and len(names) == 8
    assert all(row.endswith("  pass") for row in verdicts)
    assert [row.split()[0] for row in reasons if not row.startswith(" ")] == names
    assert max(map(len, rows)) <= 80


def test_a_worse_model_exits_1_and_every_file_is_written(place: Path) -> None:
    junit, summary = place / "gate.xml", place / "gate.md"
    files = ("--junit", str(junit), "--summary", str(summary))
    done = invoke(place, "--json", "--annotations", *files, run="worse")
    failure = error(done)
    assert isinstance(failure, BudgetMissed) and failure.line().startswith("gate score: ")
    made = json.loads(done.stdout)
    jsonschema.validate(made, gate_result.schema())
    assert made["verdict"] == "fail"
    assert done.stderr.startswith("::error title=edgekd gate score%3A fail::")
    suite = ElementTree.fromstring(junit.read_bytes()).find("testsuite")
    assert suite is not None and suite.get("failures") == "1"
    assert "❌ edgekd gate: 1 failed" in summary.read_text()


def test_annotations_stand_before_the_table(place: Path) -> None:
    done = invoke(place, "--annotations", run="worse")
    assert done.stdout.splitlines()[0].startswith("::error title=edgekd gate score")
    assert done.stdout.splitlines()[1].startswith("gate ")


def test_what_could_not_be_decided_exits_5(place: Path) -> None:
    failure = error(invoke(place, samples=False))
    assert isinstance(failure, Inconclusive) and failure.exit_code == 5
    assert "not measured: the run's test split is not in the store" in failure.line()


@pytest.mark.parametrize(
    ("more", "kind", "want"),
    [
        (("--set", "latncy.allowed=1"), InputError, "did you mean 'latency'"),
        (("--device", "nowhere"), InputError, "nowhere"),
        (
            ("--set", f"limits={{latency_p50_ms: 1.0, fingerprint: '{'0' * 64}'}}"),
            MachineError,
            "milliseconds of one say nothing of another",
        ),
    ],
)
def test_wrong_input_and_wrong_machine(
    place: Path, more: tuple[str, ...], kind: type[EdgekdError], want: str
) -> None:
    failure = error(invoke(place, *more))
    assert isinstance(failure, kind) and want in failure.line()


def test_a_hostile_recipe_name_prints_no_control_characters(place: Path) -> None:
    outcome = gate_example.outcome(text="\x1b[2J\nfine")
    done = CliRunner().invoke(_shown(outcome))
    assert "\x1b" not in done.output and len(done.output.splitlines()) == 4


def _shown(outcome: gate_result.Outcome):
    import click

    @click.command()
    def command() -> None:
        gate._show(gate_example.document(outcome))

    return command
