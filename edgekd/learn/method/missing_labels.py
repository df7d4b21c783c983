"""Training samples without a label: what of a step they take part in."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from edgekd.errors import InputError
from edgekd.learn.method.loss import BoundTerm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edgekd.learn.data.loader import Samples
    from edgekd.table import Member

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


def require_usable(samples: Samples, scheme: Member) -> None:
    """Refuse what may read labels of samples of which some have none.

    Args:
        samples: that are learned from.
        scheme: who teaches them.

    Raises:
        InputError: naming what it is.
    """
    if samples.dataset.find_labelled(samples.rows) is None:
        return
    if not scheme.sees_batch_once:
        raise InputError(
            f"scheme: got one that may read labels ({scheme.summary}), and samples that have none, want offline"
        )
    if samples.views.mixup or samples.views.cutmix:
        raise InputError("views: got some that mix labels, and samples that have none, want others")
