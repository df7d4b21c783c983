"""What each job of a worker answers, field by field: an answer may come from a machine that is not ours.

Every answer passes `require_sound` before anything else reads it, so whoever reads it finds the fields that the
job writes, of their kinds, and nothing else. File names are those of files that were received.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from typing import Any
from typing import get_args

from edgekd.bench.timing import COLD
from edgekd.device import PLAIN_NAME
from edgekd.runtime import Precision
from edgekd.runtimes import BUILT_IN

MARKS = ("import", "baseline", "load", "first", "steady")
NAME_CHARS, TEXT_CHARS = 200, 10_000
MOST_ENTRIES = 100_000
"""Of a list or mapping that is not of times."""
MOST_NS = 2**53
"""A hundred days; every whole number up to it is a float too."""
MOST_BATCH = 2**20
MOST_VOCABULARY = 2**24
Check = Callable[[Any], bool]


def require_sound(job: str, answer: object, received: Collection[str] = ()) -> None:
    """Hold an answer to what `job` writes.

    Args:
        job: a name of `edgekd.bench.worker.JOBS`.
        answer: its result, as it was parsed from JSON.
        received: names of the files that came with it.

    Raises:
        ValueError: naming the first field that is missing, unknown or of another form.
    """
    if not isinstance(answer, dict):
        raise ValueError(f"got {_brief(answer)}, want the fields of {job}")
    forms = FORMS[job]
    for key in REQUIRED.get(job, ()):
        if key not in answer:
            raise ValueError(f"got no {key}, which {job} gives")
    for key, value in answer.items():
        if key not in forms or not forms[key](value):
            raise ValueError(f"got {_brief(key)[:40]} {_brief(value)}, not as {job} gives it")
    if job in ENOUGH and not ENOUGH[job](answer):
        raise ValueError(f"got {', '.join(answer)[:80]}, which is less than {job} gives")
    for name in answer.get("files", ()):
        if name not in received:
            raise ValueError(f"got the name of a file, {name!r}, that did not come")


def require_process(said: Mapping[str, Any]) -> None:
    """Hold what every worker says of its own process beside the answer.

    Raises:
        ValueError: naming the first field that is missing or of another form.
    """
    for key, sound in PROCESS.items():
        if key not in said or not sound(said[key]):
            raise ValueError(f"got {key} {_brief(said.get(key))}, not as every worker gives it")


def _brief(value: object) -> str:
    """A value for a message; deep or long ones are not spelled out."""
    return reprlib.repr(value)[:60]


def is_number(value: object, least: float = 0.0, most: float = 2**63) -> bool:
    """A number from `least` up to, and without, `most`; NaN is in no range."""
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    return kind and least <= value < most  # type: ignore[operator]


def is_text(value: object, most: int = NAME_CHARS) -> bool:
    """A string of no more than `most` characters, all of them such that UTF-8 can write them."""
    return isinstance(value, str) and len(value) <= most and (value.isascii() or _encodes(value))


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # half a character, which JSON can spell
        return False
    return True


def is_whole_number(value: object, least: int = 0, most: int = 2**63) -> bool:
    """A whole number."""
    return isinstance(value, int) and is_number(value, least, most)


def _flag(value: object) -> bool:
    return isinstance(value, bool)


def _either(check: Check, other: object = None) -> Check:
    return lambda value: value is other or check(value)


def _list(check: Check, least: int = 0, most: int = MOST_ENTRIES) -> Check:
    return lambda value: (
        isinstance(value, list) and least <= len(value) <= most and all(map(check, value))
    )


def _row(*checks: Check) -> Check:
    return lambda value: (
        isinstance(value, list)
        and len(value) == len(checks)
        and all(check(one) for check, one in zip(checks, value, strict=True))
    )


def _mapping(keys: Check, values: Check) -> Check:
    return lambda value: (
        isinstance(value, dict)
        and len(value) <= MOST_ENTRIES
        and all(map(keys, value))
        and all(map(values, value.values()))
    )


def _facts(value: object) -> bool:
    """Return what a machine says of itself: plain values by name, of the kinds that are read later."""
    if not _mapping(_plain_name, _fact)(value):
        return False
    assert isinstance(value, dict)
    return all(value.get(name) is None or check(value[name]) for name, check in READ_FACTS.items())


def _fact(value: object) -> bool:
    plain = value is None or isinstance(value, bool) or is_text(value, TEXT_CHARS)
    return plain or is_number(value, -(2**63)) or _list(is_text)(value)


def _plain_name(value: object) -> bool:
    return isinstance(value, str) and PLAIN_NAME.fullmatch(value) is not None


def _files(value: object) -> bool:
    """Each file under its own name."""
    named = isinstance(value, dict) and 0 < len(value) <= 1000
    return named and all(_plain_name(key) and key == name for key, name in value.items())  # type: ignore[attr-defined]


def _window(value: object) -> bool:
    """``joules, seconds, inferences, updates``; a counter may stand still, time does not."""
    return _row(is_number, _positive, lambda v: is_whole_number(v, 1), is_whole_number)(value)


def _stretches(value: object) -> bool:
    """``start, end, iterations, median``, one after the other."""
    if not _list(_row(_ns, _ns, lambda v: is_whole_number(v, 1), _time), 1)(value):
        return False
    assert isinstance(value, list)
    return all(start <= end for start, end, _, _ in value)


def _ns(value: object) -> bool:
    return is_whole_number(value, 0, MOST_NS)


def _time(value: object) -> bool:
    return is_number(value, 1, MOST_NS)


def _reason(value: object) -> bool:
    return is_text(value, TEXT_CHARS)


def _runtime(value: object) -> bool:
    return isinstance(value, str) and value in BUILT_IN


def _precision(value: object) -> bool:
    return value in get_args(Precision)


def _cold(value: object) -> bool:
    return (
        _mapping(is_text, is_number)(value) and isinstance(value, dict) and set(value) == set(COLD)
    )


def _positive(value: object) -> bool:
    return is_number(value, 1e-9)


def _batch(value: object) -> bool:
    return is_whole_number(value, 1, MOST_BATCH)


def _cores(value: object) -> bool:
    return is_whole_number(value, 1, 2**20)


_times = _list(_time, 1, 10_000_000)
READ_FACTS: dict[str, Check] = {
    "emulated": is_text,
    "machine": is_text,
    "board": is_text,
    "cpu_model": is_text,
    "flags": _list(is_text),
    "gpus": _list(_either(is_text)),
    "cores": _cores,
    "cores_allowed": _cores,
    "quota_cores": is_number,
}
_FED = {"inputs_sha256": is_text, "subnormal": _flag}
FORMS: dict[str, dict[str, Check]] = {
    "latency": {
        "iters_ns": _times,
        "steady": _flag,
        "cold_ms": _cold,
        "warmup_iters": is_whole_number,
        "threads": _cores,
        "repeated_ns": is_number,
        "caller_ns": is_number,
        "majflt": is_whole_number,
        "nivcsw": is_whole_number,
        "cpu_s": is_number,
        **_FED,
    },
    "memory": {
        "peak_rss_bytes": _either(is_whole_number),
        "peak_anon_bytes": _either(is_whole_number),
        "cgroup_peak_bytes": _either(is_whole_number),
        "marks_bytes": _mapping(lambda value: value in MARKS, _either(is_whole_number)),
        "reset_before_load": _flag,
        "held_bytes": _mapping(_plain_name, _either(is_whole_number)),
        "stream": _mapping(lambda value: value in ("attention", "cache"), is_text),
    },
    "compile": {
        "files": _files,
        "version": is_text,
        "kernels": _mapping(is_text, is_whole_number),
        "islands": _list(_mapping(is_text, _reason)),
        "not_measured": _reason,
        "not_offered": _flag,
    },
    "offers": {
        "precisions": _list(_precision),
        "version": is_text,
        "not_measured": _reason,
    },
    "outputs": {"shapes": _mapping(is_text, _list(is_whole_number))},
    "text": {
        "tokens": _list(lambda value: is_whole_number(value, 0, MOST_VOCABULARY), 1),
        "margins": _list(lambda value: is_number(value, -(2.0**63)), 1),
    },
    "score": {"shapes": _mapping(is_text, _list(is_whole_number))},
    "site": {
        "facts": _facts,
        "now": _facts,
        "versions": _mapping(_plain_name, _either(is_text)),
        "missing": _mapping(_runtime, _either(_reason)),
        "idle": _mapping(_runtime, _either(_reason)),
    },
    "lookup": {"turns_ns": _list(_times, 1)},
    "canary": {"canary_ns": _time, "snapshot": lambda value: isinstance(value, dict)},
    "throughput": {"points": _list(_row(_batch, _positive, _positive), 1)},
    "sustained": {"stretches": _stretches},
    "paced": {"times_ns": _times, "response_ns": _times, "late": is_whole_number},
    "cold_start": {"cold_ms": _cold, "warm": _reason},
    "energy": {
        "reason": _reason,
        "source": is_text,
        "busy": _list(_window, 1),
        "idle": _list(_window, 1),
    },
}
"""By job, what each field is."""
REQUIRED: dict[str, tuple[str, ...]] = {
    "latency": ("iters_ns", "steady", "cold_ms"),
    "memory": ("peak_rss_bytes",),
    "text": tuple(FORMS["text"]),
    "site": tuple(FORMS["site"]),
    "lookup": ("turns_ns",),
    "canary": ("canary_ns", "snapshot"),
    "throughput": ("points",),
    "cold_start": ("cold_ms", "warm"),
    "paced": ("times_ns", "response_ns", "late"),
    "sustained": ("stretches",),
}
ENOUGH: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "compile": lambda answer: "not_measured" in answer or {"files", "version"} <= answer.keys(),
    "offers": lambda answer: "not_measured" in answer or {"precisions", "version"} <= answer.keys(),
    "energy": lambda answer: "reason" in answer or {"source", "busy", "idle"} <= answer.keys(),
}
"""Jobs that give either of two things."""
PROCESS: dict[str, Check] = {"modules": _list(is_text), "affinity": _either(_list(is_whole_number))}
