from __future__ import annotations

import importlib
import itertools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from edgekd.bench import process
from edgekd.bench.pair import document as compare_document
from edgekd.cli.bench import add_default_verb
from edgekd.cli.bench import command
from edgekd.errors import BudgetMissed
from edgekd.errors import EdgekdError
from edgekd.errors import Inconclusive
from edgekd.errors import InputError
from tests import bench_example

SNAPSHOT = {"throttles": {}, "temperatures_c": {}, "frequencies_khz": {}, "time_ns": 1}
REAL = process.run_worker


@pytest.fixture
def models(tmp_path: Path) -> tuple[str, str]:
    """The second one's name makes the stand-in below take 1.2 times as long."""
    for name in ("quick", "slow"):
        (tmp_path / name).mkdir()
    paths = [tmp_path / name / f"{name}.onnx" for name in ("quick", "slow")]
    bench_example.write_onnx(paths[0])
    bench_example.write_onnx(paths[1], "batch")
    return str(paths[0]), str(paths[1])


@pytest.fixture
def machine(models: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Known times instead of processes that are timed; compiling is real."""
    slow = Path(models[1]).read_bytes()
    says: dict[str, Any] = {"slow": 1.2, "noise": [1.0], "canary": lambda: 50_000, "majflt": 0}
    turns = itertools.count()

    def worker(job: str, spec: dict[str, Any], **rest: Any) -> dict[str, Any]:
        if job == "compile":
            return REAL(job, spec, **rest)
        if job == "canary":
            return {"canary_ns": says["canary"](), "snapshot": SNAPSHOT}
        if job == "memory":
            return {"peak_rss_bytes": 30_000_000}
        file = next(iter(rest["reads"].values()))
        is_b = file.read_bytes() == slow
        ns = 100_000
        if is_b:
            ns = int(ns * says["slow"] * says["noise"][next(turns) % len(says["noise"])])
        return {
            "iters_ns": [ns] * 100,
            "warmup_iters": 15,
            "steady": True,
            "cold_ms": {"load_ms": 3.0},
            "majflt": says["majflt"],
        }

    importlib.import_module("edgekd.bench.user_models")  # or it would keep the stand-in for ever
    monkeypatch.setattr(process, "run_worker", worker)
    return says


def said(*arguments: str) -> str:
    done = CliRunner().invoke(command, ["compare", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def failure(*arguments: str) -> EdgekdError:
    with pytest.raises(EdgekdError) as caught:
        command.main(["compare", *arguments], standalone_mode=False)
    return caught.value


def test_json_keeps_to_the_published_schema(models: Any, machine: Any) -> None:
    made = json.loads(said(*models, "--json"))
    jsonschema.validate(made, compare_document.schema())
    assert made["schema"] == "edgekd.compare/1" and made["verdict"] == "slower"
    assert [ratio["metric"] for ratio in made["ratios"]] == ["latency_p50", "latency_p90", "load"]
    assert made["ratios"][0]["ratio"] == pytest.approx(1.2)
    assert made["a"]["latency_p50_ms"] == 0.1 and made["b"]["latency_p50_ms"] == 0.12
    assert len(made["order"]) == 30 and made["valid"]["ok"]
    assert made["a"]["subject"]["model_sha256"] != made["b"]["subject"]["model_sha256"]


@pytest.mark.parametrize(
    ("slow", "noise", "words"),
    [
        (
            1.2,
            [1.0],
            "B is slower: it takes 1.200 of A's time (95 % interval 1.200 to 1.200, 15 pairs).",
        ),
        (0.5, [1.0], "B is faster: it takes 0.500 of A's time"),
        (1.0, [1.0], "B is as fast as A to within 1 %: it takes 1.000 of A's time"),
        (1.0, [0.9, 1.1, 1.0], "Unresolved: B takes 1.000 of A's time"),
    ],
)
def test_the_verdict_is_a_sentence(
    models: Any, machine: Any, slow: float, noise: list[float], words: str
) -> None:
    machine["slow"], machine["noise"] = slow, noise
    text = said(*models)
    assert text.splitlines()[0].split()[:2] == ["model", "engine"]
    assert words in text
    assert ("--pairs 30" in text) is words.startswith("Unresolved")


@pytest.mark.parametrize(
    ("slow", "require", "raised"),
    [
        (1.2, "slower", None),
        (1.2, "faster", BudgetMissed),
        (1.2, "not-slower", BudgetMissed),
        (1.0, "not-slower", None),
        (0.5, "not-slower", None),
    ],
)
def test_a_required_verdict(
    models: Any, machine: Any, slow: float, require: str, raised: type[EdgekdError] | None
) -> None:
    machine["slow"] = slow
    if raised is None:
        said(*models, "--require", require)
    else:
        assert isinstance(failure(*models, "--require", require), raised)


def test_an_unresolved_one_that_is_required_is_inconclusive(models: Any, machine: Any) -> None:
    machine["slow"], machine["noise"] = 1.0, [0.9, 1.1, 1.0]
    error = failure(*models, "--require", "faster")
    assert isinstance(error, Inconclusive) and "got unresolved, want faster" in error.line()


def test_a_machine_that_drifts_prints_no_milliseconds(models: Any, machine: Any) -> None:
    turns = iter([50_000, 70_000] * 10)
    machine["canary"] = lambda: next(turns)
    text = said(*models)
    assert "No milliseconds" in text and "0.1 " not in text and "1.200 of A's time" in text


def test_a_machine_that_was_not_fit_carries_no_requirement(models: Any, machine: Any) -> None:
    machine["majflt"] = 3
    assert "not fit to be measured: paged" in said(*models)
    error = failure(*models, "--require", "slower")
    assert isinstance(error, Inconclusive) and "page faults" in error.line()


def test_one_model_under_two_settings(models: Any, machine: Any) -> None:
    made = json.loads(said(models[0], models[0], "--threads-b", "2", "--json"))
    assert (made["a"]["threads"], made["b"]["threads"]) == (1, 2)


def test_an_unknown_runtime(models: Any) -> None:
    error = failure(*models, "--runtime", "onnxruntim")
    assert isinstance(error, InputError) and "did you mean 'onnxruntime'" in error.line()


def test_several_sizes_are_not_compared(models: Any) -> None:
    error = failure(*models, "--size", "N=1,2")
    assert isinstance(error, InputError) and "got 2 combinations, want one" in error.line()


def test_the_verb_may_be_left_out() -> None:
    assert add_default_verb(["m.onnx"]) == ["measure", "m.onnx"]
    assert add_default_verb(["compare", "a", "b"]) == ["compare", "a", "b"]
    assert add_default_verb(["--self-check", "--json"]) == ["self-check", "--json"]


def test_help_shows_the_way_to_compare() -> None:
    text = CliRunner().invoke(command, ["--help"]).stdout
    assert "MODEL..." in text
    assert "edgekd bench compare A B" in text and "edgekd bench --self-check" in text


def test_self_check_needs_no_model(machine: Any) -> None:
    """Its model is compiled by the real engine; its times are the stand-in's, all equal."""
    machine["slow"] = 1.0
    done = CliRunner().invoke(command, ["--self-check", "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["pairs"] == 10 and told["ratio"] == 1 and told["verdict"] == "equivalent"
    # nothing varies, so what is left is the margin itself
    assert told["smallest_effect"] == {"15": pytest.approx(0.01), "30": pytest.approx(0.01)}
    assert told["milliseconds_hold"] and told["valid"]["ok"]


def test_self_check_says_it_in_words(machine: Any) -> None:
    turns = iter([50_000, 70_000] * 10)
    machine["slow"], machine["canary"] = 1.0, lambda: next(turns)
    text = CliRunner().invoke(command, ["--self-check"], catch_exceptions=False).stdout
    assert "can tell a model that is 1.0 % slower with 15 pairs, 1.0 % with 30" in text
    assert "milliseconds do not hold, ratios do" in text
