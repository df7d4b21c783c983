"""Conversations as tokens, each beside whether it is an answer's: of two plain texts, or of what a chat template makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import InputError
from edgekd.fields.conversation import encode_bytes
from edgekd.learn.data.chat_rows import ASSISTANT
from edgekd.learn.data.chat_rows import Dialogue
from edgekd.learn.data.chat_rows import TextAnswer
from edgekd.learn.data.chat_template import ChatTemplate
from edgekd.learn.data.chat_template import RenderedText
from edgekd.learn.data.chat_template import RenderOrder
from edgekd.learn.data.chat_template import render_conversations
from edgekd.learn.data.encoding import ByteEncoding
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.encoding import count_bytes_before
from edgekd.tokenizer import Tokenizer
from edgekd.units import number_text

MARK = "\ufdd2"
"""Stands for words where a template is asked what it puts around them."""
Span = tuple[int, int]


class ChatTokens(NamedTuple):
    """A conversation."""

    tokens: NDArray[np.int32]
    """[T]."""
    counted: NDArray[np.bool_]
    """[T], of an answer, the token that ends it included."""
    sizes: NDArray[np.int64]
    """[T], bytes of UTF-8 that each stands for; 0 of special tokens."""


class ChatForm(NamedTuple):
    """What a template puts around the words of a user who says one thing."""

    before: str
    behind: str
    end: int
    """The token behind an answer."""


def encode_texts(answer: TextAnswer, encoding: Encoding, end: int) -> ChatTokens:
    """A prompt as a model is asked it, then the completion and the token that ends it: each has tokens of its own, so that none
    reaches over the border."""
    if isinstance(encoding, ByteEncoding):
        parts = [encode_bytes(answer.prompt), encode_bytes(answer.completion)]
        sizes = [np.ones(len(each), np.int64) for each in parts]
    else:
        tokenizer = encoding.tokenizer
        around = np.array(tokenizer.find_around()[0], np.int32)
        found = [_encode(text, tokenizer) for text in answer]
        parts = [np.concatenate([around, found[0].tokens]), found[1].tokens]
        sizes = [np.concatenate([np.zeros(len(around), np.int64), found[0].sizes]), found[1].sizes]
    tokens = np.concatenate([*parts, [end]]).astype(np.int32)
    counted = np.arange(len(tokens)) >= len(parts[0])
    return ChatTokens(tokens, counted, np.concatenate([*sizes, [0]]))


def ask_form(template: ChatTemplate, tokenizer: Tokenizer) -> ChatForm:
    """What a template puts around a user's words, and behind an answer.

    Raises:
        InputError: if it refuses the simplest conversation, changes what is said, or ends an answer with no special token.
    """
    user = {"role": "user", "content": MARK}
    both = [{"role": "user", "content": "a"}, {"role": ASSISTANT, "content": MARK}]
    asked = RenderOrder([user], begins_answer=True), RenderOrder(both, begins_answer=False)
    parts = []
    for order, each in zip(asked, render_conversations(template, asked), strict=True):
        if isinstance(each, str):
            raise InputError(f"{template.where}: refuses the roles user and {ASSISTANT}: {each}")
        if each.text.count(MARK) != 1:
            got = f"what {order.messages[-1]['role']!r} says {each.text.count(MARK)} times"
            raise InputError(f"{template.where}: got {got} in its text, want it once")
        parts.append(each.text.partition(MARK))
    (before, _, behind), (_, _, tail) = parts
    tokens = tokenizer.encode(tail.lstrip(), special=False).tokens
    if not tokens or tokens[0] not in tokenizer.special:
        got = repr(tail[:40]) if tail else "nothing"
        want = "want a special token of the tokenizer, at which a model stops"
        raise InputError(f"{template.where}: got {got} behind an answer, {want}")
    return ChatForm(before, behind, tokens[0])


def encode_dialogues(
    dialogues: Sequence[Dialogue], template: ChatTemplate, tokenizer: Tokenizer
) -> Iterator[ChatTokens | str]:
    """Yield the tokens of each conversation as its template writes it, or a sentence about what cannot be used.

    What counts of an answer is what the template marks (``{% generation %}``), or else what stands behind the conversation up to it,
    up to and with the token that ends it.

    Raises (while it is read):
        InputError, MachineError: as `render_conversations`.
    """
    orders = [order for each in dialogues for order in _list_orders(each, template)]
    rendered = render_conversations(template, orders)
    for each in dialogues:
        own = [next(rendered) for _ in _list_orders(each, template)]
        try:
            yield _encode_dialogue(each, own, template, tokenizer)
        except ValueError as error:
            yield str(error)


def _list_orders(dialogue: Dialogue, template: ChatTemplate) -> list[RenderOrder]:
    """The whole conversation, and where the template marks no answers that before each of them."""
    before = [] if template.marks_answers else dialogue.answers
    whole = RenderOrder(dialogue.messages, begins_answer=False)
    return [whole, *(RenderOrder(dialogue.messages[:at], begins_answer=True) for at in before)]


def _encode_dialogue(
    dialogue: Dialogue,
    rendered: Sequence[RenderedText | str],
    template: ChatTemplate,
    tokenizer: Tokenizer,
) -> ChatTokens:
    """
    Raises:
        ValueError: if the template refuses it, leaves something out, or says otherwise what was said before.
    """
    texts = []
    for each in rendered:
        if isinstance(each, str):
            raise ValueError(f"the chat template refuses it: {each}")
        texts.append(each)
    whole, *before = texts
    _require_all_said(dialogue, whole.text)
    found = tokenizer.encode(whole.text, special=False)
    spans = np.array(found.spans, np.int64).reshape(-1, 2)
    tokens = np.array(found.tokens, np.int32)
    special = np.isin(tokens, [*tokenizer.special])
    if template.marks_answers:
        assistants = [at for at, each in enumerate(dialogue.messages) if each["role"] == ASSISTANT]
        if len(whole.spans) != len(assistants):
            got = f"{number_text(len(whole.spans), 'answer')} marked by the chat template"
            raise ValueError(f"got {got}, want {len(assistants)}")
        chosen = [
            span for at, span in zip(assistants, whole.spans, strict=True) if at in dialogue.answers
        ]
    else:
        chosen = [
            _find_answer(
                whole.text, prompt.text, dialogue.messages[at]["content"].strip(), spans, special
            )
            for at, prompt in zip(dialogue.answers, before, strict=True)
        ]
    counted = np.zeros(len(tokens), bool)
    for start, stop in chosen:
        counted |= (spans[:, 1] > start) & (spans[:, 0] < stop)
    if not counted.any():
        raise ValueError("got no token of an answer, want some")
    return ChatTokens(tokens, counted, _measure(whole.text, spans, special))


def _require_all_said(dialogue: Dialogue, text: str) -> None:
    """Raises ValueError for a message that a template drops or changes."""
    times = Counter(each["content"].strip() for each in dialogue.messages)
    for at, each in enumerate(dialogue.messages):
        content = each["content"].strip()
        if content and text.count(content) < times[content]:
            got = f"message {at} ({each['role']}) dropped or changed by the chat template"
            raise ValueError(f"got {got}, want all that was said")


def _find_answer(
    text: str, prompt: str, content: str, spans: NDArray[np.int64], special: NDArray[np.bool_]
) -> Span:
    """Where an answer stands, with the token that ends it.

    Raises:
        ValueError: if the text does not begin with what came before, or the answer is not behind it.
    """
    if not text.startswith(prompt):
        raise ValueError(
            "got a chat template that changes what was said before an answer, want it kept"
        )
    at = text.find(content, len(prompt))
    if at < 0:
        raise ValueError(
            "got an answer that the chat template puts elsewhere, want it behind its prompt"
        )
    stop = at + len(content)
    behind = np.flatnonzero((spans[:, 0] >= stop) & special)
    if not len(behind) or text[stop : spans[behind[0], 0]].strip():
        raise ValueError("got an answer that the chat template does not end with a special token")
    return len(prompt), int(spans[behind[0], 1])


def _encode(text: str, tokenizer: Tokenizer) -> ChatTokens:
    """All tokens of a text, none counted."""
    found = tokenizer.encode(text, special=False)
    tokens = np.array(found.tokens, np.int32)
    spans = np.array(found.spans, np.int64).reshape(-1, 2)
    none = np.zeros(len(tokens), bool)
    sizes = _measure(text, spans, none)
    if len(sizes):
        sizes[-1] += len(text.encode()) - sizes.sum()  # what no token stands for
    return ChatTokens(tokens, none, sizes)


def _measure(text: str, spans: NDArray[np.int64], special: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Bytes of UTF-8 from where the token before ends to where each ends, [T]; 0 of special ones."""
    ends = (
        np.maximum.accumulate(count_bytes_before(text)[spans[:, 1]]) if len(spans) else spans[:, 0]
    )
    return np.where(special, 0, np.diff(ends, prepend=0))
