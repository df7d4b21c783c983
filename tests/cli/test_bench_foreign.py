"""Files as strangers' exporters write them, through the command; kinds built small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from click.testing import CliRunner

from edgekd.cli.bench import command
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from tests import bench_example
from tests import foreign_example

LITTLE = ("--processes", "1", "--budget", "60")
ORT = ("--runtime", "onnxruntime")


def rows(*arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(command, [*arguments, *LITTLE, "--json"])
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    return found


def names(found: list[dict[str, Any]]) -> list[str]:
    return [one["subject"]["name"].rpartition(" ")[0] for one in found]


def failure(*arguments: str) -> EdgekdError:
    with pytest.raises(EdgekdError) as caught:
        command.main([*arguments, *LITTLE], standalone_mode=False)
    return caught.value


def test_free_sizes_are_asked_for_and_several_are_rows(tmp_path: Path) -> None:
    net = str(foreign_example.detector(tmp_path / "net.onnx"))
    error = failure(net)
    assert isinstance(error, InputError)
    assert error.hint == "such as --size height=224 --size width=224"
    # it detects nothing: an output without elements is measured like any other
    found = rows(net, *ORT, "--size", "height=4,8", "--size", "width=6")
    assert names(found) == ["net height=4,width=6", "net height=8,width=6"]


def test_inputs_by_name_number_and_npz(tmp_path: Path) -> None:
    net = str(foreign_example.embedding(tmp_path / "net.onnx", rows=4))
    np.save(tmp_path / "ids.npy", np.array([[1, 2, 3]], np.int32))
    arrays = {"ids": np.array([[1, 2, 3]], np.int32), "mask": np.ones((1, 3), np.int64)}
    np.savez(tmp_path / "all.npz", **arrays)
    by_name = rows(net, *ORT, "--inputs", f"ids={tmp_path}/ids.npy", "--inputs", "mask=1")
    by_file = rows(net, *ORT, "--inputs", str(tmp_path / "all.npz"))
    assert by_name[0]["config"]["inputs"] == by_file[0]["config"]["inputs"] == "given"
    error = failure(net, "--inputs", str(tmp_path / "ids.npy"))
    assert error.hint == "--inputs ids=FILE --inputs mask=FILE"


def test_what_the_engine_refuses_is_the_inputs_fault_and_named(tmp_path: Path) -> None:
    error = failure(str(foreign_example.reshaped(tmp_path / "net.onnx")), *ORT)
    assert error.exit_code == 2
    assert "got inputs x float32 [2, 6], shape int64 [2]" in error.line()


def test_a_row_is_called_what_its_graph_computes_in(tmp_path: Path) -> None:
    models = [
        bench_example.write_onnx(tmp_path / "float.onnx"),
        foreign_example.half(tmp_path / "half.onnx"),
        foreign_example.quantized(tmp_path / "codes.onnx"),
    ]
    found = rows(*map(str, models), *ORT)
    assert [one["subject"]["precision"] for one in found] == ["fp32", "fp16", "int8"]
    assert found[2]["subject"]["name"] == "codes onnxruntime-int8-1t"
    for model, wrong in ((models[0], "int8"), (models[1], "fp32"), (models[2], "fp32")):
        error = failure(str(model), *ORT, "--precision", wrong)
        assert error.exit_code == 2 and f"got precision '{wrong}'" in error.line()


def test_an_ir_has_free_sizes_and_a_true_label_too(tmp_path: Path) -> None:
    core = openvino.Core()
    for name, write in (("float", foreign_example.detector), ("codes", foreign_example.quantized)):
        made = core.read_model(write(tmp_path / f"{name}.onnx"))
        openvino.save_model(made, tmp_path / f"{name}.xml")
    net = str(tmp_path / "float.xml")
    error = failure(net)
    assert error.hint == "such as --size x.2=224 --size x.3=224"
    assert (
        "got precision 'int8'" in failure(net, "--precision", "int8", "--size", "x=1x3x4x4").line()
    )
    found = rows(net, str(tmp_path / "codes.xml"), "--size", "x.2=4", "--size", "x.3=5")
    assert [one["subject"]["precision"] for one in found] == ["fp32", "int8"]
