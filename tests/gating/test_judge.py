"""A regression of each kind fails, and only then."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from edgekd import gate
from edgekd.bench.pair.significance import LEVEL
from edgekd.bench.process import WorkerFailed
from edgekd.errors import MachineError
from edgekd.gate import ComparedPair
from edgekd.gates import parity
from edgekd.gates import score
from edgekd.gating import judge
from edgekd.gating import policy
from edgekd.report.gate_result import Outcome
from edgekd.report.gate_result import overall_verdict
from tests import bundle_example
from tests import gate_example

ALL = policy.load(None)


@pytest.fixture(autouse=True)
def _asked_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "compute_outputs", gate_example.outputs)
    monkeypatch.setattr(gate.scores, "score_engine", gate_example.score)


def judged(pair: ComparedPair, told: policy.Policy = ALL) -> tuple[str, dict[str, Outcome]]:
    outcomes = judge.judge_policy(pair, told)
    return overall_verdict(outcomes), {outcome.gate: outcome for outcome in outcomes}


def failed(outcomes: dict[str, Outcome]) -> set[str]:
    return {name for name, outcome in outcomes.items() if outcome.verdict == "fail"}


def test_identical_models_pass_every_gate(tmp_path: Path) -> None:
    verdict, outcomes = judged(gate_example.pair(tmp_path))
    assert verdict == "pass" and {o.verdict for o in outcomes.values()} == {"pass"}
    assert list(outcomes) == [
        "size",
        "complexity.parameters",
        "operators.kinds",
        "operators.float",
        "parity.outputs",
        "parity.agreement",
        "parity.baseline",
        "score",
        "memory",
        "latency",
    ]


def test_a_worse_model_fails_accuracy_alone_after_two_looks(tmp_path: Path) -> None:
    verdict, outcomes = judged(gate_example.pair(tmp_path, seed=5))
    assert (verdict, failed(outcomes)) == ("fail", {"score"})
    found = outcomes["score"]
    assert found.looks == 2 and "failed again when measured anew, first: " in found.text
    assert found.p_holm is not None and found.p_holm <= LEVEL
    assert outcomes["latency"].looks == 1


def test_a_bigger_one_fails_size_alone(tmp_path: Path) -> None:
    verdict, outcomes = judged(gate_example.pair(tmp_path, run={"size_bytes": 10**6}))
    assert (verdict, failed(outcomes)) == ("fail", {"size"})


@pytest.mark.parametrize(("ratio", "gates"), [(1.2, {"latency"}), (1.03, set()), (0.7, set())])
def test_a_slower_one_fails_latency_alone(tmp_path: Path, ratio: float, gates: set[str]) -> None:
    worker = gate_example.worker(tmp_path, ratio=ratio)
    _, outcomes = judged(gate_example.pair(tmp_path, worker=worker))
    assert failed(outcomes) == gates
    assert outcomes["latency"].looks == 1 + bool(gates)


def test_a_hungrier_one_fails_memory_alone(tmp_path: Path) -> None:
    worker = gate_example.worker(tmp_path, more_bytes=5_000_000)
    _, outcomes = judged(gate_example.pair(tmp_path, worker=worker))
    assert failed(outcomes) == {"memory"}


def test_float_fallback_fails_operators_alone(tmp_path: Path) -> None:
    kernels = {**gate_example.KERNELS, "Conv f32": 11}
    _, outcomes = judged(gate_example.pair(tmp_path, run={"kernels": kernels}))
    assert failed(outcomes) == {"operators.kinds"}


def test_broken_answers_fail_parity_and_are_not_timed(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)
    model = tmp_path / "run" / "broken.onnx"
    bundle_example.model(model, seed=9)
    engine = pair.run.engine._replace(files={"model.onnx": model})
    pair = pair._replace(run=gate_example.with_engine(pair.run, engine))
    verdict, outcomes = judged(pair)
    assert verdict == "fail" and {"parity.outputs", "parity.agreement"} <= failed(outcomes)
    for name in ("memory", "latency"):
        assert outcomes[name].looks == 0 and not outcomes[name].counts
        assert outcomes[name].took_s == 0.0
        assert outcomes[name].text.startswith("not asked: an engine that answers wrong")


def at_the_limit(tmp_path: Path) -> ComparedPair:
    """A latency whose interval holds the limit."""
    return gate_example.pair(tmp_path, worker=gate_example.worker(tmp_path, ratio=1.05, noise=0.02))


def test_an_open_question_counts_unless_the_policy_only_warns(tmp_path: Path) -> None:
    pair = at_the_limit(tmp_path)
    verdict, outcomes = judged(pair)
    assert verdict == "inconclusive" and outcomes["latency"].verdict == "inconclusive"
    verdict, outcomes = judged(pair, policy.load(None, ["unresolved=warn"]))
    assert verdict == "pass" and not outcomes["latency"].counts
    assert outcomes["latency"].verdict == "inconclusive"


def test_what_could_not_be_measured_counts_whatever_the_policy_says(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path, samples="they are gone")
    verdict, outcomes = judged(pair, policy.load(None, ["unresolved=warn"]))
    assert verdict == "inconclusive" and outcomes["score"].counts
    assert outcomes["score"].got is None


def test_a_failure_that_does_not_come_again_is_none(tmp_path: Path) -> None:
    slow = gate_example.worker(tmp_path, ratio=1.3)
    fine = gate_example.worker(tmp_path, ratio=1.0)
    ran: list[str] = []

    def worker(job: str, spec: Any, **given: Any) -> dict[str, Any]:
        ran.append(job)
        first_look = ran.count("latency") <= 2 + 2 * 10  # calibration of both, ten pairs
        return (slow if first_look else fine)(job, spec, **given)

    verdict, outcomes = judged(gate_example.pair(tmp_path, worker=worker))
    found = outcomes["latency"]
    assert (verdict, found.verdict, found.looks) == ("pass", "pass", 2)
    assert found.got == pytest.approx(1.0, rel=0.01)
    assert "did not fail again when measured anew, first: 1.3" in found.text


def test_of_several_findings_one_that_fails_is_enough_for_a_second_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a gate that finds two things, of which the first look fails the second and the next none."""

    def two(pair: ComparedPair, config: Any, look: int) -> Any:
        (found,) = score.judge(pair, config, 0)
        fine = found._replace(gate="fine", p_value=0.9)
        return fine, found._replace(p_value=0.9 if look else found.p_value)

    monkeypatch.setattr(score, "GATE", score.GATE._replace(judge=two))
    notes: list[str] = []
    verdict, outcomes = judged(gate_example.pair(tmp_path, seed=5, note=notes.append))
    assert outcomes["score"].looks == outcomes["fine"].looks == 2 and not failed(outcomes)
    assert verdict == "inconclusive"
    asked = [note for note in notes if note.startswith("score")]
    assert asked == ["score", "score, measured anew"] and notes[0] == "size"


def test_a_second_look_that_crashes_leaves_all_that_its_gate_found_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(pair: ComparedPair, config: Any, look: int) -> Any:
        if look:
            raise WorkerFailed("null: it died")
        (found,) = score.judge(pair, config, 0)
        return found._replace(gate="fine", p_value=0.9), found

    monkeypatch.setattr(score, "GATE", score.GATE._replace(judge=two))
    _, outcomes = judged(gate_example.pair(tmp_path, seed=5))
    for name in ("score", "fine"):
        assert outcomes[name].verdict == "inconclusive" and outcomes[name].got is None


def test_a_second_look_is_asked_for_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a gate draws in its second look is drawn anew: it is told which look it is."""
    looks: list[int] = []
    real = score.judge

    def recorded(pair: ComparedPair, config: Any, look: int) -> Any:
        looks.append(look)
        return real(pair, config, look)

    monkeypatch.setattr(score, "GATE", score.GATE._replace(judge=recorded))
    judged(gate_example.pair(tmp_path, seed=5))
    assert looks == [0, 1]


def test_a_crash_leaves_a_gate_open_and_a_lost_device_ends_it(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)

    def ended(error: Exception, job: str, *_: Any, **__: Any) -> dict[str, Any]:
        raise error

    crash = functools.partial(ended, WorkerFailed("null: the worker was killed by SIGSEGV"))
    verdict, outcomes = judged(pair._replace(worker=crash))
    assert verdict == "inconclusive" and "SIGSEGV" in outcomes["memory"].text
    lost = functools.partial(ended, MachineError("device pi: is not reached"))
    with pytest.raises(MachineError, match="is not reached"):
        judged(pair._replace(worker=lost))


def test_a_second_look_that_crashes_leaves_the_gate_open(tmp_path: Path) -> None:
    """What failed once and could not be measured anew is neither confirmed nor withdrawn."""
    slow = gate_example.worker(tmp_path, ratio=1.3)
    ran: list[str] = []

    def worker(job: str, spec: Any, **given: Any) -> dict[str, Any]:
        ran.append(job)
        if ran.count("latency") > 2 + 2 * 10:  # calibration of both, ten pairs
            raise WorkerFailed("null: the worker was killed by SIGSEGV")
        return slow(job, spec, **given)

    verdict, outcomes = judged(gate_example.pair(tmp_path, worker=worker))
    found = outcomes["latency"]
    assert (verdict, found.verdict, found.looks) == ("inconclusive", "inconclusive", 2)
    assert found.counts and found.got is None and found.p_value is None and found.p_holm is None
    assert found.text.startswith("not measured: null: the worker was killed by SIGSEGV; did not")


def test_what_both_looks_took_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still but for the accuracy gate: 3 s in its first look, 4 in its second."""
    now = [0.0]
    real = score.judge

    def slow(pair: ComparedPair, config: Any, look: int) -> Any:
        now[0] += 3.0 + look
        return real(pair, config, look)

    monkeypatch.setattr(score, "GATE", score.GATE._replace(judge=slow))
    monkeypatch.setattr(judge.time, "monotonic", lambda: now[0])
    _, outcomes = judged(gate_example.pair(tmp_path, seed=5))
    assert (outcomes["score"].took_s, outcomes["score"].looks) == (7.0, 2)
    assert outcomes["size"].took_s == 0.0


def test_an_exact_gate_that_fails_is_not_asked_again(tmp_path: Path) -> None:
    _, outcomes = judged(gate_example.pair(tmp_path, run={"size_bytes": 10**6}))
    assert outcomes["size"].looks == 1 and "measured anew" not in outcomes["size"].text


def test_fail_fast_spends_no_minutes(tmp_path: Path) -> None:
    calls: list[str] = []
    worker = gate_example.worker(tmp_path, calls=calls)
    pair = gate_example.pair(tmp_path, run={"size_bytes": 10**6}, worker=worker)
    verdict, outcomes = judged(pair, policy.load(None, ["fail_fast=true"]))
    assert verdict == "fail" and calls == [] and outcomes["score"].looks == 0
    assert outcomes["parity.outputs"].looks == 1  # exact gates are all asked


def test_p_values_are_corrected_for_one_another(tmp_path: Path) -> None:
    worker = gate_example.worker(tmp_path, ratio=1.3, more_bytes=5_000_000)
    _, outcomes = judged(gate_example.pair(tmp_path, seed=5, worker=worker))
    assert failed(outcomes) == {"score", "memory", "latency"}
    found = [outcomes[name] for name in ("score", "memory", "latency")]
    assert all(one.p_holm >= one.p_value for one in found)
    assert min(one.p_holm / one.p_value for one in found) >= 1
    assert max(one.p_holm / one.p_value for one in found) == pytest.approx(3)


def test_among_many_gates_one_small_p_may_be_luck(tmp_path: Path) -> None:
    """A p just below the level fails alone and not as one of three."""
    found = score.judge(gate_example.pair(tmp_path, seed=5), score.ScoreConfig(), 0)[0]
    found = found._replace(p_value=0.02)
    others = [found._replace(gate=name, p_value=0.6) for name in ("memory", "latency")]
    assert judge.correct_findings([found])["score"].failed
    assert not judge.correct_findings([found, *others])["score"].failed
