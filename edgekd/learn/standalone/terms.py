"""Losses, schemes and training settings as a call in Python says them."""

from __future__ import annotations

import itertools
import typing
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic import ValidationError
from torch import Tensor

from edgekd import synonyms
from edgekd.errors import InputError
from edgekd.learn.losses import LOSSES
from edgekd.learn.optimizers import OPTIMIZERS
from edgekd.learn.settings import Losses
from edgekd.learn.settings import Schedule
from edgekd.learn.settings import Term
from edgekd.learn.settings import TrainingPrecision
from edgekd.learn.signals import find_signal
from edgekd.learn.signals import needs
from edgekd.named_member import NamedMember
from edgekd.table import find_signature
from edgekd.tasks import DEFAULT_TASK
from edgekd.tasks import list_usual_losses

LossFunction = Callable[..., Tensor]
"""A function of signals, each named by its parameter: ``student_logits``, ``teacher_logits``, ``labels``."""
LossWords = str | LossFunction | Mapping[str, Any]
"""A loss as a recipe says it: ``"kd"``, or ``{"name": "kd", "weight": 0.9, "temperature": 4.0}``; or a function."""
_TERMS: TypeAdapter[tuple[Term, ...]] = TypeAdapter(Losses)
_NAMED: dict[str, tuple[str, ...]] = {
    "optimizer": tuple(OPTIMIZERS),
    "schedule": typing.get_args(Schedule),
    "precision": typing.get_args(TrainingPrecision),
}
"""Keys of a training that hold one of these names."""


def read_terms(
    losses: LossWords | Sequence[LossWords], targets: Mapping[str, Tensor], taught: bool
) -> tuple[Term, ...]:
    """The terms that `losses` mean; those of one class a sample where there are none.

    Args:
        losses: one, or several.
        targets: of a batch.
        taught: whether there is a teacher.

    Raises:
        InputError: for what is no loss, or has a knob out of range; without losses, if the targets are numbers.
    """
    is_one = isinstance(losses, str | Mapping) or callable(losses)
    said: list[Any] = [losses] if is_one or not isinstance(losses, Iterable) else list(losses)
    if not said:
        return _find_usual_terms(targets, taught)
    taken: list[str] = []
    words = [_read_loss(each, f"losses.{number}", taken) for number, each in enumerate(said)]
    try:
        return _TERMS.validate_python(words)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"losses.{where}: {first['msg'].removeprefix('Value error, ')}") from error


def _read_loss(value: Any, where: str, taken: list[str]) -> dict[str, Any] | Term:
    """A loss as the settings of a term take it; the names of functions go to those that are `taken`."""
    if isinstance(value, Term):
        return value
    words = dict(value) if isinstance(value, Mapping) else {"name": value}
    name = words.get("name")
    if callable(name):
        return _read_function(name, words, where, taken)
    if not isinstance(name, str):
        raise _refuse_loss(value, name, where)
    words["name"] = read_name(name, "loss", LOSSES, where)
    head = words["name"] if words["name"] in LOSSES else words["name"].partition(":")[0]
    if head not in LOSSES:
        return words
    knobs = find_signature(LOSSES[head]).knobs.model_fields
    return read_keys(words, {"name", *Term.model_fields, *knobs}, where)


def _read_function(
    function: LossFunction, said: Mapping[str, Any], where: str, taken: list[str]
) -> dict[str, Any]:
    """The same of a caller's function, called by its own name, with a number where that is a loss's or taken."""
    own = str(getattr(function, "__name__", type(function).__name__)).strip("<>")
    names = itertools.chain([own], (f"{own}-{number}" for number in itertools.count(2)))
    name = next(each for each in names if each not in LOSSES and each not in taken)
    taken.append(name)
    knobs = set(NamedMember.from_function(function, name, {}).arguments)
    words = read_keys(
        {key: said[key] for key in said if key != "name"}, {*Term.model_fields, *knobs}, where
    )
    own_words = {key: words.pop(key) for key in [*words] if key not in Term.model_fields}
    try:
        return {**words, "loss": NamedMember.from_function(function, name, own_words)}
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def _refuse_loss(value: Any, name: Any, where: str) -> InputError:
    if isinstance(value, Mapping) and name is None:
        got = ", ".join(map(str, value))[:100] or "nothing"
        return InputError(
            f"{where}: got a mapping of {got}, want a name, or {{name, weight}}",
            hint='losses=[{"name": "kd", "weight": 0.9}]',
        )
    got = type(name if isinstance(value, Mapping) else value).__name__
    return InputError(
        f"{where}: got {got}, want a name of edgekd methods, a mapping with it, or a function"
    )


def read_name(name: str, key: str, known: Iterable[str], where: str) -> str:
    """The known name that `name` means as the value of a recipe's `key`, its reference after a colon left alone.

    Raises:
        InputError: if another word is to be written.
    """
    known = known if isinstance(known, Mapping) else tuple(known)
    if name in known:
        return name
    head, colon, rest = name.partition(":")
    found = synonyms.find_name(head, known, synonyms.NAMES.get(key, {}))
    if found not in known and (message := synonyms.refuse_name(key, name, known)):
        raise InputError(f"{where}: {message}")
    return f"{found}{colon}{rest}"


def read_keys(words: Mapping[str, Any], known: set[str], where: str) -> dict[str, Any]:
    """The words by the known keys that theirs mean.

    Raises:
        InputError: for a key that is answered with another, or two that mean the same.
    """
    found: dict[str, Any] = {}
    at = f"{where}." if where else ""
    for said, value in words.items():
        key = synonyms.find_key(str(said), known)
        if key not in known and (instead := synonyms.REFUSED_KEYS.get(key.lower())):
            raise InputError(f"{at}{said}: got unknown key; {instead}")
        if key in found:
            raise InputError(f"{at}{said}: got it beside another word for {key}, want one of them")
        found[key] = value
    return found


def read_scheme(words: Any, schemes: Mapping[str, Any]) -> NamedMember:
    """The scheme that a name or a mapping with `name` means.

    Raises:
        InputError: if it is none, or a knob is out of range.
    """
    said = dict(words) if isinstance(words, Mapping) else {"name": words}
    if isinstance(said.get("name"), str):
        said["name"] = read_name(said["name"], "scheme", schemes, "scheme")
    try:
        return NamedMember.parse(said, schemes, "scheme")
    except ValueError as error:
        raise InputError(f"scheme: {error}") from error


def read_training_words(train: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    """The keys and names of a training as its settings take them.

    Raises:
        InputError: for one that is answered with another word, or two that mean the same.
    """
    words = read_keys(train, known, "")
    for key, names in _NAMED.items():
        value = words.get(key)
        if isinstance(value, str):
            words[key] = read_name(value, key, names, key)
        elif isinstance(value, Mapping) and isinstance(value.get("name"), str):
            words[key] = {**value, "name": read_name(value["name"], key, names, key)}
    return words


def _find_usual_terms(targets: Mapping[str, Tensor], taught: bool) -> tuple[Term, ...]:
    """The losses of one class a sample, where none are named, of those that have what they compare with."""
    first = next(iter(targets.values()), None)
    if first is not None and first.is_floating_point():
        raise InputError(
            "losses: got none, and targets that are numbers, want losses for them",
            hint="edgekd methods lists them",
        )
    usual = _TERMS.validate_python(list_usual_losses(DEFAULT_TASK))
    terms = [term for term in usual if (taught if _is_soft(term) else first is not None)]
    if not terms:
        raise InputError("losses: got no teacher and no labels, want one of them")
    if len(terms) == len(usual):
        return tuple(terms)
    return tuple(term.model_copy(update={"weight": 1.0}) for term in terms)  # they are all there is


def _is_soft(term: Term) -> bool:
    """Return whether it compares with what a teacher says."""
    return any(find_signal(each).side == "teacher" for each in needs(term.loss.find_member(LOSSES)))
