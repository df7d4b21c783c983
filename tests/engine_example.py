"""An environment with a distribution whose engine is a plugin, installed as pip would have done it."""

from __future__ import annotations

import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd.bench.machine import host
from tests import plugin_example

ROOT = Path(__file__).parents[1]
NAME = "unfused"
MODULE = '''
"""ONNX Runtime that fuses nothing."""

from pathlib import Path

from edgekd.runtime import Runtime
from edgekd.runtime import RuntimeEntry
from edgekd.runtimes import ort

ENTRY = RuntimeEntry(
    "unfused_engine",
    "onnxruntime",
    "",
    ("fp32", "int8"),
    "ONNX Runtime that fuses nothing",
    keeps_floats=True,
    profiles=("x86",),
)


def load(files, precision, threads, *, batch=None, shapes=None):
    import onnxruntime

    chosen = ort.make_options(precision, threads)
    chosen.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    (Path(__file__).parent / "ran").touch()
    return ort._Session(
        onnxruntime.InferenceSession(files["model.onnx"], chosen, providers=["CPUExecutionProvider"])
    )


def kernels(files, precision):
    return {"Anything f32": 1}


RUNTIME = Runtime(
    name="unfused",
    modules=("numpy", "onnxruntime"),
    extra="",
    distribution="onnxruntime",
    why_not=ort.why_not,
    precisions=lambda: ("fp32", "int8"),
    build=ort.build,
    load=load,
    kernels=kernels,
)
'''
POINTS = {"edgekd.runtimes": {NAME: "unfused_engine:ENTRY"}}


def make_environment(folder: Path) -> Path:
    """Make an environment that sees all this one does, with the engine installed; give its site-packages."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "above.pth").write_text("\n".join([str(ROOT), *filter(None, sys.path)]))
    (site / "unfused_engine.py").write_text(MODULE)
    plugin_example.install(site, POINTS, "unfused-engine", "0.3")
    return site


def entered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The environment's site-packages, while this process and those it starts run as if in it."""
    site = make_environment(folder / "environment")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "executable", str(folder / "environment" / "bin" / "python"))
    forget()
    yield site
    sys.modules.pop("unfused_engine", None)
    forget()


def forget() -> None:
    """Let entry points and engines be looked at again."""
    plugin_example.forget()
    host.describe_plugin_engine.cache_clear()
