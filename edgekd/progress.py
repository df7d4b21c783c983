"""What a long piece of work says while it runs."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the reports of stages; the command line draws them, tests and servers stay silent."""

    def stage(self, label: str) -> None:
        """The step of this label begins."""

    def end(self) -> None:
        """The running stage has made its result."""

    def update(self, done: int, total: int, text: str) -> None:
        """`done` of `total` units are through; `text` says how it goes."""

    def note(self, text: str) -> None:
        """One lasting line."""


class Silent:
    """Says nothing."""

    def stage(self, label: str) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""

    def update(self, done: int, total: int, text: str) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""
