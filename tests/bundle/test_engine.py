from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import bundle
from edgekd import runtimes
from edgekd.bench.engine import Engine
from edgekd.bench.machine import host
from edgekd.bundle import engine as bundle_engine
from edgekd.bundle import models as bundle_models
from edgekd.errors import InputError
from tests import bundle_example


def ready(folder: Path, runtime: str | None = None, **other: object) -> Engine | str:
    made = folder / "made"
    made.mkdir()
    found = bundle.load_bundle(bundle_example.make(made, **other))
    scratch = folder / "scratch"
    scratch.mkdir()
    return bundle_engine.prepare_engine(bundle_models.usual_model(found), runtime, scratch)


@pytest.mark.parametrize(
    ("stated", "there", "want"), [(3, 4, 3), (3, 3, 3), (1024, 2, 2), (9, 0, 1)]
)
def test_the_chosen_engine_is_built_for_no_more_threads_than_there_are_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: int, there: int, want: int
) -> None:
    facts = {"cores_allowed": there} if there else {}
    here = host.describe_host()._replace(facts=facts)
    monkeypatch.setattr(host, "describe_host", lambda device: here)
    row = bundle_example.row("openvino-fp32-1t", threads=stated)
    engine = ready(tmp_path, rows=[row], chosen="openvino-fp32-1t")
    assert isinstance(engine, Engine) and engine.label() == f"openvino-fp32-{want}t"
    assert all(path.is_file() for path in engine.files.values())


def test_an_engine_that_is_asked_for_is_taken_in_float32(tmp_path: Path) -> None:
    engine = ready(tmp_path, "openvino")
    assert isinstance(engine, Engine) and engine.label() == "openvino-fp32-1t"


def test_a_chosen_engine_that_is_unknown_here_gives_way_to_another(tmp_path: Path) -> None:
    row = bundle_example.row("newengine-fp32-1t")
    engine = ready(tmp_path, rows=[row], chosen="newengine-fp32-1t")
    assert isinstance(engine, Engine) and engine.runtime in runtimes.RUNTIMES


def test_each_reason_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = runtimes.find_runtime
    monkeypatch.setattr(
        runtimes, "find_runtime", lambda name: find(name)._replace(why_not=lambda: "no engine")
    )
    assert ready(tmp_path) == "no engine"


def test_an_unknown_engine_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        ready(tmp_path, "onnxrntime")


def test_a_quantized_file_is_int8_wherever_it_runs(tmp_path: Path) -> None:
    for runtime in (None, "openvino"):
        row = bundle_example.row("onnxruntime-int8-1t", profile="x86")
        folder = tmp_path / str(runtime)
        folder.mkdir()
        parity = {"logit_step": 0.1}
        more = {"rows": [row], "chosen": row["name"], "parity": parity, "quantized": True}
        engine = ready(folder, runtime, **more)
        assert isinstance(engine, Engine), engine
        assert engine.label() == f"{runtime or 'onnxruntime'}-int8-1t"


@pytest.mark.parametrize(
    ("chosen", "runtime", "want"),
    [
        ("openvino-bf16-1t", "openvino", ["openvino-bf16", "openvino-fp32"]),
        ("openvino-bf16-1t", "onnxruntime", ["onnxruntime-fp32"]),
        ("openvino-int8-bf16-1t", "openvino", ["openvino-int8-bf16", "openvino-int8"]),
        ("openvino-fp32-1t", "openvino", ["openvino-fp32"]),
        ("openvino-bf16-1t", None, ["openvino-bf16", "openvino-fp32", "onnxruntime-fp32"]),
    ],
)
def test_the_chosen_precision_is_tried_before_float32_and_on_the_chosen_engine_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chosen: str,
    runtime: str | None,
    want: list[str],
) -> None:
    tried: list[str] = []

    def refuse(model: Path, name: str, precision: str, *_: object, **__: object) -> dict[str, str]:
        tried.append(f"{name}-{precision}")
        return {"not_measured": f"no {name} in {precision}"}

    monkeypatch.setattr(bundle_engine, "build_engine", refuse)
    why = ready(tmp_path, runtime, rows=[bundle_example.row(chosen)], chosen=chosen)
    assert [one for one in tried if one.split("-")[0] in ("openvino", "onnxruntime")] == want
    assert isinstance(why, str) and f"no {want[-1].replace('-', ' in ', 1)}" in why
