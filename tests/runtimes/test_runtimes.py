from __future__ import annotations

import importlib.metadata
import inspect
import subprocess
import sys

import pytest

from edgekd import runtimes
from edgekd.errors import InputError
from edgekd.runtime import Entry


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        runtimes.find("onnxruntim")
    assert "did you mean 'onnxruntime'" in caught.value.hint


def test_the_table_and_its_members_import_no_engine() -> None:
    code = (
        "import sys; from edgekd import runtimes;"
        "[(r.why_not(), r.why_not_run()) for e in (*runtimes.RUNTIMES.values(), runtimes.NULL)"
        " for r in [e.load()]];"
        "print({'numpy', 'onnx', 'onnxruntime', 'openvino', 'pydantic', 'tensorrt',"
        " 'tensorrt_rtx_bindings', 'onnxruntime_ep_nv_tensorrt_rtx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_what_stands_in_for_another_counts_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = Entry("m", "usual", "extra", ("fp32",), "", instead=("other", "third"))
    there: set[str] = set()

    def version(name: str) -> str:
        if name not in there:
            raise importlib.metadata.PackageNotFoundError(name)
        return "1"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert one.installed() == "usual"
    there |= {"usual", "third"}
    assert one.installed() == "third"
    there.remove("third")
    assert one.installed() == "usual"


@pytest.mark.parametrize("name", [*runtimes.RUNTIMES, "null"])
def test_an_engine_says_in_a_line_why_it_does_not_run(name: str) -> None:
    reason = runtimes.find(name).why_not_run()
    assert reason is None or "\n" not in reason
    assert name == "tensorrt" or reason is None
    options = inspect.signature(runtimes.find(name).build).parameters.values()
    assert runtimes.entry(name).options == tuple(
        option.name for option in options if option.kind == option.KEYWORD_ONLY
    )
