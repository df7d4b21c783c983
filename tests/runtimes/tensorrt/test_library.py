from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekd.runtimes.tensorrt import library


def finding(monkeypatch: pytest.MonkeyPatch, *modules: str, folder: Path | None = None) -> None:
    """Make these modules the only ones that are installed; `folder` is where their files lie."""

    def find_spec(name: str) -> Any:
        if name not in modules:
            return None
        return SimpleNamespace(submodule_search_locations=[str(folder)] if folder else [])

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def test_classic_goes_before_rtx(monkeypatch: pytest.MonkeyPatch) -> None:
    finding(monkeypatch, "tensorrt", "tensorrt_rtx_bindings")
    assert library.find_installed() is library.CLASSIC
    finding(monkeypatch, "tensorrt_rtx_bindings")
    assert library.find_installed() is library.RTX


def test_nothing_installed_comes_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    finding(monkeypatch)
    assert library.find_installed() is None
    want = "tensorrt is not installed: pip install 'edgekd[tensorrt]'"
    assert library.why_not() == want
    with pytest.raises(ImportError, match="is not installed"):
        library.load_library.__wrapped__()


def test_bindings_without_their_library_are_not_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    finding(monkeypatch, "tensorrt_rtx_bindings")
    assert "the library of TensorRT for RTX is not installed" in str(library.why_not())
    libraries = ("libcudart.so.13.4", "libtensorrt_rtx.so.1.7.1", "libtensorrt_onnxparser_rtx.so.1")
    finding(monkeypatch, *library.RTX.folders, "tensorrt_rtx_bindings", folder=tmp_path)
    for name in libraries[:2]:
        (tmp_path / name).touch()
    assert library.why_not() is not None
    (tmp_path / libraries[2]).touch()
    assert library.why_not() is None


def test_an_old_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    finding(monkeypatch, "tensorrt")
    old = SimpleNamespace(__version__="8.6.1")
    monkeypatch.setattr(importlib, "import_module", lambda name: old)
    with pytest.raises(ImportError, match=r"got TensorRT 8\.6\.1, want 10 or later"):
        library.load_library.__wrapped__()


def test_classic_is_opened_by_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    class ILogger:
        pass

    classic = SimpleNamespace(__version__="10.13.3", ILogger=ILogger)
    finding(monkeypatch, "tensorrt")
    monkeypatch.setattr(importlib, "import_module", {"tensorrt": classic}.__getitem__)
    opened = library.load_library.__wrapped__()
    assert opened.library is library.CLASSIC and opened.module is classic
    opened.log.log(SimpleNamespace(name="VERBOSE"), "said")
    assert opened.log.lines == [("VERBOSE", "said")]


@pytest.mark.skipif(library.why_not() is not None, reason="no TensorRT is installed")
def test_it_opens_without_a_loader_path() -> None:
    code = (
        "from edgekd.runtimes.tensorrt import library; import sys;"
        "library.why_not(); assert 'tensorrt_rtx_bindings' not in sys.modules;"
        "print(library.load_library().module.__version__)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={}
    )
    assert int(ran.stdout.split(".")[0]) >= 1
