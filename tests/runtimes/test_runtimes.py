from __future__ import annotations

import subprocess
import sys

import pytest

from edgekd import runtimes
from edgekd.errors import InputError


def test_an_unknown_name_is_told_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        runtimes.find("onnxruntim")
    assert "did you mean 'onnxruntime'" in caught.value.hint


def test_the_table_and_its_members_import_no_engine() -> None:
    code = (
        "import sys; from edgekd import runtimes;"
        "[e.load().why_not() for e in (*runtimes.RUNTIMES.values(), runtimes.NULL)];"
        "print({'numpy', 'onnx', 'onnxruntime', 'openvino', 'pydantic'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
