"""Data sets on Hugging Face's hub, through its own client; code that comes with one is never run."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.formats.parquet import ParquetRows


def find_commit(name: str) -> str:
    """Return which commit the data set stands at now.

    Raises:
        MachineError: if the hub cannot be reached or does not know it.
    """
    import huggingface_hub

    with _answering(name):
        return str(huggingface_hub.HfApi().dataset_info(name).sha)


def list_files(name: str, commit: str) -> list[tuple[str, int]]:
    """The files of a data set at a commit, each with its size in bytes.

    Raises:
        MachineError: as `find_commit`.
    """
    import huggingface_hub

    with _answering(name):
        found = huggingface_hub.HfApi().dataset_info(name, revision=commit, files_metadata=True)
        return [(str(each.rfilename), int(each.size or 0)) for each in found.siblings or ()]


def fetch_files(name: str, commit: str, files: Sequence[str]) -> Path:
    """The folder in edgekd's cache with those files of a data set at a commit, fetched where they are missing; the
    client's own cache has links in their place.

    Raises:
        MachineError: as `find_commit`.
    """
    import huggingface_hub
    import platformdirs

    folder = platformdirs.user_cache_path("edgekd") / "hub" / name.replace("/", "--") / commit
    with _answering(name):
        for file in files:
            huggingface_hub.hf_hub_download(
                name, file, repo_type="dataset", revision=commit, local_dir=folder
            )
    return folder


def list_splits(name: str, subset: str | None) -> tuple[str, ...]:
    """The splits of `subset`, or of the whole.

    Raises:
        MachineError: as `find_commit`.
    """
    import datasets

    with _answering(name):
        return tuple(datasets.get_dataset_split_names(name, subset, revision=find_commit(name)))


def read_rows(
    name: str, subset: str | None, split: str, columns: tuple[str, str], streaming: bool
) -> ParquetRows:
    """Image and label columns of one split, images still encoded.

    Raises:
        InputError: if a column is not there.
        MachineError: as `find_commit`; also while the rows are read.
    """
    import datasets

    with _answering(name):
        data = datasets.load_dataset(
            name, subset, split=split, revision=find_commit(name), streaming=streaming
        )
        known = list(data.features or {})
        for column in columns:
            if column not in known:
                raise InputError(
                    f"huggingface:{name}: got no column {column!r}, want one of: {', '.join(known)}"
                )
        # Decoded by `edgekd.learn.formats.image`, within its limits.
        if isinstance(data.features[columns[0]], datasets.Image):
            data = data.cast_column(columns[0], datasets.Image(decode=False))
        names = getattr(data.features[columns[1]], "names", None)
    return ParquetRows(names, _pairs(data, columns, f"huggingface:{name}, {split}"))


def _pairs(data: Any, columns: tuple[str, str], where: str) -> Iterator[tuple[Any, Any, str]]:
    with _answering(where):
        for number, row in enumerate(data):
            yield row[columns[0]], row[columns[1]], f"{where} row {number}"


@contextmanager
def _answering(what: str) -> Iterator[None]:
    try:
        yield
    except EdgekdError:
        raise
    except Exception as error:  # whatever the client and its HTTP library raise
        raise MachineError(f"{what}: the hub gives no usable answer: {error}") from error
