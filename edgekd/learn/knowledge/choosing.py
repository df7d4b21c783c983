"""Whether a teacher's layers are stored or computed anew in every step: by seconds and bytes, both estimated."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

READ_BYTES_PER_S = 1e9
"""Of float32 values, gathered and decoded: benchmarks/knowledge/encodings.json has 1.7e9 in memory, so disks get less."""
SHARE_OF_DISK = 0.5
"""Of what is free: the rest is for what else a run makes."""
WORTH = 1.1
"""Layers are stored only if that is estimated to be this much faster."""
WRITE_BYTES_PER_S = 2.5e8
"""Of rows, encoded, hashed, and flushed to the disk."""


class AnswerWork(NamedTuple):
    """What storing or computing a teacher's layers takes."""

    samples: int
    stored_a_sample: int
    """How often each sample is answered where answers are stored: its views."""
    live_a_sample: int
    """How often where they are not: the epochs."""
    row_bytes: int
    """Of one stored answer with its layers."""
    values: int
    """Numbers in it, which are read as float32."""
    answer_s: float
    """Of asking the teacher about one sample, once."""

    @property
    def stored_bytes(self) -> int:
        """Of all rows."""
        return self.samples * self.stored_a_sample * self.row_bytes

    @property
    def stored_s(self) -> float:
        """Of answering and writing every view once, and reading it in every epoch."""
        ask_s = self.samples * self.stored_a_sample * self.answer_s
        read_s = self.samples * self.live_a_sample * 4 * self.values / READ_BYTES_PER_S
        return ask_s + self.stored_bytes / WRITE_BYTES_PER_S + read_s

    @property
    def live_s(self) -> float:
        """Of answering in every epoch."""
        return self.samples * self.live_a_sample * self.answer_s


class LayerChoice(NamedTuple):
    """What is done, why, and what either costs."""

    is_stored: bool
    why: str
    stored_bytes: int
    stored_s: float
    live_s: float

    def describe(self) -> dict[str, Any]:
        """The same as plain values, seconds to three digits."""
        rounded = {name: float(f"{getattr(self, name):.3g}") for name in ("stored_s", "live_s")}
        return {**self._asdict(), **rounded}


def choose_layers(work: AnswerWork, free_bytes: int, limit_bytes: int) -> LayerChoice:
    """Choose to store where that saves time and the disk has room.

    Args:
        work: what either takes.
        free_bytes: of the disk.
        limit_bytes: that a recipe allows.
    """
    size_bytes = work.stored_bytes
    why, is_stored = "storing is faster", False
    if size_bytes > limit_bytes:
        why = "storing takes more than knowledge.disk_limit_gb"
    elif size_bytes > free_bytes * SHARE_OF_DISK:
        why = "the disk has too little room"
    elif work.stored_s * WORTH > work.live_s:
        why = "storing is no faster"
    else:
        is_stored = True
    return LayerChoice(is_stored, why, size_bytes, work.stored_s, work.live_s)
