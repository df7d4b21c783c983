"""Text that a bundle's model writes, and the golden text that it must write.

generation.json: ``prompt`` and the ``tokens`` that the trained model itself puts behind it, each the likeliest, with the
``margins`` of their logits above the next likeliest, and ``longest``, the most tokens of prompt and text together.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import NamedTuple
from typing import cast

import numpy as np
from pydantic import Field
from pydantic import ValidationError

from edgekd import files
from edgekd.bench.engine import Engine
from edgekd.bench.generation import GREEDY
from edgekd.bench.generation import GeneratedText
from edgekd.bench.generation import TokenChoice
from edgekd.bench.process import run_worker
from edgekd.bundle import Bundle
from edgekd.bundle.engine import prepare_engine
from edgekd.bundle.manifest import GENERATION
from edgekd.bundle.manifest import CheckResult
from edgekd.bundle.manifest import Tolerance
from edgekd.bundle.models import usual_model
from edgekd.device import TIMEOUT_S
from edgekd.device import Device
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.interface import BATCH
from edgekd.interface import is_decoder
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.settings import Whole

if TYPE_CHECKING:
    from edgekd.bundle.user_inputs import Question
    from edgekd.field import RaggedRows

WHAT = "golden text"
MOST_TOKENS = 2**20
_Tokens = Annotated[tuple[Whole, ...], Field(min_length=1, max_length=MOST_TOKENS, strict=False)]


class GoldenText(Settings):
    """generation.json."""

    longest: Count
    prompt: _Tokens
    tokens: _Tokens
    margins: Annotated[tuple[float, ...], Field(min_length=1, strict=False)]


class Continuation(NamedTuple):
    """A text and what a model wrote behind it."""

    name: str
    prepared: str
    text: str
    """Both together, of conversations the answer alone; empty where no tokenizer is known."""
    written: GeneratedText


def read_golden_text(folder: Path) -> GoldenText:
    """Read the golden text of a bundle.

    Raises:
        InputError: if it is none.
    """
    path = folder / GENERATION
    try:
        found = GoldenText.model_validate_json(
            files.canonical_json(files.read_json(path, limit_bytes=2**24))
        )
    except ValidationError as error:
        raise InputError(f"{path}: {error.errors()[0]['msg'][:200]}, want a golden text") from error
    if len(found.tokens) != len(found.margins):
        raise InputError(f"{path}: got {len(found.margins)} margins, want {len(found.tokens)}")
    return found


def write_text(
    engine: Engine,
    prompt: Sequence[int],
    count: int,
    longest: int,
    sampling: TokenChoice = GREEDY,
    *,
    ends: Collection[int] = (),
    timeout_s: float = TIMEOUT_S,
    device: Device = local.DEVICE,
) -> GeneratedText:
    """What an engine writes behind a prompt, in a fresh worker.

    Args:
        engine: of a decoder.
        prompt: its tokens.
        count: tokens to write.
        longest: text of the model.
        sampling: how they are taken.
        ends: tokens of which the first that is written is the last.
        timeout_s: after this the engine is given up.
        device: where.

    Raises:
        InputError: if the text does not fit, or the engine refuses the model.
        WorkerFailed: if it crashes.
    """
    spec: dict[str, Any] = {
        **engine.spec(),
        **sampling._asdict(),
        "prompt": [int(token) for token in prompt],
        "count": count,
        "longest": longest,
        "ends": [*ends],
    }
    found = run_worker("text", spec, timeout_s=timeout_s, reads=dict(engine.files), device=device)
    return GeneratedText(found["tokens"], found["margins"])


def continue_texts(
    found: Bundle,
    questions: Sequence[Question],
    count: int,
    sampling: TokenChoice = GREEDY,
    *,
    runtime: str | None = None,
    timeout_s: float = TIMEOUT_S,
    device: Device = local.DEVICE,
) -> list[Continuation]:
    """Let the bundle's model write on behind each text, up to the token that ends one where its tokenizer names such.

    Args:
        found: the bundle, checked.
        questions: texts.
        count: most tokens to write behind each.
        sampling: how they are taken.
        runtime: which engine; None takes the chosen one if it is installed, else any that is.
        timeout_s: after this an engine is given up.
        device: where.

    Raises:
        InputError: if the model writes no text, or a text and what is to be written are longer than it takes.
        MachineError: if no engine is there, or it crashes.
    """
    name = found.manifest.name
    if not is_decoder(found.interface):
        raise InputError(
            f"{name}: got tokens to write, want that of a model that tells the next token"
        )
    ((key, field),) = found.dataset.inputs.items()
    longest = next(axis.most for axis in field.axes(key))
    _require_room(questions, key, count, longest)
    end = field.find_end()
    ends = () if end is None else (end,)
    told = []
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        engine = prepare_engine(
            usual_model(found), runtime, Path(folder), timeout_s=timeout_s, device=device
        )
        if isinstance(engine, str):
            raise MachineError(engine)
        for question in questions:
            rows = cast("RaggedRows", question.rows[key])
            for number in range(len(rows)):
                prompt = rows.row(number)
                how: dict[str, Any] = {"ends": ends, "timeout_s": timeout_s, "device": device}
                text = write_text(engine, prompt.tolist(), count, longest, sampling, **how)
                shown_tokens = [token for token in text.tokens if token not in ends]
                whole = np.array(shown_tokens, prompt.dtype)
                if field.find_answer_end() is None:
                    whole = np.concatenate([prompt, whole])
                shown = str(field.preview(whole[None])) if getattr(field, "encoding", "") else ""
                told.append(Continuation(question.name, question.prepared, shown, text))
    return told


def _require_room(questions: Sequence[Question], key: str, count: int, longest: int) -> None:
    """Before any text is written: what is refused then loses nothing.

    Raises:
        InputError: names the first text that is too long with what is to be written.
    """
    for question in questions:
        most = int(cast("RaggedRows", question.rows[key]).lengths.max(initial=0))
        if most + count > longest:
            cut = f" ({question.prepared})" if question.prepared else ""
            got = f"{most} tokens{cut} and {count} to write"
            fits = f"--tokens {longest - most} fits" if most < longest else "it fills the model"
            raise InputError(
                f"{question.name[:80]}: got {got}, want at most {longest} together", hint=fits
            )


def check_golden_text(
    found: Bundle,
    engine: Engine,
    tolerance: Tolerance | None,
    *,
    timeout_s: float,
    device: Device,
) -> list[CheckResult]:
    """Return whether an engine writes the golden text; nothing where the bundle has none.

    Another token is right where two were as likely: closer than twice what a logit may be off.
    """
    if GENERATION not in found.manifest.files:
        return []
    golden = read_golden_text(found.folder)
    if not is_decoder(found.interface):
        raise InputError(f"{found.folder / GENERATION}: got it beside a model that writes no text")
    _require_fitting(golden, found)
    text = write_text(
        engine,
        golden.prompt,
        len(golden.tokens),
        golden.longest,
        timeout_s=timeout_s,
        device=device,
    )
    alike = [one == other for one, other in zip(golden.tokens, text.tokens, strict=True)]
    count = alike.index(False) if not all(alike) else len(alike)
    what = f"{WHAT}, {engine.runtime} {engine.precision}"
    told = f"the first {count} of {len(alike)} tokens are the trained model's own"
    if count == len(alike):
        return [CheckResult(what, "ok", told)]
    least = 2 * tolerance.max_abs if tolerance is not None else 0.0
    margin = golden.margins[count]
    close = f"; the next was {margin:.2g} ahead, where logits may be {least:.2g} apart"
    return [CheckResult(what, "ok" if margin <= least else "failed", told + close)]


def _require_fitting(golden: GoldenText, found: Bundle) -> None:
    """
    Raises:
        InputError: if a golden text is of other tokens than the model's, or longer than it takes.
    """
    path = found.folder / GENERATION
    longest = next(axis.most for axis in found.interface.axes if axis.name != BATCH)
    (text,) = (end for end in found.interface.inputs if end.kind == "index")
    if golden.longest != longest:
        raise InputError(f"{path}: longest: got {golden.longest}, want {longest} as the model has")
    if text.below and max(*golden.prompt, *golden.tokens) >= text.below:
        got = max(*golden.prompt, *golden.tokens)
        raise InputError(f"{path}: got token {got}, want less than {text.below}")
