"""Rows of conversations as TRL names them: `messages`, or `prompt` and `completion`; and `conversations` as of ShareGPT."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from edgekd.learn.data.columns import column_fits
from edgekd.learn.formats.records import Records

ROLES = ("system", "developer", "user", "assistant", "tool")
ASSISTANT = "assistant"
SHAREGPT = {"human": "user", "gpt": ASSISTANT}
"""What it calls those roles."""
FORMS = (("messages",), ("prompt", "completion"), ("conversations",))
"""Columns of a list of conversations; the first that is there is read."""
MOST_TURNS = 1000
_NONCHARACTERS = re.compile("[\ufdd0-\ufdef]")
"""`edgekd.learn.data.template_worker` marks places with them."""


class TextAnswer(NamedTuple):
    """A prompt and what follows it, both plain text."""

    prompt: str
    completion: str


class Dialogue(NamedTuple):
    """Who says what."""

    messages: tuple[dict[str, str], ...]
    """``role`` and ``content`` each."""
    answers: tuple[int, ...]
    """Which of them are to be learned: an assistant's, of a completion those that are in it."""


def find_form(columns: Sequence[str]) -> tuple[str, ...] | None:
    """The columns of a list that hold conversations; None if there are none."""
    return next((form for form in FORMS if set(form) <= set(columns)), None)


def holds_conversations(records: Records) -> bool:
    """Return whether a list has the columns of conversations, and such in its first rows."""
    form = find_form(records.columns) or ()
    return bool(form) and all(column_fits(records, name, _FITS[len(form)]) for name in form)


def _is_messages(value: Any) -> bool:
    keys = ({"role", "content"}, {"from", "value"})
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) and any(key <= set(each) for key in keys) for each in value)
    )


_FITS: dict[int, Callable[[Any], bool]] = {
    1: _is_messages,
    2: lambda value: isinstance(value, str) or _is_messages(value),
}
"""What fits a form's cells, by its number of columns."""


def parse_row(row: dict[str, Any], form: tuple[str, ...]) -> TextAnswer | Dialogue:
    """What a row holds.

    Args:
        row: cells by column.
        form: of `FORMS`.

    Raises:
        ValueError: if it is no conversation that ends with an answer.
    """
    if row.get("tools"):
        raise ValueError("tools: got some, want conversations without tools")
    if len(form) == 1:
        (name,) = form
        messages = _parse_messages(row.get(name), name)
        first = 0
    else:
        prompt, completion = (row.get(name) for name in form)
        if isinstance(prompt, str) or isinstance(completion, str):
            return _parse_texts(prompt, completion)
        before = _parse_messages(prompt, "prompt")
        messages = (*before, *_parse_messages(completion, "completion"))
        name, first = "completion", len(before)
    if messages[-1]["role"] != ASSISTANT:
        got = f"a last message of {messages[-1]['role']!r}"
        raise ValueError(f"{name}: got {got}, want an answer, {ASSISTANT!r}, at the end")
    said = range(first, len(messages))
    if len(messages) == 1:
        raise ValueError(f"{name}: got an answer alone, want what it answers before it")
    return Dialogue(messages, tuple(at for at in said if messages[at]["role"] == ASSISTANT))


def _parse_texts(prompt: Any, completion: Any) -> TextAnswer:
    for name, value in (("prompt", prompt), ("completion", completion)):
        if not isinstance(value, str):
            raise ValueError(f"{name}: got {_describe(value)}, want text")
        _require_text(value, name)
        if not value.strip():
            raise ValueError(f"{name}: got no text, want some")
    return TextAnswer(prompt, completion)


def _parse_messages(value: Any, name: str) -> tuple[dict[str, str], ...]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name}: got {_describe(value)}, want a list of messages")
    if len(value) > MOST_TURNS:
        raise ValueError(f"{name}: got {len(value)} messages, want at most {MOST_TURNS}")
    return tuple(_parse_message(each, f"{name}[{at}]") for at, each in enumerate(value))


def _parse_message(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: got {_describe(value)}, want an object with role and content")
    named = "from" in value and "role" not in value
    role, content = (
        value.get(key) for key in (("from", "value") if named else ("role", "content"))
    )
    if named and isinstance(role, str):
        role = SHAREGPT.get(role, role)
    if role not in ROLES:
        raise ValueError(f"{where}: got role {str(role)[:40]!r}, want one of: {', '.join(ROLES)}")
    if value.get("tool_calls"):
        raise ValueError(f"{where}: got tool_calls, want conversations without tools")
    if not isinstance(content, str):
        raise ValueError(f"{where}: got content of {_describe(content)}, want text")
    _require_text(content, where)
    if not content.strip() and role in ("user", ASSISTANT):
        raise ValueError(f"{where}: got no text of {role!r}, want some")
    return {"role": role, "content": content}


def _require_text(text: str, where: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{where}: got half a character, want text in UTF-8") from error
    if _NONCHARACTERS.search(text):
        raise ValueError(f"{where}: got a noncharacter (U+FDD0 to U+FDEF), want text")


def _describe(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
