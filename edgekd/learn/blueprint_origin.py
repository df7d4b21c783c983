"""Digests of the files that stand behind a user's own model. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from edgekd import files
from edgekd.learn import code


def digests_of(builder: str, reference: str, *, allow_code: bool) -> dict[str, str]:
    """File to SHA-256: the module of ``python:``, the config of a ``transformers:`` folder.

    What the module imports in turn is not known.

    Raises:
        InputError: if code is not allowed, or there is no such module.
    """
    if builder == "python":
        path = code.module_file(reference, f"python:{reference}", allow_code=allow_code)
    else:
        path = Path(reference) / "config.json"
        if not path.is_file():  # a model type, not a folder
            return {}
    return {path.name: files.digest_file(path)}
