"""``python -m edgekd``: the same as the command."""

from __future__ import annotations

from edgekd.cli import run

if __name__ == "__main__":
    run()
