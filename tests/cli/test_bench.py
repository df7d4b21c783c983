from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import onnx
import openvino
import pytest
from click.testing import CliRunner
from onnx import helper
from onnx import numpy_helper

from edgekd import bundle
from edgekd import devices
from edgekd.bench import result
from edgekd.bench.result import raw
from edgekd.bundle import archive
from edgekd.bundle import signature
from edgekd.cli.bench import command
from edgekd.device import Device
from edgekd.device import WorkerExit
from edgekd.device import WorkerJob
from edgekd.devices import local
from edgekd.errors import EdgekdError
from edgekd.errors import Inconclusive
from edgekd.errors import InputError
from edgekd.errors import MachineError
from tests import bench_example
from tests import bundle_example
from tests import foreign_example
from tests.bundle import sized_example
from tests.bundle.test_signature import write_keys

FILES = ("model.onnx", "model-2.onnx")
LITTLE = ("--runtime", "onnxruntime", "--processes", "1", "--budget", "30")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return bench_example.write_onnx(tmp_path / "net.onnx")


def failure(*arguments: str) -> EdgekdError:
    with pytest.raises(EdgekdError) as caught:
        command.main(list(arguments), standalone_mode=False)
    return caught.value


def test_json_keeps_to_the_published_schema(model: Path) -> None:
    done = CliRunner().invoke(command, [str(model), *LITTLE, "--json"])
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    jsonschema.validate(made, result.schema())
    (found,) = made["results"]
    assert found["subject"]["name"] == "net onnxruntime-fp32-1t"
    assert found["status"] == "unstable"  # one process carries no interval
    assert found["config"]["inputs"] == "seeded" and len(found["config"]["inputs_sha256"]) == 64
    assert found["subject"]["model_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert set(found["config"]["affinity"]) <= set(range(os.cpu_count() or 1))
    assert len(made["canary"]["times_ms"]) == 2 and made["raw"] is None
    assert next(m for m in found["metrics"] if m["name"] == "latency_p50")["value"] > 0


def test_a_convolution_quantized_at_every_run_is_named(tmp_path: Path) -> None:
    image, out = (value("x", [1, 1, 8, 8]), value("y", [1, 2, 6, 6]))
    weights = numpy_helper.from_array(np.ones((2, 1, 3, 3), np.uint8), "w")
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
        helper.make_node("ConvInteger", ["q", "w", "zero"], ["n"], name="features/Conv_quant"),
        helper.make_node("Cast", ["n"], ["y"], to=onnx.TensorProto.FLOAT),
    ]
    graph = helper.make_graph(nodes, "net", [image], [out], [weights])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(made, tmp_path / "net.onnx")
    done = CliRunner().invoke(command, [str(tmp_path / "net.onnx"), *LITTLE])
    assert done.exit_code == 0, done.output
    assert "note: net.onnx: features/Conv_quant (ConvInteger): quantized dyn" in done.stderr


def value(name: str, shape: list[int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def test_table(model: Path) -> None:
    done = CliRunner().invoke(command, [str(model), *LITTLE])
    header, line, blank, other, more = done.stdout.splitlines()[:5]
    for row in (header, other):
        assert row.split()[:2] == ["model", "engine"]
    for row in (line, more):
        assert row.split()[:2] == ["net", "onnxruntime-fp32-1t"]
    assert blank == "" and "unstable" in line and more.endswith(" ms")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_model_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"no model at all")
    error = failure(str(tmp_path / "net.onnx"), *LITTLE)
    assert isinstance(error, InputError) and "net.onnx: got" in error.line()


def test_a_model_of_another_batch_is_measured_at_its_own_size(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "net.onnx", 3)
    done = CliRunner().invoke(command, [str(model), *LITTLE, "--json"])
    assert done.exit_code == 0, done.output
    says = "note: net.onnx: its sizes are fixed: x [3, 3, 8, 8]; a call counts as one sample"
    assert says in done.stderr
    config = json.loads(done.stdout)["results"][0]["config"]
    assert config["batch"] == 1 and config["shapes"] == {"x": [3, 3, 8, 8]}
    error = failure(str(model), *LITTLE, "--batch", "2")
    assert isinstance(error, InputError) and "net: got batch 2, want none" in error.line()


def test_one_that_fails_among_others_is_inconclusive(model: Path, tmp_path: Path) -> None:
    bad = foreign_example.reshaped(tmp_path / "bad.onnx")
    error = failure(str(model), str(bad), *LITTLE)
    assert isinstance(error, Inconclusive) and "which the engine refuses" in error.line()


def test_an_unknown_runtime(model: Path) -> None:
    error = failure(str(model), "--runtime", "onnxruntim")
    assert isinstance(error, InputError) and "did you mean 'onnxruntime'" in error.line()


def test_scenarios_stand_below_the_table_and_in_the_json(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    wanted = ["--scenario", "throughput", "--rate", "200", "--energy", "--batch", "2"]
    files = ["--raw", str(tmp_path / "raw.jsonl.gz"), "--plot", str(tmp_path / "plot.svg")]
    done = CliRunner().invoke(command, [str(model), *LITTLE, *wanted, *files])
    assert done.exit_code == 0, done.output
    lines = [line.split("  ")[0] for line in done.stdout.splitlines()[6:9]]
    assert lines == ["paced", "throughput", "energy"]
    assert " at 200 Hz" in done.stdout and " samples/s (" in done.stdout
    assert (tmp_path / "plot.svg").read_bytes().startswith(b"<?xml")
    jobs = [line["job"] for line in raw.read(tmp_path / "raw.jsonl.gz")]
    assert jobs == ["memory", "latency", "paced", "throughput", "throughput", "energy"]


def test_given_inputs_are_named_by_their_digest(model: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", bench_example.inputs(5))
    fed = [str(model), *LITTLE, "--json", "--inputs", str(tmp_path / "x.npy")]
    (found,) = json.loads(CliRunner().invoke(command, fed).stdout)["results"]
    assert found["config"]["inputs"] == "given"
    digest = hashlib.sha256()
    for row in bench_example.inputs(5):
        digest.update(f"x float32 {(1, *row.shape)} ".encode() + row.tobytes())
    assert found["config"]["inputs_sha256"] == digest.hexdigest()


def test_a_bundle_in_one_file_and_an_ir(tmp_path: Path) -> None:
    archive.pack(bundle_example.make(tmp_path), tmp_path / "tiny.edgekd")
    onnx = bench_example.write_onnx(tmp_path / "net.onnx")
    openvino.save_model(openvino.Core().read_model(onnx), tmp_path / "net.xml")
    little = ["--processes", "1", "--budget", "60", "--json"]
    models = [str(tmp_path / "tiny.edgekd"), str(tmp_path / "net.xml")]
    done = CliRunner().invoke(command, [*models, *little, "--runtime", "openvino"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["results"]
    names = [(one["subject"]["name"], one["config"]["inputs"]) for one in found]
    assert names == [("tiny openvino-fp32-1t", "given"), ("net openvino-fp32-1t", "seeded")]


def test_a_bundle_with_a_file_for_other_sizes_is_measured_there_too(tmp_path: Path) -> None:
    folder = sized_example.make(tmp_path)
    little = ["--processes", "1", "--budget", "60", "--json", "--runtime", "onnxruntime"]
    done = CliRunner().invoke(command, [str(folder), *little])
    assert done.exit_code == 0, done.output
    usual, longest = json.loads(done.stdout)["results"]
    names = [one["subject"]["name"] for one in (usual, longest)]
    assert names == ["bundle onnxruntime-fp32-1t", "bundle at text_length=9 onnxruntime-fp32-1t"]
    digests = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES]
    assert [one["subject"]["model_sha256"] for one in (usual, longest)] == digests
    assert longest["config"]["inputs"] == "given"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.onnx"], "none.onnx: No such file"),
        (["net.plan"], "built elsewhere"),
        (["{model}", "--plot", "x.pdf"], "want a name that ends in .svg or .png"),
        (["{model}", "--inputs", "{model}"], "got no inputs, want .npy"),
        (["store:zz"], "got 2 characters"),
    ],
)
def test_wrong_arguments(model: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    (tmp_path / "net.plan").write_bytes(b"x")
    given = [one.format(model=model) for one in arguments]
    given = [str(tmp_path / one) if one == "net.plan" else one for one in given]
    error = failure(*given, *LITTLE)
    assert isinstance(error, InputError) and says in error.line()


def test_a_plot_without_matplotlib_fails_before_anything_is_measured(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    error = failure(str(model), "--plot", "x.svg", *LITTLE)
    assert isinstance(error, MachineError) and "matplotlib is not installed" in error.line()
    assert error.hint == "pip install 'edgekd[report]'"


def test_a_quiet_machine_can_be_required(model: Path) -> None:
    # one process carries no interval: never quiet enough
    error = failure(str(model), *LITTLE, "--require-quiet")
    assert isinstance(error, Inconclusive) and "the machine was not quiet" in error.line()


FIRST = """
import sys
from edgekd.devices import local
class Started(Exception): pass
def run(order):
    raise Started(sorted({"numpy", "pydantic", "onnx", "onnxruntime", "rich"} & set(sys.modules)))
local.DEVICE = local.DEVICE._replace(run=run)
from edgekd.cli.bench import command
try:
    command.main([sys.argv[1]], standalone_mode=False)
except Started as error:
    print(error)
"""


def test_nothing_heavy_is_imported_before_the_first_worker(model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST, str(model)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_bundle_is_measured_as_it_was_written_or_not_at_all(tmp_path: Path) -> None:
    folder = bundle_example.make(tmp_path)
    data = (folder / "model.onnx").read_bytes()
    bench_example.write_onnx(folder / "model.onnx")
    error = failure(str(folder), *LITTLE)
    assert isinstance(error, InputError) and "model.onnx: got" in str(error)
    (folder / "model.onnx").unlink()
    (tmp_path / "elsewhere.onnx").write_bytes(data)
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    for arguments in ([str(folder)], ["compare", str(folder), str(folder)]):
        error = failure(*arguments)
        assert isinstance(error, InputError) and "no regular file" in str(error)
    error = failure(str(tmp_path / "elsewhere.onnx"), "--inputs", str(folder), *LITTLE)
    assert isinstance(error, InputError) and "no regular file" in str(error)


def test_a_key_must_have_signed_what_is_measured(tmp_path: Path, model: Path) -> None:
    folder, (private, public) = bundle_example.make(tmp_path), write_keys(tmp_path)
    key = ("--key", str(public))
    assert "signature.json: is missing" in str(failure(str(folder), *LITTLE, *key))
    assert "signature.json: is missing" in str(failure("compare", str(folder), str(folder), *key))
    assert "want a bundle, which can be signed" in str(failure(str(model), *LITTLE, *key))
    digest = bundle.load_bundle(folder).manifest.digest
    (folder / "signature.json").write_bytes(signature.sign(digest, private, None))
    done = CliRunner().invoke(command, [str(folder), *LITTLE, *key])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("arguments", [("NET",), ("compare", "NET", "NET")])
def test_the_timeout_is_every_workers(
    model: Path, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: set[float] = set()
    run = local.run

    def noted(order: WorkerJob) -> WorkerExit:
        given.add(order.timeout_s)
        return run(order)

    monkeypatch.setattr(devices, "find_device", lambda name: Device("board", noted))
    little = LITTLE if len(arguments) == 1 else ("--pairs", "6")
    words = [str(model) if word == "NET" else word for word in arguments]
    CliRunner().invoke(command, [*words, *little, "--timeout", "77"])
    assert given - {60.0, 120.0} == {77.0}  # looks at the machine have their own
