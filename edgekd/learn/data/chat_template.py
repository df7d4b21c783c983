"""The chat template of a tokenizer: where it lies, and conversations as the text it makes of them.

A template is a program of a stranger: it runs in `edgekd.learn.data.template_worker` alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.gguf.reading import read_head
from edgekd.learn.gguf.tokenizer import read_chat_template
from edgekd.learn.model_hub import GGUF
from edgekd.learn.source import locate
from edgekd.learn.source import need_package
from edgekd.units import bytes_text
from edgekd.units import number_text

MODULE = "edgekd.learn.data.template_worker"
FILE, CONFIG = "chat_template.jinja", "tokenizer_config.json"
SPECIAL = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
"""Variables of a template."""
MOST_TEMPLATE, MOST_CONFIG = 2**18, 2**26
"""Bytes of a template, and of the file that may hold it."""
MOST_TEXT = 2**20
"""Characters of one conversation."""
TOGETHER, TOGETHER_CHARS = 4096, 2**24
"""Conversations that one process renders, and their characters."""
MOST_TOTAL = 2**24
"""Characters behind which one process makes no more: another goes on."""
RENDER_S, PROCESS_S = 5.0, 300.0
"""Processor time of one conversation; time of a process."""
MEMORY_BYTES = 2**30
HINT = (
    "template: FILE, beside the source's name, names one; texts in prompt and completion need none"
)

Message = Mapping[str, str]
"""``role`` and ``content``."""


class ChatTemplate(NamedTuple):
    """What turns conversations into text."""

    text: str
    variables: Mapping[str, str]
    """Special tokens by the names that templates have for them: ``eos_token``."""
    where: str
    """How to call it in a message."""

    @property
    def digest(self) -> str:
        """SHA-256 of it and its variables."""
        return hashlib.sha256(files.canonical_json([self.text, dict(self.variables)])).hexdigest()

    @property
    def marks_answers(self) -> bool:
        """Whether it says itself what an assistant writes."""
        return "endgeneration" in self.text


class RenderedText(NamedTuple):
    """A conversation as text."""

    text: str
    spans: tuple[tuple[int, int], ...]
    """Where what the template marks as answers begins and ends; none where it marks none."""


class RenderOrder(NamedTuple):
    """A conversation to be rendered."""

    messages: Sequence[Message]
    begins_answer: bool
    """Whether what begins an answer stands at the end."""


def find_files(tokenizer: Path | None, template: str | None, data_dir: Path | None) -> list[Path]:
    """The files in which a template and its special tokens may stand, those that are there.

    Args:
        tokenizer: the file of the tokenizer; None where there is none.
        template: of the recipe: a file; None for what lies beside the tokenizer.
        data_dir: the user's folder of data sets.

    Raises:
        InputError: if the named one is not there.
    """
    named = [] if template is None else [locate(template, data_dir)]
    beside = [] if tokenizer is None else [tokenizer.parent / name for name in (FILE, CONFIG)]
    return [*named, *(path for path in beside if path.exists())]


def read_template(
    tokenizer: Path | None, template: str | None, data_dir: Path | None
) -> ChatTemplate | None:
    """The template that a recipe names, or the tokenizer's own: of chat_template.jinja before tokenizer_config.json, as
    transformers takes it; None if there is none.

    Args:
        tokenizer: as `find_files`.
        template: as `find_files`.
        data_dir: as `find_files`.

    Raises:
        InputError: if a file is too large or not of its form.
    """
    paths = find_files(tokenizer, template, data_dir)
    own, variables, where = _read_own(tokenizer, paths)
    first = next((path for path in paths if path.name != CONFIG), None)
    if first is not None:
        return ChatTemplate(_read_text(first), variables, str(first))
    if own is None:
        return None
    if not isinstance(own, str) or len(own) > MOST_TEMPLATE:
        got = type(own).__name__ if not isinstance(own, str) else f"{len(own)} characters"
        want = f"want text of at most {MOST_TEMPLATE}, or a list with one called 'default'"
        raise InputError(f"{where}: got {got}, {want}")
    return ChatTemplate(own, variables, where)


def _read_own(tokenizer: Path | None, paths: Sequence[Path]) -> tuple[Any, dict[str, str], str]:
    """What a GGUF file or tokenizer_config.json says: a template, special tokens by name, and where."""
    if tokenizer is not None and tokenizer.suffix == GGUF:
        return *read_chat_template(read_head(tokenizer)), f"{tokenizer}: tokenizer.chat_template"
    config = next((path for path in paths if path.name == CONFIG), None)
    if config is None:
        return None, {}, ""
    said = _read_config(config)
    own = said.get("chat_template")
    if isinstance(own, list):  # several, by name
        named = {each.get("name"): each.get("template") for each in own if isinstance(each, dict)}
        own = named.get("default", own)
    variables = {name: text for name in SPECIAL if (text := _spell(said.get(name)))}
    return own, variables, f"{config}: chat_template"


def _read_text(path: Path) -> str:
    with files.open_regular(path) as file:
        data: bytes = file.read(MOST_TEMPLATE + 1)
    if len(data) > MOST_TEMPLATE:
        raise InputError(f"{path}: got more than {bytes_text(MOST_TEMPLATE)}, want less")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: got bytes that are not UTF-8, want a template") from error


def _read_config(path: Path) -> dict[str, Any]:
    value = files.read_json(path, limit_bytes=MOST_CONFIG)
    if not isinstance(value, dict):
        raise InputError(f"{path}: got {type(value).__name__}, want an object")
    return value


def _spell(token: Any) -> str:
    """A special token as it stands there, alone or with facts about it; empty for anything else."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) and len(text) <= 200 else ""


def render_conversations(
    template: ChatTemplate, orders: Sequence[RenderOrder]
) -> Iterator[RenderedText | str]:
    """Yield the text of each conversation, or a sentence about what the template refuses.

    Raises (while it is read):
        InputError: if the template cannot be compiled, or takes too long.
        MachineError: if jinja2 is not installed.
    """
    need_package("jinja2", "learn", template.where)
    for few in _divide(orders):
        at = 0
        while at < len(few):
            rendered = _run(template, few[at:])
            at += len(rendered)
            yield from map(_read_rendered, rendered)


def _read_rendered(each: dict[str, Any]) -> RenderedText | str:
    if "error" in each:
        return str(each["error"])
    return RenderedText(each["text"], tuple((a, b) for a, b in each["spans"]))


def _divide(orders: Sequence[RenderOrder]) -> Iterator[list[RenderOrder]]:
    few: list[RenderOrder] = []
    size = 0
    for order in orders:
        few.append(order)
        size += sum(len(each["content"]) for each in order.messages)
        if len(few) >= TOGETHER or size >= TOGETHER_CHARS:
            yield few
            few, size = [], 0
    if few:
        yield few


def _run(template: ChatTemplate, orders: Sequence[RenderOrder]) -> list[dict[str, Any]]:
    order = {
        "template": template.text,
        "variables": {**template.variables, "tools": None, "documents": None},
        "conversations": [
            {
                "messages": list(map(dict, each.messages)),
                "add_generation_prompt": each.begins_answer,
            }
            for each in orders
        ],
        "most": MOST_TEXT,
        "most_total": MOST_TOTAL,
        "seconds": RENDER_S,
        "memory_bytes": MEMORY_BYTES,
    }
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-m", MODULE],
            input=json.dumps(order).encode(),
            capture_output=True,
            timeout=PROCESS_S,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        got = f"{number_text(len(orders), 'conversation')} that take longer than {PROCESS_S:.0f} s"
        raise InputError(f"{template.where}: got {got}, want a template that ends") from error
    if ended.returncode == -getattr(signal, "SIGPROF", 0):
        got = f"a conversation that takes longer than {RENDER_S:.0f} s"
        raise InputError(f"{template.where}: got {got}, want a template that ends")
    try:
        answer = json.loads(ended.stdout)
    except ValueError as error:
        lines = ended.stderr.decode(errors="replace").strip().splitlines() or [
            f"exit {ended.returncode}"
        ]
        raise InputError(f"{template.where}: cannot be rendered: {lines[-1][:200]}") from error
    if "error" in answer:
        raise InputError(f"{template.where}: cannot be compiled: {answer['error']}")
    found: list[dict[str, Any]] = answer["rendered"]
    return found
