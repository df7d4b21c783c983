"""Where a recipe names a method, with what must stand beside it: YAML to be pasted."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import NamedTuple

if TYPE_CHECKING:
    from edgekd.table import Member

NAME = "{}"
"""Stands for the name and its knobs."""
HINTON = ("{name: cross-entropy, weight: 0.1}", "{name: kd, weight: 0.9}")
"""What is learned from a teacher where the paper's loss is any."""


def _losses(losses: tuple[str, ...], margin: str = "") -> tuple[str, ...]:
    return tuple(f"{margin}{line}" for line in ("losses:", *(f"  - {loss}" for loss in losses)))


class SnippetLines(NamedTuple):
    """The lines of YAML around a method's name in a recipe."""

    losses: tuple[str, ...]
    """Of the step."""
    step: tuple[str, ...] = ()
    """What else the step says."""
    above: tuple[str, ...] = ()
    """What stands beside `learn`; of a part the recipe has already, these lines go into it."""
    below: tuple[str, ...] = ()
    """The steps after it."""

    def text(self) -> str:
        """As a recipe has it, with `NAME` in its place."""
        step = (f"    {line}" for line in (*self.step, *_losses(self.losses)))
        after = (f"  {line}" for line in self.below)
        return "\n".join((*self.above, "learn:", "  - step: distil", *step, *after))


def _by(*losses: str) -> SnippetLines:
    return SnippetLines(losses, (f"scheme: {NAME}",))


def _new_classes(name: str) -> SnippetLines:
    return SnippetLines(
        ("cross-entropy",),
        (
            f"scheme: {{name: {name}, old: 5}}",
            'only: ["5", "6", "7", "8", "9"]  # the new classes',
            "inherit: {rule: same}  # the student's model is the teacher's",
        ),
        ("teacher:", '  only: ["0", "1", "2", "3", "4"]  # the old ones, first in the data'),
    )


def _at(name: str, layer: str) -> SnippetLines:
    layers = f"{{student: layers.5.{layer}, teacher: layers.5.{layer}}}"
    return SnippetLines(
        ("cross-entropy", f"{{name: {name}, layers: {layers}}}  # paths in vit-tiny")
    )


_TEXTS = (
    "task: language-modelling",
    "data: {source: text-corpus:texts}  # a folder of them",
    "views: {count: 1}",
    "teacher:",
    "  model: text-decoder",
    "student:",
    "  model: {name: text-decoder, layers: 2, width: 64}",
)
_TWO_TEACHERS = SnippetLines(
    HINTON,
    (f"scheme: {NAME}", "teachers: [teacher, other]"),
    ("teachers:", "  other: {model: wrn-16-2}  # a second one"),
)
# Not in the schemes' own table: a run has no use for it, and it repeats in YAML what their docstrings say
# under "Recipes".
SNIPPETS: dict[str, SnippetLines] = {
    "on-policy": _by("jsd")._replace(above=_TEXTS),
    "densely-guided": _TWO_TEACHERS,
    "adaptive": _TWO_TEACHERS,
    "route": _by(*HINTON)._replace(
        above=("teacher:", "  waypoints: 3  # states kept while it is trained here")
    ),
    "dml": _by("cross-entropy", "{name: kd, temperature: 1.0}"),
    "kdcl": _by("cross-entropy", "{name: kd, temperature: 2.0}"),
    "one": _by("cross-entropy", "{name: kd, temperature: 3.0}"),
    "byot": _by("cross-entropy", "{name: kd, weight: 0.43, temperature: 3.0}"),
    "tf-kd": _by("{name: cross-entropy, weight: 0.9}", "{name: kd, weight: 0.1, temperature: 1.0}"),
    "cs-kd": _by("cross-entropy", "{name: kd, temperature: 4.0}"),
    "uskd": _by("cross-entropy"),
    "ema": _by("cross-entropy", "{name: kd, temperature: 4.0, ramp: {epochs: 3}}"),
    "supernet": _by("cross-entropy")._replace(
        above=("student:", "  model: {name: resnet8, base: 16}  # wider than every one of `values`")
    ),
    "lwf": _new_classes("lwf"),
    "lwf-mc": _new_classes("lwf-mc"),
    "less-forgetting": _new_classes("less-forgetting"),
    "born-again": SnippetLines(
        HINTON,
        above=("student:", "  model: resnet20  # the teacher's own model"),
        below=("- step: distil", "  teachers: [distil-1]  # and so on", *_losses(HINTON, "  ")),
    ),
    "dafl": _by("{name: kd, temperature: 6.0}"),
    "ard": _by("{name: kd, temperature: 30.0}"),
    "rslad": _by("{name: kd, temperature: 1.0}"),
    "adversarial-training": _by("cross-entropy"),
    "attention-scores": _at("attention-scores", "attention.scores"),
    "minilm": _at("minilm", "attention.key"),
    "defensive": SnippetLines(
        ("{name: kd, temperature: 20.0}  # the same temperature",),
        above=("teacher:", "  losses:", f"    - {NAME}"),
    ),
}
"""By name, where what `recipe_snippet` would say else is not enough."""


def _find_task(name: str, member: Member) -> str:
    """The first task that a loss serves; empty for the one that a recipe has where it says none."""
    from edgekd.learn.task_fit import CLASSIFIER
    from edgekd.learn.task_fit import find_loss_misfit
    from edgekd.learn.task_fit import read_ends
    from edgekd.tasks import BUILT_IN

    if not find_loss_misfit(name, member, CLASSIFIER):
        return ""
    ends = {task: read_ends(task) for task in BUILT_IN}
    fitting = (
        task for task, each in ends.items() if each and not find_loss_misfit(name, member, each)
    )
    return next(fitting, "")


def recipe_snippet(family: str, name: str, member: Member) -> str:
    """Return where a recipe names a method, with `NAME` for the name and its knobs.

    A loss that does not read the student's logits leaves its classifier untaught: the labels stand beside it.
    """
    from edgekd.table import find_signature

    if family == "synthesis":
        texts = _TEXTS if member.per == "next-token" else ()
        return "\n".join((*texts, "synthesis:", f"  method: {NAME}"))
    if name in SNIPPETS:
        return SNIPPETS[name].text()
    if family == "schemes":
        return _by(*HINTON).text()
    if task := _find_task(name, member):
        return SnippetLines((NAME,), above=(f"task: {task}",)).text()
    alone = member.reuses_classifier or "student_logits" in find_signature(member).positional
    return SnippetLines((NAME,) if alone else ("cross-entropy", NAME)).text()
