"""Reads what a sweep goes over: keys of the recipe with their values or ranges, and the seeds that repeat a setting."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.recipe import text as recipe_text

SEED_KEYS = ("seed", "student_seed")
"""Keys whose values repeat a setting: its score is the mean over them."""
DIGITS = 6
"""Significant digits of a number that is drawn from a range: the same text is the same setting."""
MOST_SEEDS = 100
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(:log)?")
_WHOLE = re.compile(r"[-+]?\d+")
_OPENING, _CLOSING = "[{", "]}"

Setting = Mapping[str, str]
"""By key of the recipe, the text of its value."""


class SweepAxis(NamedTuple):
    """One key, and what it may be: values, or a range of numbers."""

    key: str
    values: tuple[str, ...] = ()
    """As ``--set`` takes them; empty of a range."""
    low: float = 0.0
    high: float = 0.0
    is_log: bool = False
    is_whole: bool = False

    @property
    def is_range(self) -> bool:
        """Whether it is a range."""
        return not self.values

    @property
    def examples(self) -> tuple[str, ...]:
        """All values; of a range both ends."""
        return self.values or (self.format_number(self.low), self.format_number(self.high))

    def format_number(self, value: float) -> str:
        """The text of a number of the range, never beyond its ends."""
        if self.is_whole:
            return str(round(value))
        return repr(min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high))

    def describe(self) -> str:
        """What the user wrote: ``8, 16`` or ``0.01 to 0.1, logarithmic``."""
        if self.values:
            return ", ".join(self.values)
        low, high = self.examples
        return f"{low} to {high}{', logarithmic' if self.is_log else ''}"


class SearchSpace(NamedTuple):
    """All settings of a sweep."""

    axes: tuple[SweepAxis, ...]
    seeds: tuple[SweepAxis, ...]

    @property
    def setting_count(self) -> int | None:
        """How many settings there are; None where a range has too many to count."""
        if any(axis.is_range for axis in self.axes):
            return None
        return math.prod(len(axis.values) for axis in self.axes)

    def settings(self) -> Iterator[Setting]:
        """Yield every setting of an enumerable space."""
        for values in itertools.product(*(axis.values for axis in self.axes)):
            yield dict(zip((axis.key for axis in self.axes), values, strict=True))

    def repetitions(self) -> list[Setting]:
        """The seeds of every setting; one empty mapping where none are swept."""
        keys = [axis.key for axis in self.seeds]
        every = itertools.product(*(axis.values for axis in self.seeds))
        return [dict(zip(keys, values, strict=True)) for values in every]


def parse_space(texts: Sequence[str]) -> SearchSpace:
    """The space of ``KEY=A,B,C`` and ``KEY=LOW..HIGH[:log]``.

    Raises:
        InputError: if one is neither, two say the same key, or a key lies inside another.
    """
    axes: list[SweepAxis] = []
    for text in texts:
        axis = parse_axis(text)
        for other in axes:
            if other.key == axis.key:
                raise InputError(f"--over: got {axis.key} twice, want each key once")
            longer, shorter = sorted((axis.key, other.key), key=len, reverse=True)
            if longer.startswith(f"{shorter}."):
                raise InputError(f"--over: got {longer} inside {shorter}, want one of them")
        axes.append(axis)
    if not axes:
        raise InputError(
            "sweep: got no key, want at least one to go over",
            hint="--over student.model.base=8,16 --over student_seed=0,1,2",
        )
    seeds = tuple(axis for axis in axes if axis.key in SEED_KEYS)
    return SearchSpace(tuple(axis for axis in axes if axis.key not in SEED_KEYS), seeds)


def parse_axis(text: str) -> SweepAxis:
    """One of them.

    Raises:
        InputError: if it is neither values nor a range.
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not equals or not key or not value:
        raise InputError(f"--over: got {text[:60]!r}, want KEY=A,B,C or KEY=LOW..HIGH[:log]")
    range_match = _RANGE.fullmatch(value)
    if range_match is not None:
        return _make_range(key, *range_match.groups())
    if _RANGE.match(value):
        raise InputError(f"--over: {key}: got {value[:60]!r}, want LOW..HIGH or LOW..HIGH:log")
    values = split_values(value)
    if "" in values:
        raise InputError(f"--over: {key}: got an empty value in {value[:60]!r}, want A,B,C")
    repeated = [each for each in values if values.count(each) > 1]
    if repeated:
        raise InputError(f"--over: {key}: got {repeated[0][:60]} twice, want each value once")
    return SweepAxis(key, tuple(values))


def _make_range(key: str, first: str, last: str, log: str | None) -> SweepAxis:
    low, high = float(first), float(last)
    is_whole = bool(_WHOLE.fullmatch(first) and _WHOLE.fullmatch(last))
    if not low < high or not math.isfinite(high - low):
        raise InputError(f"--over: {key}: got {first}..{last}, want the smaller number first")
    if log and low <= 0:
        raise InputError(f"--over: {key}: got {first}..{last}:log, want numbers above 0")
    if key in SEED_KEYS:
        if not is_whole or log or high - low >= MOST_SEEDS:
            raise InputError(
                f"--over: {key}: got {first}..{last}{log or ''}, want at most {MOST_SEEDS} seeds"
            )
        return SweepAxis(key, tuple(str(seed) for seed in range(int(low), int(high) + 1)))
    return SweepAxis(key, (), low, high, bool(log), is_whole)


def split_values(text: str) -> list[str]:
    """The values between commas, but for commas inside brackets, braces and quotes."""
    values, depth, quote, start = [], 0, "", 0
    for at, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _OPENING:
            depth += 1
        elif letter in _CLOSING:
            depth -= 1
        elif letter == "," and depth == 0:
            values.append(text[start:at].strip())
            start = at + 1
    return [*values, text[start:].strip()]


def read_space_file(path: Path) -> list[str]:
    """The lines of a YAML or TOML file, ``KEY: [A, B]`` or ``KEY: LOW..HIGH:log``, as `parse_space` takes them.

    Raises:
        InputError: if it cannot be read or is no such mapping.
    """
    value = recipe_text.read(path).value
    if not isinstance(value, dict) or not value:
        raise InputError(f"{path}: got no mapping, want keys of the recipe with their values")
    return format_space(value)


def format_space(over: Mapping[str, Any]) -> list[str]:
    """As ``--over`` takes it: a text is a range or values, a sequence is values, anything else one value.

    Raises:
        InputError: for a value that a recipe cannot hold.

    >>> format_space({"student.model.base": [8, 16], "student.train.learning_rate": "0.01..0.1:log"})
    ['student.model.base=8,16', 'student.train.learning_rate=0.01..0.1:log']
    """
    return [f"{key}={_format_value(key, value)}" for key, value in over.items()]


def _format_value(key: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        each = list(value) if isinstance(value, list | tuple | range) else [value]
        return ",".join(json.dumps(one, allow_nan=False) for one in each)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{key}: got what a recipe cannot hold: {error}") from error


def format_overrides(setting: Setting) -> tuple[str, ...]:
    """As ``--set`` takes them."""
    return tuple(f"{key}={value}" for key, value in setting.items())


def describe_setting(setting: Setting) -> str:
    """Its values by the last parts of their keys that differ: ``base=8, learning_rate=0.03``."""
    keys = list(setting)
    return ", ".join(f"{_shorten_key(key, keys)}={value}" for key, value in setting.items()) or (
        "the recipe itself"
    )


def _shorten_key(key: str, keys: Sequence[str]) -> str:
    parts = key.split(".")
    for count in range(1, len(parts)):
        tail = ".".join(parts[-count:])
        if sum(other == tail or other.endswith(f".{tail}") for other in keys) == 1:
            return tail
    return key
