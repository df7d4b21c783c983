"""Chat templates: the text and the answers that transformers makes of them; what a hostile one gets."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import InputError
from edgekd.learn.data import chat_template
from edgekd.learn.data.chat_template import ChatTemplate
from edgekd.learn.data.chat_template import RenderedText
from edgekd.learn.data.chat_template import RenderOrder
from edgekd.learn.data.chat_template import read_template
from edgekd.learn.data.chat_template import render_conversations
from tests.chat_example import CHATML
from tests.chat_example import MARKED
from tests.chat_example import STRICT
from tests.chat_example import TEMPLATES
from tests.chat_example import talk
from tests.chat_example import write_folder

TALK = talk("Where did Ada sleep?", "In Rome,\n Zoë.", "And Bob? 🐈", "Oslo")


def render(text: str, *talks: Any, begins_answer: bool = False) -> list[RenderedText | str]:
    template = ChatTemplate(text, {"eos_token": "</s>"}, "a.jinja")
    orders = [RenderOrder(each, begins_answer) for each in talks or (TALK,)]
    return list(render_conversations(template, orders))


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("begins", [False, True])
def test_the_text_is_that_of_transformers(name: str, begins: bool, tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    folder = write_folder(tmp_path / "tok", TEMPLATES[name])
    theirs = PreTrainedTokenizerFast.from_pretrained(folder)
    template = read_template(folder / "tokenizer.json", None, None)
    assert template is not None
    messages = TALK[:3] if begins else TALK
    (ours,) = render_conversations(template, [RenderOrder(messages, begins)])
    assert isinstance(ours, RenderedText)
    assert ours.text == theirs.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=begins
    )
    assert bool(ours.spans) == (name == "marked")
    answers = [each["content"] for each in messages if each["role"] == "assistant"]
    if ours.spans:
        assert [ours.text[a:b] for a, b in ours.spans] == [f"{each}<|im_end|>" for each in answers]


def test_what_templates_of_others_use_is_there() -> None:
    text = (
        "{% for m in messages %}{% if loop.index0 > 1 %}{% break %}{% endif %}"
        "{{ m | tojson }}{{ m.content.split()[-1].strip('.') }}{% endfor %}"
        "{% set ns = namespace(n=0) %}{% set ns.n = 7 %}{{ ns.n }}{{ tools is none }}{{ unknown }}"
    )
    (made,) = render(text, [{"role": "user", "content": "<é> there."}])
    assert isinstance(made, RenderedText)
    assert made.text == '{"role": "user", "content": "<é> there."}there7True'


def test_where_a_template_lies(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tok", CHATML)
    tokenizer = folder / "tokenizer.json"
    found = read_template(tokenizer, None, None)
    assert found is not None and found.text == CHATML
    assert found.variables == {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
    (folder / "chat_template.jinja").write_text(
        STRICT
    )  # it stands before the other, as in transformers
    beside = read_template(tokenizer, None, None)
    assert beside is not None and beside.text == STRICT and beside.digest != found.digest
    (tmp_path / "own.jinja").write_text(MARKED)
    named = read_template(tokenizer, str(tmp_path / "own.jinja"), None)
    assert named is not None and named.text == MARKED and named.marks_answers
    write_folder(tmp_path / "none", None)
    assert read_template(tmp_path / "none" / "tokenizer.json", None, None) is None
    several = [{"name": "tools", "template": "x"}, {"name": "default", "template": CHATML}]
    config = {"chat_template": several, "eos_token": {"content": "</s>"}, "pad_token": None}
    (tmp_path / "none" / "tokenizer_config.json").write_text(json.dumps(config))
    default = read_template(tmp_path / "none" / "tokenizer.json", None, None)
    assert default is not None and default.text == CHATML
    assert default.variables == {"eos_token": "</s>"}


@pytest.mark.parametrize(
    ("written", "wrong"),
    [
        ('{"chat_template": 5}', "got int, want text"),
        ('{"chat_template": [{"name": "a", "template": "x"}]}', "got list, want text"),
        ("[1]", "got list, want an object"),
        ("{", "got no JSON"),
        (json.dumps({"chat_template": "x" * 2**19}), "got 524288 characters"),
    ],
)
def test_a_configuration_that_is_none_is_refused(written: str, wrong: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "tok", None)
    (folder / "tokenizer_config.json").write_text(written)
    with pytest.raises(InputError, match=wrong):
        read_template(folder / "tokenizer.json", None, None)


SLOW = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (SLOW, "takes longer than"),
        ("{{ 9 ** 99999999 }}", "takes longer than"),
        ("{{ 'a' * messages[0].content | length ** 12 }}", "takes too much memory|OverflowError"),
        ("{{ range(100001) | list }}", "Range too big"),
        ("{% for a in range(99999) %}{{ 'a' * 999 }}{% endfor %}", "got more than 1048576 char"),
        ("{{ ().__class__.__base__.__subclasses__() }}", "unsafe"),
        ("{{ messages.append(1) }}", "unsafe"),
        ("{{ cycler.__init__.__globals__.os.system('true') }}", "unsafe|undefined"),
        ("{% include '/etc/passwd' %}", "no loader"),
        ("{% import 'os' as os %}", "no loader"),
        ("{{ strftime_now('%d') }}", "'strftime_now' is undefined"),
        ("{{ raise_exception('only tools') }}", "only tools"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "nests too deeply"),
        ("{% if %}", "cannot be compiled"),
        ("{% generation %}", "cannot be compiled"),
        ("{{ range(9) | random }}", "cannot be compiled: No filter named 'random'"),
        ("{{ lipsum() }}", "'lipsum' is undefined"),
        (r"{{ '\ud800' }}", "got half a character"),
    ],
)
def test_a_hostile_template_is_refused_in_a_line(
    text: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_template, "RENDER_S", 0.2)
    try:
        (made,) = render(text)
    except InputError as error:
        made = error.line()
    assert isinstance(made, str) and re.search(wrong, made) and "\n" not in made, made


@pytest.mark.parametrize(
    "text", ["{{ ''.format.__globals__ }}", "{{ '{0.__class__}'.format(1) }}", "{{ __import__ }}"]
)
def test_what_reaches_for_more_gets_nothing(text: str) -> None:
    (made,) = render(text)
    assert isinstance(made, RenderedText) and not made.text


def test_a_row_that_is_refused_leaves_the_others() -> None:
    made = render(STRICT, talk("a", "b"), [*talk("a"), *talk("b")], talk("c", "d"))
    assert isinstance(made[0], RenderedText) and isinstance(made[2], RenderedText)
    assert made[1] == "roles must alternate"


def test_many_conversations_are_rendered_by_several_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chat_template, "TOGETHER", 2)
    made = render(CHATML, *(talk(f"{n}") for n in range(5)))
    texts = [each.text for each in made if isinstance(each, RenderedText)]
    assert texts == [f"<|im_start|>user\n{n}<|im_end|>\n" for n in range(5)]


def test_much_text_together_is_rendered_by_several_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A template may put a long text of its own before each."""
    monkeypatch.setattr(chat_template, "MOST_TOTAL", 1000)
    made = render("{{ 'x' * 600 }}{{ messages[0].content }}", *(talk(f"{n}") for n in range(5)))
    texts = [each.text for each in made if isinstance(each, RenderedText)]
    assert texts == [f"{'x' * 600}{n}" for n in range(5)]


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("{% generation %}a{% generation %}b{% endgeneration %}c{% endgeneration %}d", ((0, 3),)),
        (r"ab{{ '\ufdd1' }}c{% generation %}d{% endgeneration %}", ((3, 4),)),
    ],
)
def test_marks_within_others_and_stray_ones(text: str, spans: tuple[tuple[int, int], ...]) -> None:
    assert render(text) == [RenderedText("abcd", spans)]
