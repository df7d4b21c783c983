"""benchmarks/hostile in short, in a process of its own.

The watch hears every event of its process for ever, forks it and stops what hangs by a signal: nothing to
do beside the threads of a test runner.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CASES = Path(__file__).with_name("hostile_cases.py")


def test_the_watch_sees_and_no_case_breaks_a_rule() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, str(CASES)],
        cwd=CASES.parents[2],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-4000:]
