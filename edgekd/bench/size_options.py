"""Sizes of free axes as a user words them: ``--size NAME=N``, and the question where one is missing."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

from edgekd.bench.call import CONTEXT
from edgekd.bench.call import PROMPT
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.value_info import Value

Sizes = Mapping[str, tuple[int, ...]]
"""By the name of an axis (``height``, or ``INPUT.AXIS``) one size; by that of an input, its whole shape."""
OPTION = re.compile(r"(?P<name>.+)=(?P<values>\d{1,9}(?:x\d{1,9})*(?:,\d{1,9}(?:x\d{1,9})*)*)")
UNNAMED = {"", "?", "-1", "None", "unk", "dynamic"}
"""What some exporters write in place of a name: two axes that carry it need not be equal."""
EXAMPLE_PIXELS, EXAMPLE_LENGTH = 224, 128


def list_combinations(options: Sequence[str]) -> list[dict[str, tuple[int, ...]]]:
    """Every combination of the sizes of ``--size NAME=N[,N...]``, one empty mapping without any; then each size of a decoder's
    prompt or context by itself.

    Raises:
        InputError: if an option has another form.
    """
    by_name: dict[str, list[tuple[int, ...]]] = {}
    for option in options:
        form = OPTION.fullmatch(option)
        if form is None:
            raise InputError(
                f"--size: got {option!r}, want NAME=N, NAME=N,N or INPUT=NxNxN",
                hint="--size height=224",
            )
        values = by_name.setdefault(form["name"], [])
        for value in form["values"].split(","):
            size = tuple(map(int, value.split("x")))
            if size not in values:
                values.append(size)
    tokens = [{name: size} for name in (PROMPT, CONTEXT) for size in by_name.pop(name, ())]
    plain = itertools.product(*by_name.values())
    return [*(dict(zip(by_name, sizes, strict=True)) for sizes in plain), *tokens]


def require_known(
    sizes: Sizes, models: Sequence[Sequence[Value]], others: Sequence[str] = ()
) -> None:
    """Raises InputError unless every name of `sizes` is an axis or an input of one of the models, or one of `others`."""
    known = {name for inputs in models for value in inputs for name in _names(value)} | {*others}
    for name in sizes:
        if name not in known:
            raise InputError(f"--size: got {name!r}, {find_nearest(name, known)}")


def _names(value: Value) -> Iterator[str]:
    """All that ``--size`` may call something of this input."""
    yield value.name
    for axis, size in enumerate(value.sizes or ()):
        if not isinstance(size, int):
            yield f"{value.name}.{axis}"
            if size is not None and size not in UNNAMED:
                yield size


def missing_size_message(
    where: str, missing: Sequence[tuple[Value, int]], ranks: Sequence[Value]
) -> InputError:
    """Return what is missing, with the options that answer it."""
    examples: dict[str, str] = {value.name: "1x3x224x224" for value in ranks}
    for value, axis in missing:
        name = value.sizes[axis] if value.sizes else None
        plain = isinstance(name, str) and name not in UNNAMED and "+" not in name
        examples[str(name) if plain else f"{value.name}.{axis}"] = str(_example(value, axis))
    shown = {value.name: value for value in (*ranks, *(value for value, _ in missing))}
    inputs = ", ".join(f"{value.name} {_shape_text(value)}" for value in shown.values())
    options = " ".join(f"--size {_quoted(f'{name}={size}')}" for name, size in examples.items())
    return InputError(
        f"{where}: got free sizes in {inputs}, want a number for each: {', '.join(examples)}",
        hint=f"such as {options}",
    )


def _example(value: Value, axis: int) -> int:
    rank = len(value.sizes or ())
    if rank == 3 and axis == 1 and isinstance((value.sizes or (None,))[0], int):
        return 1  # the state of a recurrent layer: [layers, batch, width]
    return EXAMPLE_PIXELS if rank >= 4 else EXAMPLE_LENGTH


def _shape_text(value: Value) -> str:
    if value.sizes is None:
        return "[...]"
    return f"[{', '.join('?' if size is None else str(size) for size in value.sizes)}]"


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.=/:-]+", text) else "'" + text.replace("'", "'\\''") + "'"
