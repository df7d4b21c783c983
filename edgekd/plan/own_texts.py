"""Teachers that read the data's texts by a tokenizer of their own: the data as they see them, and who takes those."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

from edgekd.errors import InputError
from edgekd.learn.data import PLACES
from edgekd.named_member import NamedMember
from edgekd.plan import pretrained_models
from edgekd.plan import wiring
from edgekd.recipe import Recipe
from edgekd.recipe.learning import Teacher
from edgekd.recipe.own_texts import BYTES
from edgekd.recipe.own_texts import OWN
from edgekd.recipe.own_texts import cuts_corpus
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import data
from edgekd.tokenizer import FILE as TOKENIZER

SPLITS = ("train", "validation", "test")


def steps(
    recipe: Recipe, make_step: Callable[[str, dict[str, Any]], Step], options: Options
) -> Iterator[Step]:
    """Yield one step for each such teacher, behind that of the student's data.

    Args:
        recipe: what is carried out.
        make_step: makes a step of the stage `data` of its label and what is other than the student's.
        options: what may run.
    """
    for name, teacher in recipe.named_teachers.items():
        if teacher.texts is None:
            continue
        source = recipe.data.source
        mine = source.arguments.get("tokenizer")
        theirs = _find_tokenizer(teacher, name, options)
        arguments = {**source.arguments, "tokenizer": theirs}
        if teacher.texts.longest is not None:
            arguments["longest"] = teacher.texts.longest
        change: dict[str, Any] = {"source": NamedMember(name=source.name, arguments=arguments)}
        if cuts_corpus(recipe.data.source):
            change |= {"blocks_by": mine or "", "align": teacher.texts.align}
        step = make_step(find_label(recipe, name), change)
        takes = wiring.split_inputs(*SPLITS, prefix=data.STUDENT)
        yield step._replace(takes=takes)


def _find_tokenizer(teacher: Teacher, name: str, options: Options) -> str | None:
    """Where a teacher's tokenizer lies; None of bytes.

    Raises:
        InputError: if its model comes with none.
    """
    assert teacher.texts is not None
    said = teacher.texts.tokenizer
    if said != OWN:
        return None if said == BYTES else said
    found = None
    if teacher.model.pretrained:
        found = pretrained_models.find_weights(teacher.model, options).tokenizer
    if found is None:
        raise InputError(
            f"{name}.texts.tokenizer: got {OWN!r} of {teacher.model}, which comes without a {TOKENIZER}, want the file"
        )
    return str(found)


def find_label(recipe: Recipe, name: str) -> str:
    """The step that makes the data as a teacher, or another model of the run, reads them."""
    teacher = recipe.named_teachers.get(name)
    is_own = teacher is not None and teacher.texts is not None
    return f"data-{name}" if is_own else "data"


def take_splits(recipe: Recipe, name: str, *splits: str) -> wiring.Takes:
    """The splits as a model of that name reads them."""
    return wiring.split_inputs(*splits, label=find_label(recipe, name))


def take_tokenizer(recipe: Recipe, name: str) -> wiring.Takes:
    """The file of the tokenizer that it reads them by; nothing of bytes."""
    label, teacher = find_label(recipe, name), recipe.named_teachers.get(name)
    if teacher is None or teacher.texts is None:
        return wiring.tokenizer_input(recipe)
    return {} if teacher.texts.tokenizer == BYTES else {TOKENIZER: (label, TOKENIZER)}


def take_beside(recipe: Recipe, name: str, *splits: str, owner: str = "") -> wiring.Takes:
    """The splits of a teacher that reads texts by its own tokenizer, under ``owner/`` beside the student's; nothing of one
    that reads the student's.

    Args:
        recipe: whose teacher it is.
        name: of the teacher.
        splits: which; with the training split of a corpus come the places of its tokens.
        owner: what its inputs lie under; its name where nothing is said.
    """
    label = find_label(recipe, name)
    if label == "data":
        return {}
    prefix = f"{owner or name}/"
    found = wiring.split_inputs(*splits, label=label, prefix=prefix)
    if "train" in splits and cuts_corpus(recipe.data.source):
        found[prefix + PLACES] = (label, PLACES)
    return found
