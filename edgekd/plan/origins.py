"""What is behind a model that is not edgekd's own: a user's files, a package."""

from __future__ import annotations

import functools
from collections.abc import Callable

from edgekd.learn import blueprint_origin
from edgekd.run import Options
from edgekd.stage import package_version
from edgekd.table import Named

PACKAGES = ("timm", "transformers")
"""Builders whose models are those of the package of that name."""


def of_model(model: Named, options: Options) -> Callable[[], dict[str, str]] | None:
    """Digests of the files of a user's own model, the version of a package: if they change, so does what is
    built from them.

    Args:
        model: a recipe's word for it; edgekd's own have neither, and give None.
        options: what may run.
    """
    if model.name not in ("python", *PACKAGES):
        return None
    return functools.partial(
        _behind, model.name, str(model.arguments["reference"]), allow_code=options.allow_code
    )


def with_packages(
    origin: Callable[[], dict[str, str]] | None, *names: str
) -> Callable[[], dict[str, str]] | None:
    """An origin with the versions of packages whose numbers are in the result, if any are named."""
    if not names:
        return origin
    return functools.partial(_versions, origin, names)


def _versions(
    origin: Callable[[], dict[str, str]] | None, names: tuple[str, ...]
) -> dict[str, str]:
    return (origin() if origin else {}) | {name: package_version(name) or "" for name in names}


def _behind(builder: str, reference: str, *, allow_code: bool) -> dict[str, str]:
    version = package_version(builder) if builder in PACKAGES else None
    package = {} if version is None else {builder: version}
    if builder == "timm":
        return package
    return package | blueprint_origin.digests_of(builder, reference, allow_code=allow_code)
