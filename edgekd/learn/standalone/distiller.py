"""One step of distillation as an object, for a training loop of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

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
from edgekd.learn.method.loss_values import read_values
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.schemes import OFFLINE
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.schemes.labels_only import learn_from_labels
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import CombineSettings
from edgekd.learn.settings import Term
from edgekd.learn.signals import needs
from edgekd.learn.standalone.batches import INDICES
from edgekd.learn.standalone.batches import input_names
from edgekd.learn.standalone.batches import on_device
from edgekd.learn.standalone.ends import answer_shapes
from edgekd.learn.standalone.ends import infer_interface
from edgekd.learn.standalone.guarded_term import guard_terms
from edgekd.learn.standalone.terms import LossWords
from edgekd.learn.standalone.terms import read_scheme
from edgekd.learn.standalone.terms import read_terms
from edgekd.named_member import NamedMember
from edgekd.table import find_signature

OWN = "own"
"""Stands for a builder where the network is the user's own module."""
SchemeWords = str | Mapping[str, Any]
"""A scheme as a recipe says it: its name, or a mapping with `name`."""


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
        losses: LossWords | Sequence[LossWords] = (),
        scheme: SchemeWords | Scheme | None = None,
        samples: int = 0,
        epochs: int = 1,
    ) -> None:
        """
        Args:
            student: gives one tensor, or a tuple; trained in place.
            teacher: one, or several whose logits' mean teaches; None where labels or the scheme teach.
            example: a batch as the loader gives it, `edgekd.learn.standalone.batches.read_batch`; its shapes count.
            losses: what is summed, as in a recipe, or a function of signals, such as ``student_logits`` and ``labels``;
                one or several; left out, the teacher's softened classes (0.9) and the labels (0.1).
            scheme: who teaches whom: a name of ``edgekd methods``, with its knobs in a mapping, or what a function of
                `edgekd.schemes` gives; left out, the teacher, or labels without one.
            samples: how many there are to learn from, for losses that remember them; those of `example` if 0.
            epochs: how many there will be, for schemes that look ahead and usual weights that rise at the beginning;
                above 1, `loss` must be told the epoch.

        Raises:
            InputError: if a loss or the scheme cannot be had with these networks and this batch.
        """
        super().__init__()
        self._names = input_names(student)
        teachers = as_networks(teacher)
        _require_learner(student, teachers)
        device = arithmetic.choose_device()
        first = on_device(example, self._names, device)
        terms = read_terms(losses, first.targets, bool(teachers))
        _require_numbers(terms, first.indices is not None)
        count = len(first.inputs[0])
        _require_alike([answer_shapes(each, first.inputs) for each in teachers])
        interface = infer_interface(
            student.to(device),
            [first.inputs],
            self._names,
            targets=first.targets,
            kind=_kind(terms),
            single=any(term.loss.find_member(LOSSES).logits == "single" for term in terms),
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
        who = _scheme(scheme, bool(teachers))
        # A loop that does not say how many epochs there are need not say which one it is in: nothing may wait for it.
        rising = epochs if epochs > 1 else 0
        step = assemble_step(participants, terms, who, count, None, epochs=rising)
        self.student = step.student.to(device)
        self.companions = step.scheme.companions.to(device)
        self.scheme, self.epochs = step.scheme, epochs
        self.terms = guard_terms(step.connection.terms)
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
        total, values = compute_lessons(
            self.terms, self.scheme.lessons(self.student, tensors), epoch
        )
        self.values = read_values([values])[0]
        return total

    forward = loss


def as_networks(teacher: nn.Module | Sequence[nn.Module] | None) -> tuple[nn.Module, ...]:
    """The teachers, none or one or several.

    Raises:
        InputError: if one is no module.
    """
    if teacher is None:
        return ()
    several = isinstance(teacher, tuple | list)
    found = tuple(teacher) if several else (teacher,)
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


def _require_alike(shapes: Sequence[Sequence[tuple[int, ...]]]) -> None:
    """Raises InputError if the first outputs of several teachers differ in shape: their mean teaches."""
    found = sorted({each[0] for each in shapes})
    if len(found) > 1:
        got = " and ".join(str(list(shape)) for shape in found)
        raise InputError(f"teacher: got outputs {got} of several, want one shape")


def _mark(number: int) -> str:
    return f"_{number + 1}" if number else ""


def _kind(terms: Sequence[Term]) -> Kind:
    """The kind of the student's first output: what the losses compare."""
    asked = {name for term in terms for name in needs(term.loss.find_member(LOSSES))}
    return "values" if asked & {"student_values", "teacher_values"} else "logits"


def _require_numbers(terms: Sequence[Term], numbered: bool) -> None:
    for term in terms:
        if "sample_indices" in needs(term.loss.find_member(LOSSES)) and not numbered:
            raise InputError(
                f"loss {term.loss.name}: it remembers samples, and the batches do not say which they are",
                hint=f"give batches as mappings with {INDICES!r}, [B], numbers in the training set",
            )


OF_RECIPES = {"samples", "build_peer", "build_smaller", "waypoint_functions"}
"""Participants that a recipe has and a user's modules have not."""


def _scheme(words: SchemeWords | Scheme | None, taught: bool) -> NamedMember | Scheme:
    if words is None:
        return OFFLINE if taught else learn_from_labels()
    if isinstance(words, Scheme):
        return words
    named = read_scheme(words, SCHEMES)
    asked = OF_RECIPES & set(find_signature(SCHEMES[named.name]).positional)
    if asked:
        raise InputError(
            f"scheme {named.name}: it asks for {sorted(asked)[0]}, want a scheme for modules at hand",
            hint="a recipe can have it: edgekd.compress",
        )
    return named
