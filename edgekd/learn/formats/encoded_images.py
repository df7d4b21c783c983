"""Encoded images of any size as rows that are decoded when they are asked for, wherever their bytes lie."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import TypeVar
from typing import cast

import numpy as np

from edgekd import files as disk
from edgekd.cores import count_cores
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.field import RaggedRows
from edgekd.field import find_row_numbers
from edgekd.field import sum_lengths
from edgekd.learn.formats.image import LIMIT_BYTES
from edgekd.learn.formats.image import EncodedImage
from edgekd.learn.formats.image import Part
from edgekd.learn.formats.image import Shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows

    Pixels = NDArray[np.uint8]

T = TypeVar("T")
MOST_THREADS = 8
"""That decode where nobody says how many: each may hold an image of the largest size there is."""
_AHEAD = 256
"""Jobs that are waited for together: results do not pile up."""


class RaggedFiles(RaggedRows):
    """Rows of uint8 that stay in their files until they are looked at."""

    def __init__(self, paths: Sequence[Path], places: NDArray[np.int64]) -> None:
        """
        Args:
            paths: of the files.
            places: [N, 3]: of each row the number of its file, its first byte there, and how many it has.
        """
        offsets = sum_lengths(places[:, 2])
        super().__init__(np.empty(0, np.uint8), offsets)
        self.paths, self.places = paths, places

    def row(self, number: int) -> NDArray[Any]:
        """The bytes of one row.

        Raises:
            InputError: if its file has fewer than it had.
        """
        file_number, start, size_bytes = self.places[number].tolist()
        path = self.paths[file_number]
        with disk.open_regular(path) as file:
            file.seek(start)
            data = file.read(size_bytes)
        if len(data) != size_bytes:
            raise InputError(f"{path}: got a file that became shorter, want it left alone")
        return np.frombuffer(data, np.uint8)


def whole_files(paths: Sequence[Path]) -> RaggedFiles:
    """A row for each file.

    Raises:
        InputError: if one is missing.
    """
    try:
        sizes = [path.stat().st_size for path in paths]
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}") from error
    places = np.zeros((len(paths), 3), np.int64)
    places[:, 0], places[:, 2] = np.arange(len(paths)), sizes
    return RaggedFiles(paths, places)


class SpooledRows(RaggedRows):
    """Rows of uint8 in a temporary file without a name, which is gone with them."""

    def __init__(self, rows: Iterable[bytes]) -> None:
        """
        Args:
            rows: taken one after another.

        Raises:
            MachineError: if the disk is full.
        """
        file, ends = tempfile.TemporaryFile(prefix="edgekd-"), [0]  # noqa: SIM115
        weakref.finalize(self, file.close)
        try:
            for data in rows:
                file.write(data)
                ends.append(ends[-1] + len(data))
            file.flush()
        except OSError as error:
            raise MachineError(
                f"{tempfile.gettempdir()}: cannot be written: {error.strerror}",
                hint="TMPDIR names another folder for what is passing",
            ) from error
        super().__init__(np.empty(0, np.uint8), np.array(ends, np.int64))
        self._file = file

    def row(self, number: int) -> NDArray[Any]:
        """The bytes of one row."""
        start, stop = self.offsets[number : number + 2].tolist()
        return np.frombuffer(os.pread(self._file.fileno(), stop - start, start), np.uint8)


def unmap_rows(rows: RaggedRows) -> RaggedRows:
    """The same rows read from their file one by one, where they are mapped: what a map has shown stays in a process."""
    if not isinstance(rows.values, np.memmap):
        return rows
    places = np.zeros((len(rows), 3), np.int64)
    places[:, 1], places[:, 2] = rows.offsets[:-1] + rows.values.offset, rows.lengths
    return RaggedFiles([Path(str(rows.values.filename))], places)


class RaggedChoice(RaggedRows):
    """Some rows of others, gathered when they are asked for."""

    def __init__(self, whole: RaggedRows, chosen: NDArray[np.int64]) -> None:
        offsets = sum_lengths(whole.lengths[chosen])
        super().__init__(whole.values[:0], offsets)
        self.whole, self.chosen = whole, chosen

    def row(self, number: int) -> NDArray[Any]:
        """The values of one row."""
        return self.whole.row(int(self.chosen[number]))


class EncodedImages:
    """Images [N, H, W, C] that are decoded when they are indexed, as evaluation takes them: scaled, the middle cut out."""

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(
        self,
        encoded: RaggedRows,
        shape: Shape,
        name_row: Callable[[int], str] | None = None,
        threads: int = 1,
    ) -> None:
        """
        Args:
            encoded: the bytes of each.
            shape: size and channels of all.
            name_row: how to call one in a message.
            threads: that decode, where several are asked for.
        """
        side = shape.size or 0
        self.encoded, self.form, self.threads = encoded, shape, threads
        self.shape = (len(encoded), side, side, shape.channels)
        self._name_row = name_row or (lambda number: f"image {number}")

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, numbers: NDArray[np.int64] | slice | int) -> Pixels:
        """uint8 [B, H, W, C], or [H, W, C] of one number.

        Raises:
            InputError: if one is broken.
        """
        chosen = find_row_numbers(len(self), numbers)
        return self._gather(chosen, lambda place, image: image.decode(self.form))

    def choose(self, numbers: NDArray[np.int64]) -> EncodedImages:
        """Some of them, still encoded."""
        chosen = RaggedChoice(self.encoded, numbers)
        return EncodedImages(
            chosen, self.form, lambda at: self._name_row(int(numbers[at])), self.threads
        )

    def read_parts(
        self, numbers: NDArray[np.int64], find_part: Callable[[int, tuple[int, int]], Part]
    ) -> Pixels:
        """A part of each image, scaled to its shape: uint8 [B, H, W, C].

        Args:
            numbers: [B].
            find_part: from a place in `numbers` and the image's height and width.

        Raises:
            InputError: if one is broken.
        """
        sides, channels = (self.shape[1], self.shape[2]), self.form.channels
        return self._gather(
            numbers,
            lambda place, image: image.decode_part(find_part(place, image.size), sides, channels),
        )

    def find_broken(self, progress: Callable[[int, int], None]) -> Iterator[tuple[int, InputError]]:
        """The number of each that cannot be decoded, and why; every one is read to its end.

        Args:
            progress: is given how many are done, and of how many.
        """

        def check(number: int) -> InputError | None:
            try:
                self._open(number).check()
            except InputError as error:
                return error
            return None

        for number, error in enumerate(map_in_threads(check, range(len(self)), self.threads)):
            progress(number + 1, len(self))
            if error is not None:
                yield number, error

    def read_bytes(self, number: int) -> bytes:
        """One of them as it is encoded.

        Raises:
            InputError: if it is larger than any image may be.
        """
        size_bytes = int(self.encoded.lengths[number])
        if size_bytes > LIMIT_BYTES:
            where = self._name_row(number)
            raise InputError(f"{where}: got {size_bytes} bytes, want {LIMIT_BYTES} at most")
        return self.encoded.row(number).tobytes()

    def _open(self, number: int) -> EncodedImage:
        return EncodedImage(self.read_bytes(number), self._name_row(number))

    def _gather(
        self, chosen: NDArray[np.int64], decode: Callable[[int, EncodedImage], Pixels]
    ) -> Pixels:
        pixels = np.empty((chosen.size, *self.shape[1:]), np.uint8)

        def fill(place: int) -> None:
            pixels[place] = decode(place, self._open(int(chosen.flat[place])))

        for _ in map_in_threads(fill, range(chosen.size), self.threads):
            pass
        return pixels.reshape(*chosen.shape, *self.shape[1:])


def count_threads() -> int:
    """One a core, up to `MOST_THREADS`."""
    return min(count_cores(), MOST_THREADS)


def choose_rows(rows: Rows, numbers: NDArray[np.int64]) -> Rows:
    """Some rows of a field; those of encoded images stay encoded."""
    if isinstance(rows, EncodedImages):
        return cast("Rows", rows.choose(numbers))
    return rows[numbers]


def undo_decoding(rows: Mapping[str, Rows]) -> dict[str, Rows]:
    """The rows of every field, those of encoded images as the bytes that they are."""
    return {
        name: each.encoded if isinstance(each, EncodedImages) else each
        for name, each in rows.items()
    }


def map_in_threads(job: Callable[[int], T], numbers: Sequence[int], threads: int) -> Iterator[T]:
    """What `job` gives of each number, in their order, some threads at a time; what it raises is raised."""
    if threads < 2 or len(numbers) < 2:
        yield from map(job, numbers)
        return
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(numbers), _AHEAD):
            yield from pool.map(job, numbers[start : start + _AHEAD])
