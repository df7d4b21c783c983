"""Source `python`: whatever the user's own function returns; runs only with --allow-code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgekd import code
from edgekd.errors import InputError
from edgekd.learn.source import Source
from edgekd.learn.source import from_arrays


def files(
    *,
    reference: str,
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> list[Path]:
    """The function's module and what that imports; which data it reads cannot be known.

    Raises:
        InputError: if code is not allowed or there is no such module.
    """
    return code.module_files(reference, "python", allow_code=allow_code)


def read(
    *,
    reference: str,
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """Return what the function returns: a `Source`, or a mapping of arrays as source `npz` takes them,
    ``classes`` and ``axes`` among them if need be.

    Args:
        reference: ``package.module:function``; the function takes nothing.

    Raises:
        InputError: if code is not allowed, there is no such function, it raises, or it returns
            something else.
    """
    where = f"python:{reference}"
    function = code.load_function(reference, "python", allow_code=allow_code)
    try:
        made = function()
    except Exception as error:  # the user's code raises what it likes
        raise InputError(f"{where}: raised {type(error).__name__}: {error}") from error
    if isinstance(made, Source):
        return made
    if not isinstance(made, Mapping):
        raise InputError(f"{where}: got {type(made).__name__}, want a Source or a dict of arrays")
    classes = made.get("classes")
    axes = made.get("axes")
    arrays = {k: np.asarray(v) for k, v in made.items() if k not in ("classes", "axes")}
    names = None if classes is None else [str(name) for name in classes]
    return from_arrays(arrays, where, classes=names, axes=axes)
