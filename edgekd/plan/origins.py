"""The files behind a user's own model."""

from __future__ import annotations

import functools
from collections.abc import Callable

from edgekd.learn import blueprint_origin
from edgekd.run import Options
from edgekd.table import Named


def of_model(model: Named, options: Options) -> Callable[[], dict[str, str]] | None:
    """Digests of the files of a user's own model: if they change, so does what is built from them.

    Args:
        model: a recipe's word for it; others than the user's own have no files, and give None.
        options: what may run.
    """
    if model.name not in ("python", "transformers"):
        return None
    return functools.partial(
        blueprint_origin.digests_of,
        model.name,
        str(model.arguments["reference"]),
        allow_code=options.allow_code,
    )
