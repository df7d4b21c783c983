"""The module of a data source, and what its caller supplies."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from edgekd import code
from edgekd.errors import InputError
from edgekd.learn.data import PAIRING
from edgekd.learn.data import SOURCES


def find_module(name: str) -> Any:
    """The module of a source, whoever wrote it.

    Raises:
        InputError: if it is a plugin's and has no `files`.
    """
    member = SOURCES[name]
    code.load_member(member, f"data source {name}", allow_code=False)
    module = sys.modules[member.module]
    if not callable(getattr(module, "files", None)):
        raise InputError(
            f"data source {name} of {member.plugin}: got no function 'files' in {member.module}, want one"
        )
    return module


def pick_supplied(name: str, config: object, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments of a caller that a source takes: `offered`, and of its settings those of `PAIRING`."""
    every = {**offered, **{key: getattr(config, key, None) for key in PAIRING}}
    return {key: every[key] for key in SOURCES[name].supplied}
