"""What a loss is: a pure function of signals, bound to its knobs and weight.

The names of its positional parameters are the signals it compares (`edgekd.learn.signals`); its
keyword-only parameters are its knobs. A loss that reads layers is summed over its pairs of layers; what it
trains beside the student is a companion a pair.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import nn

from edgekd import code
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.learn.losses import LOSSES
from edgekd.learn.mathematics.padding import clear_layers
from edgekd.learn.mathematics.padding import has_tokens
from edgekd.learn.mathematics.padding import pool_tokens
from edgekd.learn.mathematics.paired_logits import keep_paired
from edgekd.learn.mathematics.shapes import pool_places
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.mathematics.top_k import TopKLogits
from edgekd.learn.method.default_weight import find_ramp
from edgekd.learn.method.default_weight import find_weight
from edgekd.learn.method.loss_values import LossValues
from edgekd.learn.method.schedule import ramp_factor
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.rows import take_tokens
from edgekd.learn.settings import Ramp
from edgekd.learn.settings import Term
from edgekd.learn.signals import PAIRED
from edgekd.learn.signals import TOKEN_MASK
from edgekd.learn.signals import find_signal
from edgekd.table import find_own_signature
from edgekd.table import find_signature

Key = str | tuple[str, ...]
"""What the scheme calls a signal; several tensors for one that is all stages."""
TINY = 1e-7
"""Added to a sample's standard deviation, as Sun et al. 2024 do."""


@dataclass(frozen=True, slots=True)
class TermPart:
    """A loss on one pair of layers; a loss that reads no layers has one part."""

    keys: Mapping[str, Key]
    """Names of the loss's signals to the scheme's, where they differ."""
    companion: nn.Module | None = None
    reads: tuple[str, ...] = ()
    """The signals that the companion takes, in order."""


@dataclass(frozen=True, slots=True)
class BoundTerm:
    """One summand of the training loss."""

    name: str
    weight: float
    needs: tuple[str, ...]
    function: Callable[..., Tensor]
    ramp: Ramp | None = None
    standardize: bool = False
    labelled_only: bool = False
    all_tokens: bool = False
    reads_top_k: bool = False
    parts: tuple[TermPart, ...] = (TermPart({}),)

    def value(self, signals: Mapping[str, Tensor]) -> Tensor:
        """Unweighted, summed over the parts.

        Raises:
            InputError: if a signal is not there: a configured loss is never left out.
        """
        values = [self._of_part(part, signals) for part in self.parts]
        total = values[0]
        for value in values[1:]:
            total = total + value
        return total

    def _of_part(self, part: TermPart, signals: Mapping[str, Tensor]) -> Tensor:
        wanted = dict.fromkeys((*part.reads, *self.needs))
        given = {name: self._signal(name, part, signals) for name in wanted}
        if part.companion is not None:
            given |= part.companion(*(given[name] for name in part.reads))
        if TOKEN_MASK not in self.needs:  # padding may be something behind a companion
            mask = signals.get(TOKEN_MASK)
            for name in (each for each in given if find_signal(each).kind in PAIRED):
                given[name] = clear_layers(given[name], mask)
        absent = [name for name in self.needs if given[name] is None and name != TOKEN_MASK]
        if absent:
            raise InputError(
                f"loss {self.name}: got no {', '.join(absent)} from this scheme, "
                f"want {', '.join(self.needs)}"
            )
        if self.labelled_only:
            given = self._of_labelled(given, part, signals)
        given = keep_paired(given)
        compared = [name for name in self.needs if name != TOKEN_MASK]
        if not any(_has_rows(given[name]) for name in compared):
            # a mean over nothing is NaN; a sum over nothing is 0, and so is its gradient
            tensors = [given[name] for name in compared if isinstance(given[name], Tensor)]
            return torch.stack([each.float().sum() for each in tensors]).sum()
        return self.function(*(given[name] for name in self.needs))

    def _of_labelled(
        self, given: Mapping[str, Tensor], part: TermPart, signals: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The tokens that have a label, [n, ...] of [..., ...]."""
        labels = self._signal("label_indices", part, signals)
        if labels is None:
            raise InputError(
                f"loss {self.name}: labelled_only: got no label_indices from this scheme, want them"
            )
        whole = [tuple(value.shape) for value in given.values()]
        if any(shape[: labels.ndim] != labels.shape for shape in whole):
            raise ValueError(
                f"want labels of the same tokens, got {tuple(labels.shape)} and {whole}"
            )
        return {name: value[labels >= 0] for name, value in given.items()}

    def _signal(self, name: str, part: TermPart, signals: Mapping[str, Tensor]) -> Any:
        key, mask = part.keys.get(name, name), signals.get(TOKEN_MASK)
        if isinstance(key, tuple):
            return clear_layers(tuple(signals[each] for each in key), mask)
        kind = find_signal(name).kind
        at_tokens = self.all_tokens and kind == "logits"
        value = take_tokens(signals.get(f"{key}_map"), mask) if at_tokens else signals.get(key)
        if value is None:
            return None
        if isinstance(value, TopKLogits) and (self.standardize or not self.reads_top_k):
            value = value.spread()
        if kind == "embedding":
            value = pool_tokens(value, mask) if has_tokens(value, mask) else pool_places(value)
        if kind in PAIRED:
            value = clear_layers(value, mask)
        if self.standardize and kind == "logits":
            value = standardize(value)
        return value


def _has_rows(value: Any) -> bool:
    return not isinstance(value, Tensor | TopKLogits) or value.ndim == 0 or len(value) > 0


def bind_terms(
    terms: Iterable[Term],
    *,
    classes: int = 0,
    epochs: float = 0.0,
    allow_code: bool = False,
) -> tuple[BoundTerm, ...]:
    """The terms with their knobs; a name used twice gets a number (``kd``, ``kd#2``).

    Args:
        terms: of the recipe.
        classes: of the data, for weights that depend on their number; 0 if not known.
        epochs: of the training, for weights that rise at its beginning; 0 if not known.
        allow_code: whether ``python:`` losses may run.

    Raises:
        InputError: if code that is not edgekd's is not allowed or cannot be loaded.
    """
    bound: list[BoundTerm] = []
    for term in terms:
        name = term.loss.name
        seen = sum(other.name.split("#")[0] == name for other in bound)
        member = term.loss.find_member(LOSSES)
        function = code.load_member(member, f"loss {name}", allow_code=allow_code)
        if not member.built_in:
            function = _require_number(name, function)
        own = find_own_signature(member).knobs.model_fields
        knobs = {key: value for key, value in term.loss.arguments.items() if key in own}
        bound.append(
            BoundTerm(
                f"{name}#{seen + 1}" if seen else name,
                find_weight(term, classes),
                find_signature(member).positional,
                functools.partial(function, **knobs),
                find_ramp(term, epochs),
                term.standardize,
                term.labelled_only,
                term.all_tokens,
                member.reads_top_k,
            )
        )
    return tuple(bound)


def _require_number(name: str, function: Callable[..., Any]) -> Callable[..., Tensor]:
    """`function`, whose faults are told as those of the loss `name`: it must give one number.

    Raises (when it is called):
        InputError: if it raises, or gives something else.
    """

    @functools.wraps(function)
    def call(*signals: Tensor, **knobs: Any) -> Tensor:
        try:
            value = function(*signals, **knobs)
        except EdgekdError:
            raise
        except (Exception, SystemExit) as error:  # foreign code raises what it likes
            first = (str(error).strip().splitlines() or [""])[0]
            raise InputError(f"loss {name}: raised {type(error).__name__}: {first}") from error
        if not isinstance(value, Tensor):
            raise InputError(f"loss {name}: got {type(value).__name__}, want a tensor of shape []")
        if value.ndim or not value.is_floating_point():
            raise InputError(
                f"loss {name}: got {value.dtype} of shape {list(value.shape)}, want one number: a "
                f"tensor of floats of shape []"
            )
        return value

    return call


def compute(
    terms: Iterable[BoundTerm], signals: Mapping[str, Tensor], epoch: float = 0.0
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of all terms after `epoch` epochs, and each term's own value, without gradient.

    Raises:
        InputError: if a term's signal is not there: a configured loss is never left out.
    """
    total: Tensor | None = None
    parts: dict[str, Tensor] = {}
    for term in terms:
        value = term.value(signals)
        parts[term.name] = value.detach()
        weighted = value * (term.weight * ramp_factor(term.ramp, epoch))
        total = weighted if total is None else total + weighted
    if total is None:
        raise InputError("losses: got none, want at least one")
    return total, parts


def compute_lessons(
    terms: Iterable[BoundTerm], lessons: Iterable[Lesson], epoch: float
) -> tuple[Tensor, LossValues]:
    """Sum all lessons of a step; give the terms' values, too: the first lesson is the student's.

    Raises:
        InputError: as `compute`.
    """
    terms, sums, shown = tuple(terms), list[Tensor](), dict[str, Tensor]()
    others: list[tuple[str, Tensor]] = []
    for number, lesson in enumerate(lessons):
        if lesson.weight:
            total, parts = compute(terms, lesson.signals, epoch)
            sums.append(total * lesson.weight)
            if number:
                others.extend(parts.items())
            else:
                shown |= parts
        shown |= {name: value.detach() for name, value in lesson.own.items()}
        sums.extend(lesson.own.values())
    return functools.reduce(torch.add, sums), LossValues(shown, tuple(others))


def rehearse_term(term: BoundTerm, signals: Mapping[str, Tensor]) -> None:
    """Compute one term without leaving a trace.

    Raises:
        InputError: if it cannot be computed; names it and what it wants.
    """
    companions = [part.companion for part in term.parts if part.companion is not None]
    modes = [(companion, companion.training) for companion in companions]
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            for companion in companions:
                companion.eval()
            term.value(signals)
    except (ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"loss {term.name}: {first}") from error
    finally:
        for companion, training in modes:
            companion.train(training)


def standardize(logits: Tensor) -> Tensor:
    """Return logits [B, C] as z-scores: less their mean, by their standard deviation (Sun et al. 2024,
    arXiv:2403.01427, eq. 10), each sample by itself; 0, without gradient, where all are equal."""
    wide = widen(logits)
    variance = wide.var(1, keepdim=True)
    still = variance <= TINY**2
    scale = variance.masked_fill(still, 1).sqrt() + TINY
    return ((wide - wide.mean(1, keepdim=True)) / scale).masked_fill(still, 0)
