"""One step of distillation as an object, for a training loop of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter
from pydantic import ValidationError
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import Kind
from edgekd.learn import arithmetic
from edgekd.learn.assembly.participants import Participants
from edgekd.learn.assembly.step import assemble_step
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes import OFFLINE
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import CombineSettings
from edgekd.learn.settings import Losses
from edgekd.learn.settings import Term
from edgekd.learn.signals import needs
from edgekd.learn.standalone.batches import INDICES
from edgekd.learn.standalone.batches import input_names
from edgekd.learn.standalone.batches import on_device
from edgekd.learn.standalone.ends import infer_interface
from edgekd.learn.task_losses import find_label_terms
from edgekd.learn.task_losses import find_soft_terms
from edgekd.table import NamedMember
from edgekd.table import find_signature
from edgekd.tasks import DEFAULT_TASK
from edgekd.tasks import load_task

LossWords = str | Mapping[str, Any]
"""A loss as a recipe says it: ``"kd"``, or ``{"name": "kd", "weight": 0.9, "temperature": 4.0}``."""
SOFT = 0.9
"""Weight of what the teacher says, where there are labels too and no losses are named."""
OWN = "own"
"""Stands for a builder where the network is the user's own module."""
_TERMS: TypeAdapter[tuple[Term, ...]] = TypeAdapter(Losses)


class Distiller(nn.Module):
    """A student, its teacher and the losses between them: `loss` of a batch is what a step minimizes.

    Its parameters and its state are the student's and those of what learns beside it (projectors, memories); the
    teacher is in neither; it is put into evaluation mode, without gradients, and its numbers are never changed.

    >>> import edgekd, torch
    >>> distiller = edgekd.Distiller(student, teacher, example=next(iter(loader)), losses=["kd", "cross-entropy"])
    >>> optimizer = torch.optim.AdamW(distiller.parameters(), lr=1e-3)
    >>> for epoch in range(10):
    ...     distiller.train()
    ...     for batch in loader:
    ...         loss = distiller.loss(batch, epoch)
    ...         optimizer.zero_grad()
    ...         loss.backward()
    ...         optimizer.step()
    ...     print(epoch, distiller.values)
    >>> student = distiller.student.eval()
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module | Sequence[nn.Module] | None,
        *,
        example: Any,
        losses: Sequence[LossWords] = (),
        scheme: LossWords | Scheme | None = None,
        samples: int = 0,
        epochs: int = 1,
    ) -> None:
        """
        Args:
            student: gives one tensor, or a tuple; trained in place.
            teacher: one, or several whose logits' mean teaches; None where labels or the scheme teach.
            example: a batch as the loader gives it, `edgekd.learn.standalone.batches.read_batch`; its shapes count.
            losses: what is summed, as in a recipe; left out, the teacher's softened classes (0.9) and the labels (0.1).
            scheme: who teaches whom: a name of ``edgekd methods``, with its knobs in a mapping, or what a function of
                `edgekd.schemes` gives; left out, the teacher, or labels without one.
            samples: how many there are to learn from, for losses that remember them; those of `example` if 0.
            epochs: how many there will be, for schemes that look ahead.

        Raises:
            InputError: if a loss or the scheme cannot be had with these networks and this batch.
        """
        super().__init__()
        self._names = input_names(student)
        teachers = as_networks(teacher)
        _require_learner(student, teachers)
        device = arithmetic.choose_device()
        first = on_device(example, self._names, device)
        terms = _read_terms(losses, first.targets, bool(teachers))
        _require_numbers(terms, first.indices is not None)
        count = len(first.inputs[0])
        interface = infer_interface(
            student.to(device),
            [first.inputs],
            self._names,
            targets=first.targets,
            kind=_kind(terms),
            single=any(LOSSES[term.loss.name].logits == "single" for term in terms),
        )
        participants = Participants(
            student,
            Blueprint(builder=OWN, interface=interface),
            range(samples or count),  # type: ignore[arg-type]
            Arithmetic(precision="fp32", channels_last=False, threads=1),
            {},
            True,
            CombineSettings(),
            MappingProxyType({_mark(number): one for number, one in enumerate(teachers)}),
        )
        step = assemble_step(participants, terms, _scheme(scheme, bool(teachers)), count, None)
        self.student = step.student.to(device)
        self.companions = step.scheme.companions.to(device)
        self.scheme, self.terms, self.epochs = step.scheme, step.connection.terms, epochs
        self.compared = tuple(row.describe() for row in step.connection.rows)
        """Which layers are compared, a line each."""
        self.values: dict[str, float] = {}
        """The value of each term in the last batch, unweighted."""

    def loss(self, batch: Any, epoch: float = 0.0) -> Tensor:
        """The weighted sum of all terms on a batch; the gradient flows to the student and what learns beside it.

        Args:
            batch: as the loader gives it; it is moved to the student's device.
            epoch: how many epochs are through, for weights that change and schemes that look ahead.

        Returns:
            Scalar [].

        Raises:
            InputError: if the batch has another form, or lacks what a loss compares.
            NotFiniteLoss: if a term is NaN or infinite.
        """
        own = on_device(batch, self._names, next(self.student.parameters()).device)
        known = own.number_samples(0)
        tensors = TensorBatch(known.indices, 0, own.inputs, own.targets, epoch, self.epochs)
        total, self.values = compute_lessons(
            self.terms, self.scheme.lessons(self.student, tensors), epoch
        )
        return total

    forward = loss


def as_networks(teacher: nn.Module | Sequence[nn.Module] | None) -> tuple[nn.Module, ...]:
    """The teachers, none or one or several.

    Raises:
        InputError: if one is no module.
    """
    if teacher is None:
        return ()
    found = (teacher,) if isinstance(teacher, nn.Module) else tuple(teacher)
    for each in found:
        if not isinstance(each, nn.Module):
            raise InputError(f"teacher: got {type(each).__name__}, want a torch.nn.Module")
    return found


def _require_learner(student: nn.Module, teachers: Sequence[nn.Module]) -> None:
    """Raises InputError if the student is a teacher, too, or nothing of it learns."""
    if any(each is student for each in teachers):
        raise InputError("teacher: got the student itself, want another module, or a copy of it")
    if not any(each.requires_grad for each in student.parameters()):
        raise InputError(
            "student: got no parameter that requires a gradient, want one to train",
            hint="student.requires_grad_(True)",
        )


def _mark(number: int) -> str:
    return f"_{number + 1}" if number else ""


def _read_terms(
    losses: Sequence[LossWords], targets: Mapping[str, Tensor], taught: bool
) -> tuple[Term, ...]:
    if not losses:
        return _usual_terms(targets, taught)
    said = [dict(each) if isinstance(each, Mapping) else each for each in losses]
    try:
        return _TERMS.validate_python(said)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"losses.{where}: {first['msg'].removeprefix('Value error, ')}") from error


def _usual_terms(targets: Mapping[str, Tensor], taught: bool) -> tuple[Term, ...]:
    """The losses of one class a sample, where none are named: the teacher's answers 0.9, the labels 0.1."""
    first = next(iter(targets.values()), None)
    if first is not None and first.is_floating_point():
        raise InputError(
            "losses: got none, and targets that are numbers, want losses for them",
            hint="edgekd methods lists them",
        )
    task = load_task(DEFAULT_TASK)
    soft = find_soft_terms((), task) if taught else ()
    hard = find_label_terms((), task) if first is not None else ()
    if not soft and not hard:
        raise InputError("losses: got no teacher and no labels, want one of them")
    if not soft or not hard:
        return soft or hard
    return (
        *(term.model_copy(update={"weight": SOFT}) for term in soft),
        *(term.model_copy(update={"weight": 1 - SOFT}) for term in hard),
    )


def _kind(terms: Sequence[Term]) -> Kind:
    """The kind of the student's first output: what the losses compare."""
    asked = {name for term in terms for name in needs(LOSSES[term.loss.name])}
    return "values" if asked & {"student_values", "teacher_values"} else "logits"


def _require_numbers(terms: Sequence[Term], numbered: bool) -> None:
    for term in terms:
        if "sample_indices" in needs(LOSSES[term.loss.name]) and not numbered:
            raise InputError(
                f"loss {term.loss.name}: it remembers samples, and the batches do not say which they are",
                hint=f"give batches as mappings with {INDICES!r}, [B], numbers in the training set",
            )


OF_RECIPES = {"samples", "build_peer", "build_smaller", "waypoint_functions"}
"""Participants that a recipe has and a user's modules have not."""


def _scheme(words: LossWords | Scheme | None, taught: bool) -> NamedMember | Scheme:
    if words is None:
        return OFFLINE if taught else learn_from_labels()
    if isinstance(words, Scheme):
        return words
    try:
        named = NamedMember.parse(
            words if isinstance(words, str) else dict(words), SCHEMES, "scheme"
        )
    except ValueError as error:
        raise InputError(f"scheme: {error}") from error
    asked = OF_RECIPES & set(find_signature(SCHEMES[named.name]).positional)
    if asked:
        raise InputError(
            f"scheme {named.name}: it asks for {sorted(asked)[0]}, want a scheme for modules at hand",
            hint="a recipe can have it: edgekd.compress",
        )
    return named
