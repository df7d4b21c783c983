from __future__ import annotations

import math
from typing import Any

import pytest

from edgekd.bench import soundness
from edgekd.bench.timing import COLD
from edgekd.bench.worker import JOBS

COLD_MS = dict.fromkeys(COLD, 1.0)
FACTS = {"flags": ["avx2"], "cores": 2, "emulated": None, "virtual": True, "ram_bytes": 2**34}
GOOD: dict[str, dict[str, Any]] = {
    "latency": {
        "iters_ns": [5, 6.5],
        "steady": True,
        "cold_ms": COLD_MS,
        "warmup_iters": 3,
        "repeated_ns": 3,
        "caller_ns": 4.5,
        "inputs_sha256": "ab",
        "subnormal": False,
        "majflt": 0,
        "nivcsw": 1,
        "cpu_s": 0.5,
    },
    "memory": {
        "peak_rss_bytes": 5,
        "peak_anon_bytes": None,
        "cgroup_peak_bytes": None,
        "marks_bytes": {"load": None, "first": 4},
        "reset_before_load": True,
        "held_bytes": {"VmRSS": 4},
    },
    "compile": {
        "files": {"model.onnx": "model.onnx"},
        "version": "1.0",
        "kernels": {"Conv f32": 9},
        "islands": [{"node": "a/b", "op": "Conv", "cause": "why"}],
        "not_measured": "no device",
    },
    "offers": {"precisions": ["fp32", "int8"], "version": "1.0"},
    "outputs": {"shapes": {"logits": [3, 10], "states": [3, 5, 4]}},
    "text": {"tokens": [0, 256], "margins": [0.5, -1.0]},
    "score": {"shapes": {"accuracy": [3, 2], "macro F1": [3, 2]}},
    "site": {
        "facts": FACTS,
        "now": {"load_1min": 0.1, "boot": "x"},
        "versions": {"numpy": "2.0", "openvino": None},
        "missing": {"onnxruntime": None, "openvino": "is not installed"},
        "idle": {"onnxruntime": None},
    },
    "lookup": {"turns_ns": [[5.0], [6.0, 7.0]]},
    "canary": {"canary_ns": 5.0, "snapshot": {}},
    "throughput": {"points": [[1, 5.0, 0.2]]},
    "sustained": {"stretches": [[0, 10, 5, 2.0]]},
    "paced": {"times_ns": [5], "response_ns": [6], "late": 0},
    "cold_start": {"cold_ms": COLD_MS, "warm": ""},
    "energy": {"source": "rapl", "busy": [[1.0, 2.0, 3, 200]], "idle": [[1.0, 2.0, 3, 200]]},
}
FILES = {"model.onnx"}


def refused(job: str, answer: object, says: str = "") -> None:
    with pytest.raises(ValueError, match="^got ") as caught:
        soundness.require_sound(job, answer, FILES)
    assert says in str(caught.value) and len(str(caught.value)) < 200


def test_every_job_has_its_form() -> None:
    assert set(soundness.FORMS) == set(JOBS) == set(GOOD)
    assert all(set(names) <= set(soundness.FORMS[job]) for job, names in soundness.REQUIRED.items())


@pytest.mark.parametrize("job", list(GOOD))
def test_what_workers_write_is_taken(job: str) -> None:
    soundness.require_sound(job, GOOD[job], FILES)
    soundness.require_sound("compile", {"not_measured": "missing"})
    soundness.require_sound("offers", {"not_measured": "missing"})
    soundness.require_sound("energy", {"reason": "no readable counter"})


@pytest.mark.parametrize(
    ("job", "key"), [(job, key) for job, answer in GOOD.items() for key in answer]
)
@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        -math.inf,
        1e400,
        -1,
        2**63,
        "\ud800",
        "x" * 20_000,
        [[]],
        [math.nan],
        {"a": math.nan},
        {"a": {"b": [{}]}},
        {"../../x": "/abs"},
        {"\ud800": 1},
        (),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_no_field_takes_nonsense(job: str, key: str, value: object) -> None:
    if (job, key) == ("canary", "snapshot") and isinstance(value, dict):
        return  # whoever reads it looks at it: `machine.validity.is_well_formed`
    refused(job, {**GOOD[job], key: value}, key)


@pytest.mark.parametrize(
    ("job", "bad"),
    [
        ("latency", {"iters_ns": []}),
        ("latency", {"iters_ns": [0]}),
        ("latency", {"iters_ns": "5"}),
        ("latency", {"iters_ns": [True]}),
        ("latency", {"iters_ns": [2**53]}),
        ("latency", {"steady": 1}),
        ("latency", {"cold_ms": {**COLD_MS, "other": 1}}),
        ("latency", {"cold_ms": {"load_ms": 1.0}}),
        ("latency", {"cold_ms": {**COLD_MS, "load_ms": None}}),
        ("latency", {"inputs_sha256": "x" * 201}),
        ("latency", {"warmup_iters": 0.5}),
        ("latency", {"modules": []}),
        ("memory", {"held_bytes": 3}),
        ("memory", {"marks_bytes": {"other": 1}}),
        ("compile", {"files": {}}),
        ("compile", {"files": 5}),
        ("compile", {"files": ["model.onnx"]}),
        ("compile", {"files": {"model.onnx": "/etc/passwd"}}),
        ("compile", {"files": {"model.onnx": "../model.onnx"}}),
        ("compile", {"files": {"/etc/passwd": "/etc/passwd"}}),
        ("compile", {"files": {"..": ".."}}),
        ("compile", {"files": {"a/b": "a/b"}}),
        ("compile", {"files": {"other.onnx": "model.onnx"}}),
        ("compile", {"kernels": {"Conv f32": True}}),
        ("compile", {"kernels": {"Conv f32": 1.5}}),
        ("compile", {"islands": [{"node": 1}]}),
        ("compile", {"size_bytes": 5}),
        ("offers", {"precisions": ["fp64"]}),
        ("offers", {"precisions": [["fp32"]]}),
        ("outputs", {"shapes": {"y": [1.5]}}),
        ("outputs", {"shapes": {"y" * 10**6: [1]}}),
        ("outputs", {"shapes": [1]}),
        ("outputs", {"shape": [1]}),
        ("score", {"shapes": {"accuracy": [-1]}}),
        ("site", {"facts": {"flags": "avx2"}}),
        ("site", {"facts": {"flags": [1]}}),
        ("site", {"facts": {"cores": 0}}),
        ("site", {"facts": {"cores_allowed": 2.5}}),
        ("site", {"facts": {"emulated": True}}),
        ("site", {"facts": {"new": {"deep": 1}}}),
        ("site", {"missing": {"evil": None}}),
        ("site", {"missing": {"onnxruntime": True}}),
        ("site", {"versions": {"numpy": 2}}),
        ("lookup", {"turns_ns": [[5.0], []]}),
        ("canary", {"canary_ns": 0}),
        ("throughput", {"points": [[0, 5.0, 0.2]]}),
        ("throughput", {"points": [[1.5, 5.0, 0.2]]}),
        ("throughput", {"points": [[1, 0, 0.2]]}),
        ("throughput", {"points": [[1, 5.0, 0]]}),
        ("throughput", {"points": [[2**21, 5.0, 1]]}),
        ("sustained", {"stretches": [[0, 10, 5]]}),
        ("sustained", {"stretches": [[11, 10, 5, 1.0]]}),
        ("sustained", {"stretches": [[0, 10, 0, 1.0]]}),
        ("sustained", {"stretches": [[0, 10, 5, 0.0]]}),
        ("energy", {"busy": [[1.0, 2.0, 0, 200]]}),
        ("energy", {"busy": [[1.0, 0.0, 3, 200]]}),
        ("energy", {"idle": []}),
    ],
)
def test_what_is_not_as_the_job_gives_it(job: str, bad: dict[str, Any]) -> None:
    refused(job, {**GOOD[job], **bad}, next(iter(bad)))


def test_a_file_that_did_not_come() -> None:
    with pytest.raises(ValueError, match="'model.onnx', that did not come"):
        soundness.require_sound("compile", GOOD["compile"], {"other"})
    with pytest.raises(ValueError, match="that did not come"):
        soundness.require_sound("compile", GOOD["compile"])


@pytest.mark.parametrize(
    ("job", "key"), [(job, key) for job, names in soundness.REQUIRED.items() for key in names]
)
def test_what_is_missing_is_named(job: str, key: str) -> None:
    refused(job, {name: value for name, value in GOOD[job].items() if name != key}, key)


@pytest.mark.parametrize("job", list(soundness.ENOUGH))
def test_one_of_two_things_is_given(job: str) -> None:
    either = {"compile": "files", "offers": "precisions", "energy": "busy"}[job]
    answer = {k: v for k, v in GOOD[job].items() if k not in (either, "not_measured")}
    refused(job, answer, "less than")


@pytest.mark.parametrize("answer", [None, 5, [], "x", [{}]])
def test_an_answer_is_a_mapping(answer: object) -> None:
    refused("latency", answer, "want the fields of latency")


def test_a_deep_value_is_not_spelled_out() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    refused("latency", {**GOOD["latency"], "iters_ns": deep}, "iters_ns")


@pytest.mark.parametrize(
    "bad",
    [{"modules": None}, {"modules": [1]}, {"affinity": ["0"]}, {"affinity": [-1]}, {"affinity": 3}],
)
def test_what_a_worker_says_of_its_process(bad: dict[str, Any]) -> None:
    good = {"modules": ["numpy"], "affinity": [0]}
    soundness.require_process(good)
    soundness.require_process({**good, "affinity": None})
    with pytest.raises(ValueError, match=next(iter(bad))):
        soundness.require_process({**good, **bad})
    with pytest.raises(ValueError, match="modules"):
        soundness.require_process({})
