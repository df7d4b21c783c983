"""Whether this process runs on an emulated processor, so that no time of it means anything.

qemu's user mode translates a foreign program and pretends to the program that it is alone: it answers
for ``/proc/self/exe``, but not for the same link by its other name, ``/proc/thread-self/exe``, which
the kernel still answers with the emulator. Two names of one thing that differ are a sure sign, whatever
the emulator's file is called. Needs nothing but the standard library: it runs on the device.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

PRETENDED, REAL = "proc/self/exe", "proc/thread-self/exe"
ELF_MACHINE = {0x03: "i386", 0x28: "arm", 0x3E: "x86_64", 0xB7: "aarch64", 0xF3: "riscv64"}
TCG = "QEMU TCG"
"""In the processor's name where a whole machine is translated, unless it was given another one."""


def find_emulator(root: Path = Path("/")) -> str | None:
    """``qemu-user`` or the like; None for a real processor, or where there is no /proc to tell.

    Args:
        root: where /proc hangs; another folder in tests.
    """
    pretended, real = _link(root / PRETENDED), _link(root / REAL)
    if pretended is None or real is None:
        return None
    if pretended != real or _foreign(root / REAL):
        name = Path(real.removesuffix(" (deleted)")).name
        return "qemu-user" if "qemu" in name else name
    return "qemu-system" if TCG in _text(root / "proc/cpuinfo") else None


def _link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None


def _foreign(executable: Path) -> bool:
    """Return whether the running program was built for another processor than the one it is told it is on."""
    try:
        with executable.open("rb") as file:
            head = file.read(20)
    except OSError:
        return False
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return False
    (machine,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
    told = os.uname().machine
    known = ELF_MACHINE.get(machine)
    return known is not None and told in ELF_MACHINE.values() and _family(known) != _family(told)


def _family(machine: str) -> str:
    """The family: a 32-bit program runs on its 64-bit processor without any emulation."""
    return {"i386": "x86", "x86_64": "x86", "arm": "arm", "aarch64": "arm"}.get(machine, machine)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
