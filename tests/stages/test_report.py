from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from edgekd.progress import Silent
from edgekd.report import result
from edgekd.stage import Context
from edgekd.stages import report
from tests import explanation_example
from tests import report_example


def test_the_stage_gives_result_page_and_plots(tmp_path: Path) -> None:
    files = report_example.files()
    values = {name: files[name] for name in ("data", "rows", "choice", "test")}
    for role in files["models"]:
        values[f"{role}_score"] = files["scores"][role]
        values[f"{role}_history"] = report_example.history(3, 1.0, "cross-entropy")
    values["quantize-asymmetric_score"] = files["scores"]["student"]
    values["table/sensitivity-asymmetric.json"] = report_example.SENSITIVITY
    values["site"] = {
        "name": "board",
        "key": report_example.DIGEST,
        "facts": {"cpu_model": "A CPU", "flags": ["avx2"]},
        "versions": {"numpy": "2.4"},
    }
    values["explain.json"] = explanation_example.content()
    given = {"disagreements.csv": tmp_path / "table.csv", "disagreements.npy": tmp_path / "rows"}
    for number, name in enumerate(given):
        given[name].write_bytes(b"\x93 no JSON" * (number + 1))
    for name, value in values.items():
        given[name] = tmp_path / f"{name.replace('/', '-')}.json"
        given[name].write_text(json.dumps(value))
    config = report.ReportConfig(
        recipe="fashion-mnist",
        recipe_digest=report_example.DIGEST,
        models=files["models"],
        quantized={"asymmetric": "quantize-asymmetric"},
        lineage=files["lineage"],
        environment={"versions": {"torch": "2.13.0", "onnx": None}},
    )
    (tmp_path / "out").mkdir()
    context = Context(
        folder=tmp_path / "out", checkpoints=tmp_path / "kept", seed=0, progress=Silent()
    )
    made = report.run(config, given, context)
    assert set(made) == {
        "result.json",
        "report.html",
        "report.md",
        "score_latency.svg",
        "score_latency.png",
        "learning_curves.svg",
        "sensitivity-asymmetric.json",
        "explain.json",
        "disagreements.csv",
        "disagreements.npy",
        "reliability.svg",
        "class_gains.svg",
        "layer_similarity.svg",
    }
    for name in ("disagreements.csv", "disagreements.npy", "explain.json"):
        assert made[name].read_bytes() == given[name].read_bytes()
    assert (
        json.loads(made["sensitivity-asymmetric.json"].read_bytes()) == report_example.SENSITIVITY
    )
    environment = {
        "cpu_model": "A CPU",
        "device": "board",
        "fingerprint": report_example.DIGEST,
        "versions": {"numpy": "2.4", "onnx": None, "torch": "2.13.0"},
    }
    scores = {**files["scores"], "quantize-asymmetric": files["scores"]["student"]}
    want = report_example.result(
        environment=environment, scores=scores, quantized={"asymmetric": "quantize-asymmetric"}
    )
    assert result.read(context.folder) == want and set(want.quantized) == {"asymmetric"}
    page = made["report.md"].read_text()
    assert "| fc | 4 | 2.56 k | 3.9e-06 | 0.0e+00 |" in page
    assert "<h1>onnxruntime-fp32-2t: 92.66 % accuracy" in made["report.html"].read_text()
    for name in made:
        if name.endswith(".svg"):
            ET.parse(made[name])
            assert f"]({name})" in page
