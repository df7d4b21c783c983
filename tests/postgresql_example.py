"""A PostgreSQL that is started for a test."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
"""PostgreSQL refuses to run as root."""


def find_programs() -> Path | None:
    """The folder of initdb and pg_ctl; Debian leaves it out of the path."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def open_database() -> Iterator[str]:
    """The URL of an empty database, which nobody else reaches; the test is skipped where there can be none."""
    programs = find_programs()
    if programs is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("not measured: PostgreSQL or psycopg is not installed")
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as name:  # sockets want short paths
        folder = Path(name)
        folder.chmod(0o777)

        def call(program: str, *words: str) -> None:
            command = [str(programs / program), "-D", str(folder / "db"), *words]
            with (folder / "told").open("ab") as told:
                subprocess.run(
                    command, check=True, cwd=folder, stdout=told, stderr=told, timeout=60, **NOBODY
                )

        call(
            "initdb", "--username=me", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"
        )
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        call("pg_ctl", "--wait", "--options", options, "--log", str(folder / "log"), "start")
        try:
            yield f"postgresql+psycopg://me@/postgres?host={folder}"
        finally:
            call("pg_ctl", "--mode=immediate", "stop")
