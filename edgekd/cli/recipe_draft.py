"""The text of a recipe that ``edgekd init`` writes: commented, and proven to be one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

if TYPE_CHECKING:
    from edgekd.learn.data.proposal import Proposal

COMMENTS_AT = 46
"""Column of the comments."""
DROP = 5.0
"""Points of a fraction that the chosen model may lose."""


class RecipeDraft(NamedTuple):
    """What a recipe is made of, checked answer by answer."""

    name: str
    source: str
    """As YAML."""
    teacher: str
    """As YAML; empty where the student learns from labels alone, or has learned."""
    student: str
    """As YAML."""
    weights: str
    """File of the teacher's, or where there is none of the student's; empty to train."""
    target: str
    quantize: bool
    proposal: Proposal


PLACES = {
    ("name",): "--name",
    ("data", "source"): "--source",
    ("teacher", "model"): "--teacher",
    ("teacher", "weights"): "--weights",
    ("student", "model"): "--student",
    ("targets", 0, "runtime"): "--target",
}
"""Which option an answer is from, for messages."""


def make_recipe_text(draft: RecipeDraft, output: Path) -> str:
    """The recipe's text.

    Args:
        draft: what it says.
        output: the file it is written to; weights are named relative to it.

    Raises:
        InputError: if an answer is no such name.
    """
    from edgekd import recipe
    from edgekd.recipe import text as recipe_text

    text = "".join(f"{line}\n" for line in _lines(draft, output))
    document = recipe_text.parse(text, ".yaml", "init")
    recipe.validate(document._replace(places=document.places | PLACES))
    return text


def _lines(draft: RecipeDraft, output: Path) -> Iterator[str]:
    found = draft.proposal
    yield f"# Run it: edgekd compress {output}"
    yield f"# It takes {estimate_text(draft)}; try it before: --check, --dry-run"
    yield "# Every key, its limits and its default: edgekd schema"
    yield ""
    yield _commented(f"name: {draft.name}", "names the run's folder, runs/NAME")
    yield _commented(f"task: {found.task}", "see edgekd tasks")
    yield _commented("seed: 0", "all randomness comes from it")
    yield ""
    yield "data:"
    yield _commented(f"  source: {draft.source}", "what it holds: edgekd sources")
    yield ""
    yield _commented(
        f"views: {_mapping(found.views)}",
        "augmentation; the teacher answers each view once" if draft.teacher else "augmentation",
    )
    yield ""
    training = _mapping({"epochs": found.epochs, **found.training})
    weights = _scalar(os.path.relpath(draft.weights, output.parent)) if draft.weights else ""
    if draft.teacher:
        yield from _teacher_lines(draft, weights, training)
    yield "student:"
    yield _commented(f"  model: {draft.student}", "small, and fast on the device")
    if draft.teacher:
        yield _commented(f"  train: {training}", "also of the control, which has no teacher")
    else:
        yield from _weights_lines(weights, "student.safetensors")
        yield _commented(f"  train: {training}", "more epochs, better models")
    yield ""
    if draft.teacher or draft.quantize or not weights:
        yield _commented("learn:", "what the student goes through, in order")
        yield from _step_lines(draft)
        yield ""
    yield "targets:"
    yield _commented(f"  - runtime: {draft.target}", "see edgekd doctor")
    yield ""
    yield _commented(
        "measure: {processes_min: 6, processes_max: 6, max_time_s: 0.2}",
        "quick; leave it out for more",
    )
    if draft.teacher or draft.quantize:
        yield from _budget_lines(draft)


def _budget_lines(draft: RecipeDraft) -> Iterator[str]:
    larger = "teacher" if draft.teacher else "float model"
    yield ""
    yield _commented("budget:", "what the chosen model has to meet, else exit code 1")
    if draft.proposal.counts_points:
        comment = f"points below the {larger}, at most, on validation"
        yield _commented(f"  score_drop: {DROP}", comment)
    else:
        yield _commented("  shrink: 2.0", f"times smaller than the {larger}, at least")


def _teacher_lines(draft: RecipeDraft, weights: str, training: str) -> Iterator[str]:
    yield "teacher:"
    yield _commented(f"  model: {draft.teacher}", "see edgekd models")
    yield from _weights_lines(weights, "teacher.safetensors")
    if weights:
        yield _commented(f"  # train: {training}", "with it they are fine-tuned")
    else:
        yield _commented(f"  train: {training}", "more epochs, better models")
    yield ""


def _weights_lines(weights: str, otherwise: str) -> Iterator[str]:
    if weights:
        yield _commented(f"  weights: {weights}", "tested on your data before anything else")
    else:
        comment = "yours, if it is trained; also .pt, .pth, .ckpt"
        yield _commented(f"  # weights: {otherwise}", comment)


def _step_lines(draft: RecipeDraft) -> Iterator[str]:
    """The steps of learning; without a teacher a student with weights is only quantized."""
    found = draft.proposal
    stored = found.knowledge == "auto" or not draft.teacher
    if draft.teacher:
        yield "  - step: distil"
        if not stored:
            comment = "its answers are too large to be stored"
            yield _commented(f"    knowledge: {found.knowledge}", comment)
        yield _commented("    losses:", "see edgekd methods")
        for loss in found.losses:
            yield f"      - {loss}"
    elif not draft.weights:
        yield _commented("  - step: distil", "from labels: there is no teacher")
    if draft.quantize:
        small = _mapping({"epochs": 1, "batch_size": found.training["batch_size"]})
        yield _commented("  - step: quantize", "int8, measured beside float; the budget decides")
        if found.stored_weights and _runs_blocks(draft.target):
            comment = "alone; activations stay float, so that a token reads what is kept"
            yield _commented(f"    weights: {found.stored_weights}", comment)
        if not stored:
            yield f"    knowledge: {found.knowledge}"
        yield f"    train: {small}"


def _runs_blocks(runtime: str) -> bool:
    """Whether an engine runs weights that are stored alone; no for a name that is none, which is told elsewhere."""
    from edgekd.profile import has_blocks
    from edgekd.runtimes import RUNTIMES

    return runtime in RUNTIMES and any(map(has_blocks, RUNTIMES[runtime].profiles))


def estimate_minutes(draft: RecipeDraft) -> float | None:
    """What a run takes on two cores, roughly; None for networks that are not the proposed ones: nobody timed them."""
    found = draft.proposal
    proposed = {network_text(found.teacher), ""}, {network_text(found.student)}
    is_known = draft.teacher in proposed[0] and draft.student in proposed[1]
    return found.minutes if is_known else None


def estimate_text(draft: RecipeDraft) -> str:
    """``about 3 minutes on 2 cores``, or what it depends on."""
    minutes = estimate_minutes(draft)
    if minutes is None:
        return "as long as the networks that were named need"
    about = f"{minutes:.0f} minutes" if minutes >= 2 else "a minute or two"
    return f"about {about} on 2 cores"


def _commented(text: str, comment: str) -> str:
    return f"{text:<{COMMENTS_AT}} # {comment}"


def network_text(network: Mapping[str, Any]) -> str:
    """A network as YAML: its name, or a mapping with its arguments."""
    return str(network["name"]) if len(network) == 1 else _mapping(network)


def _mapping(values: Mapping[str, Any]) -> str:
    return f"{{{', '.join(f'{key}: {_scalar(value)}' for key, value in values.items())}}}"


def _scalar(value: Any) -> str:
    """A value as YAML text; a plain word stays one."""
    if isinstance(value, str) and re.fullmatch(
        r"[A-Za-z][A-Za-z0-9_./-]*(:[A-Za-z0-9_./-]+)*", value
    ):
        return value
    return json.dumps(value, ensure_ascii=False)


def answer_text(answer: str) -> str:
    """An answer as YAML: a mapping in braces as it is, a plain word, else quoted."""
    return answer if answer.startswith("{") else _scalar(answer)
