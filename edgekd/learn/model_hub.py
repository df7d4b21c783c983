"""Where the files of published models lie: a folder here, or a repository of Hugging Face's hub, through its own client.

What is in the client's cache is taken from there and nobody is asked; the network is used for what is missing, where
that is allowed. All files of a model are of one commit. Imports no torch; nothing that comes with a model is run.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.packages import import_package

LOCAL = "local-dir:"
CONFIG, PREPROCESSOR = "config.json", "preprocessor_config.json"
MODULES, POOLING = "modules.json", "1_Pooling/config.json"
"""What sentence-transformers writes beside a model: its parts in order, and how a text becomes one vector."""
BESIDE = (MODULES, POOLING)
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""The second is read without running anything in it, where the first is not there."""
LEAST_VERSION = "1.0"
GGUF = ".gguf"
_REPOSITORY = re.compile(r"(?:hf[-_]hub:)?([\w-][\w.-]*/[\w-][\w.-]*)(?:@([\w-][\w./-]*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MAIN = "main"


class ModelSource(NamedTuple):
    """A place with the files of one model."""

    where: str
    """How a recipe says it, for messages."""
    folder: Path | None
    """A folder of this machine; None if it is a repository."""
    repository: str = ""
    """``OWNER/NAME``."""
    revision: str = _MAIN
    """A branch, a tag or a commit."""

    def find_file(self, name: str, *, allow_download: bool = False) -> Path | None:
        """Find a file of the model; None if the model has none of that name, or it is not here and may not be fetched.

        Raises:
            MachineError: if it may be fetched, and the hub or its client does not work.
        """
        if self.folder is not None:
            path = self.folder / name
            return path if path.is_file() else None
        hub = import_package("huggingface_hub", LEAST_VERSION, "huggingface")
        found = hub.try_to_load_from_cache(self.repository, name, revision=self.revision)
        if isinstance(found, str):
            return Path(found)
        return self._fetch(hub, name) if allow_download else None

    def pin(self, path: Path) -> ModelSource:
        """The same at the commit of one of its files."""
        commit = find_commit(path)
        return self._replace(revision=commit) if self.folder is None and commit else self

    def _fetch(self, hub: object, name: str) -> Path | None:
        errors = hub.errors  # type: ignore[attr-defined]
        try:
            return Path(
                hub.hf_hub_download(self.repository, name, revision=self.revision)  # type: ignore[attr-defined]
            )
        except errors.LocalEntryNotFoundError as error:
            raise self._unreachable(error) from error
        except errors.EntryNotFoundError:
            return None
        except errors.RepositoryNotFoundError as error:
            raise InputError(
                f"{self.where}: the hub has no such model, or it is not public",
                hint="log in with `hf auth login` for one of your own",
            ) from error
        except errors.RevisionNotFoundError as error:
            raise InputError(
                f"{self.where}: the model has no revision {self.revision!r}"
            ) from error
        except Exception as error:  # whatever the client and its HTTP library raise
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> MachineError:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return MachineError(f"{self.where}: the hub gives no usable answer: {first[:200]}")


def find_gguf(folder: Path) -> Path | None:
    """The GGUF file of a folder that holds no config.json; None if there is none.

    Raises:
        InputError: if there are several.
    """
    found = sorted(folder.glob(f"*{GGUF}")) if not (folder / CONFIG).exists() else []
    if len(found) > 1:
        listed = ", ".join(path.name[:40] for path in found[:4])
        raise InputError(f"{folder}: got {listed}, want one {GGUF} file in a folder")
    return found[0] if found else None


def find_commit(path: Path) -> str:
    """The commit that a file in the client's cache belongs to: ``snapshots/COMMIT/NAME``; empty of other files."""
    name = path.parent.name
    return name if _COMMIT.fullmatch(name) and path.parent.parent.name == "snapshots" else ""


def parse_source(reference: str, where: str) -> ModelSource | None:
    """The place that a model's reference names; None if it is a plain name.

    Args:
        reference: ``hf-hub:OWNER/NAME``, ``OWNER/NAME``, ``OWNER/NAME@REVISION``, ``local-dir:FOLDER``, or a folder
            with a separator in its name.
        where: how the recipe says it.

    Raises:
        InputError: if it has another form and is no plain name either.
    """
    if reference.startswith(LOCAL):
        folder = Path(reference.removeprefix(LOCAL))
        if not folder.is_dir():
            raise InputError(f"{where}: got no folder {str(folder)!r}, want one")
        return ModelSource(where, folder)
    if "/" not in reference:
        return None
    if Path(reference).is_dir():
        return ModelSource(where, Path(reference))
    match = _REPOSITORY.fullmatch(reference)
    if match is None or ".." in reference:
        raise InputError(
            f"{where}: got no such folder, and no OWNER/NAME of the hub, want one of them"
        )
    return ModelSource(where, None, match[1], match[2] or _MAIN)


def require_file(source: ModelSource, name: str, *, allow_download: bool = False) -> Path:
    """A file that every such model has.

    Raises:
        InputError: if the folder or the repository lacks it.
        MachineError: if it is not in the cache and may not be downloaded.
    """
    found = source.find_file(name, allow_download=allow_download)
    if found is not None:
        return found
    if source.folder is None and not allow_download:
        raise MachineError(
            f"{source.where}: got no {name} of {source.repository} on this machine, neither in a folder nor in the "
            "hub's cache, want leave to download it",
            hint="add --allow-download",
        )
    raise InputError(f"{source.where}: got no {name} there, want one")


def require_weights(source: ModelSource, *, allow_download: bool = False) -> Path:
    """The weights of a model, safetensors where it has them.

    Raises:
        InputError: if it has none.
        MachineError: as `require_file`.
    """
    for name in WEIGHTS:
        found = source.find_file(name, allow_download=allow_download)
        if found is not None:
            return found
    if source.folder is None and not allow_download:
        return require_file(source, WEIGHTS[0])
    raise InputError(
        f"{source.where}: got no weights there, want {' or '.join(WEIGHTS)}",
        hint="leave `pretrained` out to begin with new ones",
    )
