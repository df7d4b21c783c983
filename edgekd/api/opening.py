"""What a user names to be measured, opened: bundles with every digest verified, and what is fed."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.bench.user_inputs import UserInputs
    from edgekd.bundle import Bundle


def open_model(given: Path, stack: ExitStack, key: Path | None = None) -> Path:
    """Open a bundle, in one file or not, as a folder with verified digests that lasts until `stack` is
    left; return any other path as it is.

    Args:
        given: what the user named.
        stack: holds what was unpacked.
        key: public key, PEM, that must have signed it; then it must be a bundle.

    Raises:
        InputError: if there is nothing there, or it is a folder without a sound bundle.
        BudgetMissed: if it was not signed with `key`.
        MachineError: if `key` cannot be used here.
    """
    found = _open_bundle(given, stack, key)
    return given if found is None else found.folder


def open_each_size(
    given: Path, stack: ExitStack, key: Path | None = None
) -> list[tuple[Path, Path]]:
    """The same, and behind a bundle that runs something else at other sizes a folder for each of these.

    Returns:
        How each is named, and where it lies.

    Raises:
        InputError, BudgetMissed, MachineError: as `open_model`.
    """
    import tempfile

    found = _open_bundle(given, stack, key)
    if found is None:
        return [(given, given)]
    from edgekd.bundle.size_folders import write_size_folders

    goal = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edgekd-")))
    name = given.stem if given.suffix else given.resolve().name
    more = [
        (given.with_name(f"{name} at {size}"), at) for size, at in write_size_folders(found, goal)
    ]
    return [(given, found.folder), *more]


def _open_bundle(given: Path, stack: ExitStack, key: Path | None) -> Bundle | None:
    """The bundle that `given` names; None if that is something else."""
    from edgekd.bench import prebuilt_engines
    from edgekd.errors import InputError

    stored = str(given).startswith(prebuilt_engines.STORE)
    if not stored and not given.exists():
        raise InputError(f"{given}: No such file or directory")
    if stored or not (given.is_dir() or given.suffix == ".edgekd"):
        if key is not None:
            raise InputError(f"--key: got {given}, want a bundle, which can be signed")
        return None
    from edgekd import bundle
    from edgekd.bundle import archive
    from edgekd.bundle import signature
    from edgekd.errors import BudgetMissed

    try:
        folder = stack.enter_context(archive.open_bundle(given))
        found = bundle.load_bundle(folder)
    except BudgetMissed as error:  # nothing was measured that could miss a budget
        raise InputError(f"{error}, want it as it was written") from error
    signature.require_signature(folder, found.manifest.digest, key)
    return found


def open_inputs(options: tuple[str, ...], stack: ExitStack) -> UserInputs:
    """Parse ``--inputs``; check that its files exist and open bundles.

    Raises:
        InputError: if a file is missing, or an option is unclear.
    """
    from edgekd.bench import user_inputs

    user = user_inputs.parse_inputs(options)
    return user._replace(
        file=None if user.file is None else open_model(user.file, stack),
        files={name: open_model(path, stack) for name, path in user.files.items()},
    )
