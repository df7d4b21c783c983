"""What a recipe names from tables, by its key: models, data sources, schemes and losses; and whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from edgekd.learn.data import SOURCES
from edgekd.learn.losses import LOSSES
from edgekd.learn.models import MODELS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import Term
from edgekd.named_member import NamedMember
from edgekd.plugins import Plugin
from edgekd.recipe import Recipe
from edgekd.recipe.steps import distillations
from edgekd.runtimes import RUNTIMES
from edgekd.table import OWN
from edgekd.table import Table
from edgekd.tasks import task_table


class Choice(NamedTuple):
    """One name in a recipe."""

    key: str
    """``learn.0.losses.1``."""
    table: Table
    named: NamedMember

    @property
    def is_own(self) -> bool:
        """Whether it is code of the user's own, which must be allowed to run."""
        return str(self.named).startswith(OWN)


def list_choices(recipe: Recipe) -> Iterator[Choice]:
    """Every name, in the recipe's order."""
    yield Choice("task", task_table(), NamedMember(name=recipe.task))
    yield Choice("data.source", SOURCES, recipe.data.source)
    for place, teacher in recipe.keyed_teachers.items():
        yield Choice(_dotted(*place, "model"), MODELS, teacher.model)
    yield Choice("student.model", MODELS, recipe.student.model)
    for step in distillations(recipe.steps):
        if not step.is_recovery:
            yield Choice(_dotted(*step.key, "scheme"), SCHEMES, step.words.scheme)
        if step.has_own_model:
            yield Choice(_dotted(*step.key, "model"), MODELS, step.model)
    for key, term in list_terms(recipe).items():
        yield Choice(key, LOSSES, term.loss)


def list_terms(recipe: Recipe) -> dict[str, Term]:
    """Every term of a loss, by its key."""
    lists = {_dotted(*key): teacher.losses for key, teacher in recipe.keyed_teachers.items()}
    lists |= {"student": recipe.student.losses}
    lists |= {_dotted(*step.key): step.losses for step in recipe.steps}
    return {
        f"{key}.losses.{number}": term
        for key, listed in lists.items()
        for number, term in enumerate(listed)
    }


def _dotted(*key: str | int) -> str:
    return ".".join(map(str, key))


def list_used_plugins(recipe: Recipe) -> tuple[Plugin, ...]:
    """The plugins that a recipe uses, each once."""
    found = [choice.table[choice.named.name].plugin for choice in list_choices(recipe)]
    found += [RUNTIMES[target.runtime].plugin for target in recipe.targets]
    return tuple(dict.fromkeys(plugin for plugin in found if plugin is not None))
