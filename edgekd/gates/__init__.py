"""The gates, cheap and exact ones first. What one is: `edgekd.gate`."""

from __future__ import annotations

from edgekd.gate import Entry

GATES: dict[str, Entry] = {
    "size": Entry("edgekd.gates.size", "exact", "bytes of the engine's files"),
    "complexity": Entry("edgekd.gates.complexity", "exact", "parameters and multiply-accumulates"),
    "operators": Entry("edgekd.gates.operators", "exact", "kernels that fell back to float"),
    "parity": Entry("edgekd.gates.parity", "exact", "the golden answers, through the engine, now"),
    "accuracy": Entry("edgekd.gates.accuracy", "statistical", "paired, on the same samples"),
    "memory": Entry("edgekd.gates.memory", "statistical", "peak resident memory, both measured"),
    "latency": Entry("edgekd.gates.latency", "statistical", "both run in turns, now and here"),
    "limits": Entry("edgekd.gates.limits", "limit", "absolute limits, if the policy names them"),
}
