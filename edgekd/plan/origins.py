"""What is behind a model that is not edgekd's own: a user's files, a package."""

from __future__ import annotations

import functools
from collections.abc import Callable

from edgekd.learn import blueprint_origin
from edgekd.run import Options
from edgekd.stage import package_version
from edgekd.table import Named

FILES = ("python", "transformers")
"""Builders that read a user's files."""
PACKAGES = ("timm", "transformers")
"""Builders whose models are those of the package of that name."""


def of_model(model: Named, options: Options) -> Callable[[], dict[str, str]] | None:
    """Digests of the files of a user's own model, the version of a package: if they change, so does what is
    built from them.

    Args:
        model: a recipe's word for it; edgekd's own have neither, and give None.
        options: what may run.
    """
    files = None
    if model.name in FILES:
        reference = str(model.arguments["reference"])
        digests = functools.partial(blueprint_origin.digests_of, model.name, reference)
        files = functools.partial(digests, allow_code=options.allow_code)
    return with_packages(files, *(name for name in PACKAGES if name == model.name))


def files_behind(model: Named, options: Options) -> dict[str, str]:
    """File name to digest of a user's own model: those that are read or run to build it."""
    if model.name not in FILES:
        return {}
    reference = str(model.arguments["reference"])
    return blueprint_origin.digests_of(model.name, reference, allow_code=options.allow_code)


def with_packages(
    origin: Callable[[], dict[str, str]] | None, *names: str
) -> Callable[[], dict[str, str]] | None:
    """An origin with the versions of packages whose work is in the result, if any are named."""
    if not names:
        return origin
    return functools.partial(_versions, origin, names)


def _versions(
    origin: Callable[[], dict[str, str]] | None, names: tuple[str, ...]
) -> dict[str, str]:
    found = {name: package_version(name) for name in names}
    known = {name: version for name, version in found.items() if version is not None}
    return (origin() if origin else {}) | known
