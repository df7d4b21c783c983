"""Digests of the files that stand behind what is not edgekd's own: a model, a loss, a scheme. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from edgekd import code
from edgekd import files
from edgekd import sources
from edgekd.learn import model_hub
from edgekd.learn.origin import digest_files
from edgekd.learn.origin import digest_once
from edgekd.table import Member


def digest_reference(member: Member, reference: str, *, allow_code: bool) -> dict[str, str]:
    """File to SHA-256 of what a model's `reference` names: the user's module with what it imports, the config of a
    folder, the model's file.

    Raises:
        InputError: if code is not allowed, or there is no such module.
    """
    if member.names == "code":
        return digest_files(
            code.module_files(reference, f"python:{reference}", allow_code=allow_code)
        )
    if member.names == "file":
        return digest_files([Path(reference)])
    source = model_hub.parse_source(reference, reference)
    # what is neither folder nor repository is a name that the package knows
    names: tuple[str, ...] = (model_hub.CONFIG, *model_hub.BESIDE)
    folder = Path(reference) if source is None else source.folder
    if folder is not None and (gguf := model_hub.find_gguf(folder)) is not None:
        names = (gguf.name,)
    found = [Path(reference) / name if source is None else source.find_file(name) for name in names]
    return {
        name: digest_once(path)
        for name, path in zip(names, found, strict=True)
        if path is not None and path.is_file()
    }


def digest_member(member: Member, name: str, *, allow_code: bool) -> dict[str, str]:
    """File to SHA-256 of all that a member runs which is not edgekd's own; empty for edgekd's. Of a plugin also
    its distribution's version.

    Raises:
        InputError: as `code.module_files`.
        MachineError: as `code.module_files`.
    """
    if member.built_in:
        return {}
    paths = code.member_files(member, name, allow_code=allow_code)
    ours = [path for path in paths if path.is_relative_to(sources.PACKAGE)]
    theirs = digest_files([path for path in paths if path not in ours])
    of_edgekd = {str(path.relative_to(sources.PACKAGE.parent)): path for path in ours}
    found = theirs | {path: files.digest_file(each) for path, each in of_edgekd.items()}
    plugin = member.plugin
    return found if plugin is None else {**found, plugin.distribution: plugin.version}
