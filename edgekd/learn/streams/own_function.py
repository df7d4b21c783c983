"""A user's function that gives a stream, one sample or row after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from collections.abc import Sized
from typing import Any

from edgekd import code
from edgekd.errors import InputError


def call_function(
    reference: str, unit: str, *, allow_code: bool
) -> tuple[Iterator[tuple[Any, str]], bool]:
    """What a function gives, each with its place, and whether it is known to end.

    Args:
        reference: ``module:function``.
        unit: what one is called in its place.
        allow_code: whether the user gave leave to run it.

    Raises:
        InputError: if there is no leave, or the user's code raises, then or later.
    """
    function = code.load_function(reference, "python", allow_code=allow_code)
    where = f"python:{reference}"
    try:
        made = function()
        given = iter(made)
    except Exception as error:  # the user's code raises what it likes
        raise InputError(f"{where}: raised {type(error).__name__}: {error}") from error
    return _take(given, f"{where}, {unit}"), isinstance(made, Sized)


def _take(given: Iterator[Any], where: str) -> Iterator[tuple[Any, str]]:
    for number in itertools.count():
        try:
            value = next(given)
        except StopIteration:
            return
        except Exception as error:  # the user's code
            raise InputError(f"{where} {number}: raised {type(error).__name__}: {error}") from error
        yield value, f"{where} {number}"
