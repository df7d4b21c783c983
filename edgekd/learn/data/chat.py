"""Source `chat`: conversations, or prompts with what follows them, for language models that answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import InputError
from edgekd.field import from_rows
from edgekd.fields.tags import IGNORED
from edgekd.learn.data import hub_lists
from edgekd.learn.data.chat_encoding import ChatEncoding
from edgekd.learn.data.chat_rows import FORMS
from edgekd.learn.data.chat_rows import Dialogue
from edgekd.learn.data.chat_rows import TextAnswer
from edgekd.learn.data.chat_rows import find_form
from edgekd.learn.data.chat_rows import parse_row
from edgekd.learn.data.chat_template import find_files
from edgekd.learn.data.chat_tokens import ChatTokens
from edgekd.learn.data.columns import find_splits
from edgekd.learn.data.encoding import find_tokenizer
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.data.hub_lists import fetch
from edgekd.learn.data.hub_lists import list_local
from edgekd.learn.data.hub_lists import remote as remote
from edgekd.learn.data.lists import read_list
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.settings import Count
from edgekd.settings import Fraction
from edgekd.stage import package_version
from edgekd.units import number_text

COUNTED = ("answers", "all")
LEAST = 30
"""Prompts of a list that does not say its splits."""


class _Sample(NamedTuple):
    tokens: NDArray[np.int32]
    following: NDArray[np.int32]
    size_bytes: int
    prompt: bytes
    """Hash of what is asked: equal ones stay in one split."""
    is_cut: bool


def files(
    *,
    reference: str,
    tokenizer: str | None = None,
    template: str | None = None,
    data_dir: Path | None = None,
    allow_download: bool = False,
    **_: Any,
) -> list[Path]:
    """The file or files, that of the tokenizer if there is one, and those of the chat template.

    Raises:
        InputError: if one is not there.
    """
    paths = find_tokenizer(tokenizer, data_dir)
    more = find_files(paths[0] if paths else None, template, data_dir)
    return [*list_local(reference, data_dir, allow_download), *paths, *more]


def pins(*, tokenizer: str | None = None, **given: Any) -> dict[str, str]:
    """The commit of a name on the hub, and the version of what renders templates.

    Raises:
        InputError, MachineError: as `edgekd.learn.data.hub_lists.pins`.
    """
    renders = {"jinja2": package_version("jinja2") or "none"} if tokenizer else {}
    return {**hub_lists.pins(**given), **renders}


def read(
    *,
    reference: str,
    longest: Count = 512,
    tokenizer: str | None = None,
    template: str | None = None,
    counted: str = "answers",
    validation: Fraction = 0.1,
    test: Fraction = 0.1,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The conversations of the list `reference`, a row each, in columns as TRL calls them: ``messages`` of ``role`` and
    ``content``, or ``prompt`` and ``completion``, both text or both messages; ``conversations`` of ``from`` and ``value``, too.

    Messages become text by the chat template of the tokenizer; two texts stand one behind the other. No two conversations share a
    row. Where no column ``split`` says it, rows are shared out by the hash of what is asked.

    Args:
        reference: a file (.jsonl, .json, .parquet, .arrow), a folder of the last two, or a name on the hub.
        longest: tokens of a conversation; of a longer one the beginning is left out. An answer must fit whole.
        tokenizer: a tokenizer.json, or the folder it lies in; None takes the bytes of texts for their tokens.
        template: a chat template; None takes the one beside the tokenizer.
        counted: ``answers`` lets losses and scores count what an assistant says, ``all`` every token.
        validation: share of the prompts that is kept for choices.
        test: share that is kept for the report.
        on_broken: ``refuse`` stops at the first row that cannot be used, ``skip`` leaves them out and lists them.

    Raises:
        InputError: naming the row that is no conversation, has no answer or too long a one, or that the template refuses; if
            messages have no template, or there are too few.
        MachineError: if a package is missing.
    """
    require_known(on_broken)
    if counted not in COUNTED:
        raise InputError(f"counted: got {counted!r}, want one of: {', '.join(COUNTED)}")
    path = locate(fetch(reference, data_dir, allow_download), data_dir)
    records, encoding = read_list(path), open_encoding(tokenizer, data_dir)
    form = find_form(records.columns)
    if form is None:
        wanted = ", or ".join(" and ".join(each) for each in FORMS)
        raise InputError(f"{path}: got columns {', '.join(records.columns)[:100]}, want {wanted}")
    said, splits = find_splits(records, None, path, str(path))
    skipped: list[str] = []

    def refuse(number: int, fault: str) -> None:
        message = f"{records.where(path, number)}: {fault}"
        if on_broken == "refuse":
            raise InputError(message, hint=SKIP_HINT)
        skipped.append(message)

    parsed: dict[int, TextAnswer | Dialogue] = {}
    for number, row in enumerate(records.rows):
        try:
            parsed[number] = parse_row(row, form)
        except ValueError as error:
            refuse(number, str(error))
    chat = ChatEncoding(encoding, tokenizer, template, data_dir, list(parsed.values()), path)
    samples: dict[int, _Sample] = {}
    for (number, each), tokens in zip(
        parsed.items(), chat.encode(list(parsed.values())), strict=True
    ):
        if isinstance(tokens, str):
            refuse(number, tokens)
            continue
        try:
            samples[number] = _make_sample(tokens, each, longest, counted)
        except ValueError as error:
            refuse(number, str(error))
    chosen = {
        name: [samples[at] for at in numbers if at in samples] for name, numbers in splits.items()
    }
    if said is None:
        chosen = _divide(chosen["train"], {"test": test, "validation": validation}, path)
    if not chosen.get("train"):
        raise InputError(f"{path}: got no conversation to train on, want some")
    kept = [each for some in chosen.values() for each in some]
    words = encoding.describe(max(len(each.tokens) for each in kept))
    return Source(
        {name: _rows(each) for name, each in chosen.items() if each},
        {
            "text": FieldWords("conversation", {**words, **chat.describe()}),
            "next_tokens": FieldWords("next-tokens", {"vocabulary": words["vocabulary"]}),
            "text_bytes": FieldWords(
                "number", {"columns": ("bytes",), "mean": (0.0,), "std": (1.0,)}
            ),
        },
        (_describe(kept, longest, encoding.unit, counted, chat),),
        tuple(skipped),
        tokenizer=encoding.file,
    )


def _make_sample(
    found: ChatTokens, said: TextAnswer | Dialogue, longest: int, counted: str
) -> _Sample:
    """Tokens beside what follows each; `IGNORED` where that counts for nothing.

    Raises:
        ValueError: if the last answer is longer than a sample.
    """
    places = np.flatnonzero(found.counted)
    stop = int(places[-1]) + 1 if counted == "answers" else len(found.tokens)
    start = max(0, stop - longest - 1)
    last = places[
        np.flatnonzero(np.diff(places, prepend=-2) != 1)[-1]
    ]  # where the last answer begins
    if last <= start and start or last == 0:
        got = f"an answer of {number_text(int(places[-1] - last) + 1, 'token')}"
        raise ValueError(f"got {got}, want at most {longest}, and what it answers before it")
    tokens = found.tokens[start:stop]
    counts = found.counted[start + 1 : stop] | (counted == "all")
    following = np.where(counts, tokens[1:], np.int32(IGNORED)).astype(np.int32)
    size_bytes = int(found.sizes[start + 1 : stop][counts].sum())
    return _Sample(tokens[:-1], following, size_bytes, _digest_prompt(said), start > 0)


def _digest_prompt(said: TextAnswer | Dialogue) -> bytes:
    if isinstance(said, TextAnswer):
        return hashlib.sha256(said.prompt.encode()).digest()
    before = said.messages[: said.answers[0]]
    return hashlib.sha256("\0".join(each["content"] for each in before).encode()).digest()


def _divide(
    samples: Sequence[_Sample], shares: dict[str, float], path: Path
) -> dict[str, list[_Sample]]:
    """The samples by split, as the hash of what is asked orders them; those of one prompt stay together.

    Raises:
        InputError: if there are too few prompts.
    """
    prompts = sorted({each.prompt for each in samples})
    if len(prompts) < LEAST:
        got = number_text(len(prompts), "prompt")
        raise InputError(f"{path}: got {got}, want {LEAST} or more, or a column split")
    of_prompt = dict.fromkeys(prompts, "train")
    start = 0
    for name, share in shares.items():
        count = max(1, round(share * len(prompts)))
        of_prompt |= dict.fromkeys(prompts[start : start + count], name)
        start += count
    found: dict[str, list[_Sample]] = {"train": [], **{name: [] for name in shares}}
    for each in samples:
        found[of_prompt[each.prompt]].append(each)
    return found


def _rows(samples: Sequence[_Sample]) -> dict[str, Any]:
    none = np.zeros(0, np.int32)
    return {
        "text": from_rows([each.tokens for each in samples], none),
        "next_tokens": from_rows([each.following for each in samples], none),
        "text_bytes": np.array([[each.size_bytes] for each in samples], np.float32),
    }


def _describe(
    samples: Sequence[_Sample], longest: int, unit: str, counted: str, chat: ChatEncoding
) -> str:
    told = number_text(len(samples), "conversation")
    if cut := sum(each.is_cut for each in samples):
        told += f"; {cut} without their beginning, longer than {number_text(longest, unit)}"
    told += "; answers count" if counted == "answers" else "; all tokens count"
    if chat.template is not None:
        told += f"; chat template {chat.template.digest[:12]} of {chat.template.where}"
    return told
