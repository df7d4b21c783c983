"""Training samples without a label: what of a step they take part in."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from edgekd.errors import InputError
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.schemes import OFFLINE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgekd.learn.data.loader import Samples
    from edgekd.named_member import NamedMember

LABELS = frozenset({"labels", "label_indices"})
"""The signals that only a sample with a label has."""


def pass_over_unlabelled(terms: Iterable[BoundTerm], samples: Samples) -> tuple[BoundTerm, ...]:
    """The terms, of which those that read labels count the samples that have one: their mean is over these, and 0 where
    a batch has none.

    Args:
        terms: of a step.
        samples: that it learns from.
    """
    terms = tuple(terms)
    if samples.dataset.find_labelled(samples.rows) is None:
        return terms
    return tuple(
        dataclasses.replace(term, labelled_only=True) if LABELS & set(term.needs) else term
        for term in terms
    )


def require_usable(samples: Samples, scheme: NamedMember, *, private: bool) -> None:
    """Refuse what cannot do with samples without a label.

    Raises:
        InputError: naming it, if there are such samples.
    """
    if samples.dataset.find_labelled(samples.rows) is None:
        return
    if scheme.name != OFFLINE.name:
        raise InputError(
            f"scheme: got {scheme.name} with samples that have no label, want {OFFLINE.name}"
        )
    if samples.views.mixup or samples.views.cutmix:
        raise InputError(
            "views: got some that mix samples, of which some have no label, want others"
        )
    if private:
        raise InputError("private: got samples that have no label, want all to have one")
