"""The tools that stand beside edgekd: what each installs, and what its user writes."""

from __future__ import annotations

import io
import tokenize
from pathlib import Path
from typing import NamedTuple

PEERS = Path(__file__).parent / "peers"
TORCH, ONNX, ORT, OPENVINO = (
    "torch==2.13.0",
    "onnx==1.23.2",
    "onnxruntime==1.31.1",
    "openvino==2026.4.1",
)
STUDENT = ("pydantic", "safetensors")
"""What `edgekd.learn.blueprint` needs where a tool takes the student as a torch module; not counted in
the size of the tool's environment."""


class Tool(NamedTuple):
    """One way to an int8 model."""

    name: str
    environment: str
    distribution: str
    """The tool's own package, whose version is told."""
    written: tuple[str, ...]
    """What the user writes, in `PEERS`; the first is run."""
    goal: str = "model.onnx"
    """What it leaves; an OpenVINO model is for OpenVINO alone."""

    def lines(self) -> int:
        """Lines the user writes: neither blank, comment nor docstring."""
        return sum(lines_of(PEERS / name) for name in self.written)


ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "ort": (ORT, ONNX, "sympy"),
    "nncf": ("nncf==3.4.0", TORCH, ONNX, ORT, OPENVINO, "torchao==0.18.0"),
    "olive": ("olive-ai==0.13.0", TORCH, ORT, "requests"),
    "modelopt": ("nvidia-modelopt[onnx]==0.47", TORCH, "requests", "huggingface-hub", "psutil"),
    "inc": ("neural-compressor-pt==3.10", TORCH, ONNX, "onnxscript==0.7.2"),
}
"""Name to requirements; torch is the CPU build where the registry at hand has one. torchao, requests,
huggingface-hub and psutil are imported by the tools on the ways used here, and not declared by them."""

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool("ORT quantize_static", "ort", "onnxruntime", ("ort_static.py",)),
        Tool("NNCF, OpenVINO model", "nncf", "nncf", ("nncf_openvino.py",), "model.xml"),
        Tool("NNCF, ONNX file", "nncf", "nncf", ("nncf_onnx.py",)),
        Tool("NNCF, torch module", "nncf", "nncf", ("nncf_torch.py",)),
        Tool("Olive", "olive", "olive-ai", ("olive_static.json", "olive_images.py")),
        Tool("ModelOpt, ONNX file", "modelopt", "nvidia-modelopt", ("modelopt_onnx.py",)),
        Tool("ModelOpt, torch module", "modelopt", "nvidia-modelopt", ("modelopt_torch.py",)),
        Tool("neural-compressor", "inc", "neural-compressor-pt", ("neural_compressor_torch.py",)),
    )
}


def lines_of(path: Path) -> int:
    """Lines with code on them. Of Python: no comments, no docstrings, no ``from __future__``, and none
    that says it is not counted: what one user writes for another kind of student."""
    text = path.read_text()
    if path.suffix != ".py":
        return sum(bool(line.strip()) for line in text.splitlines())
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    lines: set[int] = set()
    left_out: set[int] = set()
    start_of_statement = True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and "not counted" in token.string:
            left_out.add(token.start[0])
        if token.type in skipped or token.type == tokenize.ENDMARKER:
            start_of_statement = start_of_statement or token.type == tokenize.NEWLINE
            continue
        docstring = token.type == tokenize.STRING and start_of_statement
        if not docstring and not token.line.startswith("from __future__"):
            lines.update(range(token.start[0], token.end[0] + 1))
        start_of_statement = False
    return len(lines - left_out)
