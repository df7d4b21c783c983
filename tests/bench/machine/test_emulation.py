from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.bench.machine import emulation
from edgekd.bench.machine.emulation import find_emulator as found

ELF = {"x86_64": 0x3E, "aarch64": 0xB7, "arm": 0x28, "i386": 0x03}


def root(folder: Path, pretended: str, real: str, cpuinfo: str = "", machine: int = 0) -> Path:
    """A /proc as a process sees it; `real` becomes a file if it says for which `machine` it is."""
    for name in ("proc/self", "proc/thread-self"):
        (folder / name).mkdir(parents=True)
    if machine:
        (folder / "program").write_bytes(b"\x7fELF\x02\x01" + bytes(12) + bytes([machine, 0]))
        pretended = real = str(folder / "program")
    (folder / "proc/self/exe").symlink_to(pretended)
    (folder / "proc/thread-self/exe").symlink_to(real)
    (folder / "proc/cpuinfo").write_text(cpuinfo)
    return folder


@pytest.mark.parametrize(
    ("real", "name"),
    [
        ("/usr/bin/qemu-aarch64-static", "qemu-user"),
        ("/usr/bin/qemu-x86_64 (deleted)", "qemu-user"),
        ("/usr/bin/buildkit-qemu-arm", "qemu-user"),
        ("/run/rosetta/rosetta", "rosetta"),
    ],
)
def test_two_names_of_one_program_that_differ_are_an_emulator(
    tmp_path: Path, real: str, name: str
) -> None:
    assert found(root(tmp_path, "/usr/bin/python3.11", real)) == name


def test_one_name_is_a_real_processor(tmp_path: Path) -> None:
    assert found(root(tmp_path, "/usr/bin/python3.11", "/usr/bin/python3.11")) is None


def test_a_program_for_another_processor_is_emulated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = os.uname()
    for n, (machine, program, emulated) in enumerate(
        [
            ("aarch64", "x86_64", True),
            ("x86_64", "aarch64", True),
            ("aarch64", "aarch64", False),
            ("aarch64", "arm", False),
            ("x86_64", "i386", False),
            ("alpha", "x86_64", False),
        ]
    ):
        monkeypatch.setattr(
            emulation.os, "uname", lambda m=machine: os.uname_result((*told[:4], m))
        )
        made = root(tmp_path / str(n), "", "", machine=ELF[program])
        assert (found(made) is not None) is emulated, (machine, program)


def test_a_whole_machine_that_is_translated(tmp_path: Path) -> None:
    cpuinfo = "processor : 0\nmodel name : QEMU TCG CPU version 2.5+\n"
    assert found(root(tmp_path, "/bin/python", "/bin/python", cpuinfo)) == "qemu-system"


def test_no_proc_tells_nothing(tmp_path: Path) -> None:
    assert found(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="there is no /proc")
def test_this_process_says_the_same_as_its_interpreter_alone() -> None:
    """Only the standard library: the module's file runs by itself with ``-I -S``."""
    source = Path(emulation.__file__).read_text()
    script = f"{source}\nprint(find_emulator())"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(found())


@pytest.mark.skipif(
    platform.machine() != "x86_64" or shutil.which("qemu-x86_64-static") is None,
    reason="qemu-user-static is not installed",
)
def test_qemu_itself_is_seen() -> None:
    source = Path(emulation.__file__).read_text()
    python = str(Path(sys.executable).resolve())
    done = subprocess.run(
        [
            "qemu-x86_64-static",
            "-cpu",
            "Haswell",
            python,
            "-I",
            "-S",
            "-c",
            f"{source}\nprint(find_emulator())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "qemu-user"
