"""The steps that show what each term of a loss brings: the first distillation again without it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence

from edgekd.stage import Step
from edgekd.stages import distil

WITHOUT = "-without-"
"""Between the label of the step of all terms and the term's name."""


def steps(learned: Sequence[Step]) -> Iterator[Step]:
    """One step a term left out, the same in all else; none if there is but one term.

    Args:
        learned: the student's steps in order; its first distillation is the one that is repeated.
    """
    taught = [(step, step.settings) for step in learned if isinstance(step.settings, distil.Config)]
    if not taught:
        return
    student = taught[-1][1].model  # an assistant between teacher and student is another
    whole, settings = next(pair for pair in taught if pair[1].model == student)
    terms = settings.losses
    names = [term.loss.name for term in terms]
    if len(terms) == 1:
        return
    for number, name in enumerate(names):
        again = names[: number + 1].count(name)
        numbered = name if names.count(name) == 1 else f"{name}-{again}"
        rest = {"losses": terms[:number] + terms[number + 1 :]}
        yield whole._replace(
            label=f"{whole.label}{WITHOUT}{numbered}",
            settings=settings.model_copy(update=rest),
        )


def ablated_term(label: str) -> tuple[str, str]:
    """Split a label into the step with all terms and the term left out; empty for any other step."""
    whole, _, term = label.partition(WITHOUT)
    return whole, term
