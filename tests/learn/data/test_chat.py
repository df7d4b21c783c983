"""Conversations as samples: tokens and answers are those of transformers and TRL; what is cut, counted and refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.fields.conversation import END_BYTE
from edgekd.fields.conversation import Conversation
from edgekd.learn.data import chat
from edgekd.learn.data.recognition import recognize_source
from edgekd.learn.source import Source
from edgekd.learn.source import require_sound
from edgekd.tokenizer import load_tokenizer
from tests.chat_example import CHATML
from tests.chat_example import STRICT
from tests.chat_example import TEMPLATES
from tests.chat_example import chat_pieces
from tests.chat_example import talk
from tests.chat_example import write_folder

IGNORED = -100
TALKS = [
    talk(f"Where did Ada sleep in {n}?", f"In Rome, {n} Zoë.", "And\nBob? 🐈", f"Oslo {n}")
    for n in range(6)
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "tok")
    write([{"messages": each, "split": "train"} for each in TALKS])
    return tmp_path


def write(rows: list[dict[str, Any]], name: str = "chats.jsonl") -> None:
    Path(name).write_text("\n".join(map(json.dumps, rows)))


def read(reference: str = "chats.jsonl", **knobs: Any) -> Source:
    given = {"reference": reference, "tokenizer": "tok", **knobs}
    return require_sound(chat.read(**given), "chat")


def following(tokens: list[int], counted: list[int]) -> list[int]:
    """What a language model learns of tokens that count or not."""
    return [
        token if counts else IGNORED for token, counts in zip(tokens[1:], counted[1:], strict=True)
    ]


@pytest.mark.parametrize("name", TEMPLATES)
def test_tokens_and_answers_are_those_of_transformers(name: str, folder: Path) -> None:
    """The mask of `return_assistant_tokens_mask` where the template marks answers; else TRL's: what a conversation has behind the
    tokens of its prompt, for every answer, without what stands behind the token that ends it."""
    from transformers import PreTrainedTokenizerFast

    write_folder(folder / "tok", TEMPLATES[name])
    theirs = PreTrainedTokenizerFast.from_pretrained(folder / "tok")
    source = read()
    end = source.fields["text"].words["end"]
    for number, messages in enumerate(TALKS):
        asked = theirs.apply_chat_template(
            messages, return_dict=True, return_assistant_tokens_mask=name == "marked"
        )
        tokens = list(asked["input_ids"])
        if name == "marked":
            counted = list(asked["assistant_masks"])
        else:
            counted = [0] * len(tokens)
            for at in (1, 3):
                prompt, whole = (
                    theirs.apply_chat_template(messages[:n], add_generation_prompt=n == at)
                    for n in (at, at + 1)
                )
                ids = whole["input_ids"]
                start = len(prompt["input_ids"])
                assert ids[:start] == prompt["input_ids"]
                stop = max(place for place, token in enumerate(ids) if token == end) + 1
                counted[start:stop] = [1] * (stop - start)
        stop = max(place for place, counts in enumerate(counted) if counts) + 1
        row = source.splits["train"]["text"].row(number).tolist()
        assert row == tokens[: stop - 1]
        got = source.splits["train"]["next_tokens"].row(number).tolist()
        assert got == following(tokens[:stop], counted[:stop]) and end in got
    if name != "marked":
        size = sum(len(TALKS[0][at]["content"].encode()) for at in (1, 3))
        spaces = 2 if name == "strict" else 0  # before each answer, as that template has it
        assert source.splits["train"]["text_bytes"][0, 0] == size + spaces


def test_a_prompt_and_its_completion_have_tokens_of_their_own_and_an_end(folder: Path) -> None:
    """As TRL, which appends the end of text to completions; that none reaches over the border is ours."""
    write([{"prompt": "Ada slept in", "completion": " Oslo Zoë", "split": "train"}])
    tokenizer = load_tokenizer(chat_pieces(), "a")
    prompt, answer = (
        list(tokenizer.encode(text, special=False).tokens) for text in ("Ada slept in", " Oslo Zoë")
    )
    source = read()
    rows = source.splits["train"]
    assert tokenizer.end is not None
    whole = [*prompt, *answer, tokenizer.end]
    assert rows["text"].row(0).tolist() == whole[:-1]
    counted = [0] * len(prompt) + [1] * (len(answer) + 1)
    assert rows["next_tokens"].row(0).tolist() == following(whole, counted)
    assert rows["text_bytes"].tolist() == [[len(" Oslo Zoë".encode())]]
    as_bytes = read(tokenizer=None).splits["train"]
    text = [byte + 1 for byte in "Ada slept in Oslo Zoë".encode()]
    assert as_bytes["text"].row(0).tolist() == text
    assert as_bytes["next_tokens"].row(0).tolist() == [IGNORED] * 11 + [*text[12:], END_BYTE]
    assert as_bytes["text_bytes"].tolist() == [[len(" Oslo Zoë".encode())]]


def test_a_completion_of_messages_counts_alone(folder: Path) -> None:
    write([{"prompt": TALKS[0][:3], "completion": TALKS[0][3:], "split": "train"}])
    rows = read().splits["train"]
    counted = rows["next_tokens"].row(0)
    tokenizer = load_tokenizer(chat_pieces(), "a")
    assert tokenizer.decode(counted[counted != IGNORED].tolist()) == "Oslo 0"
    assert rows["text_bytes"].tolist() == [[6]]
    everything = read(counted="all").splits["train"]
    assert (np.asarray(everything["next_tokens"].values) != IGNORED).all()
    text = tokenizer.decode(everything["text"].row(0).tolist())
    assert text.startswith("user\nWhere did") and text.endswith("Oslo 0\n") is False
    assert everything["text_bytes"][0, 0] == len(text.encode()) + 1  # the last line's end follows


def test_what_is_too_long_loses_its_beginning_and_keeps_the_answer(folder: Path) -> None:
    whole = read()
    text, after = (whole.splits["train"][name].row(0) for name in ("text", "next_tokens"))
    length = len(text) - 5
    cut = read(longest=length)
    assert cut.splits["train"]["text"].row(0).tolist() == text[5:].tolist()
    assert cut.splits["train"]["next_tokens"].row(0).tolist() == after[5:].tolist()
    assert f"6 without their beginning, longer than {length} tokens" in cut.notes[0]
    last = int((np.asarray(after)[-12:] != IGNORED).sum())
    with pytest.raises(
        InputError, match=rf"line 1: got an answer of \d+ tokens, want at most {last - 3}"
    ):
        read(longest=last - 3)
    with pytest.raises(InputError, match="no conversation to train on"):
        read(longest=2, on_broken="skip")


def test_splits_are_of_prompts(folder: Path) -> None:
    rows = [{"prompt": f"p{n % 50}", "completion": f"c{n}"} for n in range(200)]
    write(rows)
    source = read(tokenizer=None)
    prompts = {
        name: {bytes(row[: row.tolist().index(ord("c") + 1)]) for row in each["text"]}
        for name, each in source.splits.items()
    }
    assert {name: len(each) for name, each in prompts.items()} == {
        "train": 40,
        "test": 5,
        "validation": 5,
    }
    assert not prompts["train"] & prompts["test"]
    write(rows[:29])
    with pytest.raises(InputError, match="got 29 prompts, want 30 or more, or a column split"):
        read(tokenizer=None)


def test_a_template_that_drops_or_moves_a_turn_is_refused(folder: Path) -> None:
    drops = CHATML.replace("in messages %}", "in messages[-2:] %}", 1)
    write_folder(folder / "tok", drops)
    with pytest.raises(InputError, match=r"line 1: got message 0 \(user\) dropped or changed"):
        read()
    twice = [{"messages": talk("yes", "b", "yes", "d"), "split": "train"}]
    write(twice)
    with pytest.raises(InputError, match="message 0"):
        read()
    write([{"messages": each, "split": "train"} for each in TALKS])
    moves = "{{ messages | length }}" + CHATML  # what was said before depends on what follows
    write_folder(folder / "tok", moves)
    with pytest.raises(InputError, match="changes what was said before an answer"):
        read()
    write_folder(folder / "tok", CHATML.replace("<|im_end|>", "."))
    with pytest.raises(InputError, match=r"got '\.\\n' behind an answer, want a special token"):
        read()
    unmarked = TEMPLATES["marked"].replace(
        "{%- generation %}", "{%- if loop.last %}{%- generation %}"
    )
    unmarked = unmarked.replace(
        "{%- endgeneration %}", "{%- endgeneration %}{%- else %}{{ message.content }}{%- endif %}"
    )
    write_folder(folder / "tok", unmarked)
    with pytest.raises(InputError, match="got 1 answer marked by the chat template, want 2"):
        read()


def test_what_the_words_of_a_recipe_cannot_be(folder: Path) -> None:
    write_folder(folder / "none", None)
    with pytest.raises(InputError, match="got messages, and no chat template beside") as error:
        read(tokenizer="none")
    assert "template: FILE" in error.value.hint
    Path("own.jinja").write_text(CHATML)
    assert read(tokenizer="none", template="own.jinja").fields == read().fields
    with pytest.raises(InputError, match="messages to be read as bytes, want a tokenizer") as error:
        read(tokenizer=None)
    assert (
        "{name: chat, reference: " in error.value.hint and "tokenizer: FOLDER}" in error.value.hint
    )
    with pytest.raises(InputError, match="counted: got 'x', want one of: answers, all"):
        read(counted="x")
    write_folder(folder / "strict", STRICT)
    write([{"messages": talk("system: x", "a", "b"), "split": "train"}])
    with pytest.raises(
        InputError, match="line 1: the chat template refuses it: roles must alternate"
    ):
        read(tokenizer="strict")
    write(
        [
            {"prompt": "a", "completion": "b"},
            {"prompt": talk("a"), "completion": talk("a", "b")[1:]},
        ]
    )
    with pytest.raises(InputError, match="rows of messages and rows of plain text"):
        read()
    write([{"prompt": "a", "completion": "b"}])
    with pytest.raises(InputError, match="whose prompts are plain text, want messages"):
        read(template="own.jinja")
    write([{"text": "a"}])
    with pytest.raises(
        InputError, match="got columns text, want messages, or prompt and completion"
    ):
        read()
    Path("chats.jsonl").write_bytes(b'{"prompt": "a\xff", "completion": "b"}')
    with pytest.raises(InputError, match="line 1: got no JSON"):
        read()


def test_rows_that_cannot_be_used_are_left_out_and_listed(folder: Path) -> None:
    broken = [{"messages": talk("a"), "split": "train"}, {"messages": "x", "split": "train"}]
    write([*broken, {"messages": TALKS[0], "split": "train"}])
    source = read(on_broken="skip")
    assert len(source.splits["train"]["text"]) == 1
    assert [each.partition(": ")[0] for each in source.skipped] == [
        "chats.jsonl, line 1",
        "chats.jsonl, line 2",
    ]


def test_the_files_of_a_template_are_those_of_the_data(folder: Path) -> None:
    names = [path.name for path in chat.files(reference="chats.jsonl", tokenizer="tok")]
    assert names == ["chats.jsonl", "tokenizer.json", "tokenizer_config.json"]
    assert set(chat.pins(reference="chats.jsonl", tokenizer="tok")) == {"jinja2"}
    assert chat.pins(reference="chats.jsonl") == {}
    Path("own.jinja").write_text(CHATML)
    files = chat.files(reference="chats.jsonl", tokenizer="tok", template="own.jinja")
    assert "own.jinja" in [path.name for path in files]


def test_tables_of_messages_and_what_edgekd_takes_them_for(folder: Path) -> None:
    import datasets

    table = datasets.Dataset.from_list([{"messages": each} for each in TALKS])
    table.to_parquet("chats.parquet")
    datasets.DatasetDict({"train": table, "test": table}).save_to_disk("saved")
    want = read().splits["train"]["text"]
    write([{"messages": each} for each in TALKS], "whole.jsonl")
    write([{"prompt": "a b", "completion": "c"}] * 3, "pairs.jsonl")
    write([{"text": "a b", "label": "c"}] * 3, "labelled.jsonl")
    got = read("saved")
    assert set(got.splits) == {"train", "test"}
    assert got.splits["train"]["text"].values.tolist() == want.values.tolist()
    for name in ("chats.parquet", "saved", "whole.jsonl", "pairs.jsonl"):
        assert recognize_source(Path(name)).source == "chat", name
    assert recognize_source(Path("labelled.jsonl")).source == "jsonl"


def test_a_users_words_become_the_prompt_that_transformers_makes(folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    theirs = PreTrainedTokenizerFast.from_pretrained(folder / "tok")
    source = read()
    field = Conversation(usual=8, **source.fields["text"].words).with_files(
        {"tokenizer.json": source.tokenizer}
    )
    again = Conversation.from_json(field.to_json())
    assert again == field and again.find_end() == field.end
    asked = theirs.apply_chat_template(talk("And Bob? 🐈"), add_generation_prompt=True)
    rows = field.read(" And Bob? 🐈\n".encode())
    assert rows.row(0).tolist() == list(asked["input_ids"])
    long = field.read(b"Ada " * 500)
    assert len(long.row(0)) == field.longest
    assert long.row(0)[-3:].tolist() == rows.row(0)[-3:].tolist()  # where an answer begins
    assert field.describe_cut(b"Ada " * 500).startswith(f"cut to {field.longest} of ")
    with pytest.raises(InputError, match="got no text, want what a user says"):
        field.read(b"  ")
