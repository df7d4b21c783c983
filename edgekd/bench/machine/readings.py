"""Numbers out of the kernel's files below /proc and /sys; None for what a machine does not tell."""

from __future__ import annotations

import contextlib
from pathlib import Path


def read_text(path: Path) -> str | None:
    """Its text without blanks around it; None if it cannot be read."""
    try:
        return path.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return None


def read_texts(folder: Path, pattern: str) -> dict[str, str]:
    """The texts of all files of a pattern, by their paths in `folder`."""
    read = {path.relative_to(folder).as_posix(): read_text(path) for path in folder.glob(pattern)}
    return {name: text for name, text in read.items() if text}


def read_numbers(folder: Path, pattern: str) -> dict[str, int]:
    """The numbers of all files of a pattern that hold one."""
    read = read_texts(folder, pattern)
    return {name: int(text) for name, text in read.items() if text.lstrip("-").isdigit()}


def read_temperatures_c(folder: Path) -> dict[str, float]:
    """By zone; the kernel counts thousandths of a degree."""
    return {
        name.partition("/")[0]: value / 1000
        for name, value in read_numbers(folder, "thermal_zone*/temp").items()
    }


def read_cpu_times(path: Path) -> tuple[int | None, int | None]:
    """All ticks and stolen ticks of /proc/stat; guest time is within user time."""
    fields = (read_text(path) or "").partition("\n")[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        return None, None
    ticks = [int(field) for field in fields[1:9]]
    return sum(ticks), ticks[7]


def read_pressure_us(path: Path) -> int | None:
    """Microseconds in which some task waited, of a file below /proc/pressure."""
    for line in (read_text(path) or "").splitlines():
        if line.startswith("some"):
            return int(line.rpartition("total=")[2])
    return None


def read_counter(path: Path, name: str) -> int | None:
    """The number behind a name, one pair a line."""
    for line in (read_text(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return None


def parse_hexadecimal(path: Path) -> int | None:
    """A number such as ``0x50000``."""
    with contextlib.suppress(ValueError):
        return int(read_text(path) or "", 16)
    return None


def is_on_battery(folder: Path) -> bool | None:
    """Return whether a mains supply is unplugged, or a battery drains; None where there is neither."""
    types = read_texts(folder, "*/type")
    known = []
    for name, kind in types.items():
        supply = folder / Path(name).parent
        if kind == "Mains":
            known.append(read_text(supply / "online") == "0")
        elif kind == "Battery":
            known.append(read_text(supply / "status") == "Discharging")
    return any(known) if known else None
