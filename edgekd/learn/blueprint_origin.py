"""Digests of the files that stand behind a user's own model. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from edgekd import files
from edgekd.learn import code
from edgekd.learn.origin import digests


def digests_of(builder: str, reference: str, *, allow_code: bool) -> dict[str, str]:
    """File to SHA-256: the module of ``python:`` with what it imports, the config of a
    ``transformers:`` folder.

    Raises:
        InputError: if code is not allowed, or there is no such module.
    """
    if builder == "python":
        return digests(code.module_files(reference, f"python:{reference}", allow_code=allow_code))
    path = Path(reference) / "config.json"
    # what is no folder is a model type
    return {path.name: files.digest_file(path)} if path.is_file() else {}
