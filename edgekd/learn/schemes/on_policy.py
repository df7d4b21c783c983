"""The student goes on from prompts, and its teacher says what it thinks of each token that the student chose.

A sample is a function of (seed, sample, epoch, place) and of the student's weights: a resumed run gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.generation import Draws
from edgekd.learn.generation import NextLogits
from edgekd.learn.generation import Sampling
from edgekd.learn.generation import begin_answer
from edgekd.learn.generation import continue_texts
from edgekd.learn.method.named_outputs import COUNTING
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.teacher import run_teacher
from edgekd.learn.rows import NO_CLASS
from edgekd.learn.signals import TOKEN_MASK
from edgekd.learn.view import draw_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.data.loader import Samples
    from edgekd.settings import Count
    from edgekd.settings import Fraction
    from edgekd.settings import NonNegative
    from edgekd.settings import Whole

_CHOICE = 2**19
"""Number of the draw that says which samples the student goes on with."""


def on_policy(
    student: nn.Module,
    teacher: nn.Module,
    samples: Samples,
    *,
    prompt_tokens: Count = 32,
    share: Fraction = 1.0,
    temperature: NonNegative = 1.0,
    top: Whole = 0,
    teacher_mix: Fraction = 0.0,
) -> Scheme:
    """The recipe's losses on what the student itself says, for a share of each batch; on the data for the rest.

    Generalised knowledge distillation (Agarwal et al. 2024, arXiv:2306.13649, alg. 1, eq. 4 and 5): the divergence is the
    recipe's loss, ``jsd``, ``reverse-kl``, ``forward-kl``; no gradient passes the choice of tokens. A `share` of each
    batch, the same number of samples in all, is the student's; the authors draw it step by step.

    With ``reverse-kl`` and a `teacher_mix` of 0.2 it is MiniLLM's (Gu et al. 2024, arXiv:2306.08543, sec. 2.2) single step
    on texts that student and teacher choose together. Left out are its policy gradient over the rest of a text, and the
    importance weights that go with that.

    Args:
        student: who speaks.
        teacher: it answers live: what is said is new in every epoch.
        samples: of a task whose targets are the next tokens.
        prompt_tokens: of each block of running text, that the student goes on from; shorter blocks have no part in it. In a
            conversation it goes on from what stands before the last answer, up to the token that ends one, or as far as
            the answer in the data.
        share: of each batch that the student goes on with; below 1 at least one sample is of the data.
        temperature: of the choice; 0 takes the likeliest token.
        top: how many of the likeliest tokens are drawn from; 0 is all.
        teacher_mix: the teacher's part of the probabilities that a token is drawn from.

    Raises:
        ValueError: if no text is longer than the prompt; in a lesson, if a batch is no tokens and their mask.
    """
    end = samples.dataset.find_answer_end()
    longest = samples.dataset.sizes().get("longest", 0)
    if end is None and prompt_tokens >= longest:
        raise ValueError(
            f"prompt_tokens: got {prompt_tokens}, want fewer than the texts' {longest}"
        )
    teacher_function = run_teacher(teacher, None)
    sampling = Sampling(temperature, top)

    def lessons(learner: nn.Module, batch: TensorBatch) -> Sequence[Lesson]:
        tokens, mask = _require_texts(batch)
        labelled = _find_labelled(batch, tokens)
        prompts = find_prompts(labelled, prompt_tokens)
        chosen = _choose_rows(samples.seed, batch, share)
        draws = Draws(samples.seed, batch.indices[chosen], int(batch.epoch))
        rows = torch.from_numpy(chosen).to(batch.device)
        with _still(student):
            answer = _mix(student, teacher, teacher_mix)
            said = continue_texts(
                answer, tokens[rows], mask[rows], prompts[rows], draws, sampling, end
            )
        read, spoken = tokens.clone(), torch.zeros_like(tokens, dtype=torch.bool)
        read[rows] = said.tokens
        spoken[rows] = True
        mask = mask.index_copy(0, rows, said.mask)
        behind = torch.arange(tokens.shape[1], device=batch.device) >= prompts[:, None] - 1
        counting = torch.where(spoken, (mask != 0) & behind, labelled)
        labels = {
            name: each.masked_fill(spoken, NO_CLASS) if each.shape == tokens.shape else each
            for name, each in batch.targets.items()
        }
        about = {**labels, COUNTING: counting, TOKEN_MASK: mask}
        told = teacher_function(batch._replace(inputs=(read, mask), host_inputs=None))
        answers = {"student_logits": learner(read, mask), "teacher_logits": told}
        return [Lesson({**answers, **about})]

    return Scheme(lessons, nn.ModuleDict())


def _require_texts(batch: TensorBatch) -> tuple[Tensor, Tensor]:
    shapes = [tuple(each.shape) for each in batch.inputs]
    if len(shapes) != 2 or len(shapes[0]) != 2 or shapes[0] != shapes[1]:
        raise ValueError(f"on-policy: got inputs {shapes}, want tokens [B, N] and their mask")
    return batch.inputs[0], batch.inputs[1]


def _find_labelled(batch: TensorBatch, tokens: Tensor) -> Tensor:
    """Where the data say what comes next, bool [B, N]."""
    found = [each >= 0 for each in batch.targets.values() if each.shape == tokens.shape]
    return found[0] if found else torch.ones_like(tokens, dtype=torch.bool)


def find_prompts(labelled: Tensor, otherwise: int) -> Tensor:
    """How many tokens of each row are its prompt, int64 [B]: those before the last lessons in a row; where these begin with the
    text `otherwise` are.

    Args:
        labelled: bool [B, N], where what follows a token is a lesson.
        otherwise: 1 or more.
    """
    begins = labelled & ~torch.nn.functional.pad(labelled, (1, 0))[:, :-1]
    places = torch.arange(labelled.shape[1], device=labelled.device)
    last = torch.where(begins, places, 0).amax(1)
    return torch.where(last > 0, last + 1, otherwise)


def _choose_rows(seed: int, batch: TensorBatch, share: float) -> NDArray[np.int64]:
    """The rows of a batch that the student goes on with, in their order: those of the smallest draws."""
    size = len(batch.indices)
    count = size if share == 1 else min(round(share * size), size - 1)
    drawn = draw_numbers(seed, batch.indices, int(batch.epoch), _CHOICE)
    return np.sort(np.argsort(drawn, kind="stable")[:count])


def _mix(student: nn.Module, teacher: nn.Module, part: float) -> NextLogits:
    """What tokens are drawn by: the student's logits, or the logarithm of a mixture with the teacher's probabilities."""
    if part == 0:
        return begin_answer(student)
    answers = begin_answer(student), begin_answer(teacher)

    def answer(tokens: Tensor, mask: Tensor) -> Tensor:
        ours, theirs = (torch.softmax(each(tokens, mask)[:, -1:].double(), -1) for each in answers)
        return (part * theirs + (1 - part) * ours).log()

    return answer


@contextmanager
def _still(student: nn.Module) -> Iterator[None]:
    """In evaluation mode while it speaks: no dropout."""
    modes = [(module, module.training) for module in student.modules()]
    student.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
