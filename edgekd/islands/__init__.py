"""Float nodes that compute inside an int8 graph, and why each of them is float.

`fused` tells it for an engine that replaces Q/DQ patterns by int8 kernels (ONNX Runtime), `layers`
for one that gives each layer a precision (OpenVINO). Both are pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping

FLOATS = ("f32", "bf16", "f16", "f64")
BYTES = ("u8", "i8")
HALF_BYTES = ("u4", "i4")

Island = dict[str, str]
"""``node``: its name in the ONNX file, ``op``, and ``cause``: one line that names no node, so that
equal ones can be counted."""


def reachable_nodes(seeds: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Everything that an edge, or several, leads to from one of `seeds`; those themselves included."""
    found, ahead = set[str](), list(seeds)
    while ahead:
        here = ahead.pop()
        if here not in found:
            found.add(here)
            ahead.extend(edges.get(here, ()))
    return found
