"""Convolutions that quantize their input anew at every run, which no engine is fast at."""

from __future__ import annotations

from edgekd.graph import Graph

OP = "ConvInteger"


def dynamic_warning(read: Graph) -> str | None:
    """One line that names the first of them; None where there are none."""
    found = [node for node in read.nodes if node.op == OP]
    if not found:
        return None
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return (
        f"{found[0].name or found[0].outputs[0]} ({OP}){more}: quantized dynamically, slower than "
        "float on most engines; calibrate it to static Q/DQ (step: quantize)"
    )
