"""The steps that show what each term of a loss brings: the first distillation again without it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

from edgekd.learn.settings import Term
from edgekd.recipe import Recipe
from edgekd.recipe.steps import distillations
from edgekd.stage import Step


class Ablation(NamedTuple):
    """One distillation without one of its terms."""

    label: str
    whole: str
    """The step with all terms."""
    term: str
    """The one left out, numbered where a loss stands there twice."""
    losses: tuple[Term, ...]
    """The others."""


def find_ablations(recipe: Recipe) -> tuple[Ablation, ...]:
    """Find what a recipe leaves out of the student's first distillation, term by term; an assistant's is another.

    None where it does not ask, and where there is but one term.
    """
    student = recipe.student.model
    whole = next((each for each in distillations(recipe.steps) if each.model == student), None)
    if not recipe.explain.ablation or whole is None or len(whole.losses) == 1:
        return ()
    names, found = [term.loss.name for term in whole.losses], []
    for number, name in enumerate(names):
        again = names[: number + 1].count(name)
        term = name if names.count(name) == 1 else f"{name}-{again}"
        rest = whole.losses[:number] + whole.losses[number + 1 :]
        found.append(Ablation(f"{whole.label}-without-{term}", whole.label, term, rest))
    return tuple(found)


def steps(recipe: Recipe, learned: Sequence[Step]) -> Iterator[Step]:
    """One step a term left out, the same in all else.

    Args:
        recipe: what is carried out.
        learned: the student's steps; one of them is repeated.
    """
    for each in find_ablations(recipe):
        whole = next(step for step in learned if step.label == each.whole)
        less = whole.settings.model_copy(update={"losses": each.losses})
        yield whole._replace(label=each.label, settings=less)
