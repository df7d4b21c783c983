"""Takes bundles to the Hub and back; what comes down is a stranger's until every check has passed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import __version__
from edgekd import admission
from edgekd import bundle
from edgekd import files
from edgekd.bundle import manifest as manifests
from edgekd.bundle.archive import ORDER
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.errors import rename_in_errors
from edgekd.hub.card import NAME as README
from edgekd.printable import escape_unprintable

MODEL = "model.onnx"
LARGEST_BYTES = 2**33
"""Of all files of a bundle together."""


class Transfer(NamedTuple):
    """What went up or came down."""

    commit: str
    """Of the repository."""
    place: str
    """Its address, or the folder here."""
    size_bytes: int


def push(folder: Path, repo: str, card: str, *, private: bool) -> Transfer:
    """Upload a bundle and its card as one commit; the repository is made if there is none.

    Args:
        folder: of the bundle; each of its files is checked first.
        repo: ``OWNER/NAME``.
        card: of `edgekd.hub.card.write_card`.
        private: whether a repository that is made now is seen by its owner alone.

    Raises:
        InputError: if `folder` is no bundle, or `repo` no name of a repository.
        BudgetMissed: if one of its files has changed.
        MachineError: if the hub's client is missing, or the hub refuses.
    """
    bundle.load_bundle(folder)
    names = [name for name in ORDER if (folder / name).is_file()]
    with _answering(repo) as hub:
        from huggingface_hub import CommitOperationAdd

        hub.create_repo(repo, exist_ok=True, private=private)
        operations = [CommitOperationAdd(name, str(folder / name)) for name in names]
        operations.append(CommitOperationAdd(README, card.encode()))
        made = hub.create_commit(repo, operations, commit_message=f"edgekd {__version__}")
    size_bytes = sum((folder / name).stat().st_size for name in names)
    return Transfer(str(made.oid), f"{hub.endpoint}/{repo}", size_bytes)


def pull(repo: str, goal: Path, *, revision: str | None = None) -> Transfer:
    """Download a bundle, check all of it, and only then put it in place, whole.

    Args:
        repo: ``OWNER/NAME``.
        goal: folder that becomes the bundle.
        revision: branch, tag or commit; the main branch if left out.

    Returns:
        The commit that the revision stands for; name it to get the same bytes again.

    Raises:
        InputError: if `goal` is there already, `repo` is no repository's name, or holds no bundle.
        BudgetMissed: if a file is missing or is not the one that the manifest names.
        MachineError: if the hub's client is missing, the hub refuses or the disk is full.
    """
    if os.path.lexists(goal):
        raise InputError(
            f"{goal}: got something that is there already, want a new folder", hint="give -o FOLDER"
        )
    files.require_writable(goal.parent)
    with tempfile.TemporaryDirectory(prefix="edgekd-") as scratch:
        with _answering(repo) as hub:
            found = hub.model_info(repo, revision=revision, files_metadata=True)
            commit = str(found.sha)
            sizes = {each.rfilename: each.size for each in found.siblings or ()}
            names = [name for name in ORDER if name in sizes]
            _require_bundle(repo, names, sizes)
            fetched = Path(scratch) / "fetched"
            left = LARGEST_BYTES
            for name in names:
                bar = _make_counter(f"{repo}/{name}", min(left, manifests.LARGEST_BYTES))
                hub.hf_hub_download(repo, name, revision=commit, local_dir=fetched, tqdm_class=bar)
                left -= (fetched / name).stat().st_size
        clean = Path(scratch) / "bundle"
        clean.mkdir()
        with rename_in_errors(fetched, repo), rename_in_errors(clean, repo):
            for name in names:
                manifests.require_plain_files(fetched / name)
                shutil.move(fetched / name, clean / name)
            bundle.load_bundle(clean)
            try:
                admission.admit(clean / MODEL)
            except ValueError as error:
                raise InputError(str(error)) from error
        size_bytes = sum(path.stat().st_size for path in clean.iterdir())
        files.replace_folder(goal, lambda fresh: _copy(clean, fresh))
    return Transfer(commit, str(goal), size_bytes)


def _make_counter(what: str, most_bytes: int) -> type[Any]:
    """A progress bar's class, for the hub's client: it stops a download at `most_bytes`, whatever the hub said of its size.

    Raises (when a bar is moved further):
        InputError: naming `what`.
    """
    from huggingface_hub.utils import tqdm

    class Counter(tqdm):  # type: ignore[misc]
        received_bytes = 0

        def update(self, n: float | None = 1) -> bool | None:
            self.received_bytes += int(n or 0)
            if self.received_bytes > most_bytes:
                raise InputError(f"{what}: got more than {most_bytes} bytes, want at most those")
            moved: bool | None = super().update(n)
            return moved

    return Counter


def _require_bundle(repo: str, names: list[str], sizes: dict[str, int | None]) -> None:
    """Refuse, before anything is fetched, what is no bundle or would not fit."""
    if manifests.MANIFEST not in names or MODEL not in names:
        raise InputError(f"{repo}: got no {manifests.MANIFEST} and {MODEL}, want a bundle")
    known = [sizes[name] or 0 for name in names]
    if sum(known) > LARGEST_BYTES or max(known) > manifests.LARGEST_BYTES:
        raise InputError(f"{repo}: got {sum(known)} bytes, want {LARGEST_BYTES} at most")


def _copy(source: Path, goal: Path) -> None:
    for path in source.iterdir():
        shutil.copyfile(path, goal / path.name)


@contextlib.contextmanager
def _answering(repo: str) -> Iterator[Any]:
    """The client, whose failures become one line in which no token stands."""
    try:
        from huggingface_hub import HfApi
        from huggingface_hub.utils import validate_repo_id
    except ImportError as error:
        raise MachineError(
            "huggingface_hub is not installed", hint="pip install 'edgekd[huggingface]'"
        ) from error
    try:
        validate_repo_id(repo)
    except ValueError as error:
        raise InputError(f"{repo}: got no name of a repository, want OWNER/NAME") from error
    if repo.count("/") != 1:
        raise InputError(f"{repo}: got no name of a repository, want OWNER/NAME")
    hub = HfApi(library_name="edgekd", library_version=__version__)
    try:
        yield hub
    except EdgekdError:
        raise
    except Exception as error:  # whatever the client and its HTTP library raise
        raise MachineError(
            f"{repo}: the hub gives no usable answer: {_plain_reason(error)}",
            hint="hf auth login, if it is private or yours to write",
        ) from error


def _plain_reason(error: Exception) -> str:
    import huggingface_hub

    reason = escape_unprintable(" ".join(str(error).split()))
    token = huggingface_hub.get_token()
    return (reason.replace(token, "***") if token else reason)[:300]
