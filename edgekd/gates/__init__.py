"""The gates, cheap and exact ones first. What one is: `edgekd.gate`."""

from __future__ import annotations

from edgekd.gate import GateEntry

GATES: dict[str, GateEntry] = {
    "size": GateEntry("edgekd.gates.size", "exact", "bytes of the engine's files"),
    "complexity": GateEntry(
        "edgekd.gates.complexity", "exact", "parameters and multiply-accumulates"
    ),
    "operators": GateEntry("edgekd.gates.operators", "exact", "kernels that fell back to float"),
    "parity": GateEntry(
        "edgekd.gates.parity", "exact", "the golden answers, through the engine, now"
    ),
    "score": GateEntry("edgekd.gates.score", "statistical", "paired, on the same samples"),
    "memory": GateEntry(
        "edgekd.gates.memory", "statistical", "peak resident memory, both measured"
    ),
    "latency": GateEntry("edgekd.gates.latency", "statistical", "both run in turns, now and here"),
    "limits": GateEntry(
        "edgekd.gates.limits", "limit", "absolute limits, if the policy names them"
    ),
}
