"""Every raw time of a session as one file: gzip of JSON lines, one a process; the same times give
the same bytes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.bench.result import RawFile
from edgekd.bench.scenario.run import Name
from edgekd.bench.scenario.run import ScenarioRun
from edgekd.bench.session import Measurement
from edgekd.errors import InputError

LARGEST_BYTES = 2**31


def make_lines(
    measured: Iterable[Measurement], scenarios: Iterable[Mapping[Name, ScenarioRun]]
) -> Iterator[dict[str, Any]]:
    """One mapping a process: ``subject``, ``job``, its number ``process``, and ``result`` as it came."""
    for found, ran in zip(measured, scenarios, strict=True):
        name = found.subject.name
        if found.memory is not None:
            yield _line(name, "memory", 0, found.memory)
        for number, process in enumerate(found.processes):
            yield _line(name, "latency", number, process)
        for scenario in ran.values():
            swept = [] if scenario.swept is None else [scenario.swept]
            for number, process in enumerate([*swept, *scenario.processes]):
                yield _line(name, scenario.name, number, process)


def _line(subject: str, job: str, process: int, result: Mapping[str, Any]) -> dict[str, Any]:
    return {"subject": subject, "job": job, "process": process, "result": dict(result)}


def pack_lines(every: Iterable[Mapping[str, Any]]) -> bytes:
    """The file's bytes."""
    return gzip.compress(b"".join(map(files.canonical_json, every)), mtime=0)


def write(path: Path, every: Iterable[Mapping[str, Any]]) -> RawFile:
    """Put the file at `path`, durably.

    Raises:
        MachineError: if the disk refuses.
    """
    data = pack_lines(every)
    files.write_output(path, data)
    return RawFile(name=path.name, sha256=files.digest_bytes(data), size_bytes=len(data))


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of such a file.

    Raises:
        InputError: if it is none.
    """
    with files.open_regular(path) as file:
        try:
            with gzip.open(file) as unpacked:
                data = unpacked.read(LARGEST_BYTES)
            return [json.loads(line) for line in data.splitlines()]
        except (OSError, EOFError, ValueError) as error:
            raise InputError(f"{path}: got {error}, want gzip of JSON lines") from error
