"""Rows of conversations: the forms that TRL names, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from edgekd.learn.data.chat_rows import Dialogue
from edgekd.learn.data.chat_rows import TextAnswer
from edgekd.learn.data.chat_rows import find_form
from edgekd.learn.data.chat_rows import parse_row
from tests.chat_example import talk

MESSAGES = ("messages",)
PAIR = ("prompt", "completion")


def test_forms_are_those_of_trl() -> None:
    whole = talk("system: be brief", "a", "b", "c", "d")
    found = parse_row({"messages": whole}, MESSAGES)
    assert found == Dialogue(tuple(whole), (2, 4))
    assert parse_row({"prompt": whole[:4], "completion": whole[4:]}, PAIR) == Dialogue(
        tuple(whole), (4,)
    )
    assert parse_row({"prompt": "The sky is", "completion": " blue."}, PAIR) == TextAnswer(
        "The sky is", " blue."
    )
    shared = [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b", "weight": 1}]
    assert parse_row({"conversations": shared}, ("conversations",)) == Dialogue(
        tuple(talk("a", "b")), (1,)
    )
    assert find_form(["id", "messages", "prompt", "completion"]) == MESSAGES
    assert find_form(["completion", "x", "prompt"]) == PAIR
    assert find_form(["prompt", "text"]) is None


@pytest.mark.parametrize(
    ("messages", "wrong"),
    [
        (None, "messages: got nothing, want a list"),
        ([], "messages: got list, want a list of messages"),
        ("hello", "got str, want a list"),
        (talk("a"), "got a last message of 'user', want an answer"),
        ([{"role": "assistant", "content": "b"}], "an answer alone"),
        (
            [*talk("a"), {"role": "bot", "content": "b"}],
            r"messages\[1\]: got role 'bot', want one of",
        ),
        ([*talk("a"), {"role": "assistant", "content": ""}], r"\[1\]: got no text of 'assistant'"),
        (
            [*talk("a"), {"role": "assistant", "content": " \n"}],
            r"\[1\]: got no text of 'assistant'",
        ),
        (talk(" ", "b"), r"\[0\]: got no text of 'user'"),
        ([*talk("a"), {"role": "assistant", "content": None}], r"\[1\]: got content of nothing"),
        ([*talk("a"), {"role": "assistant", "content": [{"type": "text"}]}], "content of list"),
        ([*talk("a"), {"role": "assistant", "content": "", "tool_calls": [1]}], "got tool_calls"),
        ([*talk("a"), "b"], r"\[1\]: got str, want an object"),
        (talk("a", "\ud800"), "half a character"),
        (talk("a", "b\ufdd0"), "noncharacter"),
        (talk(*"ab" * 501), "got 1002 messages"),
    ],
)
def test_what_is_no_conversation_is_said(messages: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        parse_row({"messages": messages}, MESSAGES)


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ({"prompt": "a"}, "completion: got nothing, want text"),
        ({"prompt": "a", "completion": " "}, "completion: got no text"),
        ({"prompt": "", "completion": "b"}, "prompt: got no text"),
        ({"prompt": "a", "completion": talk("b")}, "completion: got list, want text"),
        (
            {"prompt": talk("a"), "completion": talk("b")},
            "completion: got a last message of 'user'",
        ),
        ({"prompt": "a", "completion": "b", "tools": [{"name": "x"}]}, "tools: got some"),
    ],
)
def test_what_is_no_prompt_and_completion_is_said(row: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        parse_row(row, PAIR)
