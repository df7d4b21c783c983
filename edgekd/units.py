"""Numbers as people read them; the unit is chosen here and nowhere else."""

from __future__ import annotations

import math


def bytes_text(size_bytes: float) -> str:
    """``1.2 MB``: powers of 1,000, three figures."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size_bytes) < 1000:
            return f"{size_bytes:.3g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.3g} TB"


def count_text(count: float) -> str:
    """``78.0 k``: parameters, MACs."""
    for unit in ("", " k", " M", " G"):
        if abs(count) < 1000:
            return f"{count:.3g}{unit}"
        count /= 1000
    return f"{count:.3g} T"


def number_text(count: int, noun: str, plural: str = "") -> str:
    """``1 sample``, ``2 samples``; `plural` where an s does not make it."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def duration_text(seconds: float) -> str:
    """``1 h 02 min``, ``3 min 20 s``, ``4.2 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def times_text(times: float, more: str, less: str, digits: int = 1) -> str:
    """``3.1x faster``; of less than once, the other way round: ``1.3x slower`` for 0.77."""
    if times >= 1:
        return f"{times:.{digits}f}x {more}"
    return f"{1 / times:.{digits}f}x {less}" if times > 0 else f"{math.inf}x {less}"


def percent_text(fraction: float) -> str:
    """``93.42 %``."""
    return f"{100 * fraction:.2f} %"
