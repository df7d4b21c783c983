"""What is behind a model, a loss or a scheme that is not edgekd's own: a user's files, a package, a plugin."""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Iterable
from pathlib import Path

from edgekd.admission import external_data
from edgekd.bench.machine import host
from edgekd.device import Device
from edgekd.learn import blueprint_origin
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import Term
from edgekd.named_member import NamedMember
from edgekd.run import Options
from edgekd.runtimes import BUILT_IN
from edgekd.runtimes import RUNTIMES
from edgekd.stage import package_version
from edgekd.table import Member
from edgekd.table import Table

Origin = Callable[[], dict[str, str]]
"""Digests of what stands behind a step, asked before and after it runs."""


def model_origin(model: NamedMember, options: Options) -> Origin | None:
    """Digests of the files of a user's own model, the version of a package: if they change, so does what is
    built from them.

    Args:
        model: a recipe's word for it; edgekd's own have neither, and give None.
        options: what may run.
    """
    member = MODELS[model.name]
    if member.names == "file":  # a step that opens it takes it as a file
        return add_packages(None, "onnx", "onnxruntime")
    if member.names == "nothing":
        files = of_member(member, model.name, options)
    else:
        files = _referenced_files(member, model, options)
    return add_packages(files, *filter(None, (member.package,)))


def of_file(path: Path) -> Origin:
    """Digests of what lies beside a user's model file and holds weights of it.

    Args:
        path: an ONNX file; its own digest is that of the step that takes it.
    """
    return functools.partial(external_data.digest_files, path)


def of_member(member: Member, name: str, options: Options) -> Origin | None:
    """Digests of the files of a user's own member of a table, or of a plugin's; None of edgekd's.

    Args:
        member: the member.
        name: what a recipe calls it.
        options: what may run.
    """
    if member.built_in:
        return None
    digest = blueprint_origin.digest_member
    return functools.partial(digest, member, name, allow_code=options.allow_code)


def of_losses(terms: Iterable[Term], options: Options) -> Origin | None:
    """`of_member` of every loss; None if all are edgekd's."""
    names = dict.fromkeys(term.loss.name for term in terms)
    return join(*(of_member(LOSSES[name], name, options) for name in names))


def of_scheme(scheme: NamedMember, options: Options) -> Origin | None:
    """`of_member` of a scheme."""
    return of_member(SCHEMES[scheme.name], scheme.name, options)


def of_engines(names: Iterable[str], device: Device) -> Origin | None:
    """Digests of the files of engines that plugins add, and their versions on the device; None if all are edgekd's."""
    foreign = [name for name in dict.fromkeys(names) if name not in BUILT_IN]
    return functools.partial(_digest_engines, foreign, device) if foreign else None


def _digest_engines(names: list[str], device: Device) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        entry = RUNTIMES[name]
        member = Member(entry.module, "RUNTIME", "", plugin=entry.plugin)
        digests = blueprint_origin.digest_member(member, f"runtime {name}", allow_code=False)
        found |= {f"{name}/{file}": digest for file, digest in digests.items()}
        found[name] = host.describe_plugin_engine(name, device).version or ""
    return found


def join(*origins: Origin | None) -> Origin | None:
    """One origin of several, which may name a file of the same name each; None if there is none."""
    found = [origin for origin in origins if origin is not None]
    if len(found) < 2:
        return found[0] if found else None
    return functools.partial(_joined, found)


def _joined(origins: list[Origin]) -> dict[str, str]:
    return {
        f"{number}/{name}": digest
        for number, origin in enumerate(origins)
        for name, digest in origin().items()
    }


def read_files(table: Table, named: NamedMember, options: Options) -> dict[str, str]:
    """File name to digest of what is read or run for a member of `table` that is not edgekd's own."""
    member = table[named.name]
    if member.names != "nothing":
        return _referenced_files(member, named, options)()
    origin = of_member(member, named.name, options)
    digests = origin() if origin else {}
    if member.plugin is not None:
        del digests[member.plugin.distribution]  # its version, which is no file's digest
    return digests


def _referenced_files(member: Member, model: NamedMember, options: Options) -> Origin:
    """Digests of what a model's reference names."""
    reference = str(model.arguments["reference"])
    digest = blueprint_origin.digest_reference
    return functools.partial(digest, member, reference, allow_code=options.allow_code)


def add_packages(origin: Origin | None, *names: str) -> Origin | None:
    """An origin with the versions of packages whose work is in the result, if any are named."""
    if not names:
        return origin
    return functools.partial(_versions, origin, names)


def _versions(origin: Origin | None, names: tuple[str, ...]) -> dict[str, str]:
    found = {name: package_version(name) for name in names}
    known = {name: version for name, version in found.items() if version is not None}
    return (origin() if origin else {}) | known
